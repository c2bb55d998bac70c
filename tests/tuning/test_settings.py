"""What conf/sweep and conf/cluster say reaches the sweeper plugin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from heldout.config.compose import group_options_of, hydra_session
from heldout.tuning import settings
from hydra_plugins.ray_tune_sweeper._config import RayTuneSweeperConf

Compose = Callable[..., DictConfig]


@pytest.fixture
def composed(workplace: object) -> Compose:
    """The config of a multirun, `hydra` included, as the sweeper is made from it."""

    def compose(*overrides: str) -> DictConfig:
        with hydra_session():
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            return hydra.compose_config("train", list(overrides), run_mode=RunMode.MULTIRUN)

    return compose


def applied(config: DictConfig) -> RayTuneSweeperConf:
    settings.apply(config)
    node = OmegaConf.merge(
        OmegaConf.structured(RayTuneSweeperConf), OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    )
    typed = OmegaConf.to_object(node)
    assert isinstance(typed, RayTuneSweeperConf)
    return typed


def test_a_group_file_chooses_the_sweeper_and_says_what_it_searches(composed: Compose) -> None:
    config = composed("sweep=families", "data=digits")
    assert settings.is_sweep(config)
    sweeper = applied(config)
    assert sweeper.name == "digits-families"
    assert sweeper.directory == "sweeps/digits-families"
    assert sweeper.searcher.name == "tpe"
    assert sweeper.params["model"] == "mlp,cnn,gru,resnet,random_forest"
    assert sweeper.conditions[2]["params"]["model.trees"] == "tag(log, int(interval(50, 500)))"
    assert (sweeper.objective.metric, sweeper.objective.mode.name) == ("loss", "min")


def test_without_it_nothing_is_a_sweep(composed: Compose) -> None:
    assert not settings.is_sweep(composed("model=cnn"))


def test_what_is_given_for_the_plugin_itself_stands(composed: Compose) -> None:
    config = composed("sweep=cnn", "sweep.trials=7", "hydra.sweeper.trials=9", "hydra.sweeper.name=mine")
    sweeper = applied(config)
    assert (sweeper.trials, sweeper.name) == (9, "mine")


@pytest.mark.parametrize(
    ("overrides", "steps"),
    [
        (("trainer.max_epochs=12",), 12),
        (("trainer.max_epochs=12", "sweep.folds=5"), 5),
        (("trainer.max_epochs=12", "seeds=[0,1,2]"), 3),
        (("trainer.max_epochs=12", "sweep.folds=5", "seeds=[0,1]"), 10),
    ],
)
def test_a_scheduler_counts_epochs_or_fits(composed: Compose, overrides: tuple[str, ...], steps: int) -> None:
    scheduler = applied(composed("hydra/sweeper=ray_tune", *overrides)).scheduler
    assert scheduler.max_steps == steps
    assert scheduler.grace_steps <= steps


def test_a_glob_stands_for_the_options_of_the_group(composed: Compose) -> None:
    params = applied(composed("hydra/sweeper=ray_tune", '+sweep.space.model="glob(*)"')).params
    assert params["model"].split(",") == group_options_of("model")
    assert not any(name.startswith("schema") for name in params["model"].split(","))


def test_messages_name_the_keys_of_conf() -> None:
    said = settings.in_our_words("hydra.sweeper.scheduler.max_steps=0 below hydra.sweeper.cluster.wait_seconds")
    assert said == "trainer.max_epochs=0 below cluster.wait_seconds"
