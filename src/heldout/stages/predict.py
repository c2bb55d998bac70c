"""The stage `predict`."""

from __future__ import annotations

from heldout.config.predict import PredictConfig


def run(config: PredictConfig) -> None:
    """Predicts, and says where the predictions are."""
    from heldout.predict.predict import predict

    predict(config)
