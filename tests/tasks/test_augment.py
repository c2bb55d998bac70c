"""Changed images of training batches: by seed and step, never of what is measured."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.errors import ConfigError
from heldout.config.stages import TrainConfig
from heldout.config.training import ClassifyConfig
from heldout.data.shard import Share
from heldout.tasks.augment import Augment
from heldout.training.train import train


def images(n: int = 64) -> dict[str, torch.Tensor]:
    return {"x": torch.arange(n * 2 * 5 * 4, dtype=torch.float32).reshape(n, 2, 5, 4).remainder(251).byte() + 1}


def test_without_settings_nothing_is_touched():
    inputs = images()
    assert Augment(ClassifyConfig(), seed=0)(inputs, 3) is inputs


def test_a_moved_image_is_a_part_of_itself_with_black_borders():
    x = images()["x"]
    moved = Augment(ClassifyConfig(crop_padding=2), seed=0)({"x": x}, 0)["x"]
    assert moved.shape == x.shape
    assert moved.dtype == torch.uint8
    seen = set()
    for before, after in zip(x, moved, strict=True):
        padded = torch.nn.functional.pad(before, (2, 2, 2, 2))
        places = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if torch.equal(padded[:, row : row + 5, column : column + 4], after)
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 15, "every image its own way"


def test_about_half_of_the_images_are_mirrored():
    x = images(400)["x"]
    flipped = Augment(ClassifyConfig(flip=True), seed=0)({"x": x}, 0)["x"]
    mirrored = [torch.equal(after, before.flip(2)) for before, after in zip(x, flipped, strict=True)]
    same = [torch.equal(after, before) for before, after in zip(x, flipped, strict=True)]
    assert sum(mirrored) + sum(same) == 400
    assert 160 < sum(mirrored) < 240


def test_it_depends_on_seed_and_step_only():
    inputs, config = images(), ClassifyConfig(crop_padding=2, flip=True)
    first = Augment(config, seed=1)
    expected = first(inputs, 7)["x"]
    state = torch.get_rng_state()
    for step in range(3):
        first(inputs, step)
    assert torch.equal(Augment(config, seed=1)(inputs, 7)["x"], expected)
    assert torch.equal(torch.get_rng_state(), state)
    others = {tuple(Augment(config, seed)(inputs, step)["x"].flatten().tolist()) for seed in (1, 2) for step in (7, 8)}
    assert len(others) == 4


def test_training_sees_changed_images_and_measuring_does_not(
    train_config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []
    call = Augment.__call__

    def noted(
        self: Augment, inputs: dict[str, torch.Tensor], step: int, share: Share | None = None
    ) -> dict[str, torch.Tensor]:
        asked.append(step)
        return call(self, inputs, step, share)

    monkeypatch.setattr(Augment, "__call__", noted)
    quick = ("data=digits", "model=mlp", "trainer.max_epochs=2", "tracking.models=false")
    config = train_config(*quick, "task.crop_padding=1", "tracking.system_metrics_seconds=null")
    (record,) = train(config)
    assert asked == list(range(record.info["steps"])), "once a step, and for nothing else"


@pytest.mark.parametrize("setting", ["task.crop_padding=2", "task.flip=true"])
def test_what_is_no_image_cannot_be_moved(setting: str):
    with hydra_session(), pytest.raises(ConfigError, match=r"with data=mnist1d, a series: expected an image data set"):
        to_stage(compose_stage("train", ["data=mnist1d", setting]))
