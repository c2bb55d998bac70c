"""Records in, a comparison out."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from heldout.analysis import tables
from heldout.analysis.families import Family, Lift, summarise
from heldout.analysis.intervals import proportion
from heldout.analysis.lift import lift
from heldout.analysis.measures import Measures, measure
from heldout.analysis.run import Run
from heldout.analysis.serialise import from_plain, to_plain
from heldout.analysis.verdict import Reference, judge, unfinished
from heldout.config.analysis import AnalysisConfig
from heldout.errors import UserError
from heldout.record import Record

FORMAT = 1
COMPARISON_FILE = "comparison.json"
FAMILIES_FILE = "families.csv"
RUNS_FILE = "runs.csv"
CURVES_FILE = "curves.csv"
METRICS_FILE = "metrics.json"


class ComparisonError(UserError):
    """Records that cannot be compared, or a comparison that cannot be read."""


@dataclass(frozen=True)
class Comparison:
    """All runs and families of one or more data sets, by data set, then by rank."""

    format: int
    settings: AnalysisConfig
    runs: list[Run]
    families: list[Family]

    @property
    def data_sets(self) -> list[str]:
        """The data sets, sorted."""
        return sorted({family.data for family in self.families})

    def to_json(self) -> str:
        """The whole comparison as JSON text; the same comparison gives the same text."""
        return json.dumps(to_plain(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """Undo `to_json`; raises ComparisonError when the text is not what it wrote."""
        try:
            plain = json.loads(text)
            if plain["format"] != FORMAT:
                raise ComparisonError(
                    f"comparison format {plain['format']}, this version reads {FORMAT}; run `compare` again"
                )
            return from_plain(cls, plain)
        except (ValueError, TypeError, KeyError) as error:
            raise ComparisonError(f"not a comparison: {error!r}; run `compare` again") from error

    def write(self, out: Path) -> None:
        """Write comparison.json and the tables families.csv, runs.csv, curves.csv and metrics.json to `out`."""
        out.mkdir(parents=True, exist_ok=True)
        for name, rows, empty in (
            (FAMILIES_FILE, tables.family_rows(self.families), ()),
            (RUNS_FILE, tables.run_rows(self.runs), ()),
            (CURVES_FILE, tables.curve_rows(self.families), ("data", "family", "split", "epoch", "loss", "accuracy")),
        ):
            columns = list(rows[0]) if rows else list(empty)
            (out / name).write_text(tables.to_csv(rows, columns), encoding="utf-8")
        metrics = json.dumps(tables.metrics(self.families), indent=1)
        (out / METRICS_FILE).write_text(metrics + "\n", encoding="utf-8")
        # last, since `read` looks for this one
        (out / COMPARISON_FILE).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def read(cls, directory: Path) -> Comparison:
        """Read what `write` left; raises ComparisonError when it is missing or broken."""
        file = Path(directory) / COMPARISON_FILE
        try:
            return cls.from_json(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ComparisonError(f"no comparison at {file}: {error.strerror}; compare first") from error
        except ComparisonError as error:
            raise ComparisonError(f"{file}: {error}") from error


def compare(records: Sequence[Record], cfg: AnalysisConfig) -> Comparison:
    """Measure every run, judge it, and sum up the families of each data set.

    Runs of one data set and name are the seeds of one family. The result depends on the records and `cfg`
    only, not on the order of the records. Raises ComparisonError when there is no record or two have the
    same data, name and seed, and RecordError when a finished record is incomplete.
    """
    if not records:
        raise ComparisonError("there are no records to compare; train something first")
    ordered = sorted(records, key=_identity)
    _refuse_twins(ordered)
    runs: list[Run] = []
    families: list[Family] = []
    for _, group in groupby(ordered, key=lambda record: str(record.info["data"])):
        of_data = _compare_one_data_set(list(group), cfg)
        runs += of_data[0]
        families += of_data[1]
    return Comparison(FORMAT, cfg, runs, families)


def _identity(record: Record) -> tuple[str, str, int]:
    return record.info["data"], record.info["name"], record.info["seed"]


def _refuse_twins(ordered: Sequence[Record]) -> None:
    for first, second in pairwise(ordered):
        if _identity(first) == _identity(second):
            data, name, seed = _identity(first)
            raise ComparisonError(
                f"two records of {name} on {data} with seed {seed}: {first.path} and {second.path}. "
                "Expected one; remove one, or give the configurations different names"
            )


def _compare_one_data_set(records: list[Record], cfg: AnalysisConfig) -> tuple[list[Run], list[Family]]:
    by_name = {name: list(group) for name, group in groupby(records, key=lambda r: str(r.info["name"]))}
    labels = _labels(by_name)
    measures = {r.path: measure(r, cfg) for r in records if r.info["status"] == "finished"}
    found = {name: [measures[r.path] for r in group if r.path in measures] for name, group in by_name.items()}
    ranking = sorted((n for n in found if found[n]), key=lambda n: (-_validation(found[n]), n))
    runs = {
        name: [_judged(record, measures, _reference(name, ranking, found, labels, cfg), cfg) for record in group]
        for name, group in by_name.items()
    }
    baselines = [name for name in ranking if by_name[name][0].info["kind"] == "baseline"]
    families = []
    for name in ranking + [name for name in by_name if name not in ranking]:
        rank = ranking.index(name) + 1 if name in ranking else None
        over = _lift(name, baselines[0], by_name, labels, cfg) if rank and baselines else None
        families.append(summarise(runs[name], labels[name], rank, over, cfg.confidence))
    return [run for name in by_name for run in runs[name]], families


def _labels(by_name: dict[str, list[Record]]) -> dict[str, str]:
    """The family where only one configuration has it, else the name of the configuration."""
    families = [str(group[0].info["family"]) for group in by_name.values()]
    return {
        name: family if families.count(family) == 1 else name for name, family in zip(by_name, families, strict=True)
    }


def _validation(measures: Sequence[Measures]) -> float:
    return float(np.mean([m.accuracy["validation"].value for m in measures]))


def _reference(
    name: str, ranking: list[str], found: dict[str, list[Measures]], labels: dict[str, str], cfg: AnalysisConfig
) -> Reference | None:
    """The best family other than `name`, with a score interval around its mean accuracy on validation."""
    best = next((other for other in ranking if other != name), None)
    if best is None:
        return None
    examples = found[best][0].examples["validation"]
    return Reference(labels[best], proportion(_validation(found[best]) * examples, examples, cfg.confidence))


def _judged(record: Record, measures: dict[Path, Measures], reference: Reference | None, cfg: AnalysisConfig) -> Run:
    found = measures.get(record.path)
    if found is None:
        return Run.of(record, None, unfinished(record.info["status"], record.info.get("error")))
    return Run.of(record, found, judge(found, reference, cfg))


def _lift(
    name: str, baseline: str, by_name: dict[str, list[Record]], labels: dict[str, str], cfg: AnalysisConfig
) -> Lift | None:
    """Lift over `baseline`: on test where both were evaluated there, as validation chose the baseline."""
    if name == baseline:
        return None
    pair = [[r for r in by_name[n] if r.info["status"] == "finished"] for n in (name, baseline)]
    opened = all("test" in record.prediction_splits for group in pair for record in group)
    split = "test" if opened else "validation"
    predictions = [[record.predictions_of(split) for record in group] for group in pair]
    seed = zlib.crc32(f"{by_name[name][0].info['data']}/{name}/{baseline}".encode())
    value = lift(predictions[0], predictions[1], cfg, np.random.default_rng([cfg.seed, seed]))
    return Lift(labels[baseline], split, value) if value else None
