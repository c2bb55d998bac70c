"""How far a sweep fooled itself: from the best score seen to fresh seeds to test, and what luck alone explains."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from heldout.analysis.intervals import Estimate, mean_over_seeds
from heldout.analysis.selection.competition import Noise
from heldout.analysis.selection.crossed import crossed_difference, crossed_mean
from heldout.analysis.selection.examples import Examples, corrected_for_examples, luck_of_examples
from heldout.analysis.selection.luck import Design, Luck, expected_luck
from heldout.analysis.selection.refits import Lead, lead_of, mean_fresh, seed_noise, uneven_spreads
from heldout.analysis.selection.steps import Step, judge
from heldout.analysis.selection.tables import Sweep
from heldout.analysis.selection.winner import fresh_scores, rank_refits, sign
from heldout.config.analysis import AnalysisConfig
from heldout.record import Record

if TYPE_CHECKING:
    import pandas as pd

BBC = "bootstrap over examples, scored on those left out"
# the best trials whose predictions are looked at: others could not win, and reading all would take long
MOST_TRIALS = 200


@dataclass(frozen=True)
class Counts:
    """Trials by how they ended; `not_finite` of the finished ones have no finite objective and did not compete."""

    finished: int
    pruned: int
    failed: int
    not_finite: int

    @property
    def competing(self) -> int:
        """Trials among which the best was chosen."""
        return self.finished - self.not_finite


@dataclass(frozen=True)
class Selection:
    """What is left of the best score of a sweep, step by step; None where it cannot be known.

    folds: of cross-validation, on which trials, but not refits, were scored. leader, seen: the trial with the best
    validation score, and that score. fresh: mean of its settings on fresh seeds. winner: the trial kept, winner_fresh:
    its mean on fresh seeds; test: its mean on test, the interval over examples and seeds. to_fresh, to_test: the two
    steps down, of the leader and of the winner. pruned_luck: what luck would explain of the first step had the pruned
    trials competed too; at most that. lead: the winner against the runner-up. corrected: without a test score, the
    leader's own fit corrected for the luck of the validation examples. seed_spread: standard deviation between seeds
    of a configuration; uneven_spreads: the same by trial, where they differ by more than chance, else empty.

    Stable: these fields, `metrics` and `analyse`.
    """

    metric: str
    mode: str
    confidence: float
    counts: Counts
    folds: int | None
    leader: int | None
    seen: float | None
    fresh: Estimate | None
    fresh_seeds: int
    to_fresh: Step | None
    pruned_luck: Estimate | None
    winner: int | None
    winner_fresh: Estimate | None
    winner_seeds: int
    lead: Lead | None
    test: Estimate | None
    to_test: Step | None
    corrected: Estimate | None
    seed_spread: float | None
    uneven_spreads: dict[int, float]

    def metrics(self) -> dict[str, float]:
        """The numbers by name, as MLflow takes them; what is not known is left out."""
        estimates: dict[str, Estimate | None] = {
            "fresh": self.fresh,
            "winner_fresh": self.winner_fresh,
            "test": self.test,
            "drop_to_fresh": None if self.to_fresh is None else self.to_fresh.drop,
            "luck_to_fresh": None if self.to_fresh is None else self.to_fresh.luck,
            "drop_to_test": None if self.to_test is None else self.to_test.drop,
            "luck_to_test": None if self.to_test is None else self.to_test.luck,
        }
        found = {} if self.seen is None else {"selection/seen": self.seen}
        for name, estimate in estimates.items():
            if estimate is not None:
                found[f"selection/{name}"] = estimate.value
            if estimate is not None and estimate.low is not None and estimate.high is not None:
                found[f"selection/{name}_lower"], found[f"selection/{name}_upper"] = estimate.low, estimate.high
        return found


def analyse(sweep: Sweep, cfg: AnalysisConfig) -> Selection:
    """The selection of a sweep; depends on its files and `cfg` only.

    Raises RecordError when a record that the tables name is missing, damaged or of other examples than the others.
    """
    return _Analysis(sweep, cfg).result()


class _Analysis:
    """The parts of a Selection, each found when asked for."""

    def __init__(self, sweep: Sweep, cfg: AnalysisConfig) -> None:
        self._sweep = sweep
        self._cfg = cfg
        self._direction = sign(sweep.mode)
        self._examples = Examples(sweep.metric)
        self._bounds = (0.0, 1.0) if sweep.metric == "accuracy" else (-math.inf, math.inf)

    def result(self) -> Selection:
        best, winner = self._best, self._sweep.winner
        leader = None if best is None else int(best["trial"])
        fresh = self._scores.get(leader, {}) if leader is not None else {}
        kept = self._scores.get(winner, {}) if winner is not None else {}
        test = self._test(winner)
        return Selection(
            metric=self._sweep.metric,
            mode=self._sweep.mode,
            confidence=self._cfg.confidence,
            counts=self._counts,
            folds=self._sweep.folds,
            leader=leader,
            seen=None if best is None else float(best["objective"]),
            fresh=self._mean(fresh),
            fresh_seeds=len(fresh),
            to_fresh=self._to_fresh(fresh),
            pruned_luck=self._pruned_luck,
            winner=winner,
            winner_fresh=self._mean(kept),
            winner_seeds=len(kept),
            lead=lead_of(self._ranking, self._scores, self._differences(), self._direction, self._cfg.confidence),
            test=test,
            to_test=self._to_test(winner, kept, test),
            corrected=self._corrected() if test is None else None,
            seed_spread=None if self._noise is None else math.sqrt(self._noise.seed_variance),
            uneven_spreads=uneven_spreads(self._scores, self._cfg.confidence),
        )

    @cached_property
    def _counts(self) -> Counts:
        status = self._sweep.trials["status"]
        finished = int((status == "finished").sum())
        ended = {name: int((status == name).sum()) for name in ("pruned", "failed")}
        return Counts(finished, ended["pruned"], ended["failed"], finished - len(self._competing))

    @cached_property
    def _competing(self) -> pd.DataFrame:
        """Finished trials with a finite objective, best first; of equal ones the lower number first."""
        trials = self._sweep.trials
        objective = trials["objective"].astype("float64")
        chosen = trials[(trials["status"] == "finished") & np.isfinite(objective)]
        order = np.lexsort((chosen["trial"], -self._direction * chosen["objective"].astype("float64")))
        best_first: pd.DataFrame = chosen.iloc[order]
        return best_first

    @property
    def _best(self) -> pd.Series | None:
        return None if self._competing.empty else self._competing.iloc[0]

    @cached_property
    def _scores(self) -> dict[int, dict[int, float]]:
        return fresh_scores(self._sweep.refits)

    @cached_property
    def _ranking(self) -> list[int]:
        ranking = rank_refits(self._sweep.refits, self._sweep.mode)
        winner = self._sweep.winner
        return sorted(ranking, key=lambda trial: trial != winner)

    def _mean(self, scores: Mapping[int, float]) -> Estimate | None:
        return mean_fresh(scores, self._bounds, self._cfg.confidence) if scores else None

    @cached_property
    def _noise(self) -> Noise | None:
        found = seed_noise(self._scores)
        if found is None:
            return None
        return Noise(*found, examples=self._luck_of_examples() or 0.0, fits=self._sweep.fits)

    def _luck_of_examples(self) -> float | None:
        """None unless two configurations have two seeds each with predictions."""
        seeds = min((len(of) for of in self._scores.values()), default=0)
        if len(self._scores) < 2 or seeds < 2:
            return None
        blocks = [self._values(trial, list(of)[:seeds], "validation") for trial, of in self._scores.items()]
        known = [block for block in blocks if block is not None]
        return luck_of_examples(np.stack(known)) if len(known) == len(blocks) else None

    @cached_property
    def _luck(self) -> Luck | None:
        return self._simulated(pruned=0)

    @cached_property
    def _pruned_luck(self) -> Estimate | None:
        luck = self._simulated(self._counts.pruned) if self._counts.pruned else None
        return None if luck is None else luck.to_fresh

    def _simulated(self, pruned: int) -> Luck | None:
        noise = self._noise
        # scores on folds are of other examples than those of refits: how much they differ by luck is not known
        if noise is None or self._best is None or self._sweep.folds is not None:
            return None
        if noise.of_trial <= 0:
            return Luck(Estimate(0.0, 0.0, 0.0), 0.0, None)
        seeds = sum(len(of) for of in self._scores.values()) / len(self._scores)
        design = Design(len(self._scores), round(seeds), pruned)
        scores = self._direction * self._competing["objective"].to_numpy(dtype=np.float64)
        return expected_luck(scores, noise, design, self._cfg.confidence, self._generator("luck"))

    def _to_fresh(self, fresh: Mapping[int, float]) -> Step | None:
        mean = self._mean(fresh)
        if mean is None or self._best is None:
            return None
        drop = _below(float(self._best["objective"]), mean, self._direction)
        luck = self._luck
        most = None if luck is None else max(luck.to_fresh_most, luck.to_fresh.upper)
        return judge(drop, None if luck is None else luck.to_fresh, most)

    def _test(self, winner: int | None) -> Estimate | None:
        """From the test predictions of the winner's refits; else from the test scores that the files name."""
        if winner is None:
            return None
        values = self._values(winner, list(self._scores.get(winner, {})), "test")
        if values is not None:
            return self._clipped(crossed_mean(values, self._cfg.confidence))
        named = [record.info.get("test", {}).get(self._sweep.metric) for record in self._records(winner)]
        scores = [float(score) for score in named if score is not None]
        if not scores:
            score = (self._sweep.info.get("winner") or {}).get("test", {}).get(self._sweep.metric)
            return None if score is None else Estimate(float(score))
        return self._clipped(mean_over_seeds(scores, self._cfg.confidence))

    def _to_test(self, winner: int | None, kept: Mapping[int, float], test: Estimate | None) -> Step | None:
        mean = self._mean(kept)
        if winner is None or test is None or mean is None:
            return None
        validation, opened = (self._values(winner, list(kept), split) for split in ("validation", "test"))
        if validation is None or opened is None:
            drop = Estimate(self._direction * (mean.value - test.value))
        else:
            drop = crossed_difference(self._direction * validation, self._direction * opened, self._cfg.confidence)
        luck = None if self._luck is None else self._luck.to_test
        if luck is None:
            return judge(drop, None, None)
        # the interval of the drop holds the luck of single examples; what choosing adds is added (Zou and Donner 2008)
        most = luck.value + math.hypot(luck.upper - luck.value, drop.upper - drop.value)
        return judge(drop, luck, most)

    def _differences(self) -> np.ndarray | None:
        """Winner minus runner-up on validation by shared seed and example; None where the records do not say."""
        if len(self._ranking) < 2:
            return None
        first, second = self._ranking[:2]
        shared = sorted(self._scores[first].keys() & self._scores[second].keys())
        both = [self._values(trial, shared, "validation") for trial in (first, second)]
        if both[0] is None or both[1] is None or len(shared) < 2:
            return None
        return np.asarray(both[0] - both[1])

    def _corrected(self) -> Estimate | None:
        chosen = self._competing["record"].head(MOST_TRIALS)
        if chosen.empty or chosen.isna().any():
            return None
        records = [Record.load(self._sweep.folder / record) for record in chosen]
        values = self._examples.values(records, "validation")
        if values is None:
            return None
        rng = self._generator("examples")
        cfg = self._cfg
        ends = corrected_for_examples(values, self._direction, cfg.confidence, cfg.bootstrap_samples, rng)
        return Estimate(*ends, BBC)

    def _records(self, trial: int, seeds: Sequence[int] | None = None) -> list[Record]:
        """Records of the finished refits of a trial, by seed; fewer where some are not named."""
        refits = [refit for refit in self._sweep.refits if refit.trial == trial and refit.finished]
        wanted = [refit for refit in refits if seeds is None or refit.seed in seeds]
        return [Record.load(self._sweep.folder / refit.record) for refit in wanted if refit.record is not None]

    def _values(self, trial: int, seeds: Sequence[int], split: str) -> np.ndarray | None:
        records = self._records(trial, seeds)
        return self._examples.values(records, split) if len(records) == len(seeds) else None

    def _clipped(self, estimate: Estimate) -> Estimate:
        if estimate.low is None or estimate.high is None:
            return estimate
        ends = max(self._bounds[0], estimate.low), min(self._bounds[1], estimate.high)
        return Estimate(estimate.value, *ends, estimate.method)

    def _generator(self, purpose: str) -> np.random.Generator:
        name = f"{self._sweep.info['name']}/{purpose}"
        return np.random.default_rng([self._cfg.seed, zlib.crc32(name.encode())])


def _below(seen: float, mean: Estimate, direction: float) -> Estimate:
    """How much worse the mean is than what was seen; `seen` is a given, so the interval is that of the mean."""
    value = direction * (seen - mean.value)
    if mean.low is None or mean.high is None:
        return Estimate(value, method=mean.method)
    ends = sorted((direction * (seen - mean.low), direction * (seen - mean.high)))
    return Estimate(value, ends[0], ends[1], mean.method)
