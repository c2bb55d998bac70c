"""From conf/sweep and conf/cluster to the settings of the sweeper plugin. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from heldout.config.compose import group_options_of
from heldout.config.stages import TrainConfig
from heldout.config.sweep import ClusterConfig, SweepConfig

SWEEPER = "hydra_plugins.ray_tune_sweeper.ray_tune_sweeper.RayTuneSweeper"
CALLBACK = "heldout.tuning.callback.HeldoutSweep"
PRELOAD = "heldout.tuning.preload"
FOLDER = "sweeps"
# what may change between two starts of a sweep: none of it changes what a trial computes, or it is compared elsewhere
NOT_COMPARED = [
    *("cluster", "tracking", "resume", "out", "prepared", "name"),
    *(f"sweep.{field.name}" for field in fields(SweepConfig) if field.name != "folds"),
]


class SweepSettings(Callback):
    """Hydra calls it before it makes the sweeper."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Gives the sweeper what the groups `sweep` and `cluster` say."""
        if is_sweep(config):
            apply(config)


def is_sweep(config: DictConfig) -> bool:
    """Whether a composed config, `hydra` included, runs `-m` on Ray Tune."""
    return bool(OmegaConf.select(config, "hydra.sweeper._target_") == SWEEPER)


def apply(config: DictConfig) -> None:
    """Writes the groups `sweep` and `cluster` into `hydra.sweeper`; what was given for that itself stands."""
    sweep: SweepConfig = OmegaConf.to_object(config.sweep)  # type: ignore[assignment]
    cluster: ClusterConfig = OmegaConf.to_object(config.cluster)  # type: ignore[assignment]
    settings = _settings(sweep, cluster, config)
    given = {override.lstrip("+~").partition("=")[0] for override in config.hydra.overrides.hydra}
    with open_dict(config):
        for key, value in _leaves(settings, "hydra.sweeper"):
            if key not in given:
                OmegaConf.update(config, key, value, force_add=True)


def _settings(sweep: SweepConfig, cluster: ClusterConfig, config: DictConfig) -> dict[str, Any]:
    scheduler = sweep.scheduler
    return {
        "name": sweep.name,
        "directory": f"{FOLDER}/{sweep.name}",
        "params": {key: _written_out(key, value) for key, value in sweep.space.items()},
        "conditions": sweep.conditions,
        "objective": {"metric": sweep.objective.metric, "mode": sweep.objective.mode.name},
        "searcher": {
            "name": sweep.searcher.name.name,
            "seed": sweep.searcher.seed,
            "startup_trials": sweep.searcher.startup_trials,
        },
        "scheduler": {
            "name": scheduler.name.name,
            "max_steps": _steps(sweep, config),
            "grace_steps": min(scheduler.grace_epochs, _steps(sweep, config)),
            "reduction_factor": scheduler.reduction_factor,
            "min_trials": scheduler.min_trials,
            "interval": scheduler.interval,
            "mutate": scheduler.mutate,
            "quantile": scheduler.quantile,
        },
        "trials": sweep.trials,
        "seconds": sweep.seconds,
        "trial_seconds": sweep.trial_seconds,
        "restarts": sweep.restarts,
        "resources": vars(sweep.resources),
        "cluster": vars(cluster),
        "storage": sweep.storage,
        "resume": config.resume.name,
        "ignore": NOT_COMPARED,
        "preload": [PRELOAD],
        "callbacks": {"heldout": {"_target_": CALLBACK}},
    }


def fits_a_trial(config: TrainConfig) -> int:
    """How often a trial fits: once a seed and fold."""
    return len(config.seeds) * (config.sweep.folds or 1)


def _steps(sweep: SweepConfig, config: DictConfig) -> int:
    """Reports of a trial that is not stopped: epochs, or fits where a trial makes several."""
    fits = len(config.seeds) * (sweep.folds or 1)
    return int(config.trainer.max_epochs) if fits == 1 else fits


def _written_out(key: str, value: Any) -> Any:
    """A glob as the options it stands for: Hydra would take the schemas of a group for options of it."""
    if not (isinstance(value, str) and "glob(" in value):
        return value
    parsed = OverridesParser.create().parse_override(f"{key}={value}").value()
    return ",".join(parsed.filter(group_options_of(key))) if isinstance(parsed, Glob) else value


def _leaves(node: dict[str, Any], parent: str) -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for name, value in node.items():
        key = f"{parent}.{name}"
        # keys of `params` hold dots of their own
        if isinstance(value, dict) and name not in ("params", "callbacks"):
            leaves += _leaves(value, key)
        else:
            leaves.append((key, value))
    return leaves


def in_our_words(message: str) -> str:
    """A message of the plugin with the keys by which its settings are given here."""
    for theirs, ours in (
        ("hydra.sweeper.scheduler.max_steps", "trainer.max_epochs"),
        ("hydra.sweeper.scheduler.grace_steps", "sweep.scheduler.grace_epochs"),
        ("hydra.sweeper.cluster", "cluster"),
        ("hydra.sweeper.resume", "resume"),
        ("hydra.sweeper.params", "sweep.space"),
        ("hydra.sweeper", "sweep"),
    ):
        message = message.replace(theirs, ours)
    return message
