"""The report of a study: what its figure and page say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.analysis.synthetic import Plan, plant

from heldout.analysis.study import Entry, Inference, StudyResult
from heldout.config.analysis import AnalysisConfig
from heldout.config.study import StudyConfig, StudyFigureConfig
from heldout.record import Record
from heldout.report.study_figures import study_figure
from heldout.report.study_page import write_study_report


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    root = tmp_path_factory.mktemp("study")
    entries = []
    for skip in (True, False):
        for depth, loss in ((3, 0.9), (9, 0.95 if skip else 0.6)):
            plan = Plan("resnet", train=loss, validation=loss - 0.05, test=loss - 0.06, epochs=8, spread=0.02)
            name = f"{skip}-{depth}"
            records = [Record.load(plant(root, plan, name=name, seed=seed)) for seed in (0, 1)]
            entries.append(Entry(name, {"model.skip": skip, "model.depth": depth}, records, Inference(0.012, 45000)))
    study = StudyConfig(
        name="depth",
        question="Do deeper <networks> train worse?",
        data="toy",
        grid={"model.skip": [True, False], "model.depth": [3, 9]},
        seeds=[0, 1],
        figure=StudyFigureConfig(x="model.depth", lines="model.skip", metrics=["train_loss", "test_score"]),
        inference=True,
    )
    return StudyResult.of(study, entries, AnalysisConfig(bootstrap_samples=50))


def test_the_figure_has_a_line_a_value_in_each_panel(result: StudyResult) -> None:
    figure = study_figure(result)
    assert [trace.name for trace in figure.data] == ["true", "true", "false", "false"]
    assert [trace.showlegend for trace in figure.data] == [True, False, True, False]
    assert all(list(trace.x) == [3, 9] for trace in figure.data)
    assert figure.layout.xaxis2.title.text == "depth"
    assert (figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text) == ("loss on train", "accuracy on test")


def test_the_page_shows_every_setting_and_is_the_same_each_time(result: StudyResult, tmp_path: Path) -> None:
    page = write_study_report(result, tmp_path)
    first = page.read_bytes()
    body = first.decode().split("<script>")[0]
    assert "Do deeper &lt;networks&gt; train worse?" in body
    assert body.count("<tr>") == 1 + 2 + 1 + 4
    assert "0.012 s" in body
    assert "45 kB" in body
    assert write_study_report(result, tmp_path).read_bytes() == first


def test_the_page_needs_no_network(result: StudyResult, tmp_path: Path) -> None:
    text = write_study_report(result, tmp_path).read_text()
    assert "<script src" not in text
    assert '<link rel="stylesheet"' not in text
