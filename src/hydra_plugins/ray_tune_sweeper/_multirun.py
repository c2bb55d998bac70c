"""What the sweeper does when it is asked to sweep. Ray is imported only when trials are left to run."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ray_tune_sweeper._callback import SweepCallback
from hydra_plugins.ray_tune_sweeper._cluster import check_settings, running_ray
from hydra_plugins.ray_tune_sweeper._config import RayTuneSweeperConf, Resume
from hydra_plugins.ray_tune_sweeper._driver import run_trials
from hydra_plugins.ray_tune_sweeper._errors import SettingError
from hydra_plugins.ray_tune_sweeper._identity import check_identity, identity, locked, set_aside
from hydra_plugins.ray_tune_sweeper._journal import Journal
from hydra_plugins.ray_tune_sweeper._outcome import check_outcome, describe_best, is_unfinished
from hydra_plugins.ray_tune_sweeper._schedulers import WITH_CHECKPOINTS, check_scheduler
from hydra_plugins.ray_tune_sweeper._searchers import build_sampler
from hydra_plugins.ray_tune_sweeper._space import Space, read_space
from hydra_plugins.ray_tune_sweeper._storage import check_storage
from hydra_plugins.ray_tune_sweeper._sweep import STATE_FOLDER, Sweep
from hydra_plugins.ray_tune_sweeper._trainable import Payload

# that of the sweeper, whose level Hydra's logging sets
log = logging.getLogger("hydra_plugins.ray_tune_sweeper.ray_tune_sweeper")

DEFAULT_TRIALS = 20


@dataclass(frozen=True)
class Application:
    """What Hydra gives a sweeper."""

    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig


def multirun(app: Application, arguments: list[str], compose: Callable[[list[list[str]]], None]) -> Sweep:
    """Runs a sweep, or what is left of it; returns it with all its trials.

    Args:
        compose: raises where the config of a job cannot be composed from its overrides.

    Raises:
        SweepError: nothing can be run; the message says what to change.
    """
    settings = read_settings(app.config)
    loader = app.hydra_context.config_loader
    space = read_space(settings.params, settings.conditions, arguments, loader)
    # what cannot work is said before anything is written
    check_settings(settings.resources, settings.restarts)
    check_scheduler(settings.scheduler, settings.resources)
    build_sampler(settings.searcher, space, settings.objective.mode, [])
    _compose_all(space, compose)
    base = loader.load_sweep_config(app.config, [*space.fixed])
    given = identity(space, settings.objective.metric, settings.objective.mode.name, base, settings.ignore)
    directory = Path(settings.directory).resolve()
    with locked(directory, settings.name):
        if settings.resume is Resume.never and (aside := set_aside(directory)):
            log.info("the earlier sweep is now %s", aside)
        with closing(Journal(directory / STATE_FOLDER / "journal.jsonl")) as journal:
            resumed = check_identity(directory / STATE_FOLDER, given, settings.name, bool(journal.trials))
            OmegaConf.save(app.config, directory / "multirun.yaml")
            sweep = Sweep(settings.name, directory, settings, space, app.config, journal, resumed, loader)
            _run(app, sweep)
    return sweep


def _compose_all(space: Space, compose: Callable[[list[list[str]]], None]) -> None:
    # a key that does not exist is said now, not by every trial
    seen: set[tuple[str, ...]] = set()
    for params in space.covering():
        overrides = space.overrides(params)
        if tuple(overrides) not in seen:
            seen.add(tuple(overrides))
            compose([overrides])


def _run(app: Application, sweep: Sweep) -> None:
    settings = sweep.settings
    sampler = build_sampler(settings.searcher, sweep.space, settings.objective.mode, sweep.trials)
    target = _target(settings, sweep.space)
    callbacks = [instantiate(callback) for callback in settings.callbacks.values()]
    with _told(callbacks, sweep):
        if is_unfinished(sweep, target):

            def tell() -> None:
                _interrupted(callbacks, sweep)

            with running_ray(settings.cluster, settings.resources, settings.preload, tell) as ray:
                for callback in callbacks:
                    callback.on_sweep_start(sweep)
                _run_trials(app, sweep, sampler, target, callbacks, ray)
                _end(sweep, callbacks)
        else:
            _end(sweep, callbacks)


def _end(sweep: Sweep, callbacks: Sequence[SweepCallback]) -> None:
    sweep.write_tables()
    check_outcome(sweep)
    log.info("%s", describe_best(sweep))
    for callback in callbacks:
        callback.on_sweep_end(sweep)


def _run_trials(
    app: Application, sweep: Sweep, sampler: Any, target: int, callbacks: Sequence[SweepCallback], ray: Any
) -> None:
    settings = sweep.settings
    # of several nodes, not all need to see the folder of the sweep, if there is another place that all see
    is_spread = settings.storage is not None and (settings.cluster.address is not None or len(ray.nodes()) > 1)
    storage = str(sweep.directory / STATE_FOLDER)
    if settings.storage is not None:
        storage = f"{settings.storage.rstrip('/')}/{sweep.name}"
    check_storage(storage)
    payload = Payload(
        name=sweep.name,
        directory=str(sweep.directory),
        working_directory=str(Path.cwd()),
        hydra_context=app.hydra_context,
        task_function=app.task_function,
        config=app.config,
        singletons=Singleton.get_state(),
        space=sweep.space,
        environment=dict(sweep.environment),
        metric=settings.objective.metric,
        needs_checkpoints=settings.scheduler.name in WITH_CHECKPOINTS,
        checkpoint_seconds=settings.checkpoint_seconds,
        trial_seconds=settings.trial_seconds,
        outputs=f"{storage}/outputs" if is_spread else None,
    )
    run_trials(sweep, sampler, target, callbacks, payload, f"{storage}/checkpoints")


@contextmanager
def _told(callbacks: Sequence[SweepCallback], sweep: Sweep) -> Iterator[None]:
    """Whatever ends the sweep before its time, the callbacks hear of it; it, and not what fails in them, is raised."""
    try:
        yield
    except BaseException:
        try:
            _interrupted(callbacks, sweep)
        except Exception as error:  # noqa: BLE001
            log.warning("%s: not all could be done after it was interrupted: %s", sweep.name, error)
        raise


def _interrupted(callbacks: Sequence[SweepCallback], sweep: Sweep) -> None:
    for callback in callbacks:
        callback.on_sweep_interrupted(sweep)


def read_settings(config: DictConfig) -> RayTuneSweeperConf:
    """The settings below `hydra.sweeper`, checked.

    Raises:
        SettingError: a value is out of range.
    """
    node = OmegaConf.merge(
        OmegaConf.structured(RayTuneSweeperConf), OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    )
    settings = OmegaConf.to_object(node)
    assert isinstance(settings, RayTuneSweeperConf)
    rules = (
        ("trials", settings.trials is None or settings.trials >= 1, "1 or more, or null"),
        ("seconds", settings.seconds is None or settings.seconds > 0, "more than 0, or null"),
        ("trial_seconds", settings.trial_seconds is None or settings.trial_seconds > 0, "more than 0, or null"),
        (
            "checkpoint_seconds",
            settings.checkpoint_seconds is None or settings.checkpoint_seconds >= 0,
            "0 or more, or null",
        ),
        ("name", bool(settings.name.strip()), "a name"),
    )
    for name, holds, expected in rules:
        if not holds:
            raise SettingError(f"hydra.sweeper.{name}={getattr(settings, name)}: expected {expected}.")
    return settings


def _target(settings: RayTuneSweeperConf, space: Space) -> int:
    wanted = settings.trials
    if settings.searcher.name not in ("grid", "random") or not space.is_finite:
        return DEFAULT_TRIALS if wanted is None else wanted
    if wanted is None and settings.searcher.name == "random":
        wanted = DEFAULT_TRIALS
    # each combination is taken once at most
    return sum(1 for _ in itertools.islice(space.grid(), wanted))
