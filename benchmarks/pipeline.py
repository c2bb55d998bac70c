"""The pipeline on a clean clone: seconds and memory of `heldout repro`, then `dvc repro` with nothing to do.

    python benchmarks/pipeline.py [--rounds 5]

Clones the committed project into a temporary folder and runs the default matrix there with this Python. The second
part pairs `dvc repro` in that clone with `dvc repro` in a DVC project of one stage, in turn, and prints the ratio
within each pair; a shim in place of `python` counts the processes that stages start.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_SECONDS = 0.5
ONE_STAGE = "stages:\n  one:\n    cmd: cp a b\n    deps: [a]\n    outs: [b]\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="heldout-benchmark-") as folder:
        clone = Path(folder) / "clone"
        run(["git", "clone", "--quiet", str(ROOT), str(clone)], Path(folder))
        seconds, peak = pipeline(clone)
        print(f"heldout repro: {seconds:.0f} s, peak memory of all its processes {peak / 2**30:.2f} GiB")
        nothing_to_do(clone, Path(folder) / "one", rounds)


def pipeline(clone: Path) -> tuple[float, int]:
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "heldout", "repro"],
        cwd=clone,
        env=environment(clone),
        stdout=subprocess.DEVNULL,
    )
    peak = [0]
    stop = threading.Event()
    sampler = threading.Thread(target=sample, args=(psutil.Process(process.pid), stop, peak))
    sampler.start()
    code = process.wait()
    seconds = time.monotonic() - started
    stop.set()
    sampler.join()
    if code:
        raise SystemExit(f"heldout repro exited with {code}")
    return seconds, peak[0]


def sample(process: psutil.Process, stop: threading.Event, peak: list[int]) -> None:
    # proportional set size: pages that forks share are counted once
    while not stop.wait(SAMPLE_SECONDS):
        total = 0
        try:
            for one in [process, *process.children(recursive=True)]:
                total += one.memory_full_info().pss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total)


def nothing_to_do(clone: Path, one: Path, rounds: int) -> None:
    one.mkdir()
    (one / "dvc.yaml").write_text(ONE_STAGE)
    (one / "a").write_text("a\n")
    run(["git", "init", "--quiet"], one)
    dvc = [sys.executable, "-m", "dvc"]
    run([*dvc, "init", "--quiet"], one)
    count = clone.parent / "started"
    shims = clone.parent / "shims"
    shims.mkdir()
    shim = shims / "python"
    shim.write_text(f'#!/bin/sh\necho "$@" >> {count}\nexec {sys.executable} "$@"\n')
    shim.chmod(0o755)
    path = {"PATH": f"{shims}{os.pathsep}{os.environ['PATH']}"}
    ratios = []
    for number in range(rounds + 1):
        ours = timed([*dvc, "repro"], clone, path)
        theirs = timed([*dvc, "repro"], one, path)
        # the first round fills caches
        if number:
            ratios.append(ours / theirs)
            print(f"nothing to do: ours {ours:.2f} s, one stage {theirs:.2f} s, ratio {ratios[-1]:.2f}")
    print(f"nothing to do: median ratio {statistics.median(ratios):.2f}")
    started = count.read_text().splitlines() if count.exists() else []
    print(f"processes started by stages meanwhile: {len(started)}")


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    started = time.monotonic()
    run(command, folder, environment)
    return time.monotonic() - started


def run(command: list[str], folder: Path, more: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=folder, env={**os.environ, **(more or {})}, check=True, stdout=subprocess.DEVNULL)


def environment(clone: Path) -> dict[str, str]:
    # the clone's own source, not the one this Python has installed
    return {**os.environ, "PYTHONPATH": str(clone / "src")}


if __name__ == "__main__":
    main()
