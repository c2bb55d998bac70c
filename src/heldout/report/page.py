"""The report: one self-contained HTML page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heldout.analysis import translated
from heldout.analysis.balance import FamilyBalance, by_family
from heldout.analysis.compare import Comparison
from heldout.analysis.families import Family
from heldout.analysis.run import Run
from heldout.analysis.translated import FamilyTranslated
from heldout.analysis.verdict import Label
from heldout.config.analysis import AnalysisConfig
from heldout.report import inside, panels, provenance, theme, words
from heldout.report.axes import axis_floor, round_ticks
from heldout.report.drawn import COLUMNS, Drawn, drawn_by
from heldout.report.panels import Panel
from heldout.report.scatter import gap_against_score
from heldout.scoring import Scoring, scoring_of

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from jinja2 import Environment

STRIP_WIDTH = 164

MEANINGS = {
    Label.good: "Learned, and the gap between train and validation lies below the threshold.",
    Label.overfit: "The gap lies above the threshold, or the kept epoch comes after validation loss began to rise; "
    "what draws images copies some.",
    Label.memorising: "Train is learned by heart while validation stays near chance; what draws images copies them.",
    Label.underfit: "Little was learned even on train, or less than another family reaches on validation.",
    Label.not_enough_evidence: "Failed, too few examples, seeds that disagree, or an interval too wide to decide.",
}


@dataclass(frozen=True)
class Scale:
    """Accuracies to pixels of the strips in a table; what lies below `low` is shown at the left edge."""

    low: float
    high: float = 1.0
    width: int = STRIP_WIDTH

    def x(self, value: float) -> float:
        """Position in pixels, six of them kept free on either side."""
        share = (value - self.low) / (self.high - self.low)
        return round(6 + min(1.0, max(0.0, share)) * (self.width - 12), 1)

    def outside(self, value: float) -> bool:
        """Whether the value lies off the scale."""
        return value < self.low

    @property
    def ticks(self) -> list[float]:
        """Round values within the scale, at most five."""
        return round_ticks(self.low, self.high, 5)


@dataclass(frozen=True)
class Figure:
    """A figure of the page: `id` of its element and its Plotly JSON."""

    id: str
    json: str


@dataclass(frozen=True)
class Section:
    """What the page shows of one data set."""

    id: str
    data: str
    scoring: Scoring
    settings: AnalysisConfig
    families: list[Family]
    unfinished: list[Run]
    facts: list[tuple[str, str]]
    headline: str
    verdicts: list[tuple[Label, int]]
    scale: Scale
    off_scale: list[Family]
    figures: dict[str, Figure]
    opened: list[tuple[str, list[str]]]
    shared: list[tuple[str, list[str]]]
    run_columns: list[str]
    run_rows: list[tuple[Run, list[str]]]
    # of models that draw images, in the order of the families
    drawn: list[Drawn]
    # by name of the family; empty where classes are about equally frequent
    balances: dict[str, FamilyBalance]
    imbalance: float
    # by name of the family; empty where nothing is translated
    translated: dict[str, FamilyTranslated]


def write_report(comparisons: Sequence[Comparison], out: Path) -> None:
    """Write the page to the file `out`; the same comparisons give the same bytes.

    The page needs no network: Plotly (about 5 MB) is part of it.
    """
    write_atomically(Path(out), render(comparisons))


def write_atomically(out: Path, text: str) -> None:
    """Write the file `out`: a reader sees the old page or the new one."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def render(comparisons: Sequence[Comparison]) -> str:
    """The page as text."""
    from plotly.offline import get_plotlyjs

    sections = [
        _section(f"data-{i}-{j}", comparison, data)
        for i, comparison in enumerate(comparisons)
        for j, data in enumerate(comparison.data_sets)
    ]
    runs = [run for comparison in comparisons for run in comparison.runs]
    template = environment().get_template("report.html.j2")
    return template.render(
        sections=sections,
        figures={figure.id: figure for section in sections for figure in section.figures.values()},
        runs=len(runs),
        unfinished=sum(run.measures is None for run in runs),
        families=len({family.label for section in sections for family in section.families}),
        styles=theme.VERDICTS,
        meanings=MEANINGS,
        inside_columns=inside.COLUMNS,
        inside_shown=inside.SHOWN,
        drawn_columns=COLUMNS,
        scores=" or ".join(dict.fromkeys(section.scoring.score.label for section in sections)) or "the score",
        plotly=get_plotlyjs(),
    )


def environment() -> Environment:
    """Where the templates of all pages are found, with the filters they use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("heldout.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = ("number", "interval", "count", "duration", "epoch", "shortened", "prose", "capitalised")
    made.filters |= {name: getattr(words, name) for name in filters}
    return made


def _section(identity: str, comparison: Comparison, data: str) -> Section:
    families = [family for family in comparison.families if family.data == data]
    runs = [run for run in comparison.runs if run.data == data]
    scores = [family.score["validation"].value for family in families if family.score]
    scoring = scoring_of(runs[0].task)
    floor = axis_floor(scores) if scores else 0.0
    # what begins at 0 shows it, and what lies below as far as it helps to tell the others apart
    begin = max(0.0, floor) if scoring.is_share else min(0.0, max(floor, min(scores, default=0.0)))
    scale = Scale(low=begin)
    balances = [one for one in comparison.balances if one.data == data]
    imbalance = max((one.imbalance for one in balances), default=1.0)
    is_unequal = imbalance >= comparison.settings.imbalance
    counts = Counter(family.verdict.label for family in families)
    columns, rows = provenance.by_run(runs)
    return Section(
        id=identity,
        data=data,
        scoring=scoring,
        settings=comparison.settings,
        families=families,
        unfinished=[run for run in runs if run.measures is None],
        facts=_facts(runs),
        headline=words.headline(families),
        verdicts=[(label, counts[label]) for label in theme.VERDICTS if counts[label]],
        scale=scale,
        off_scale=[f for f in families if f.score and scale.outside(f.score["validation"].value)],
        figures=_figures(identity, families, runs, comparison.settings),
        opened=inside.table(inside.opened(families, runs)),
        shared=provenance.shared(runs),
        run_columns=columns,
        run_rows=rows,
        drawn=drawn_by(families, runs) if scoring.draws else [],
        balances=by_family(balances, comparison.settings.confidence) if is_unequal else {},
        imbalance=imbalance,
        translated=translated.by_family(
            [one for one in comparison.translated if one.data == data], comparison.settings.confidence
        ),
    )


def _facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Label and value of what all runs of a data set have in common."""
    measures = next((run.measures for run in runs if run.measures is not None), None)
    scoring = scoring_of(runs[0].task)
    facts = [("classes", str(runs[0].classes))] if scoring.is_share else _target_facts(runs)
    if measures is None:
        return facts
    train = next((run.provenance["counts"].get("train") for run in runs if "counts" in run.provenance), None)
    of_train = f"{words.count(train)}, measured on {words.count(measures.examples['train'])}"
    facts.append(("train examples", of_train if train else words.count(measures.examples["train"])))
    facts.append(("validation examples", words.count(measures.examples["validation"])))
    if "test" in measures.examples:
        facts.append(("test examples", words.count(measures.examples["test"])))
    facts.append((f"{scoring.score.label} by chance", words.number(measures.chance.level)))
    return facts


def _target_facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    target = runs[0].provenance.get("target")
    told = [("task", runs[0].task)]
    if target:
        told.append(
            ("target in train", words.prose(f"mean {target['mean']:.4g}, standard deviation {target['std']:.4g}"))
        )
    return told


def _figures(
    identity: str, families: Sequence[Family], runs: Sequence[Run], settings: AnalysisConfig
) -> dict[str, Figure]:
    ranked = [family for family in families if family.rank is not None]
    deep = [
        Panel(family, [run.curves for run in runs if run.name == family.name and run.measures is not None])
        for family in ranked
        if family.kind == "deep"
    ]
    made: dict[str, Any] = {}
    # of what draws, the gap of the score says little
    is_judged_by_gap = bool(ranked) and not ranked[0].scoring.draws
    if is_judged_by_gap:
        made["scatter"] = gap_against_score(ranked, settings.overfit_gap)
    if deep:
        made["loss"] = panels.loss_panels(deep)
    if deep and is_judged_by_gap:
        made["gap"] = panels.gap_panels(deep, settings.overfit_gap)
    looked_into = [one for one in inside.opened(families, runs) if one.family.rank is not None]
    for shown in inside.SHOWN:
        having = [one for one in looked_into if inside.layer_values(one.inside, shown)]
        if having:
            made[shown] = panels.layer_panels(having, shown)
    return {name: Figure(f"{identity}-{name}", figure_json(figure)) for name, figure in made.items()}


def figure_json(figure: go.Figure) -> str:
    """The figure as JSON that may stand in a script element: no `<` can end it."""
    text: str = figure.to_json()
    return text.replace("<", "\\u003c")
