"""The sweeper, as Hydra's plugin discovery finds it. Ray is imported only when a sweep starts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.ray_tune_sweeper import _config
from hydra_plugins.ray_tune_sweeper._callback import SweepCallback
from hydra_plugins.ray_tune_sweeper._config import RayTuneSweeperConf, Resume
from hydra_plugins.ray_tune_sweeper._errors import SettingError
from hydra_plugins.ray_tune_sweeper._identity import check_identity, identity, locked, set_aside
from hydra_plugins.ray_tune_sweeper._journal import Journal
from hydra_plugins.ray_tune_sweeper._space import Space, read_space
from hydra_plugins.ray_tune_sweeper._sweep import STATE_FOLDER, Sweep

_config.register()

log = logging.getLogger(__name__)

DEFAULT_TRIALS = 20


class RayTuneSweeper(Sweeper):
    """Runs `-m` on Ray Tune; see README.md beside this file.

    Args:
        settings: the fields of RayTuneSweeperConf.
    """

    def __init__(self, **settings: Any) -> None:
        self._given = settings
        self.hydra_context: HydraContext | None = None
        self.config: DictConfig | None = None
        self._task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self.hydra_context = hydra_context
        self.config = config
        self._task_function = task_function

    def sweep(self, arguments: list[str]) -> Sweep:
        """Runs the sweep, or what is left of it; returns it with all its trials.

        Raises:
            SweepError: nothing can be run; the message says what to change.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        settings = _settings(self.config)
        loader = self.hydra_context.config_loader
        space = read_space(settings.params, settings.conditions, arguments, loader)
        self._compose_all(space)
        base = loader.load_sweep_config(self.config, [*space.fixed])
        given = identity(space, settings.objective.metric, settings.objective.mode.name, base, settings.ignore)
        directory = Path(settings.directory).resolve()
        with locked(directory, settings.name):
            if settings.resume is Resume.never and (aside := set_aside(directory)):
                log.info("the earlier sweep is now %s", aside)
            with closing(Journal(directory / STATE_FOLDER / "journal.jsonl")) as journal:
                resumed = check_identity(directory / STATE_FOLDER, given, settings.name, bool(journal.trials))
                OmegaConf.save(self.config, directory / "multirun.yaml")
                sweep = Sweep(settings.name, directory, settings, space, self.config, journal, resumed, loader)
                self._run(sweep)
        return sweep

    def _compose_all(self, space: Space) -> None:
        # a key that does not exist is said now, not by every trial
        seen: set[tuple[str, ...]] = set()
        for params in space.covering():
            overrides = space.overrides(params)
            if tuple(overrides) not in seen:
                seen.add(tuple(overrides))
                self.validate_batch_is_legal([overrides])

    def _run(self, sweep: Sweep) -> None:
        from hydra_plugins.ray_tune_sweeper._cluster import check_settings, running_ray
        from hydra_plugins.ray_tune_sweeper._outcome import is_unfinished
        from hydra_plugins.ray_tune_sweeper._schedulers import check_scheduler
        from hydra_plugins.ray_tune_sweeper._searchers import build_sampler

        settings = sweep.settings
        check_settings(settings.resources, settings.restarts)
        check_scheduler(settings.scheduler, settings.resources)
        sampler = build_sampler(settings.searcher, sweep.space, settings.objective.mode, sweep.trials)
        target = _target(settings)
        # Hydra has made them when it made this
        callbacks = list(self._given.get("callbacks", {}).values())
        with _told(callbacks, sweep):
            if is_unfinished(sweep, target):
                with running_ray(settings.cluster, settings.resources):
                    for callback in callbacks:
                        callback.on_sweep_start(sweep)
                    self._run_trials(sweep, sampler, target, callbacks)
                    self._end(sweep, callbacks)
            else:
                self._end(sweep, callbacks)

    def _end(self, sweep: Sweep, callbacks: Sequence[SweepCallback]) -> None:
        from hydra_plugins.ray_tune_sweeper._outcome import check_outcome, describe_best

        sweep.write_tables()
        check_outcome(sweep)
        log.info("%s", describe_best(sweep))
        for callback in callbacks:
            callback.on_sweep_end(sweep)

    def _run_trials(self, sweep: Sweep, sampler: Any, target: int | None, callbacks: Sequence[SweepCallback]) -> None:
        import ray

        from hydra_plugins.ray_tune_sweeper._driver import run_trials
        from hydra_plugins.ray_tune_sweeper._schedulers import WITH_CHECKPOINTS
        from hydra_plugins.ray_tune_sweeper._storage import check_storage
        from hydra_plugins.ray_tune_sweeper._trainable import Payload

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
            hydra_context=self.hydra_context,
            task_function=self._task_function,
            config=self.config,
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
    """Whatever ends the sweep before its time, the callbacks hear of it."""
    try:
        yield
    except BaseException:
        for callback in callbacks:
            callback.on_sweep_interrupted(sweep)
        raise


def _settings(config: DictConfig) -> RayTuneSweeperConf:
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


def _target(settings: RayTuneSweeperConf) -> int | None:
    if settings.trials is not None or settings.searcher.name == "grid":
        return settings.trials
    return DEFAULT_TRIALS
