"""Ray Tune's schedulers, and what they forget when a process ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hydra_plugins.ray_tune_sweeper._config import Resources, Scheduler
from hydra_plugins.ray_tune_sweeper._errors import SettingError
from hydra_plugins.ray_tune_sweeper._journal import ENDED, Trial
from hydra_plugins.ray_tune_sweeper._searchers import tune_domain
from hydra_plugins.ray_tune_sweeper._space import Interval, Space

# keys of a result as Tune sees it
OBJECTIVE = "hydra_objective"
STEP = "hydra_step"
NAMES = ("fifo", "asha", "hyperband", "median", "pbt", "pb2", "resource_changing")
# those that copy or keep checkpoints, so that a task must wait for them
WITH_CHECKPOINTS = frozenset({"hyperband", "pbt", "pb2", "resource_changing"})
# those that give a trial the checkpoint of another
COPYING = frozenset({"pbt", "pb2"})
NEVER = 1 << 40


def build_scheduler(settings: Scheduler, space: Space, past: Sequence[Trial]) -> Any:
    """The scheduler of a config, which `check_scheduler` has seen; asha and median are told what past trials reported.

    Raises:
        SettingError: it changes values within a trial, and none of the space can be changed so.
    """
    makers: dict[str, Callable[[], Any]] = {
        "fifo": _fifo,
        "asha": lambda: _asha(settings, past),
        "hyperband": lambda: _hyperband(settings),
        "median": lambda: _median(settings, past),
        "pbt": lambda: _pbt(settings, space),
        "pb2": lambda: _pb2(settings, space),
        "resource_changing": lambda: _resource_changing(settings, past),
    }
    return makers[settings.name]()


def check_scheduler(settings: Scheduler, resources: Resources) -> None:
    """Raises SettingError where a value is out of range, or two contradict each other."""
    if settings.name not in NAMES:
        raise SettingError(f"hydra.sweeper.scheduler.name={settings.name}: expected one of: {', '.join(NAMES)}.")
    if resources.max_concurrent is not None and settings.name in WITH_CHECKPOINTS:
        raise SettingError(
            f"hydra.sweeper.resources.max_concurrent={resources.max_concurrent}: hydra.sweeper.scheduler.name="
            f"{settings.name} lets all its trials take turns. Expected null, and hydra.sweeper.resources.cpus or "
            "hydra.sweeper.cluster.cpus to say how many run at once."
        )
    rules = (
        ("max_steps", settings.max_steps >= 1, "1 or more"),
        ("grace_steps", 1 <= settings.grace_steps <= settings.max_steps, f"1 to max_steps={settings.max_steps}"),
        ("reduction_factor", settings.reduction_factor > 1, "more than 1"),
        ("min_trials", settings.min_trials >= 1, "1 or more"),
        ("interval", settings.interval >= 1, "1 or more"),
        ("quantile", 0 < settings.quantile <= 0.5, "more than 0, at most 0.5"),
    )
    for name, holds, expected in rules:
        if not holds:
            raise SettingError(f"hydra.sweeper.scheduler.{name}={getattr(settings, name)}: expected {expected}.")


def _fifo() -> Any:
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


def _asha(settings: Scheduler, past: Sequence[Trial]) -> Any:
    from ray.tune.schedulers import ASHAScheduler

    return _remembering(ASHAScheduler, past)(
        time_attr=STEP,
        max_t=settings.max_steps,
        grace_period=settings.grace_steps,
        reduction_factor=settings.reduction_factor,
        # a trial that has come so far is not pruned but finished, by itself
        stop_last_trials=False,
    )


def _median(settings: Scheduler, past: Sequence[Trial]) -> Any:
    from ray.tune.schedulers import MedianStoppingRule

    return _remembering(MedianStoppingRule, past)(
        time_attr=STEP,
        grace_period=settings.grace_steps,
        min_samples_required=settings.min_trials,
        # too few trials to compare with are no reason to pause one
        min_time_slice=NEVER,
    )


def _hyperband(settings: Scheduler) -> Any:
    from ray.tune.schedulers import HyperBandScheduler

    return HyperBandScheduler(
        time_attr=STEP,
        max_t=settings.max_steps,
        reduction_factor=settings.reduction_factor,
        stop_last_trials=False,
    )


def _pbt(settings: Scheduler, space: Space) -> Any:
    from ray.tune.schedulers import PopulationBasedTraining

    domains = _mutable(settings, space)

    def clip(config: dict[str, Any]) -> dict[str, Any]:
        # a step of a fifth may lead out of the interval that was asked for
        return config | {key: domain.clip(config[key]) for key, domain in domains.items() if key in config}

    return PopulationBasedTraining(
        time_attr=STEP,
        perturbation_interval=settings.interval,
        hyperparam_mutations={key: tune_domain(domain) for key, domain in domains.items()},
        quantile_fraction=settings.quantile,
        custom_explore_fn=clip,
        log_config=False,
    )


def _pb2(settings: Scheduler, space: Space) -> Any:
    from ray.tune.schedulers.pb2 import PB2

    domains = _mutable(settings, space)
    return PB2(
        time_attr=STEP,
        perturbation_interval=settings.interval,
        hyperparam_bounds={key: [domain.low, domain.high] for key, domain in domains.items()},
        quantile_fraction=settings.quantile,
        log_config=False,
    )


def _mutable(settings: Scheduler, space: Space) -> dict[str, Interval]:
    intervals = {p.key: p.domain for p in space.parameters if isinstance(p.domain, Interval) and not p.when}
    wanted = settings.mutate
    if wanted is None:
        wanted = [key for key, domain in intervals.items() if not domain.integer]
    for key in wanted:
        if key not in intervals:
            raise SettingError(
                f"hydra.sweeper.scheduler.mutate holds {key}: expected keys that are searched over an interval, "
                f"unconditionally: {', '.join(intervals) or 'there is none'}."
            )
    if not wanted:
        raise SettingError(
            f"hydra.sweeper.scheduler.name={settings.name} changes values within a trial, but no key is searched over "
            "an interval of real numbers. Expected one, such as a learning rate, or another scheduler."
        )
    return {key: intervals[key] for key in wanted}


def _resource_changing(settings: Scheduler, past: Sequence[Trial]) -> Any:
    from ray.tune.schedulers import ResourceChangingScheduler
    from ray.tune.schedulers.resource_changing_scheduler import DistributeResources

    return ResourceChangingScheduler(
        base_scheduler=_asha(settings, past), resources_allocation_function=DistributeResources()
    )


class _PastTrial:
    """As much of a Tune trial as a scheduler looks at when it is told of the past."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


def _results(trial: Trial) -> list[dict[str, Any]]:
    return [{STEP: r.step, OBJECTIVE: r.objective} for r in trial.reports if r.objective is not None]


def _remembering(scheduler: Any, past: Sequence[Trial]) -> Any:
    """A class of scheduler whose rungs hold what trials of earlier processes reported.

    A trial that was interrupted is told of under the name it has now: what it reported before is not forgotten, and a
    stop that was decided then is carried out at its next report.
    """
    from ray.tune.schedulers import TrialScheduler

    ended = [trial for trial in past if trial.status in ENDED]
    interrupted = {trial.job: _results(trial) for trial in past if trial.status not in ENDED and trial.reports}

    class Remembering(scheduler):  # type: ignore[misc]
        is_told = False

        def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
            if not self.is_told:
                self.is_told = True
                for one in ended:
                    stub = _PastTrial(f"past-{one.job}")
                    super().on_trial_add(tune_controller, stub)
                    for result in _results(one):
                        super().on_trial_result(tune_controller, stub, result)
            super().on_trial_add(tune_controller, trial)
            # its name is its job number
            for result in interrupted.pop(int(str(trial)), []):
                super().on_trial_result(tune_controller, trial, result)

        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            if OBJECTIVE not in result:
                return str(TrialScheduler.CONTINUE)
            return str(super().on_trial_result(tune_controller, trial, result))

    return Remembering
