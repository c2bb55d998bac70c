"""The report page: what it says, that it is self-contained and repeatable, and that a real browser shows it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.synthetic import MNIST1D, plant, plant_failed

from heldout.analysis import Comparison, compare
from heldout.config.analysis import AnalysisConfig
from heldout.pictures import DRAWN, sheet
from heldout.predictions import Predictions
from heldout.record import Record, find_records, write_history, write_predictions, write_record
from heldout.report import words, write_report
from heldout.report.page import Scale, render
from heldout.scoring import GENERATION, scoring_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.fixture(scope="module")
def page(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "nested" / "report.html"
    write_report([comparison], out)
    return out


@pytest.fixture(scope="module")
def body(page: Path) -> str:
    """The page up to its scripts."""
    return page.read_text().split("<script>")[0]


class Elements(HTMLParser):
    """Collects ids and what an element would fetch; checks that elements are closed in order."""

    VOID = frozenset({"meta", "link", "br", "line", "circle", "path", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [str(found["id"])] if "id" in found else []
        self.fetched += [str(found[key]) for key in ("src", "href") if key in found]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing(body: str) -> None:
    elements = Elements()
    elements.feed(body)
    assert elements.open == ["html", "body"]
    assert len(set(elements.ids)) == len(elements.ids)
    assert all(target.startswith(("#", "data:")) for target in elements.fetched)
    anchors = {target[1:] for target in elements.fetched if target.startswith("#")}
    assert anchors <= set(elements.ids)
    assert "@import" not in body
    assert "url(" not in body


def test_the_page_says_what_the_comparison_found(body: str, comparison: Comparison) -> None:
    for family in comparison.families:
        assert f">{family.label}<" in body
        for sentence in family.verdict.evidence:
            assert words.prose(sentence).replace("<", "&lt;").replace(">", "&gt;") in body
    cnn = next(f for f in comparison.families if (f.data, f.label) == ("mnist1d", "cnn"))
    assert words.interval(cnn.gap) in body
    assert "t interval over seeds" in body
    assert "2 data sets," in body


def test_failed_runs_and_provenance_are_listed(body: str, comparison: Comparison) -> None:
    assert "Runs that did not finish" in body
    assert body.count("out of memory at step 12 &lt;64 MiB asked&gt;") >= 2
    assert "<64 MiB" not in body
    hashes = comparison.runs[0].provenance["hashes"]
    assert hashes["data"] in body
    assert f'title="{hashes["config"]}"' in body
    assert "openings of this test set, by any run" in body


def test_the_same_comparison_gives_the_same_bytes(comparison: Comparison, page: Path, tmp_path: Path) -> None:
    copy = Comparison.from_json(comparison.to_json())
    write_report([copy], tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


def test_several_comparisons_share_one_page(comparison: Comparison, tmp_path: Path) -> None:
    write_report([comparison, comparison], tmp_path / "r.html")
    elements = Elements()
    elements.feed((tmp_path / "r.html").read_text().split("<script>")[0])
    assert len(set(elements.ids)) == len(elements.ids)


def test_a_study_of_nothing_but_failures_has_a_page(tmp_path: Path) -> None:
    record = plant_failed(tmp_path / "records", "gru", "the loss is NaN at step 3")
    write_report([compare([Record.load(record)], AnalysisConfig())], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "No run finished" in text
    assert "the loss is NaN at step 3" in text


def test_a_script_cannot_be_ended_by_a_name(comparison: Comparison, tmp_path: Path) -> None:
    hostile = (
        comparison.to_json().replace("mnist1d-cnn", "x</script><b>").replace('"label": "cnn"', '"label": "</script>"')
    )
    write_report([Comparison.from_json(hostile)], tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text().count("</script>") == 2


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
def test_a_browser_without_network_draws_every_figure_and_logs_no_error(page: Path, tmp_path: Path) -> None:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}"]
    command += ["--virtual-time-budget=20000", "--dump-dom", page.resolve().as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert [line for line in result.stderr.splitlines() if "CONSOLE" in line] == []
    plots = re.findall(r'<div class="plot[^"]*js-plotly-plot[^"]*" id="([^"]+)"', result.stdout)
    assert plots == [f"data-0-{i}-{name}" for i in (0, 1) for name in ("scatter", "loss", "gap")]
    # six families, two seeds and the mean, two splits
    drawn = result.stdout.split('id="data-0-0-loss"')[1].split('id="data-0-0-gap"')[0]
    assert drawn.count('class="scatterlayer') >= 6
    assert drawn.count('class="js-line"') == 6 * 3 * 2


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, words.NOTHING),
        (0.001, "< 0.01 s"),
        (0.25, "0.25 s"),
        (9.34, "9.3 s"),
        (61, "61 s"),
        (300, "5 min"),
        (7200, "2.0 h"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_numbers_as_typeset() -> None:
    assert words.number(-0.0123) == "\N{MINUS SIGN}0.012"
    assert words.prose("from -0.5 to mnist-1 at 95 %.") == "from \N{MINUS SIGN}0.5 to mnist-1 at 95\N{NO-BREAK SPACE}%."
    assert words.count(41226) == "41\N{NARROW NO-BREAK SPACE}226"
    assert words.shortened("a" * 64) == "a" * 10
    assert words.shortened("") == words.NOTHING


def test_strips_keep_what_is_off_the_scale_at_the_edge() -> None:
    scale = Scale(low=0.5, width=112)
    assert [scale.x(value) for value in (0.5, 0.75, 1.0)] == [6, 56, 106]
    assert scale.x(0.1) == 6
    assert scale.outside(0.1)


def test_importing_the_report_is_cheap() -> None:
    program = "import sys, heldout.report; print(*{'torch', 'scipy', 'pandas', 'plotly', 'jinja2'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize(("weights", "shown"), [([0.9, 0.1], True), ([0.5, 0.5], False)])
def test_scores_for_unequal_classes_are_shown_where_classes_are_unequal(
    tmp_path: Path, weights: list[float], shown: bool
) -> None:
    plant(tmp_path, MNIST1D[0], data="toy", classes=2, weights=np.array(weights))
    page = render(
        [compare([Record.load(path) for path in find_records(tmp_path)], AnalysisConfig(bootstrap_samples=20))]
    )
    assert ("Classes of unequal size" in page) == shown
    assert ("macro F1" in page.split("<script>")[0]) == shown


def test_what_models_draw_is_shown_with_their_measures_and_without_gaps(tmp_path: Path) -> None:
    """Seed 0."""
    rng = np.random.default_rng(0)
    scoring = scoring_of(GENERATION)
    predictions = {
        split: Predictions(
            np.array([f"{split}-{row}" for row in range(60)]),
            columns={name: 0.5 + 0.1 * rng.normal(size=60) for name in scoring.columns},
        )
        for split in ("train", "validation")
    }
    rows = [
        {"epoch": 1, "step": 1, "split": split, "learning_rate": 0.1, "seconds": 1.0, **scoring.of(of)}
        for split, of in predictions.items()
    ]
    write_history(tmp_path / "history.parquet", rows, GENERATION)
    write_predictions(tmp_path / "predictions.parquet", predictions, GENERATION)
    (tmp_path / DRAWN).write_bytes(sheet(rng.integers(0, 256, (6, 1, 8, 8), dtype=np.uint8), 3))
    info = {"name": "digits-gan", "data": "digits", "family": "gan", "kind": "deep", "seed": 0, "status": "finished"}
    write_record(tmp_path, {**info, "task": GENERATION, "kept_epoch": 1})
    found = render([compare([Record.load(tmp_path)], AnalysisConfig(bootstrap_samples=100))])
    body = found.split("<script>")[0]
    assert "What they draw" in body
    assert 'src="data:image/png;base64,iVBORw0KGgo' in body
    assert "copied from train" in body
    assert "Gap by epoch" not in body
    checked = Elements()
    checked.feed(body)
    assert all(address.startswith(("data:", "#")) for address in checked.fetched)
