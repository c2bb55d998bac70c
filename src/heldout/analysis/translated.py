"""What runs that translate have written: scores of whole texts, with intervals, and examples to be read."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heldout.analysis.intervals import BOOTSTRAP, Estimate, over_seeds
from heldout.config.analysis import AnalysisConfig
from heldout.predictions import Predictions
from heldout.record import Record
from heldout.scoring import TRANSLATION
from heldout.translations import CORPUS, corpus_score, resampled_scores, signatures

# examples of validation that are shown, the first: prepare has put them into a random order
SHOWN = 12


@dataclass(frozen=True)
class Sentence:
    """An example of validation with what a run made of it; chrf: 0 to 1."""

    id: str
    source: str
    reference: str
    hypothesis: str
    chrf: float


@dataclass(frozen=True)
class Translated:
    """One finished run: corpus scores of heldout.translations by name and split, 0 to 100, and examples.

    label: what a reader sees of its configuration. signatures: of the scores, by name.
    """

    data: str
    name: str
    label: str
    seed: int
    signatures: dict[str, str]
    scores: dict[str, dict[str, Estimate]]
    sentences: list[Sentence]


@dataclass(frozen=True)
class FamilyTranslated:
    """One configuration: means over its seeds, with intervals where they differ, and examples of its first seed."""

    label: str
    signatures: dict[str, str]
    scores: dict[str, dict[str, Estimate]]
    sentences: list[Sentence]


def translated_of(
    configurations: Mapping[str, Sequence[Record]], labels: Mapping[str, str], cfg: AnalysisConfig
) -> list[Translated]:
    """The finished runs of the configurations of one data set; none where nothing is translated."""
    return [
        _translated(record, name, labels[name], cfg)
        for name, records in configurations.items()
        for record in records
        if record.info["status"] == "finished" and record.task == TRANSLATION
    ]


def by_family(runs: Iterable[Translated], confidence: float) -> dict[str, FamilyTranslated]:
    """The runs of one data set summed up, by the name of their configuration."""
    groups: dict[str, list[Translated]] = {}
    for one in runs:
        groups.setdefault(one.name, []).append(one)
    return {
        name: FamilyTranslated(
            group[0].label,
            group[0].signatures,
            {score: _means([one.scores[score] for one in group], confidence) for score in group[0].scores},
            group[0].sentences,
        )
        for name, group in groups.items()
    }


def _translated(record: Record, name: str, label: str, cfg: AnalysisConfig) -> Translated:
    info = record.info
    rows = {split: record.predictions_of(split) for split in record.prediction_splits}
    rng = np.random.default_rng([cfg.seed, zlib.crc32(f"{info['data']}/{name}".encode()), abs(info["seed"])])
    scores = {score: {split: _estimate(score, of, cfg, rng) for split, of in rows.items()} for score in CORPUS}
    return Translated(info["data"], name, label, info["seed"], signatures(), scores, _sentences(rows["validation"]))


def _estimate(score: str, rows: Predictions, cfg: AnalysisConfig, rng: np.random.Generator) -> Estimate:
    """The score of all sentences, with a percentile interval of texts of sentences drawn from them."""
    texts = rows.texts["hypothesis"].tolist(), rows.texts["reference"].tolist()
    drawn = resampled_scores(score, *texts, cfg.bootstrap_samples, rng)
    low, high = np.quantile(drawn, [(1 - cfg.confidence) / 2, (1 + cfg.confidence) / 2])
    return Estimate(corpus_score(score, *texts), float(low), float(high), BOOTSTRAP)


def _sentences(rows: Predictions) -> list[Sentence]:
    texts = rows.texts
    columns = (rows.ids, texts["source"], texts["reference"], texts["hypothesis"], rows.columns["chrf"])
    return [
        Sentence(str(id_), source, reference, hypothesis, float(chrf))
        for id_, source, reference, hypothesis, chrf in list(zip(*columns, strict=True))[:SHOWN]
    ]


def _means(of_seeds: Sequence[Mapping[str, Estimate]], confidence: float) -> dict[str, Estimate]:
    splits = [split for split in of_seeds[0] if all(split in values for values in of_seeds)]
    return {split: over_seeds([values[split] for values in of_seeds], confidence) for split in splits}
