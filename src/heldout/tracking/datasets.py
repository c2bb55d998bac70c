"""A prepared data set as MLflow data set inputs, from its card alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heldout.data.card import Card

# MLflow's limit
DIGEST_LENGTH = 36
# MLflow's names of what a data set is used for; the test set is no input of a training run
CONTEXTS = {"train": "training", "validation": "validation"}


def dataset_inputs(card: Card, directory: Path) -> list[Mapping[str, str]]:
    """One input for train and one for validation, with the fields of MLflow's `Dataset` and its context.

    The digest is the beginning of the card's `data_hash`.
    """
    schema = json.dumps(_schema(card))
    return [
        {
            # MLflow takes two inputs of the same name and digest for one
            "name": f"{card.name}/{split}",
            "digest": card.data_hash[:DIGEST_LENGTH],
            "source_type": "local",
            "source": json.dumps({"uri": str((directory / f"{split}.arrow").resolve())}),
            "schema": schema,
            "profile": json.dumps(_profile(card, split)),
            "context": context,
        }
        for split, context in CONTEXTS.items()
    ]


def _schema(card: Card) -> dict[str, Any]:
    is_number = not card.classes
    kind, name = ("double", "target") if is_number else ("string", "class")
    target = {"type": kind, "name": name, "required": True}
    if card.columns:
        types = {"numeric": "double", "categorical": "string"}
        columns = [{"type": types[column["kind"]], "name": column["name"], "required": True} for column in card.columns]
        return {"mlflow_colspec": [*columns, target]}
    features = [
        {"name": name, "type": "tensor", "tensor-spec": {"dtype": spec["dtype"], "shape": [-1, *spec["shape"]]}}
        for name, spec in card.inputs.items()
    ]
    spec = {"dtype": "float64" if is_number else "int64", "shape": [-1]}
    targets = {"name": name, "type": "tensor", "tensor-spec": spec}
    return {"mlflow_tensorspec": {"features": json.dumps(features), "targets": json.dumps([targets])}}


def _profile(card: Card, split: str) -> dict[str, Any]:
    return {
        "num_rows": card.counts[split],
        "class_counts": dict(zip(card.classes, card.class_counts[split], strict=True)),
        "modality": card.modality,
        "source": card.source,
        "license": card.license,
    }
