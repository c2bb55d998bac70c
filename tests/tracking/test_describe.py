"""Params, data set inputs and system metrics: what a run is described by."""

# ruff: noqa: N802  (the names are those of NVML)

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.data
import pytest
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import get_dataset_source_from_json
from mlflow.data.schema import TensorDatasetSchema
from mlflow.utils import validation

from heldout.data.card import Card
from heldout.tracking import Tracking, delivery, params
from heldout.tracking.datasets import DIGEST_LENGTH, dataset_inputs
from heldout.tracking.params import clean_name, flatten, shorten
from heldout.tracking.system import SystemSampler


def make_card(**changes: Any) -> Card:
    fields: dict[str, Any] = {
        "name": "digits",
        "source": "digits",
        "modality": "image",
        "classes": ["a", "b"],
        "counts": {"train": 6, "validation": 2, "test": 2},
        "class_counts": {"train": [4, 2], "validation": [1, 1], "test": [1, 1]},
        "inputs": {"x": {"dtype": "uint8", "shape": [1, 8, 8]}},
        "data_hash": "ab" * 32,
    }
    return Card(**{**fields, **changes})


def test_our_limits_are_those_of_mlflow() -> None:
    assert params.MAX_PARAM_LENGTH == validation.MAX_PARAM_VAL_LENGTH
    assert params.MAX_TAG_LENGTH == validation.MAX_TAG_VAL_LENGTH
    assert params.MAX_KEY_LENGTH == validation.MAX_ENTITY_KEY_LENGTH
    assert delivery.METRICS_PER_REQUEST == validation.MAX_METRICS_PER_BATCH
    assert delivery.ENTRIES_PER_REQUEST == validation.MAX_PARAMS_TAGS_PER_BATCH
    assert DIGEST_LENGTH == validation.MAX_DATASET_DIGEST_SIZE


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"a": {"b": 1, "c": [1, "x"]}}, {"a.b": "1", "a.c": '[1,"x"]'}),
        ({"none": None, "yes": True, "rate": 1e-3}, {"none": "null", "yes": "true", "rate": "0.001"}),
        ({"empty": {}, "text": "as it is", "path": Path("x/y")}, {"empty": "{}", "text": "as it is", "path": '"x/y"'}),
        ({3: {"x": "ü"}}, {"3.x": "ü"}),
    ],
)
def test_a_config_is_flattened_as_the_command_line_names_it(config: dict[str, Any], expected: dict[str, str]) -> None:
    assert flatten(config) == expected


def test_what_is_too_long_is_shortened_visibly() -> None:
    assert shorten("short", 10) == "short"
    assert shorten("x" * 11, 10) == "xxxxxxx..."
    assert len(clean_name("k" * 300)) == 250


@pytest.mark.parametrize(
    ("name", "cleaned"), [("a/b c-d.e:f", "a/b c-d.e:f"), ("a(b)", "a_b_"), ("../x", "x"), ("", "_")]
)
def test_names_are_cleaned_as_little_as_possible(name: str, cleaned: str) -> None:
    assert clean_name(name) == cleaned
    assert validation.validate_param_and_metric_name(cleaned)
    assert not validation.path_not_unique(cleaned)


def test_a_data_set_is_the_input_of_its_run(tracking: Tracking, tmp_path: Path) -> None:
    with tracking.start_run("run") as run:
        run.log_dataset(make_card(), tmp_path)
        run.log_dataset(make_card(), tmp_path)
    inputs = MlflowClient(tracking.uri).get_run(run.run_id).inputs.dataset_inputs
    found = {one.dataset.name: (one, {tag.key: tag.value for tag in one.tags}) for one in inputs}
    assert {name: tags for name, (_, tags) in found.items()} == {
        "digits/train": {"mlflow.data.context": "training"},
        "digits/validation": {"mlflow.data.context": "validation"},
    }
    dataset = found["digits/train"][0].dataset
    assert dataset.digest == ("ab" * 32)[:36]
    source = get_dataset_source_from_json(dataset.source, dataset.source_type)
    assert isinstance(source, mlflow.data.dataset_source.DatasetSource)
    assert json.loads(dataset.source) == {"uri": str(tmp_path / "train.arrow")}
    schema = TensorDatasetSchema.from_dict(json.loads(dataset.schema))
    assert schema.features.inputs[0].shape == (-1, 1, 8, 8)
    profile = json.loads(dataset.profile)
    assert profile["num_rows"] == 6
    assert profile["class_counts"] == {"a": 4, "b": 2}


def test_a_table_is_described_by_its_columns(tmp_path: Path) -> None:
    columns = [
        {"name": "age", "kind": "numeric", "categories": []},
        {"name": "town", "kind": "categorical", "categories": ["Bonn"]},
    ]
    inputs = {"numeric": {"dtype": "float32", "shape": [1]}, "categorical": {"dtype": "int32", "shape": [1]}}
    card = make_card(modality="table", inputs=inputs, columns=columns)
    schema = json.loads(dataset_inputs(card, tmp_path)[0]["schema"])["mlflow_colspec"]
    assert [(column["name"], column["type"]) for column in schema] == [
        ("age", "double"),
        ("town", "string"),
        ("class", "string"),
    ]


class FakeNvml(SimpleNamespace):
    """Two GPUs, one of which cannot tell its power: stands in where there is none."""

    class NVMLError(Exception):
        pass

    @staticmethod
    def nvmlInit() -> None: ...

    @staticmethod
    def nvmlDeviceGetCount() -> int:
        return 2

    @staticmethod
    def nvmlDeviceGetHandleByIndex(index: int) -> int:
        return index

    @staticmethod
    def nvmlDeviceGetMemoryInfo(handle: int) -> Any:
        return SimpleNamespace(used=2e9, total=8e9)

    @staticmethod
    def nvmlDeviceGetUtilizationRates(handle: int) -> Any:
        return SimpleNamespace(gpu=50 + handle)

    @classmethod
    def nvmlDeviceGetPowerUsage(cls, handle: int) -> int:
        if handle == 1:
            raise cls.NVMLError("not supported")
        return 70_000


def test_gpus_are_sampled_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    samples: list[tuple[dict[str, float], int]] = []
    sampler = SystemSampler(lambda values, step: samples.append((dict(values), step)), 0.15)
    time.sleep(0.4)
    sampler.stop()
    assert [step for _, step in samples] == list(range(len(samples)))
    assert len(samples) >= 2
    first, last = samples[0][0], samples[-1][0]
    assert first["system/gpu_0_memory_usage_megabytes"] == 2000
    assert first["system/gpu_1_memory_usage_percentage"] == 25
    assert last["system/gpu_1_utilization_percentage"] == 51
    assert last["system/gpu_0_power_usage_watts"] == 70
    assert "system/gpu_1_power_usage_watts" not in last
    assert last["system/cpu_utilization_percentage"] >= 0


def test_a_machine_without_gpu_is_sampled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    samples: list[dict[str, float]] = []
    sampler = SystemSampler(lambda values, step: samples.append(dict(values)), 10.0)
    time.sleep(0.2)
    sampler.stop()
    assert not [name for name in samples[0] if "gpu" in name]
    assert samples[0]["system/process_memory_usage_megabytes"] > 1
