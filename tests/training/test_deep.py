"""The fit of a network: blocks of steps, divergence, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from heldout.config.stages import TrainConfig
from heldout.training import deep
from heldout.training.deep import fit_deep
from heldout.training.errors import Diverged
from heldout.training.fitted import FitInputs, Fitted
from heldout.training.inputs import fit_inputs
from heldout.training.prepared import find_or_prepare

Compose = Callable[..., TrainConfig]
Logged = list[tuple[int, dict[str, float]]]


def fit(config: TrainConfig, folder: Path, logged: Logged | None = None) -> Fitted:
    folder.mkdir(exist_ok=True)
    log = logged if logged is not None else []
    return fit_deep(config, inputs(config), 0, folder, lambda metrics, step: log.append((step, metrics)), "a run")


def inputs(config: TrainConfig) -> FitInputs:
    return fit_inputs(config, find_or_prepare(config.data, None), None, 0)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=mlp", "model.dropout=0.3"],
        ["model=cnn", "schedule=cosine", "trainer.gradient_clip=0.5"],
        ["model=gru", "optimizer=sgd"],
    ],
)
def test_steps_in_a_block_are_the_steps_lightning_takes(
    train_config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str]
) -> None:
    config = train_config("data=digits", "trainer.max_epochs=3", *overrides)
    block = fit(config, tmp_path / "block")
    monkeypatch.setattr(deep, "_block_steps", lambda settings: None)
    single = fit(config, tmp_path / "single")
    assert block.steps == single.steps == 3 * 11
    for ours, theirs in zip(block.history, single.history, strict=True):
        assert [ours[key] for key in ("epoch", "split", "step")] == [theirs[key] for key in ("epoch", "split", "step")]
        for key in ("loss", "accuracy", "learning_rate"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4), key
    found, expected = (fitted.predictions["validation"].probabilities for fitted in (block, single))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_train_and_validation_are_measured_alike(train_config: Compose, tmp_path: Path) -> None:
    """With dropout at 0.9 the loss of the training steps is far above that of the same weights in evaluation mode."""
    logged: Logged = []
    config = train_config("data=digits", "model=mlp", "model.dropout=0.9", "trainer.max_epochs=4")
    fitted = fit(config, tmp_path / "fit", logged)
    last = {row["split"]: row for row in fitted.history[-2:]}
    assert last["train"]["accuracy"] > 0.8
    assert [step for step, _ in logged] == [1, 2, 3, 4]
    metrics = logged[-1][1]
    assert metrics["gap/loss"] == pytest.approx(metrics["train/loss"] - metrics["validation/loss"])


def test_divergence_names_its_first_step(train_config: Compose, tmp_path: Path) -> None:
    config = train_config("data=digits", "model=mlp", "optimizer=sgd", "model.learning_rate=1e12")
    with pytest.raises(Diverged, match=r"at step ([2-9]) \(epoch 1\).*learning rate was 1e\+12"):
        fit(config, tmp_path / "fit")


@pytest.mark.parametrize(("keep", "expected"), [("last", 5), ("best", None)])
def test_the_epoch_that_is_kept(train_config: Compose, tmp_path: Path, keep: str, expected: int | None) -> None:
    config = train_config("data=digits", "model=cnn", "trainer.max_epochs=5", f"trainer.keep={keep}")
    fitted = fit(config, tmp_path / "fit")
    losses = {row["epoch"]: row["loss"] for row in fitted.history if row["split"] == "validation"}
    assert fitted.kept_epoch == (expected or min(losses, key=lambda epoch: losses[epoch]))


def test_the_environment_is_left_as_it_was(train_config: Compose, tmp_path: Path) -> None:
    import os

    before = dict(os.environ)
    fit(train_config("data=digits", "model=mlp", "trainer.max_epochs=1"), tmp_path / "fit")
    changed = {k for k in before.keys() | os.environ.keys() if before.get(k) != os.environ.get(k)}
    assert "CUDA_VISIBLE_DEVICES" not in changed
    assert torch.get_num_threads() == 1
