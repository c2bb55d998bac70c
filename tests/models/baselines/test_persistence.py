"""Files of baselines: read by a list of trusted types, and only when sound."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from tests.models.examples import series, table

from heldout.config.model import HistGradientBoostingConfig, ModelConfig, RandomForestConfig
from heldout.models import baselines
from heldout.models.errors import UnreadableModelFile

FOREST = RandomForestConfig(trees=2)
BOOSTING = HistGradientBoostingConfig(iterations=2)


class Untrusted:
    """A type that no baseline holds."""

    def __init__(self) -> None:
        self.value = 1


def fitted(config: ModelConfig, example: Any = None) -> baselines.Baseline:
    example = example or series(2, 17)
    model = baselines.build(config, example.card, 0)
    model.fit(example.inputs, example.target)
    return model


def test_a_type_that_is_not_on_the_list_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump({"estimator": Untrusted(), "features": {}, "classes": 3}, file)
    with pytest.raises(UnreadableModelFile, match=r"refused.*Untrusted"):
        baselines.load(file)


def test_a_partial_of_any_other_function_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump({"estimator": partial(os.system, "true"), "features": {}, "classes": 3}, file)
    with pytest.raises(UnreadableModelFile, match=r"refused.*system"):
        baselines.load(file)


@pytest.mark.parametrize("content", [[1, 2], {"estimator": 1}])
def test_something_else_in_the_format_is_refused(tmp_path: Path, content: object) -> None:
    file = tmp_path / "model.skops"
    skops.io.dump(content, file)
    with pytest.raises(UnreadableModelFile, match="not of a baseline"):
        baselines.load(file)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModelFile, match="absent: no such file"):
        baselines.load(tmp_path / "absent")


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_file_is_refused(tmp_path: Path, keep: float) -> None:
    file = tmp_path / "model.skops"
    fitted(FOREST).save(file)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(UnreadableModelFile, match="not a readable skops file"):
        baselines.load(file)


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UnreadableModelFile, match="not a readable skops file"):
        baselines.load(file)


@pytest.mark.parametrize(
    ("column", "value"),
    [("left_child", -7), ("left_child", 0), ("right_child", 10_000), ("feature", -7), ("feature", 34)],
)
def test_a_forest_that_points_outside_is_refused(tmp_path: Path, column: str, value: int) -> None:
    model = fitted(FOREST)
    tree = model.estimator.estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][column][0] = value
    tree.__setstate__(state)
    model.save(tmp_path / "model.skops")
    with pytest.raises(UnreadableModelFile, match="point outside of themselves"):
        baselines.load(tmp_path / "model.skops")


@pytest.mark.parametrize(("column", "value"), [("left", 10_000), ("right", 0), ("feature_idx", 99)])
def test_boosted_trees_that_point_outside_are_refused(tmp_path: Path, column: str, value: int) -> None:
    model = fitted(BOOSTING)
    predictor = model.estimator._predictors[0][0]
    nodes = predictor.nodes.copy()
    nodes[column][0] = value
    nodes["is_leaf"][0] = 0
    predictor.nodes = nodes
    model.save(tmp_path / "model.skops")
    with pytest.raises(UnreadableModelFile, match="point outside of themselves"):
        baselines.load(tmp_path / "model.skops")


def test_boosted_trees_with_categories_that_are_not_there_are_refused(tmp_path: Path) -> None:
    model = fitted(HistGradientBoostingConfig(iterations=1), table(0, 3))
    predictor = model.estimator._predictors[0][0]
    nodes = predictor.nodes.copy()
    nodes["is_leaf"], nodes["is_categorical"], nodes["bitset_idx"] = 0, 1, 99
    predictor.nodes = nodes
    model.save(tmp_path / "model.skops")
    with pytest.raises(UnreadableModelFile, match="point outside of themselves"):
        baselines.load(tmp_path / "model.skops")


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "model.skops"
    model = fitted(FOREST)
    model.save(file)
    before = file.read_bytes()
    model.estimator.unstorable = (number for number in range(3))
    with pytest.raises(TypeError):
        model.save(file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_no_baseline_imports_torch(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import numpy as np
from heldout.config.model import LogisticConfig
from heldout.data.card import Card
from heldout.models import baselines
card = Card(name="n", source="s", modality="series", classes=["a", "b"], counts={{"train": 2}}, class_counts={{}},
            inputs={{"x": {{"dtype": "float32", "shape": [1, 1]}}}},
            statistics={{"x": {{"mean": [0.0], "std": [1.0]}}}})
model = baselines.build(LogisticConfig(), card, 0)
model.fit({{"x": np.array([[[0.0]], [[1.0]]], dtype=np.float32)}}, np.array([0, 1]))
model.save(Path({str(tmp_path)!r}, "model.skops"))
baselines.load(Path({str(tmp_path)!r}, "model.skops"))
print("torch" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False", found.stderr


def test_sklearn_can_still_import_its_torch_support() -> None:
    fitted(FOREST)
    import sklearn.externals.array_api_compat.torch as support

    assert np.float32 is not support.float32
