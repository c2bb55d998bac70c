"""The report of a sweep: what its figures and page say, and that a real browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.sweeps import Plan, realistic, refits

from heldout.analysis.selection import SweepFilesError, read_sweep, sentences
from heldout.config.analysis import AnalysisConfig
from heldout.report import SweepAnalysis, words, write_sweep_report
from heldout.report.parallel import ABSENT, OPACITIES, parallel_coordinates
from heldout.report.sweep_figures import LUCK, anytime

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = realistic(tmp_path_factory.mktemp("sweep"))
    write_sweep_report(made)
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> SweepAnalysis:
    return SweepAnalysis.of(read_sweep(folder), AnalysisConfig())


@pytest.fixture(scope="module")
def body(folder: Path) -> str:
    """The page up to its scripts."""
    return (folder / "sweep.html").read_text().split("<script>")[0]


def by_name(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def test_the_page_says_what_was_found(body: str, found: SweepAnalysis) -> None:
    for sentence in sentences(found.selection):
        assert words.prose(sentence) in body
    counts = found.selection.counts
    assert f"{counts.finished} finished, {counts.pruned} pruned, {counts.failed} failed" in body
    assert body.count("what luck explains") >= 1
    assert 'src="http' not in body


def test_every_trial_has_a_row_best_first_and_failures_their_reason(body: str, found: SweepAnalysis) -> None:
    rows = re.findall(r'<tr class="(finished|pruned|failed)( best)?"><td class="n">(\d+)</td>', body)
    assert sorted(int(trial) for *_, trial in rows) == list(range(64))
    assert [status for status, *_ in rows] == sorted(
        (status for status, *_ in rows), key=["finished", "pruned", "failed"].index
    )
    assert int(rows[0][2]) == found.selection.leader
    assert [int(trial) for _, best, trial in rows if best] == [found.selection.winner]
    assert "the loss is NaN at step 61" in body
    assert body.count("refits/trial-") == 15


def test_the_ladder_shows_luck_beside_what_was_found(found: SweepAnalysis) -> None:
    figure = found.figures()["selection"]
    luck = [trace for trace in figure.data if trace.hovertemplate.startswith(LUCK)]
    step = found.selection.to_fresh
    assert step is not None
    assert step.luck is not None
    assert luck[0].x[0] == pytest.approx(found.selection.seen - step.luck.value)
    assert next(trace.x[0] for trace in figure.data if trace not in luck) == found.selection.seen


def test_trials_are_lines_and_failed_ones_are_left_out(found: SweepAnalysis) -> None:
    figure = parallel_coordinates(found.sweep, list(found.importance.by_parameter))
    trials = found.sweep.trials
    drawn = {name: sum(y is None for y in trace.y) for name, trace in by_name(figure).items() if name == "pruned"}
    assert drawn["pruned"] == (trials["status"] == "pruned").sum()
    finished = [trace for trace in figure.data if trace.legendgroup == "finished"]
    assert sum(y is None for trace in finished for y in trace.y) == (trials["status"] == "finished").sum()
    opacities = [float(trace.line.color.rstrip(")").split(",")[-1]) for trace in finished]
    assert opacities == list(OPACITIES)
    assert by_name(figure)["pruned"].line.dash == "dot"
    titles = [note.text for note in figure.layout.annotations if note.text.startswith("<b>")]
    assert titles[-1] == "<b>accuracy</b>"
    # the most important one stands next to the objective
    most = next(iter(found.importance.by_parameter)).rsplit(".", 1)[-1]
    assert titles[-2] == f"<b>{most}</b>"


def test_a_setting_that_does_not_apply_is_drawn_below_its_axis(found: SweepAnalysis) -> None:
    figure = parallel_coordinates(found.sweep)
    assert "not set" in [note.text for note in figure.layout.annotations]
    absent = sum(y == ABSENT for trace in figure.data for y in trace.y)
    shown = found.sweep.trials[found.sweep.trials["status"] != "failed"]
    assert absent == shown["param.model.width"].isna().sum()


def test_axes_are_logarithmic_where_values_were_drawn_so(found: SweepAnalysis) -> None:
    figure = parallel_coordinates(found.sweep)
    ticks = {note.text: note.y for note in figure.layout.annotations}
    assert ticks["0.01"] - ticks["0.001"] == pytest.approx(1 / 3, abs=0.03)
    assert {"cnn", "mlp", "32", "64"} <= ticks.keys()


def test_the_best_of_a_loss_is_above(tmp_path: Path) -> None:
    rows = [{"objective": 0.5 + 0.1 * i, "param.rate": 0.1 * i} for i in range(8)]
    figure = parallel_coordinates(read_sweep(Plan(rows, metric="loss", mode="min").write(tmp_path)))
    best = next(trace for trace in figure.data if trace.name == "finished")
    assert best.y[1] == pytest.approx(1.0)
    assert "trial 0" in best.text[0]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_anytime_curve_is_the_best_of_the_finished_so_far(tmp_path: Path, mode: str) -> None:
    scores = [0.5, 0.9, 0.7, 0.95, 0.2]
    rows: list[dict[str, Any]] = [{"objective": s, "ended": float(10 - i)} for i, s in enumerate(scores)]
    rows[3]["status"] = "pruned"
    rows.append({"status": "failed", "error": "NaN", "ended": 20.0})
    sweep = read_sweep(Plan(rows, mode=mode).write(tmp_path))
    best = [trace for trace in anytime(sweep).data if trace.name == "best so far"]
    assert list(best[0].x) == [6, 7, 8, 9, 10, 20]
    assert list(best[1].x) == [1, 2, 3, 4, 5, 6]
    expected = {"max": [0.2, 0.2, 0.7, 0.9, 0.9, 0.9], "min": [0.2] * 6}[mode]
    assert list(best[0].y) == expected
    marks = {trace.name: len(trace.x) for trace in anytime(sweep).data if trace.mode == "markers"}
    assert marks == {"finished": 4, "pruned": 1, "failed": 1}


@pytest.mark.parametrize(
    "rows",
    [[], [{"status": "failed", "error": "<b>NaN</b>"}], [{"objective": 0.5}], [{"status": "pruned", "objective": 0.4}]],
)
def test_sweeps_of_little_have_a_page_too(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    text = write_sweep_report(Plan(rows).write(tmp_path)).read_text()
    assert "Not shown: no setting differs" in text
    assert "<b>NaN</b>" not in text


def test_the_same_files_give_the_same_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [{"objective": float(s), "param.rate": float(s) ** 2} for s in rng.normal(0.8, 0.01, 15)]
    plan = Plan(rows, refits=refits({0: [0.8, 0.81], 1: [0.79, 0.8]})).write(tmp_path)
    first = write_sweep_report(plan).read_bytes()
    assert write_sweep_report(plan).read_bytes() == first
    assert sorted(path.name for path in plan.iterdir()) == [
        "reports.parquet",
        "sweep.html",
        "sweep.json",
        "trials.parquet",
    ]


def test_a_folder_without_a_sweep_gets_no_page(tmp_path: Path) -> None:
    with pytest.raises(SweepFilesError, match=r"holds no sweep\.json"):
        write_sweep_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_browser_without_network_draws_every_figure_and_logs_no_error(folder: Path, tmp_path: Path) -> None:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}"]
    command += ["--virtual-time-budget=20000", "--dump-dom", (folder / "sweep.html").resolve().as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert [line for line in result.stderr.splitlines() if "CONSOLE" in line] == []
    plots = re.findall(r'<div class="plot[^"]*js-plotly-plot[^"]*" id="([^"]+)"', result.stdout)
    assert plots == [f"figure-{name}" for name in ("selection", "parallel_coordinates", "importance", "anytime")]
