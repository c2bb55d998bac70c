"""Records in, a comparison out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

from heldout.analysis import tables
from heldout.analysis.balance import Balance, balance_rows, balances_of
from heldout.analysis.data_set import DataSet, by_configuration
from heldout.analysis.families import Family
from heldout.analysis.run import Run
from heldout.analysis.serialise import from_plain, to_plain
from heldout.analysis.translated import Translated, translated_of
from heldout.config.analysis import AnalysisConfig
from heldout.errors import UserError
from heldout.record import Record

FORMAT = 1
COMPARISON_FILE = "comparison.json"
FAMILIES_FILE = "families.csv"
RUNS_FILE = "runs.csv"
CURVES_FILE = "curves.csv"
BALANCE_FILE = "balance.csv"
BALANCE_COLUMNS = ("data", "name", "family", "seed", "split", "balanced_accuracy", "macro_f1", "imbalance")
METRICS_FOLDER = "metrics"


class ComparisonError(UserError):
    """Records that cannot be compared, or a comparison that cannot be read."""


@dataclass(frozen=True)
class Comparison:
    """All runs and families of one or more data sets, by data set, then by rank; and what some tasks have besides."""

    format: int
    settings: AnalysisConfig
    runs: list[Run]
    families: list[Family]
    # of the runs that predict classes
    balances: list[Balance]
    # of the runs that translate
    translated: list[Translated]

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
        """Write comparison.json, its tables as csv files and metrics/DATA/FAMILY.json to `out`."""
        out.mkdir(parents=True, exist_ok=True)
        for name, rows, empty in (
            (FAMILIES_FILE, tables.family_rows(self.families), ()),
            (RUNS_FILE, tables.run_rows(self.runs), ()),
            (CURVES_FILE, tables.curve_rows(self.families), ("data", "family", "split", "epoch", "loss", "accuracy")),
            (BALANCE_FILE, balance_rows(self.balances), BALANCE_COLUMNS),
        ):
            # data sets of different tasks differ in some
            columns = list(dict.fromkeys(name for row in rows for name in row)) if rows else list(empty)
            (out / name).write_text(tables.to_csv(rows, columns), encoding="utf-8")
        self._write_metrics(out / METRICS_FOLDER)
        # last, since `read` looks for this one
        (out / COMPARISON_FILE).write_text(self.to_json(), encoding="utf-8")

    def _write_metrics(self, folder: Path) -> None:
        # a file a family: `dvc metrics` shows a file as a row, and all that is in one side by side
        shutil.rmtree(folder, ignore_errors=True)
        for family in self.families:
            file = folder / quote(family.data, safe=" ") / f"{quote(family.label, safe=' ')}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(tables.metrics(family), indent=1) + "\n", encoding="utf-8")

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

    Runs of one data set and name are the seeds of one family; where a name has a seed twice, as after a sweep
    over a setting, its configurations are told apart by the hash of their config. The result depends on the
    records and `cfg` only, not on the order of the records. Raises ComparisonError when there is no record or
    two are of the same configuration and seed, and RecordError when a finished record is incomplete.
    """
    if not records:
        raise ComparisonError("there are no records to compare; train something first")
    by_data: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (r.info["data"], r.info["name"], r.info["seed"], r.path)):
        by_data.setdefault(record.info["data"], []).append(record)
    runs: list[Run] = []
    families: list[Family] = []
    balances: list[Balance] = []
    translated: list[Translated] = []
    for of_data in by_data.values():
        configurations = by_configuration(of_data)
        _refuse_twins(configurations)
        data_set = DataSet(configurations, cfg)
        runs += [run for group in data_set.runs.values() for run in group]
        families += data_set.families()
        balances += balances_of(configurations, data_set.labels)
        translated += translated_of(configurations, data_set.labels, cfg)
    return Comparison(FORMAT, cfg, runs, families, balances, translated)


def _refuse_twins(configurations: Mapping[str, Sequence[Record]]) -> None:
    for name, records in configurations.items():
        for first, second in pairwise(records):
            if first.info["seed"] == second.info["seed"]:
                raise ComparisonError(
                    f"two records of {name} on {first.info['data']} with seed {first.info['seed']}: {first.path} and "
                    f"{second.path}. Expected one; remove one, or give the configurations different names"
                )
