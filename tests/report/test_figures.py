"""Figures show what the record says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from heldout.analysis import Comparison, Family
from heldout.record import Record, find_records
from heldout.report import figures, panels, theme
from heldout.report.axes import axis_floor, round_ticks
from heldout.report.panels import Panel
from heldout.report.scatter import gap_against_score, spread


@pytest.fixture
def history(records: Path) -> pd.DataFrame:
    return Record.load(find_records(records / "mnist1d" / "mnist1d-cnn")[0]).history


@pytest.fixture
def families(comparison: Comparison) -> list[Family]:
    return [family for family in comparison.families if family.data == "mnist1d"]


@pytest.fixture
def of_deep(comparison: Comparison, families: list[Family]) -> list[Panel]:
    return [
        Panel(family, [run.curves for run in comparison.runs if run.name == family.name])
        for family in families
        if family.kind == "deep" and family.rank is not None
    ]


def test_loss_curves_of_one_run_show_its_history(history: pd.DataFrame) -> None:
    figure = figures.loss_curves(history)
    shown = {trace.name: list(trace.y) for trace in figure.data}
    for split in ("train", "validation"):
        assert shown[split] == history[history["split"] == split]["loss"].tolist()


def test_loss_curves_of_several_seeds_show_each_and_their_mean(history: pd.DataFrame) -> None:
    other = history.assign(loss=history["loss"] + 1)
    figure = figures.loss_curves([history, other])
    validation = [trace for trace in figure.data if trace.line.width > 2 and trace.name == "validation"]
    assert len(figure.data) == 6
    expected = history[history["split"] == "validation"]["loss"] + 0.5
    assert list(validation[0].y) == pytest.approx(expected.tolist())


def test_gap_curves_are_train_minus_validation(history: pd.DataFrame) -> None:
    by_split = {split: rows["accuracy"].to_numpy() for split, rows in history.groupby("split")}
    gap = figures.gap_curves(history).data[-1]
    assert list(gap.y) == pytest.approx((by_split["train"] - by_split["validation"]).tolist())


def test_families_are_shown_by_rank_with_their_interval(families: list[Family]) -> None:
    figure = figures.families(families)
    validation = next(trace for trace in figure.data if trace.name == "validation")
    ranked = [family for family in families if family.rank]
    assert list(validation.y) == [family.label for family in ranked]
    assert list(validation.x) == [family.score["validation"].value for family in ranked]
    assert validation.error_x.array[0] == pytest.approx(
        ranked[0].score["validation"].high - ranked[0].score["validation"].value
    )
    assert {trace.name for trace in figure.data} == {"train", "validation", "test"}


def test_the_scatter_marks_families_by_verdict_and_leaves_the_far_out(families: list[Family]) -> None:
    figure = gap_against_score(families, 0.05)
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    names = [annotation.text.replace("<b>", "").replace("</b>", "") for annotation in figure.layout.annotations]
    assert "majority" not in names
    assert set(names) == {f.label for f in families if f.rank and f.label != "majority"}
    by_label = {family.label: family for family in families}
    for mark, name in zip(marks, names, strict=True):
        assert mark.marker.color == theme.VERDICTS[by_label[name].verdict.label].color
        assert mark.y[0] == by_label[name].score["validation"].value


def test_a_single_family_has_a_scatter_too(comparison: Comparison) -> None:
    alone = [family for family in comparison.families if family.data == "other"]
    low, high = gap_against_score(alone, 0.05).layout.yaxis.range
    assert low < alone[0].score["validation"].value < high


def test_each_family_has_a_panel_with_kept_epoch_and_onset(of_deep: list[Panel]) -> None:
    figure = panels.loss_panels(of_deep)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert [title.split("<b>")[1].split("</b>")[0] for title in titles] == [p.family.label for p in of_deep]
    kept = [shape.x0 for shape in figure.layout.shapes if shape.type == "line"]
    assert kept == [panel.family.kept_epoch for panel in of_deep]
    shaded = [shape.x0 for shape in figure.layout.shapes if shape.type == "rect"]
    assert shaded == [panel.family.onset for panel in of_deep if panels.has_onset(panel.family)]
    assert shaded


def test_gap_panels_put_the_others_behind(of_deep: list[Panel]) -> None:
    figure = panels.gap_panels(of_deep, 0.05)
    filled = [trace for trace in figure.data if trace.fill == "tozeroy"]
    assert len(filled) == len(of_deep)
    assert len(figure.data) == len(of_deep) ** 2
    threshold = [shape.y0 for shape in figure.layout.shapes if shape.line.dash == "dash"]
    assert threshold == [0.05] * len(of_deep)


def test_one_family_that_explodes_does_not_flatten_the_others(of_deep: list[Panel]) -> None:
    calm = panels.loss_ceiling(of_deep)
    curves = of_deep[0].family.curves
    curves.validation_loss[-1], before = 1e6, curves.validation_loss[-1]
    try:
        assert panels.loss_ceiling(of_deep) <= 2.1 * calm
    finally:
        curves.validation_loss[-1] = before


def test_long_curves_are_thinned(of_deep: list[Panel]) -> None:
    panel = of_deep[0]
    n = 5000
    curves = type(panel.family.curves)(list(range(1, n + 1)), *([[0.5] * n] * 4))
    family = type(panel.family)(**{**panel.family.__dict__, "curves": curves})
    figure = panels.loss_panels([Panel(family, [curves])])
    assert all(100 <= len(trace.x) <= panels.MOST_POINTS for trace in figure.data)


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [0.1, 0.11, 0.5, 0.9], [0.3], [0.9, 0.1, 0.101]])
def test_labels_keep_their_distance_and_their_order(values: list[float]) -> None:
    positions = spread(values, 0.05)
    in_order = [position for _, position in sorted(zip(values, positions, strict=True))]
    assert all(b - a >= 0.05 - 1e-12 for a, b in pairwise(in_order))
    assert sum(positions) == pytest.approx(sum(values))


def test_axes_begin_where_most_scores_are() -> None:
    assert axis_floor([0.1, 0.96, 0.97, 0.98, 0.99]) > 0.8
    assert axis_floor([0.3, 0.5, 0.6, 0.9]) < 0.3
    assert axis_floor([]) == 0


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-0.02, 0.1, [-0.02, 0, 0.02, 0.04, 0.06, 0.08, 0.1]), (0.93, 1, None)],
)
def test_ticks_are_round_and_few(low: float, high: float, expected: list[float] | None) -> None:
    ticks = round_ticks(low, high, 7)
    assert len(ticks) <= 8
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    assert expected is None or ticks == expected


def test_a_page_of_one_figure_needs_no_network(history: pd.DataFrame) -> None:
    html = figures.page(figures.loss_curves(history))
    assert html == figures.page(figures.loss_curves(history))
    assert '<script src="http' not in html
    assert html.count('id="figure"') == 1
