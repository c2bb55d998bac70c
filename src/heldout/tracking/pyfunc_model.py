"""The code of a logged model: MLflow copies this file into the model and runs it when the model is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

BATCH_SIZE = 512
# of texts to be continued, which each get a logit a token of the vocabulary at every place
BLOCKS = 32

Inputs = dict[str, np.ndarray]


class HeldoutModel(PythonModel):
    """Class probabilities, numbers, bits a byte or translations of texts, or images, by what Heldout fitted."""

    def load_context(self, context: PythonModelContext) -> None:
        """Builds the model from the config and card beside it, and loads its weights."""
        from heldout.data.card import Card

        files = {name: Path(path) for name, path in context.artifacts.items()}
        self._card = Card.load(files["card"].parent)
        is_deep = files["model"].suffix == ".safetensors"
        if self._card.task == "translation":
            self._translate = _translating_network(files, self._card) if is_deep else _baseline(files).translate
        elif is_deep:
            self._predict = _network(files, self._card)
        elif self._card.task == "generation":
            baseline = _baseline(files)
            self._predict = lambda inputs: baseline.draw(inputs["seed"], self._card.input_shape)
        else:
            self._predict = _baseline(files).predict

    def predict(
        # MLflow warns of every hint but a few; a dict of tensors and a data frame come in here too
        self,
        context: PythonModelContext,
        model_input: np.ndarray,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame | np.ndarray:
        """Probabilities [examples, classes] as a data frame, a column a class; or numbers in the column `prediction`.

        A language model gives `bits_per_byte` of what of each text fits into a block. Of a text to be translated, the
        `translation`, as many tokens are read as those of its training had at most. One that draws gives images uint8
        [examples, channels, height, width].

        Args:
            model_input: as the signature says; see heldout.tracking.models.
        """
        if self._card.task == "generation":
            given: Any = model_input
            return self.draw(np.asarray(given["seed"] if isinstance(given, pd.DataFrame) else given, dtype=np.int64))
        return self.predict_encoded(self.encoded(model_input))

    def draw(self, seeds: np.ndarray) -> np.ndarray:
        """An image uint8 [examples, channels, height, width] for each seed."""
        return self._predict({"seed": seeds})

    def predict_encoded(self, inputs: Inputs) -> pd.DataFrame:
        """As `predict`, for examples as the prepare stage leaves them."""
        if self._card.task == "translation":
            from heldout.data.tokens import load_tokenizer

            tokens = self._translate(inputs) if len(inputs["source"]) else []
            return pd.DataFrame({"translation": load_tokenizer(self._card.tokenizer).decode_batch(tokens)}, dtype=str)
        examples = len(next(iter(inputs.values())))
        size = BLOCKS if self._card.task == "language" else BATCH_SIZE
        parts = [
            self._predict({name: array[start : start + size] for name, array in inputs.items()})
            for start in range(0, examples, size)
        ]
        if self._card.task == "language":
            from heldout.data.packing import next_tokens
            from heldout.data.token_sums import TokenTable

            written = TokenTable.of(self._card).sums(next_tokens(inputs))["bytes"]
            losses = np.concatenate(parts) if parts else np.empty(0)
            # an empty text has no byte, but an end
            return pd.DataFrame({"bits_per_byte": losses / (np.log(2) * np.maximum(written, 1))})
        if not self._card.classes:
            return pd.DataFrame({"prediction": np.concatenate(parts) if parts else np.empty(0)})
        probabilities = np.concatenate(parts) if parts else np.empty((0, len(self._card.classes)), np.float32)
        return pd.DataFrame(probabilities, columns=self._card.classes)

    def encoded(self, given: Any) -> Inputs:
        """Examples as the signature says, in the form in which networks and baselines read them."""
        if self._card.columns:
            from heldout.data.columns import encode_table

            return encode_table(given, self._card)
        if self._card.tokenizer:
            from heldout.data.tokens import encode, load_tokenizer

            texts = given["text"] if isinstance(given, pd.DataFrame) else given
            if self._card.task == "translation":
                from heldout.data.pairs import encode_sources

                most = self._card.inputs["source"]["shape"][0] - 1
                return encode_sources(load_tokenizer(self._card.tokenizer), [str(text) for text in texts], most)
            most = self._card.inputs["tokens"]["shape"][0]
            if self._card.task == "language":
                from heldout.data.packing import encode_texts

                return encode_texts(load_tokenizer(self._card.tokenizer), [str(text) for text in texts], most - 1)
            return encode(load_tokenizer(self._card.tokenizer), [str(text) for text in texts], most)
        arrays = given if isinstance(given, dict) else {"x": given}
        return {name: np.asarray(arrays[name], spec["dtype"]) for name, spec in self._card.inputs.items()}


def _network(files: dict[str, Path], card: Any) -> Callable[[Inputs], np.ndarray]:
    import torch

    from heldout.models.target_scale import TargetScale

    network = _loaded(files, card)
    if card.task == "generation":
        from heldout.models.drawing import drawer

        draw = drawer(network, BATCH_SIZE)
        return lambda inputs: draw(inputs["seed"])

    @torch.inference_mode()
    def predict(inputs: Inputs) -> np.ndarray:
        # a copy, because torch cannot take arrays that may not be written to
        tensors = {name: torch.from_numpy(array.copy()) for name, array in inputs.items()}
        outputs = network(tensors).float()
        if card.task == "language":
            from torch.nn import functional

            from heldout.data.packing import NOTHING, next_tokens

            target = torch.from_numpy(next_tokens(inputs))
            losses = functional.cross_entropy(outputs.transpose(1, 2), target, ignore_index=NOTHING, reduction="none")
            return np.asarray(losses.double().sum(dim=1).numpy())
        if not card.classes:
            return TargetScale.of(card).restored(outputs.numpy())
        return np.asarray(torch.softmax(outputs, dim=1).numpy())

    return predict


def _loaded(files: dict[str, Path], card: Any) -> Any:
    """The network, with its weights, in evaluation mode."""
    from heldout.config.compose import load_model_config
    from heldout.models import build, load_weights

    network = build(load_model_config(files["config"]), card)
    load_weights(network, files["model"])
    return network.eval()


def _baseline(files: dict[str, Path]) -> Any:
    from heldout.models import baselines

    return baselines.load(files["model"])


def _translating_network(files: dict[str, Path], card: Any) -> Callable[[Inputs], list[list[int]]]:
    from heldout.config.compose import load_task_config
    from heldout.config.training import TranslateConfig
    from heldout.models.beam import translated

    network = _loaded(files, card)
    task = load_task_config(files["config"])
    assert isinstance(task, TranslateConfig)
    return lambda inputs: translated(network, inputs, task.search)


mlflow.models.set_model(HeldoutModel())
