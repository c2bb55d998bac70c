"""From a study to its trainings; every study of conf/study can be planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import ROOT

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.errors import ConfigError
from heldout.config.stages import StudyRunConfig
from heldout.studies.plan import folder_of, plan

STUDIES = sorted(path.stem for path in (ROOT / "conf" / "study").glob("*.yaml"))
Compose = Callable[..., StudyRunConfig]


@pytest.fixture
def study(workplace: Path) -> Compose:
    def compose(*overrides: str) -> StudyRunConfig:
        with hydra_session():
            config = to_stage(compose_stage("study", list(overrides)))
        assert isinstance(config, StudyRunConfig)
        return config

    return compose


SMALL = ("study=deep_vs_classical", "study.grid.model=[mlp,logistic]", "study.grid={data.train_share:[0.5,1.0]}")


def test_every_combination_is_a_training_of_all_seeds(study: Compose) -> None:
    cells = plan(study(*SMALL))
    assert [cell.settings for cell in cells] == [
        {"model": model, "data.train_share": share} for model in ("mlp", "logistic") for share in (0.5, 1.0)
    ]
    assert [cell.config.model.family for cell in cells] == ["mlp", "mlp", "logistic", "logistic"]
    assert [cell.config.data.train_share for cell in cells] == [0.5, 1.0, 0.5, 1.0]
    assert all(cell.config.seeds == [0, 1, 2] for cell in cells)
    assert len({cell.config.out for cell in cells}) == len({cell.config.name for cell in cells}) == 4


def test_the_fast_budget_comes_before_what_the_study_sets_and_has_a_folder_of_its_own(study: Compose) -> None:
    full, fast = study(*SMALL), study(*SMALL, "study.budget=fast")
    assert folder_of(fast) == f"{folder_of(full)}-fast"
    for cell in plan(fast):
        assert (cell.config.trainer.max_epochs, cell.config.data.limit, cell.config.seeds) == (2, 300, [0])


def test_trainings_tell_the_store_of_the_study(study: Compose) -> None:
    config = study(*SMALL, "tracking.experiment=mine")
    assert all(cell.config.tracking is config.tracking for cell in plan(config))


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_planned(study: Compose, name: str) -> None:
    config = study(f"study={name}")
    grid = config.study.grid
    for key, values in grid.items():
        # the other keys at their first value: all of the grid would take long
        config.study.grid = {other: of[:1] for other, of in grid.items()} | {key: values}
        cells = plan(config)
        assert [cell.settings[key] for cell in cells] == values
        assert len({cell.name for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("study.figure.x=model.depth", "study.figure.x=model.depth: expected a key of study.grid, one of: model"),
        ("study.figure.metrics=[test_accuracy]", "there is no 'test_accuracy'; expected some of: train_score"),
        ("study.grid.model=[mlp,mlp]", "'model' has a value twice"),
        ("study.grid.model=[]", "expected a key, or several, with a list of values each"),
        ("study.data=null", "expected a data set here or as a key of study.grid"),
        ("study.need_share=1.5", "study.need_share=1.5: expected more than 0, at most 1"),
        ('study.overrides=["seeds=[3]"]', "'seeds' cannot be set in study.grid or study.overrides"),
        ("study.seeds=[1,1]", "at least one seed, none twice"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(study: Compose, override: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        study(*SMALL, override)
    assert expected in str(refusal.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("+study.grid.modl=[mlp]", "modl=mlp: there is no key 'modl'. Did you mean 'model'?"),
        ('study.overrides=["trainer.max_epoch=3"]', "Did you mean 'max_epochs'?"),
        ("study.grid.model=[mlp,convnet]", "there is no 'convnet' in the group 'model'"),
        ("study.data=breast_cancer study.grid.model=[cnn]", "the data set is a table, which this family cannot read"),
    ],
)
def test_a_training_that_cannot_be_is_named(study: Compose, override: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=r"study 'deep_vs_classical-.*', its training with model=") as refusal:
        plan(study(*SMALL, *override.split()))
    assert expected in str(refusal.value)
