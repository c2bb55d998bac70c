"""The command `heldout`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from heldout import __version__, app, warm
from heldout.errors import SIGNALLED, UserError, complain
from heldout.logs import configure_logging

if TYPE_CHECKING:
    import psutil

REPORT = Path("report/report.html")

EPILOG = """\
stages, each with Hydra overrides (heldout train --help lists them):
  prepare     source to split Arrow files and their card
  validate    prepared data against the quality policy
  train       fit one configuration, once a seed
  evaluate    open the test set for finished runs
  compare     gaps, verdicts and a table of families from records
  report      one HTML page from comparisons
  study       all trainings that one question needs, their figure and page
  explain     what a network's answers rest on, and whether that depends on what it has learned
  predict     what a trained model says of a file, or of prepared data
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `heldout ARGV`; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["stage"]:
        arguments = arguments[1:]
    if arguments and arguments[0] in app.STAGES:
        return app.main(arguments[0], arguments[1:])
    options, rest = _parser().parse_known_args(arguments)
    unknown = [word for word in rest if options.command != "job" or word.startswith("-")]
    if unknown and options.command != "repro":
        _parser().error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        return int(options.run(options, rest))
    except UserError as error:
        return complain(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heldout", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    repro = commands.add_parser("repro", help="dvc repro, with torch imported once for all stages")
    repro.set_defaults(run=_repro)
    profile = commands.add_parser("profile", help="choose which data sets and models the pipeline runs")
    profile.add_argument("name", help="a file of conf/matrix, without .yaml")
    profile.set_defaults(run=_profile)
    sweep = commands.add_parser("sweep", help="run a sweep of conf/matrix.yaml, or what is left of it")
    sweep.add_argument("name", help="its name there")
    sweep.set_defaults(run=_sweep)
    verify = commands.add_parser("verify", help="recompute the hashes of a run and say what differs")
    verify.add_argument("record", metavar="RUN", help="folder of a record, or an MLflow run id")
    verify.set_defaults(run=_verify)
    pipeline = commands.add_parser("pipeline", help="repro in a working copy, with the DVC remote: as a job does it")
    pipeline.add_argument("targets", nargs="*", metavar="profile=NAME|STAGE", help="by default all of conf/matrix.yaml")
    pipeline.set_defaults(run=_pipeline)
    job = commands.add_parser("job", help="print a Kubernetes Job: heldout job train model=cnn | kubectl create -f -")
    job.add_argument("kind", help="a folder of k8s/jobs: train, pipeline, sweep, predict")
    job.add_argument("-m", "--multirun", action="store_true", help="every combination of values given with commas")
    job.add_argument("--name", help="of the Job; by default KIND-MODEL-DATA and something random")
    job.add_argument("--image", help="by default that of k8s/components/image")
    job.add_argument("--namespace", help="by default that of the kustomization")
    job.set_defaults(run=_job)
    sync = commands.add_parser("sync", help="send to MLflow what it could not take when a run ended")
    sync.set_defaults(run=_sync)
    return parser


def _repro(options: argparse.Namespace, rest: list[str]) -> int:
    # the stages say `python`: it must be this one, also where no environment is activated
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with warm.server() as address, tempfile.TemporaryDirectory(prefix="heldout-") as folder:
        stopped, failed = Path(folder) / "stopped", Path(folder) / "code"
        notes = {app.STOPPED_VARIABLE: str(stopped), app.CODE_VARIABLE: str(failed)}
        code = _call(
            [sys.executable, "-m", "dvc", "repro", *rest], {**os.environ, "PATH": path, **address, **notes}, stopped
        )
        if code:
            # DVC has one code for all
            said = next((int(note.read_text() or 0) for note in (stopped, failed) if note.is_file()), 0)
            code = said or code
    if code:
        sys.stderr.write("\nheldout: stopped before the end; the same command goes on from here.\n")
    elif REPORT.is_file():
        sys.stdout.write(_where_to_look())
    return code


def _call(command: list[str], environment: dict[str, str], stopped: Path) -> int:
    """Runs DVC to its own end when a signal arrives, so that the stage ends its runs and DVC its locks.

    The file `stopped` is made then: no further stage begins where it is.
    """
    import psutil

    running: list[subprocess.Popen[bytes]] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        # a terminal sends SIGINT to all processes itself; DVC does not hear it while a stage runs, and goes on when
        # that stage ends well nevertheless
        stopped.write_text(str(SIGNALLED + number))

    def terminate(number: int, _: FrameType | None) -> None:
        stopped.write_text(str(SIGNALLED + number))
        for process in running:
            # by SIGTERM it would leave its locks and the process of its stage behind; before its stage ends, as it
            # ignores this while one runs, and would take it badly at its own end
            process.send_signal(signal.SIGINT)
            for one in _stage_processes(process.pid):
                with contextlib.suppress(psutil.Error):
                    one.terminate()

    handlers = {signal.SIGINT: interrupt, signal.SIGTERM: terminate}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        running.append(subprocess.Popen(command, env=environment))
        return running[0].wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stage_processes(dvc: int) -> list[psutil.Process]:
    """The processes below DVC, without the shell in which it runs a stage's command.

    Were that ended too, DVC would not wait for the stage.
    """
    import psutil

    # as DVC chooses it
    shell = Path(os.environ.get("SHELL") or "/bin/sh").resolve()
    found: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(dvc).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if Path(child.exe()) != shell:
                    found.append(child)
    return found


def _where_to_look() -> str:
    uri = os.environ.get("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    mlflow = Path(sys.executable).with_name("mlflow")
    shown = os.path.relpath(mlflow) if mlflow.is_relative_to(Path.cwd()) else str(mlflow)
    return (
        f"\nReport:  {REPORT.resolve()}\n"
        f"MLflow:  {shown} ui --backend-store-uri {uri} --port 5000, then open http://127.0.0.1:5000\n"
    )


def _profile(options: argparse.Namespace, rest: list[str]) -> int:
    from heldout.config.snapshot import select_profile

    count = select_profile(options.name)
    sys.stdout.write(f"conf/matrix.yaml is now the profile '{options.name}', {count} runs. Next: make repro\n")
    return 0


def _sweep(options: argparse.Namespace, rest: list[str]) -> int:
    from heldout.named_sweep import run_named

    return run_named(options.name)


def _verify(options: argparse.Namespace, rest: list[str]) -> int:
    from heldout.tracking.lineage import verify

    differences = verify(options.record)
    for difference in differences:
        sys.stdout.write(f"{difference}\n")
    if not differences:
        sys.stdout.write("config, data, code and model are those of the run\n")
    return 1 if differences else 0


def _pipeline(options: argparse.Namespace, rest: list[str]) -> int:
    from heldout.jobs.pipeline import run_pipeline

    return run_pipeline(options.targets)


def _job(options: argparse.Namespace, rest: list[str]) -> int:
    from heldout.jobs.render import Wanted, render

    wanted = Wanted(options.kind, rest, options.multirun, options.name, options.image, options.namespace)
    job = render(wanted)
    if job.warning:
        sys.stderr.write(f"heldout: {job.warning}\n")
    sys.stdout.write(job.text)
    return 0


def _sync(options: argparse.Namespace, rest: list[str]) -> int:
    from heldout.tracking import sync

    configure_logging()
    sys.stdout.write(f"{sync()} entries sent\n")
    return 0
