"""A fitted model as an MLflow model: signature, input example, and code instead of pickles."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heldout.data.card import CARD_FILE, Card, Column
from heldout.scoring import GENERATION, LANGUAGE, TRANSLATION

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, TensorSpec

CODE_FILE = Path(__file__).with_name("pyfunc_model.py")
WEIGHTS_SUFFIX = ".safetensors"
# what loading and predicting imports
DEEP_REQUIREMENTS = ("heldout", "mlflow", "numpy", "pandas", "torch", "safetensors")
BASELINE_REQUIREMENTS = ("heldout", "mlflow", "numpy", "pandas", "scikit-learn", "skops")


def save_mlflow_model(
    folder: Path, model_file: Path, config_file: Path, card: Card, example: Mapping[str, np.ndarray]
) -> None:
    """Writes an MLflow model into `folder`, which must not exist; `mlflow.pyfunc.load_model` reads it.

    It predicts a data frame of class probabilities, a column a class, or of numbers, in the column `prediction`. An
    image goes in as a tensor [examples, channels, height, width], a series as one [examples, channels, length] (with
    lengths: a dict of `x` and `length`), a table as a data frame with its raw columns, texts as a data frame with a
    column `text`; those to be translated come out as a column `translation`. A model that draws takes a data frame
    with a column `seed`, and gives an image a row, as a tensor.

    Args:
        model_file: weights.safetensors of a network or model.skops of a baseline.
        config_file: the resolved config of the training.
        example: a few examples as prepared, by input name: [examples, ...].
    """
    from mlflow import pyfunc

    is_deep = model_file.suffix == WEIGHTS_SUFFIX
    with tempfile.TemporaryDirectory() as temporary:
        card.save(Path(temporary))
        pyfunc.save_model(
            str(folder),
            python_model=str(CODE_FILE),
            artifacts={
                "config": str(config_file),
                "card": str(Path(temporary) / CARD_FILE),
                "model": str(model_file),
            },
            signature=signature(card),
            input_example=raw_example(card, example),
            # named here, because MLflow would find them by loading the model in a process of its own
            pip_requirements=_requirements(
                (DEEP_REQUIREMENTS if is_deep else BASELINE_REQUIREMENTS) + (("tokenizers",) if card.tokenizer else ())
            ),
        )


def signature(card: Card) -> ModelSignature:
    """What goes in, by the card, and the class probabilities or numbers that come out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    if card.task == GENERATION:
        return ModelSignature(Schema([ColSpec("long", name="seed")]), Schema([*_tensors(card)]))
    inputs: list[Any] = [_column(column) for column in card.columns] or _tensors(card)
    if card.tokenizer:
        inputs = [ColSpec("string", name="text")]
    outputs: list[Any] = [ColSpec("float", name=name) for name in card.classes] or [
        ColSpec("double", name="bits_per_byte" if card.task == LANGUAGE else "prediction")
    ]
    if card.task == TRANSLATION:
        outputs = [ColSpec("string", name="translation")]
    return ModelSignature(Schema(inputs), Schema(outputs))


def raw_example(card: Card, example: Mapping[str, np.ndarray]) -> np.ndarray | dict[str, np.ndarray] | pd.DataFrame:
    """Prepared examples in the form in which the MLflow model takes them."""
    if card.task == GENERATION:
        import pandas as pd

        return pd.DataFrame({"seed": np.arange(len(example["x"]), dtype=np.int64)})
    if card.columns:
        return _raw_table(card, example)
    if card.tokenizer:
        import pandas as pd

        from heldout.data.pairs import source_texts
        from heldout.data.tokens import decode, load_tokenizer

        if card.task == TRANSLATION:
            return pd.DataFrame({"text": source_texts(example, load_tokenizer(card.tokenizer))})
        return pd.DataFrame({"text": decode(load_tokenizer(card.tokenizer), example["tokens"], example["length"])})
    return dict(example) if len(card.inputs) > 1 else np.asarray(example["x"])


def _tensors(card: Card) -> list[TensorSpec]:
    from mlflow.types import TensorSpec

    named = len(card.inputs) > 1
    return [
        TensorSpec(np.dtype(spec["dtype"]), (-1, *spec["shape"]), name=name if named else None)
        for name, spec in card.inputs.items()
    ]


def _column(column: Column) -> ColSpec:
    from mlflow.types import ColSpec
    from mlflow.types.schema import AnyType

    # MLflow refuses whole numbers where it expects a float or a text, and the other way round; pandas reads a column
    # of a csv file as one or the other, depending on whether a value is missing in the rows at hand
    is_text = column["kind"] == "categorical" and not any(_like_a_number(name) for name in column["categories"])
    return ColSpec("string" if is_text else AnyType(), name=column["name"])  # type: ignore[no-untyped-call]


def _like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false")
    return True


def _raw_table(card: Card, example: Mapping[str, np.ndarray]) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {}
    numeric, categorical = iter(range(len(card.numeric_columns))), iter(range(len(card.categorical_columns)))
    for column in card.columns:
        if column["kind"] == "numeric":
            columns[column["name"]] = example["numeric"][:, next(numeric)].astype(np.float64)
        else:
            names = [None, *column["categories"]]
            columns[column["name"]] = [names[code] for code in example["categorical"][:, next(categorical)]]
    return pd.DataFrame(columns)


def _requirements(names: tuple[str, ...]) -> list[str]:
    pinned = []
    for name in names:
        try:
            pinned.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            pinned.append(name)  # run from its source folder without being installed
    return pinned
