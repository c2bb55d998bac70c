"""Makes docs/pictures/report.png and docs/pictures/mlflow.png from the results of the pipeline.

    python docs/make_pictures.py [--browser /usr/bin/chromium]

Needs report/report.html and mlflow.db, as `make repro` leaves them, and Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
REPORT = ROOT / "report" / "report.html"
DATABASE = ROOT / "mlflow.db"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH = 1400
REPORT_HEIGHT = 1000
MLFLOW_HEIGHT = 940
MARGIN = 30
# enough for text and thin lines, a third of the bytes
COLORS = 128
START_SECONDS = 90.0
PAGE_SECONDS = 60.0
DRAWING_SECONDS = 2.0

# the data set whose part of the report and whose runs are shown
DATA = "mnist1d"
UNFOLDED = ("mlp", "cnn", "resnet")
# what the table of runs shows, and how wide; MLflow's own choice is source, models and data set
COLUMNS = {
    "metrics.`kept/train_accuracy`": 145,
    "metrics.`kept/validation_accuracy`": 175,
    "metrics.`test/accuracy`": 110,
    "metrics.`analysis/gap_accuracy`": 165,
    "metrics.`fit_seconds`": 95,
    "tags.`heldout.verdict`": 135,
}
LEADING_COLUMNS = {"1": 40, "attributes.`Run Name`": 215, "runDateAndNestInfo": 140, "duration": 75}


class Page:
    """A page of a headless browser, driven by its debugging protocol."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self._number = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        self._number += 1
        await self._connection.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = await self._connection.receive_json(timeout=PAGE_SECONDS)
            if answer.get("id") != self._number:
                continue  # an event
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            result: dict[str, Any] = answer["result"]
            return result

    async def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        result = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"].get("value")

    async def open(self, address: str, ready: str) -> None:
        """Goes to an address and waits until a JavaScript expression is true there."""
        await self.call("Page.enable")
        await self.call("Page.navigate", url=address)
        give_up = time.monotonic() + PAGE_SECONDS
        while not await self.evaluate(ready):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{address}: this did not become true: {ready}")
            await asyncio.sleep(0.2)
        # transitions and what is drawn after the data are there
        await asyncio.sleep(DRAWING_SECONDS)

    async def take(self, file: Path, height: int) -> None:
        """Writes the upper part of the page as a PNG of few colours."""
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}
        shot = await self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        image = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
        file.parent.mkdir(parents=True, exist_ok=True)
        image.quantize(COLORS, dither=Image.Dither.NONE).save(file, optimize=True)


@asynccontextmanager
async def browser_page(browser: str, height: int) -> AsyncIterator[Page]:
    """A page of a browser that is started for it and ended afterwards."""
    # helpers of the browser may write there for a moment after it ended
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--force-color-profile=srgb", "--remote-debugging-port=0", f"--user-data-dir={profile}",
             f"--window-size={WIDTH},{height}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port = await _debugging_port(Path(profile), process)
            async with aiohttp.ClientSession() as session:
                async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                    address = (await answer.json())["webSocketDebuggerUrl"]
                async with session.ws_connect(address, max_msg_size=0) as connection:
                    page = Page(connection)
                    await page.call(
                        "Emulation.setDeviceMetricsOverride",
                        width=WIDTH,
                        height=height,
                        deviceScaleFactor=1,
                        mobile=False,
                    )
                    yield page
        finally:
            process.terminate()
            process.wait()


async def _debugging_port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    file = profile / "DevToolsActivePort"
    give_up = time.monotonic() + START_SECONDS
    while not (file.is_file() and file.read_text()):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError("the browser did not start")
        await asyncio.sleep(0.1)
    return int(file.read_text().splitlines()[0])


async def picture_of_report(browser: str) -> Path:
    """The top of the report, and the table of families of one data set."""
    async with browser_page(browser, REPORT_HEIGHT) as page:
        await page.open(REPORT.as_uri(), "document.querySelectorAll('.js-plotly-plot').length > 0")
        await page.evaluate(
            "document.querySelector('details.how').open = false;"
            "document.querySelectorAll('section.data').forEach(one => "
            f"one.style.display = one.querySelector('h2').innerText === '{DATA}' ? '' : 'none')"
        )
        shown = "[...document.querySelectorAll('section.data')].find(one => one.style.display === '')"
        bottom = await page.evaluate(f"{shown}.querySelector('table').getBoundingClientRect().bottom")
        await page.take(PICTURES / "report.png", round(bottom) + MARGIN)
    return PICTURES / "report.png"


async def picture_of_mlflow(browser: str) -> Path:
    """The list of runs on one data set, with the seeds of some configurations."""
    experiment, unfolded = _runs_to_unfold()
    port = _free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{DATABASE}", "--host",
         "127.0.0.1", "--port", str(port), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server)
        async with browser_page(browser, MLFLOW_HEIGHT) as page:
            await page.call("Page.enable")
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=_remembered(experiment, unfolded))
            await page.open(
                f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning",
                f"document.querySelectorAll('.ag-row').length > {len(unfolded)}",
            )
            await page.evaluate("document.querySelector('[aria-label=\"Toggle sidebar\"]').click()")
            await asyncio.sleep(DRAWING_SECONDS)
            await page.take(PICTURES / "mlflow.png", MLFLOW_HEIGHT)
    finally:
        server.terminate()
        server.wait()
    return PICTURES / "mlflow.png"


def _runs_to_unfold() -> tuple[str, list[str]]:
    """The experiment, and the configurations whose seeds are shown."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{DATABASE}")
    found = client.get_experiment_by_name("heldout")
    if found is None:
        raise SystemExit("mlflow.db has no experiment 'heldout'; run `make repro` first")
    query = f"tags.heldout.kind = 'configuration' and tags.heldout.data = '{DATA}'"
    runs = client.search_runs([found.experiment_id], query)
    unfolded = [run.info.run_id for run in runs if run.data.tags["heldout.family"] in UNFOLDED]
    return str(found.experiment_id), unfolded


def _remembered(experiment: str, unfolded: list[str]) -> str:
    """Script by which MLflow's UI finds a view of a user: a filter, columns, and runs that are unfolded."""
    widths = {**LEADING_COLUMNS, **COLUMNS}
    view = {
        "searchFilter": f"tags.heldout.data = '{DATA}'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": True,
        "selectedColumns": list(COLUMNS),
        "columnOrder": list(widths),
        "columnWidths": widths,
        "runsExpanded": dict.fromkeys(unfolded, True),
    }
    items = {
        f"MLflowLocalStorage-1.1-ExperimentPage-{json.dumps([experiment])}-ReactComponentState": json.dumps(view),
        # or it would open by itself
        "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    }
    return "".join(f"localStorage.setItem({json.dumps(key)}, {json.dumps(value)});" for key, value in items.items())


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            urlopen(address, timeout=2).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("the MLflow server did not start") from None
            time.sleep(0.3)
        else:
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--browser", default=next((path for path in map(shutil.which, BROWSERS) if path), None))
    browser = parser.parse_args().browser
    if browser is None:
        parser.error(f"none of {', '.join(BROWSERS)} is installed; expected one, or --browser PATH")
    for needed in (REPORT, DATABASE):
        if not needed.is_file():
            parser.error(f"{needed} is not there; run `make repro` first")
    for picture in (picture_of_report, picture_of_mlflow):
        file = asyncio.run(picture(browser))
        sys.stdout.write(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
