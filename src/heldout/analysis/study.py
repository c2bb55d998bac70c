"""A study: one family over several values of its keys, and what it takes to be good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heldout.analysis import tables, words
from heldout.analysis.compare import Comparison, compare
from heldout.analysis.families import Family
from heldout.analysis.intervals import Estimate
from heldout.config.analysis import AnalysisConfig
from heldout.config.study import TRAIN_EXAMPLES, StudyConfig
from heldout.record import Record

SETTINGS_FILE = "settings.csv"
RUNS_FILE = "runs.csv"
SCORE = "test_score"


@dataclass(frozen=True)
class Inference:
    """seconds: for the predictions of 1,000 examples in one thread; bytes: of the model file."""

    seconds: float
    bytes: int


@dataclass(frozen=True)
class Entry:
    """What a study hands over of one combination of its grid: the records of its seeds."""

    name: str
    settings: dict[str, Any]
    records: list[Record]
    inference: Inference | None = None


@dataclass(frozen=True)
class Setting:
    """One combination of the grid, over its seeds."""

    name: str
    settings: dict[str, Any]
    family: Family
    train_examples: int | None
    inference: Inference | None

    def value(self, key: str) -> Any:
        """Of a key of the grid, or the number of training examples."""
        return self.train_examples if key == TRAIN_EXAMPLES else self.settings[key]

    def measured(self, metric: str) -> Estimate | None:
        """A metric as a study names it, with its interval over seeds; None where no run finished."""
        if metric == "fit_seconds":
            return None if self.family.fit_seconds is None else Estimate(self.family.fit_seconds)
        if metric == "score_gap":
            return self.family.gap
        split, _, name = metric.partition("_")
        return (self.family.loss if name == "loss" else self.family.score).get(split)


@dataclass(frozen=True)
class Line:
    """The settings that share a value of `figure.lines` and one of `figure.columns`, in the order of `figure.x`.

    need: the fewest training examples from which on the mean score reaches `need_share` of the best one of the column;
    None where it never does, or is not asked for.
    """

    label: str
    column: str | None
    settings: list[Setting]
    need: int | None

    @property
    def largest(self) -> Setting:
        """That at the end of the axis."""
        return self.settings[-1]

    @property
    def is_baseline(self) -> bool:
        return self.largest.family.kind == "baseline"


@dataclass(frozen=True)
class StudyResult:
    """A study and all that was measured in it. Made by `of`."""

    study: StudyConfig
    comparison: Comparison
    settings: list[Setting]

    @classmethod
    def of(cls, study: StudyConfig, entries: Sequence[Entry], cfg: AnalysisConfig) -> StudyResult:
        """Compares the runs of each combination of the grid; raises as `compare`."""
        comparison = compare([record for entry in entries for record in entry.records], cfg)
        families = {(family.data, family.name): family for family in comparison.families}
        settings = []
        for entry in entries:
            info = entry.records[0].info
            family = families[info["data"], info["name"]]
            examples = info.get("counts", {}).get("train")
            settings.append(Setting(entry.name, entry.settings, family, examples, entry.inference))
        return cls(study, comparison, settings)

    def title(self, metric: str) -> str:
        """A metric in words, its score by the name that it has in the task; where tasks differ, as a score."""
        scorings = {setting.family.scoring.task: setting.family.scoring for setting in self.settings}
        scoring = next(iter(scorings.values())) if len(scorings) == 1 else None
        score = "score" if scoring is None else scoring.score.label
        if metric == "fit_seconds":
            return "seconds a fit"
        if metric == "score_gap":
            return f"{score} gap"
        split, _, kind = metric.partition("_")
        return f"{score if kind == 'score' else 'loss'} on {split}"

    @property
    def columns(self) -> list[str | None]:
        """The values that stand side by side, in the order of the grid; one None where there are none."""
        key = self.study.figure.columns
        return [None] if key is None else [shown(value) for value in self.study.grid[key]]

    @property
    def lines(self) -> list[Line]:
        """Column by column, in the order of the grid; none of a line of which no run finished."""
        figure, found = self.study.figure, []
        for column in self.columns:
            here = [s for s in self.settings if figure.columns is None or shown(s.value(figure.columns)) == column]
            best = max((score.value for s in here if (score := s.measured(SCORE)) is not None), default=None)
            for value in self.study.grid[figure.lines]:
                settings = [s for s in here if s.settings[figure.lines] == value and s.measured(SCORE) is not None]
                settings.sort(key=lambda setting: _order(setting.value(figure.x)))
                if settings:
                    found.append(Line(shown(value), column, settings, self._need(settings, best)))
        return found

    def _need(self, settings: Sequence[Setting], best: float | None) -> int | None:
        if self.study.need_share is None or best is None:
            return None
        need: int | None = None
        for setting in reversed(settings):
            score = setting.measured(SCORE)
            if score is None or score.value < self.study.need_share * best:
                break
            need = setting.train_examples
        return need

    def sentences(self) -> list[str]:
        """What to take away: a sentence a column on scores, and one on data need where that was asked for."""
        told = []
        for column in self.columns:
            lines = sorted(
                (line for line in self.lines if line.column == column), key=lambda line: -_score(line.largest).value
            )
            if not lines:
                continue
            where = "" if column is None else f"{column}: "
            scores = [f"{line.label} {_interval(_score(line.largest))}" for line in lines]
            told.append(
                f"{where}{words.capitalised(self.title(SCORE))} {self._end_of_the_axis(lines[0])}: {', '.join(scores)}."
            )
            if self.study.need_share is not None:
                told.append(where + self._need_sentence(lines))
        return told

    def _end_of_the_axis(self, line: Line) -> str:
        x = self.study.figure.x
        value = shown(line.largest.value(x))
        return f"with {value} training examples" if x == TRAIN_EXAMPLES else f"at {x.rpartition('.')[2]} {value}"

    def _need_sentence(self, lines: Sequence[Line]) -> str:
        share = words.share(self.study.need_share or 0)
        reached = sorted((line.need, line.label) for line in lines if line.need is not None)
        never = [line.label for line in lines if line.need is None]
        sentence = f"Training examples from which on {share} of the best score are reached: "
        sentence += ", ".join(f"{label} {need}" for need, label in reached)
        return sentence + (f"; never reached by {words.listed(never)}." if never else ".")

    def metrics(self) -> dict[str, float]:
        """The score of each setting and the data need of each line, by name, for MLflow."""
        scores = {
            f"test_{s.family.scoring.score.name}/{s.name}": of.value
            for s in self.settings
            if (of := s.measured(SCORE)) is not None
        }
        needs = {f"need/{line.label}": float(line.need) for line in self.lines if line.need is not None}
        return scores | needs

    def write(self, folder: Path) -> list[Path]:
        """Writes settings.csv, a row a combination, and runs.csv, a row a run; returns their paths."""
        written = []
        for name, rows in ((SETTINGS_FILE, self._setting_rows()), (RUNS_FILE, self._run_rows())):
            path = folder / name
            partial = path.with_suffix(".partial")
            partial.write_text(tables.to_csv(rows, list(rows[0])), encoding="utf-8")
            partial.replace(path)
            written.append(path)
        return written

    def _setting_rows(self) -> list[dict[str, Any]]:
        rows = []
        for setting in self.settings:
            (family,) = tables.family_rows([setting.family])
            cost = setting.inference
            measured = {
                "inference_seconds": None if cost is None else cost.seconds,
                "model_bytes": None if cost is None else cost.bytes,
            }
            rows.append(_row(setting, family) | measured)
        return rows

    def _run_rows(self) -> list[dict[str, Any]]:
        by_family = {(setting.family.data, setting.family.name): setting for setting in self.settings}
        rows = []
        for run, row in zip(self.comparison.runs, tables.run_rows(self.comparison.runs), strict=True):
            rows.append(_row(by_family[run.data, run.name], row))
        return rows


def shown(value: Any) -> str:
    """A value of the grid as a reader sees it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _row(setting: Setting, measured: dict[str, Any]) -> dict[str, Any]:
    """The keys of the grid first; what was measured does not replace them, where a key is called `data` or `seed`."""
    left_out = ("rank", "lift", "lift_low", "lift_high", *setting.settings)
    own = {**setting.settings, TRAIN_EXAMPLES: setting.train_examples}
    return own | {key: value for key, value in measured.items() if key not in left_out}


def _order(value: Any) -> tuple[bool, Any]:
    # texts keep no order of numbers
    return isinstance(value, str), value


def _score(setting: Setting) -> Estimate:
    score = setting.measured(SCORE)
    assert score is not None, "lines hold finished settings only"
    return score


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return words.score(estimate.value)
    return f"{words.score(estimate.value)} ({words.score(estimate.low)} to {words.score(estimate.high)})"
