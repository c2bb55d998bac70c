"""What the report and MLflow show of the inside of networks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.analysis.synthetic import Plan, plant

from heldout.analysis import Comparison, compare
from heldout.config.analysis import AnalysisConfig
from heldout.inside import Cost, Layer, read_inside, write_inside
from heldout.record import Record, find_records
from heldout.report.inside import layer_values, layers_figure, opened, table
from heldout.report.page import render

LAYERS = [Layer("stem", "Conv1d", [8, 20], 200, 200, 8000), Layer("head", "Linear", [10], 90, 40, 160)]
COST = Cost(290, 240, 1_234_000, "cpu", 2 * 10**9, 10**9, 4321.0, 9876.0)


def rows(dead: float | None) -> list[dict[str, object]]:
    values = {"activation": 0.5, "gradient": 0.3, "weight": 2.0, "update": 0.01}
    return [
        {"epoch": epoch, "layer": layer, **values, "dead": dead if layer == "stem" else None}
        for epoch in (1, 2, 3)
        for layer in ("stem", "head")
    ]


@pytest.fixture
def records(tmp_path: Path) -> list[Path]:
    for seed in (0, 1):
        write_inside(plant(tmp_path, Plan("cnn", epochs=3), seed=seed), LAYERS, COST, rows(dead=0.25))
    plant(tmp_path, Plan("mlp", epochs=3))
    plant(tmp_path, Plan("forest", kind="baseline", epochs=1))
    return find_records(tmp_path)


@pytest.fixture
def comparison(records: list[Path]) -> Comparison:
    return compare([Record.load(path) for path in records], AnalysisConfig(bootstrap_samples=50))


def test_a_comparison_keeps_it(comparison: Comparison) -> None:
    again = Comparison.from_json(comparison.to_json())
    inside = next(run.inside for run in again.runs if run.family == "cnn")
    assert inside is not None
    assert (inside.layers, inside.cost) == (LAYERS, COST)


def test_the_table_has_a_row_for_each_family_that_was_looked_into(comparison: Comparison) -> None:
    ((label, cells),) = table(opened(comparison.families, comparison.runs))
    assert label == "cnn"
    assert cells[:3] == ["2", "290, 50 of them fixed", "1.23\u00a0M"]
    assert cells[-1] == "0.25 in stem"


def test_an_update_is_relative_to_the_weights(records: list[Path]) -> None:
    inside = read_inside(records[0])
    assert inside is not None
    assert layer_values(inside, "relative_update")["stem"] == [0.005] * 3
    assert list(layer_values(inside, "dead")) == ["stem"]


def test_the_figure_of_a_run_has_a_line_for_each_layer_and_quantity(records: list[Path]) -> None:
    inside = read_inside(records[0])
    assert inside is not None
    figure = layers_figure(inside)
    assert [trace.name for trace in figure.data] == ["stem", "head"] * 3 + ["stem"]


def test_the_page_shows_it(comparison: Comparison) -> None:
    page = render([comparison])
    assert "Inside the networks" in page
    for shown in ("gradient", "relative_update", "activation", "dead"):
        assert f'id="data-0-0-{shown}"' in page
