"""All runs on one data set: ranked, judged beside each other and summed up by configuration."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from heldout.analysis.families import Family, Lift, summarise
from heldout.analysis.generators import copies, judge_generator
from heldout.analysis.intervals import Estimate, proportion
from heldout.analysis.lift import lift
from heldout.analysis.measures import Measures, measure
from heldout.analysis.run import Run
from heldout.analysis.verdict import Reference, judge, unfinished
from heldout.config.analysis import AnalysisConfig
from heldout.record import Record

HASH_LENGTH = 7


def by_configuration(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of one data set by the name of their configuration, in the order given.

    A name under which a seed occurs twice stands for several configurations; the hash of the config is added to it.
    """
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record.info["name"], []).append(record)
    result: dict[str, list[Record]] = {}
    for name, group in by_name.items():
        several = len({record.info["seed"] for record in group}) < len(group)
        for record in group:
            config = record.info.get("hashes", {}).get("config")
            key = f"{name} ({config[:HASH_LENGTH]})" if several and config else name
            result.setdefault(key, []).append(record)
    return result


class DataSet:
    """The configurations that were run on one data set; nothing is measured before it is asked for."""

    def __init__(self, configurations: Mapping[str, Sequence[Record]], cfg: AnalysisConfig) -> None:
        self._records = configurations
        self._cfg = cfg

    @cached_property
    def labels(self) -> dict[str, str]:
        """What a reader sees: the family where one configuration has it, else the name of the configuration."""
        families = [str(records[0].info["family"]) for records in self._records.values()]
        return {
            name: family if families.count(family) == 1 else name
            for name, family in zip(self._records, families, strict=True)
        }

    @cached_property
    def ranking(self) -> list[str]:
        """The configurations with a finished run, best mean score on validation first; those that copy train last."""
        finished = [name for name in self._records if self._finished(name)]
        return sorted(finished, key=lambda name: (self._copies(name), -self._validation(name), name))

    @cached_property
    def runs(self) -> dict[str, list[Run]]:
        """The runs of each configuration, judged."""
        return {name: [self._run(name, record) for record in self._records[name]] for name in self._records}

    def families(self) -> list[Family]:
        """The configurations summed up: those with a rank by rank, then those of which no run finished."""
        ranked = [
            summarise(self.runs[name], self.labels[name], rank, self._lift(name), self._cfg.confidence)
            for rank, name in enumerate(self.ranking, start=1)
        ]
        unranked = [name for name in self._records if name not in self.ranking]
        return ranked + [
            summarise(self.runs[name], self.labels[name], None, None, self._cfg.confidence) for name in unranked
        ]

    @cached_property
    def _measures(self) -> dict[Path, Measures]:
        return {record.path: measure(record, self._cfg) for name in self._records for record in self._finished(name)}

    def _finished(self, name: str) -> list[Record]:
        return [record for record in self._records[name] if record.info["status"] == "finished"]

    def _validation(self, name: str) -> float:
        measures = [self._measures[record.path] for record in self._finished(name)]
        return float(np.mean([m.score["validation"].value for m in measures]))

    def _run(self, name: str, record: Record) -> Run:
        measures = self._measures.get(record.path)
        if measures is None:
            return Run.of(record, name, None, unfinished(record.info["status"], record.info.get("error")))
        decide = judge_generator if measures.scoring.draws else judge
        return Run.of(record, name, measures, decide(measures, self._reference(name), self._cfg))

    def _beside(self, name: str) -> list[str]:
        """The configurations that were measured on the same examples as `name`, itself among them, best first.

        A name of data may stand for several splits of it, or for several ways to make it, as in a walk forward.
        """
        return [other for other in self.ranking if self._examples[other] == self._examples[name]]

    @cached_property
    def _examples(self) -> dict[str, str]:
        """A hash of the ids and targets of validation, by configuration with a finished run."""
        hashes = {}
        for name in self.ranking:
            found = self._finished(name)[0].predictions_of("validation")
            order = np.argsort(found.ids)
            digest = hashlib.sha256("\n".join(found.ids[order].tolist()).encode())
            if len(found.target):
                digest.update(np.ascontiguousarray(found.target[order]).tobytes())
            hashes[name] = digest.hexdigest()
        return hashes

    def _copies(self, name: str) -> bool:
        """Whether most runs draw copies of train, which are like new images whatever was learned."""
        measures = [self._measures[record.path] for record in self._finished(name)]
        return 2 * sum(one.scoring.draws and copies(one, self._cfg) for one in measures) > len(measures)

    def _reference(self, name: str) -> Reference | None:
        """The best configuration beside `name`, its mean score on validation with an interval over examples.

        One that copies shows what the data are like, not what can be learned of them.
        """
        best = next((other for other in self._beside(name) if other != name and not self._copies(other)), None)
        if best is None:
            return None
        return Reference(self.labels[best], self._over_examples(best))

    def _over_examples(self, name: str) -> Estimate:
        first, mean = self._measures[self._finished(name)[0].path], self._validation(name)
        if first.scoring.is_share:
            examples = first.examples["validation"]
            return proportion(mean * examples, examples, self._cfg.confidence)
        shift = mean - first.score["validation"].value
        interval = first.score["validation"]
        return Estimate(mean, interval.lower + shift, interval.upper + shift, interval.method)

    def _lift(self, name: str) -> Lift | None:
        """Lift over the best baseline: on test where both were evaluated there, as validation chose the baseline."""
        baselines = [other for other in self._beside(name) if self._records[other][0].info["kind"] == "baseline"]
        if not baselines or name == baselines[0]:
            return None
        pair = self._finished(name), self._finished(baselines[0])
        opened = all("test" in record.prediction_splits for group in pair for record in group)
        split = "test" if opened else "validation"
        family, other = ([record.predictions_of(split) for record in group] for group in pair)
        seed = zlib.crc32(f"{pair[0][0].info['data']}/{name}/{baselines[0]}".encode())
        score = pair[0][0].scoring.score
        value = lift(family, other, self._cfg, np.random.default_rng([self._cfg.seed, seed]), score)
        return Lift(self.labels[baselines[0]], split, value) if value else None
