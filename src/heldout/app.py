"""Runs a pipeline stage from a Hydra command line or from a snapshot.

Everything here is light: a config is composed and checked before any library that computes is imported.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from heldout import pod, warm
from heldout.errors import FAILED, RUNS_FAILED, SIGNALLED, Disrupted, UserError, complain, no_space, say
from heldout.logs import configure_logging

if TYPE_CHECKING:
    from omegaconf import DictConfig

SNAPSHOT_FLAG = "--snapshot"
# names a file: where it is, `heldout repro` was stopped, and no further stage begins
STOPPED_VARIABLE = "HELDOUT_STOPPED"
# names a file into which a stage writes its exit code, where that is not 0: DVC tells nobody
CODE_VARIABLE = "HELDOUT_STAGE_CODE"
# combinations can be endless; they are checked up to here
MAX_CHECKED_COMBINATIONS = 64


@dataclass(frozen=True)
class Stage:
    """A stage's name and the function, `module:name`, that runs it on a typed config."""

    name: str
    target: str
    # whether `out: null` means Hydra's output folder
    writes_to_output_dir: bool = False
    # whether a warm process saves it the import of torch and its like
    heavy: bool = False

    def function(self) -> Callable[[Any], int | None]:
        module, _, name = self.target.partition(":")
        function: Callable[[Any], int | None] = getattr(importlib.import_module(module), name)
        return function


STAGES = {
    stage.name: stage
    for stage in (
        Stage("prepare", "heldout.stages.prepare:run"),
        Stage("validate", "heldout.stages.validate:run", writes_to_output_dir=True),
        Stage("train", "heldout.stages.train:run", writes_to_output_dir=True, heavy=True),
        Stage("evaluate", "heldout.stages.evaluate:run", heavy=True),
        Stage("compare", "heldout.stages.compare:run", heavy=True),
        Stage("report", "heldout.stages.report:run"),
        Stage("study", "heldout.stages.study:run", heavy=True),
        Stage("explain", "heldout.stages.explain:run", heavy=True),
        Stage("predict", "heldout.stages.predict:run", writes_to_output_dir=True, heavy=True),
    )
}


def main(stage_name: str, argv: Sequence[str] | None = None) -> int:
    """Runs a stage with Hydra overrides or `--snapshot FILE`; returns its exit code.

    0: done. 2: a mistake of the user's, said in one message on standard error. 3: every run failed. 75: something
    that is needed was lost, and the same command goes on. 128 + a signal: ended by it. Anything else: a failure.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    stage = STAGES[stage_name]
    if Path(os.environ.get(STOPPED_VARIABLE, "")).is_file():
        return SIGNALLED + signal.SIGINT
    run = _run_snapshot if SNAPSHOT_FLAG in arguments else _run_hydra
    try:
        with _terminable():
            return noted(run(stage, arguments))
    except UserError as error:
        return noted(complain(error))
    except KeyboardInterrupt as interruption:
        number = signal.SIGTERM if isinstance(interruption, _Terminated) else signal.SIGINT
        sys.stderr.write(f"heldout: stopped by signal {number}; the same command goes on from what was finished\n")
        return SIGNALLED + number
    except Exception as error:
        if (message := no_space(error)) is not None:
            say(message)
            return noted(FAILED)
        pod.leave_word(f"{type(error).__name__}: {error}")
        raise


def noted(code: int) -> int:
    """The exit code of a stage, written down for `heldout repro`, which DVC would not tell."""
    if code and (file := os.environ.get(CODE_VARIABLE)):
        Path(file).write_text(str(code), encoding="utf-8")
    return code


class _Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


@contextmanager
def _terminable() -> Iterator[None]:
    # as SIGINT does, SIGTERM unwinds the stack, so that whatever was begun is ended: runs in MLflow first of all
    def terminate(number: int, _: FrameType | None) -> None:
        raise _Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _run_snapshot(stage: Stage, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=f"pipelines/{stage.name}.py")
    parser.add_argument(SNAPSHOT_FLAG, type=Path, required=True)
    path = parser.parse_args(arguments).snapshot
    if stage.heavy:
        code = warm.forward(["-m", "heldout", "stage", stage.name, SNAPSHOT_FLAG, str(path)])
        if code is not None:
            return code
    from heldout.config.snapshot import load_snapshot

    # the name that MLflow shows as the source of a run, also where a warm process began it
    sys.argv = [f"pipelines/{stage.name}.py", *arguments]
    configure_logging()
    code = stage.function()(load_snapshot(path, stage.name)) or 0
    # runs that diverged are results: the pipeline goes on with their records
    return 0 if code == RUNS_FAILED else code


def _run_hydra(stage: Stage, arguments: list[str]) -> int:
    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from heldout.config.compose import HYDRA_VERSION_BASE, conf_dir, to_stage
    from heldout.config.errors import ConfigError, explain

    parsed = get_args_parser().parse_args(arguments)
    if parsed.help:
        sys.stdout.write(_help(stage, parsed.overrides))
        return 0
    if not (parsed.hydra_help or parsed.shell_completion):
        precheck(stage, parsed.overrides, parsed.multirun, complete=parsed.cfg is None)
        if parsed.multirun:
            arguments = _without_globs(arguments)
    if stage.heavy and not parsed.cfg:
        code = warm.forward(["-m", "heldout", "stage", stage.name, *arguments])
        if code is not None:
            return code
    # errors come through as they are: what is the user's to mend is said in our words
    os.environ["HYDRA_FULL_ERROR"] = "1"
    from heldout.training import stop
    from heldout.training.multirun import end_parent
    from heldout.tuning.settings import in_our_words
    from hydra_plugins import ray_tune_sweeper

    failures: list[int] = []

    def task(config: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig

        configure_logging()
        if ray_tune_sweeper.trial() is not None:
            # what it raises is the failure of this trial
            _run_trial(config)
            return
        try:
            typed = to_stage(config)
            if stage.writes_to_output_dir and typed.out is None:
                typed.out = HydraConfig.get().runtime.output_dir
            code = stage.function()(typed) or 0
        except UserError as error:
            code = complain(error)
            _remove_unused(HydraConfig.get())
        if _is_multirun() and (number := stop.received()) is not None:
            # the one exit that Hydra does not take for a reason to begin the next job
            raise SystemExit(SIGNALLED + number)
        if code:
            # said, not raised: the other jobs of a multirun go on
            failures.append(code)

    sys.argv = [f"pipelines/{stage.name}.py", *arguments]
    try:
        hydra.main(config_path=str(conf_dir()), config_name=stage.name, version_base=HYDRA_VERSION_BASE)(task)()
    except ray_tune_sweeper.ClusterAway as error:
        raise Disrupted(in_our_words(str(error))) from error
    except ray_tune_sweeper.SweepError as error:
        raise ConfigError(in_our_words(str(error))) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error) from error
    except (SystemExit, KeyboardInterrupt):
        end_parent("KILLED")
        raise
    finally:
        end_parent("FAILED")
    return failures[0] if failures else 0


def _run_trial(config: Any) -> None:
    from hydra.core.hydra_config import HydraConfig

    from heldout.config.compose import to_stage
    from heldout.tuning.trial import run_trial

    typed = to_stage(config)
    typed.out = HydraConfig.get().runtime.output_dir
    run_trial(typed)


def _is_multirun() -> bool:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    return HydraConfig.get().mode is RunMode.MULTIRUN


def _remove_unused(hydra_config: Any) -> None:
    """Removes Hydra's output folder of a single run that was refused, with what only Hydra wrote there."""
    if _is_multirun():
        return
    output, here = Path(hydra_config.runtime.output_dir), Path.cwd()
    log = output / f"{hydra_config.job.name}.log"
    if not output.is_relative_to(here) or {path.name for path in output.iterdir()} - {".hydra", log.name}:
        return
    shutil.rmtree(output / ".hydra", ignore_errors=True)
    log.unlink(missing_ok=True)
    for folder in (output, *output.parents):
        if folder == here or any(folder.iterdir()):
            break
        folder.rmdir()


def _help(stage: Stage, overrides: list[str]) -> str:
    # Hydra's own help takes seconds: it copies every registered schema for every group it lists
    from omegaconf import OmegaConf

    from heldout.config.compose import compose_stage, conf_dir, group_options, hydra_session

    with hydra_session():
        config = compose_stage(stage.name, overrides, complete=False)
        groups = {str(key): group_options(str(key)) for key in config if (conf_dir() / str(key)).is_dir()}
        if stage.name == "train":
            groups |= {name: group_options(name) for name in ("experiment", "budget")}
    lines = [
        f"python pipelines/{stage.name}.py [group=option] [key=value] ...",
        "",
        "  -m            every combination of values given with commas: model=mlp,cnn seeds=[0],[1]",
        "  --cfg job     show the config these arguments make, and do nothing",
        "  --hydra-help  Hydra's own options",
        "",
        "groups:",
        *(f"  {group}={'|'.join(options)}" for group, options in groups.items()),
        "",
        "config:",
        *(f"  {line}" for line in OmegaConf.to_yaml(config).splitlines()),
    ]
    return "\n".join(lines) + "\n"


def precheck(
    stage: Stage, overrides: list[str], multirun: bool, complete: bool, files_here: bool = True
) -> list[DictConfig]:
    """Checks overrides before Hydra makes a folder, so that a mistake leaves nothing behind.

    Returns the configs they make: one, or of a multirun one for each combination, the first of them at least.

    Raises:
        ConfigError: with the key, what was given and what was expected.
    """
    from heldout.config.compose import compose_stage, hydra_session

    with hydra_session():
        return [
            compose_stage(stage.name, [o for o in combination if not _of_hydra(o)], complete, files_here)
            for combination in (_combinations(overrides) if multirun else [overrides])
        ]


def _of_hydra(override: str) -> bool:
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))


def _combinations(overrides: list[str]) -> list[list[str]]:
    """Every combination of group options, and with each of them every value once."""
    from heldout.config.compose import conf_dir

    parsed = _parse([o for o in overrides if not _of_hydra(o)])
    choices = {override.key_or_group: _choices(override) for override in parsed}
    groups = {key: of for key, of in choices.items() if (conf_dir() / key).is_dir()}
    values = {key: of for key, of in choices.items() if key not in groups}
    rounds = range(max((len(of) for of in values.values()), default=1))
    combinations = (
        [*options, *(of[number % len(of)] for of in values.values())]
        for options in itertools.product(*groups.values())
        for number in rounds
    )
    return list(itertools.islice(combinations, MAX_CHECKED_COMBINATIONS))


def _parse(overrides: list[str]) -> list[Any]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from heldout.config.errors import explain

    try:
        return OverridesParser.create().parse_overrides(overrides)
    except Exception as error:
        raise explain(error) from error


def _without_globs(arguments: list[str]) -> list[str]:
    """Writes out what a glob stands for: Hydra itself would take the schemas of a group for options of it."""
    from heldout.config.compose import hydra_session

    def written_out(argument: str) -> str:
        if "glob(" not in argument:
            return argument
        choices = _choices(_parse([argument])[0])
        key = argument.partition("=")[0]
        return f"{key}={','.join(choice.partition('=')[2] for choice in choices)}"

    with hydra_session():
        return [written_out(argument) for argument in arguments]


def _choices(override: Any) -> list[str]:
    from hydra.core.override_parser.types import Glob, IntervalSweep

    from heldout.config.compose import conf_dir, group_options
    from heldout.config.errors import ConfigError, closest, listed

    if not override.is_sweep_override():
        return [override.input_line]
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [f"{override.key_or_group}={value.start}", f"{override.key_or_group}={value.end}"]
    if isinstance(value, Glob):
        options = group_options(override.key_or_group)
        if not options:
            groups = sorted(path.name for path in conf_dir().iterdir() if path.is_dir())
            wanted = closest(override.key_or_group, groups)
            raise ConfigError(f"'{override.input_line}': no such group.{wanted} Expected one of: {listed(groups)}.")
        if not (chosen := value.filter(options)):
            raise ConfigError(f"'{override.input_line}' matches none of: {listed(options)}.")
        return [f"{override.key_or_group}={name}" for name in chosen]
    return [f"{override.key_or_group}={choice}" for choice in override.sweep_string_iterator()]
