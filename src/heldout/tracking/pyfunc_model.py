"""The code of a logged model: MLflow copies this file into the model and runs it when the model is loaded."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
import yaml
from mlflow.pyfunc.model import PythonModel, PythonModelContext

BATCH_SIZE = 512

Inputs = dict[str, np.ndarray]

# MLflow asks for a type hint, and has none for a model that reads a tensor, a dict of tensors or a data frame
warnings.filterwarnings("ignore", message="[\\s\\S]*Add type hints to the `predict` method", category=UserWarning)


class HeldoutModel(PythonModel):
    """Class probabilities by a network or a baseline that Heldout fitted."""

    def load_context(self, context: PythonModelContext) -> None:
        """Builds the model from the config and card beside it, and loads its weights."""
        from heldout.data.card import Card

        files = {name: Path(path) for name, path in context.artifacts.items()}
        self._card = Card.load(files["card"].parent)
        if files["model"].suffix == ".safetensors":
            self._predict = _network(files, self._card)
        else:
            self._predict = _baseline(files)

    def predict(
        self, context: PythonModelContext, model_input: Any, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Probabilities [examples, classes] as a data frame, a column a class.

        Args:
            model_input: as the signature says; see heldout.tracking.models.
        """
        inputs = self._inputs(model_input)
        examples = len(next(iter(inputs.values())))
        parts = [
            self._predict({name: array[start : start + BATCH_SIZE] for name, array in inputs.items()})
            for start in range(0, examples, BATCH_SIZE)
        ]
        probabilities = np.concatenate(parts) if parts else np.empty((0, len(self._card.classes)), np.float32)
        return pd.DataFrame(probabilities, columns=self._card.classes)

    def _inputs(self, given: Any) -> Inputs:
        if self._card.columns:
            from heldout.data.columns import encode_table

            return encode_table(given, self._card)
        arrays = given if isinstance(given, dict) else {"x": given}
        return {name: np.asarray(arrays[name], spec["dtype"]) for name, spec in self._card.inputs.items()}


def _network(files: dict[str, Path], card: Any) -> Callable[[Inputs], np.ndarray]:
    import torch

    from heldout.models import build, load_weights

    network = build(_model_config(files["config"]), card)
    load_weights(network, files["model"])
    network.eval()

    @torch.inference_mode()
    def predict(inputs: Inputs) -> np.ndarray:
        # a copy, because torch cannot take arrays that may not be written to
        tensors = {name: torch.from_numpy(array.copy()) for name, array in inputs.items()}
        return np.asarray(torch.softmax(network(tensors).float(), dim=1).numpy())

    return predict


def _baseline(files: dict[str, Path]) -> Callable[[Inputs], np.ndarray]:
    from heldout.models import baselines

    return baselines.load(files["model"]).predict_proba


def _model_config(file: Path) -> Any:
    from omegaconf import OmegaConf

    from heldout.config.model import FAMILIES

    values = yaml.safe_load(file.read_text(encoding="utf-8"))["model"]
    schema = next(family for family in FAMILIES if family.family == values["family"])
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), values))


mlflow.models.set_model(HeldoutModel())
