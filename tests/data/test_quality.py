"""The quality policy against data with planted faults."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from heldout.config.data import Check, DataConfig, Level, Modality, QualityConfig, SplitConfig, SplitMethod
from heldout.data.card import Card
from heldout.data.errors import CardUnreadable, CorruptFile
from heldout.data.hashing import hash_file
from heldout.data.prepare import prepare
from heldout.data.quality import CHECKS, check
from heldout.data.similarity import Features, fingerprints, nearest_similarity

SPLIT = np.array(["train"] * 120 + ["validation"] * 40 + ["test"] * 40)


def policy(**levels: Check) -> QualityConfig:
    """Every check fails at its strictest, but for what is given."""
    return QualityConfig(**({"class_imbalance": Check(Level.fail, 3.0)} | levels))


@pytest.fixture
def prepared(make_raw, register, tmp_path):
    """Prepares planted data, 120 + 40 + 40 examples that are split as given."""

    def make(modality: Modality = Modality.image, **parts) -> Path:
        raw = make_raw(200, classes=2, split=SPLIT, **parts)
        split = SplitConfig(method=SplitMethod.given)
        out = tmp_path / "out"
        prepare(DataConfig(name="p", source=register(raw), modality=modality, split=split), out)
        return out

    return make


def finding(folder: Path, name: str, **levels: Check):
    report = check(folder, policy(**levels))
    return next(one for one in report.findings if one.check == name)


def images(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (200, 1, 4, 5)).astype(np.uint8)


def series() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(200, 2, 6)).astype(np.float32)


def test_sound_data_passes_every_check(prepared):
    report = check(prepared(), policy())
    assert [one.check for one in report.findings] == list(CHECKS)
    assert not report.failed
    assert not report.warnings


def test_the_policy_names_every_check():
    rules = {item.name for item in fields(QualityConfig) if isinstance(getattr(QualityConfig(), item.name), Check)}
    assert rules == set(CHECKS)


def test_exact_copies_are_found_and_named(prepared):
    x = images()
    x[130] = x[3]  # validation from train
    x[[170, 171]] = x[140]  # two of test from validation, which is thereby a copy itself
    found = finding(prepared(inputs={"x": x}), "exact_duplicates")
    assert found.value == pytest.approx(4 / 80)
    assert not found.passed
    assert "4 of 80" in found.message
    for name in ("id-130", "id-140", "id-170", "id-171"):
        assert name in found.message


def test_copies_within_a_split_are_no_leak(prepared):
    x = images()
    x[1] = x[0]
    assert finding(prepared(inputs={"x": x}), "exact_duplicates").value == 0


def test_padding_length_is_part_of_an_example(prepared):
    x = series()
    x[:, :, 4:] = 0
    x[130] = x[3]
    length = np.full(200, 4, np.int32)
    length[130] = 3
    folder = prepared(Modality.series, inputs={"x": x, "length": length})
    assert finding(folder, "exact_duplicates").value == 0


@pytest.mark.parametrize(("noise", "copies"), [(1e-3, 2), (0.03, 2), (0.3, 0)])
def test_near_copies_are_found_by_how_near_they_are(prepared, noise, copies):
    x = series()
    rng = np.random.default_rng(1)
    for copy, original in ((130, 3), (170, 4)):
        x[copy] = x[original] + noise * rng.normal(size=x[0].shape)
    folder = prepared(Modality.series, inputs={"x": x})
    assert finding(folder, "exact_duplicates").value == 0
    found = finding(folder, "near_duplicates")
    assert found.value == pytest.approx(copies / 80)
    assert ("id-130" in found.message) == (copies > 0)


def test_missing_values_of_the_worst_feature(prepared):
    x = series()
    x[:30, 1] = np.nan  # a quarter of train
    folder = prepared(Modality.series, inputs={"x": x})
    found = finding(folder, "missing_values")
    assert found.value == pytest.approx(0.25)
    assert found.message == "channel 1 has no known value in 25.0% of train"
    assert finding(folder, "missing_values", missing_values=Check(Level.fail, 0.25)).passed


def test_missing_values_of_a_table_name_the_column(prepared):
    rng = np.random.default_rng(0)
    numeric = rng.normal(size=(200, 2)).astype(np.float32)
    numeric[120:130, 1] = np.nan  # a quarter of validation
    categorical = rng.integers(1, 4, (200, 1)).astype(np.int32)
    categorical[120:140, 0] = 0  # half of it
    columns = [
        {"name": "height", "kind": "numeric", "categories": []},
        {"name": "town", "kind": "categorical", "categories": ["a", "b", "c"]},
        {"name": "weight", "kind": "numeric", "categories": []},
    ]
    inputs = {"numeric": numeric, "categorical": categorical}
    folder = prepared(Modality.table, inputs=inputs, columns=columns)
    assert finding(folder, "missing_values").message == "column 'town' has no known value in 50.0% of validation"


def test_class_imbalance_is_the_ratio_in_train(prepared):
    target = np.array(["class 0"] * 200, dtype="<U7")
    target[::5] = "class 1"
    found = finding(prepared(target=target), "class_imbalance")
    assert found.value == 4
    assert not found.passed
    assert found.message == "train holds 96 examples of 'class 0' and 24 of 'class 1'"


def test_classes_of_one_size_are_not_told_apart(prepared):
    found = finding(prepared(), "class_imbalance")
    assert (found.value, found.message) == (1, "train holds 60 examples of each class")


def test_constant_features_as_a_share(prepared):
    x = images()
    x[:120, 0, 0, :] = 9  # constant in train only
    found = finding(prepared(inputs={"x": x}), "constant_features")
    assert found.value == pytest.approx(5 / 20)
    assert "channel 0 row 0 column 4" in found.message


def test_a_feature_with_one_known_value_is_constant(prepared):
    numeric = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    numeric[:, 1] = np.where(np.arange(200) % 2, 5, np.nan)
    numeric[:, 2] = np.nan
    columns = [{"name": name, "kind": "numeric", "categories": []} for name in ("a", "b", "c")]
    folder = prepared(Modality.table, inputs={"numeric": numeric}, columns=columns)
    assert "2 of 3 features have one value in train: 'b', 'c'" in finding(folder, "constant_features").message


def test_too_few_examples_of_a_class(prepared):
    target = np.array([f"class {i % 2}" for i in range(200)], dtype="<U7")
    target[:120] = "class 0"
    target[:4] = "class 1"
    found = finding(prepared(target=target), "too_few_examples")
    assert found.value == 1
    assert "fewer than 5 examples in train: 'class 1 (4)'" in found.message


def rewrite(folder: Path, split: str, target: list[int]) -> None:
    """Puts other targets into a split, with a card that agrees with the file."""
    import pyarrow as pa

    path = folder / f"{split}.arrow"
    batch = pa.ipc.open_file(path.read_bytes()).get_batch(0)
    batch = batch.set_column(1, "target", pa.array(target, pa.int32()))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    card = Card.load(folder)
    card = replace(card, files=card.files | {path.name: hash_file(path)})
    replace(card, data_hash=card.compute_data_hash()).save(folder)


def test_labels_outside_the_classes(prepared):
    folder = prepared()
    rewrite(folder, "validation", [0, 1] * 18 + [2, 2, -1, 7])
    found = finding(folder, "label_range")
    assert found.value == 4
    assert found.message == "4 targets lie outside 0..1: '-1', '2', '7'"


def test_classes_absent_from_a_split(prepared):
    folder = prepared()
    rewrite(folder, "validation", [0] * 40)
    found = finding(folder, "missing_classes")
    assert (found.value, found.message) == (1, "absent: 'class 1' in validation")


def test_a_changed_file_fails_schema_and_ends_the_checks(prepared):
    folder = prepared()
    content = bytearray((folder / "train.arrow").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "train.arrow").write_bytes(content)
    report = check(folder, policy())
    assert [one.check for one in report.failed] == ["schema"]
    assert len(report.findings) == 1
    assert "SHA-256" in report.findings[0].message


def test_ids_in_two_splits_fail_schema(prepared):
    folder = prepared()
    (folder / "test.arrow").write_bytes((folder / "validation.arrow").read_bytes())
    card = Card.load(folder)
    card = replace(card, files=card.files | {"test.arrow": card.files["validation.arrow"]})
    replace(card, data_hash=card.compute_data_hash()).save(folder)
    assert "validation and test share the ids" in check(folder, policy()).failed[0].message


def test_unreadable_files_are_an_error_where_schema_is_off(prepared):
    folder = prepared()
    (folder / "train.arrow").write_bytes(b"no")
    with pytest.raises(CorruptFile):
        check(folder, policy(schema=Check(Level.off)))


def test_without_a_card_there_is_nothing_to_check(tmp_path):
    with pytest.raises(CardUnreadable):
        check(tmp_path, policy())


def test_levels_decide_what_a_violation_means(prepared):
    x = images()
    x[:, 0, 0, 0] = 0
    folder = prepared(inputs={"x": x})
    levels = (Level.fail, Level.warn, Level.off)
    fails, warns, off = (check(folder, policy(constant_features=Check(level))) for level in levels)
    assert [one.check for one in fails.failed] == ["constant_features"]
    assert not warns.failed
    assert [one.check for one in warns.warnings] == ["constant_features"]
    assert "constant_features" not in [one.check for one in off.findings]


def test_the_report_is_json(prepared):
    folder = prepared()
    content = json.loads(check(folder, policy()).to_json())
    assert content["passed"] is True
    assert content["data_hash"] == Card.load(folder).data_hash
    assert content["findings"][0].keys() == {"check", "level", "passed", "value", "limit", "message"}
    assert check(folder, policy()).to_json() == check(folder, policy()).to_json()


def brute_force(queries: Features, others: Features, categories: int) -> np.ndarray:
    def vectors(features: Features) -> np.ndarray:
        one_hot = np.eye(categories)[features.codes].reshape(len(features), -1)
        return np.concatenate([features.numbers, one_hot], axis=1)

    a, b = vectors(queries)[:, None], vectors(others)[None]
    distances = ((a - b) ** 2).sum(-1)
    return (1 - distances / ((a**2).sum(-1) + (b**2).sum(-1))).max(axis=1)


def test_similarity_equals_its_definition(monkeypatch):
    monkeypatch.setattr("heldout.data.similarity.BLOCK", 50)  # several blocks
    rng = np.random.default_rng(0)

    def features(n: int) -> Features:
        return Features(rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, 4, (n, 2)).astype(np.int32))

    queries, others = features(17), features(23)
    np.testing.assert_allclose(nearest_similarity(queries, others), brute_force(queries, others, 4), rtol=1e-5)


def test_two_examples_at_the_mean_are_copies():
    zero = Features(np.zeros((1, 3), np.float32), np.empty((1, 0), np.int32))
    assert nearest_similarity(zero, zero).tolist() == [1.0]


def test_fingerprints_differ_by_any_input():
    x = np.zeros((3, 2), np.float32)
    length = np.array([1, 1, 2], np.int32)
    first, second, third = fingerprints({"x": x, "length": length})
    assert first == second != third
