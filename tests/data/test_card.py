"""The card: round trip, refusal of what is no card, notice of changed files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from heldout.data.card import Card
from heldout.data.errors import CardMismatch, CardUnreadable


def test_what_is_saved_is_loaded(prepared_table):
    folder, card = prepared_table
    assert Card.load(folder) == card
    card.verify(folder)


def test_columns_by_kind_and_input_shape(prepared_table):
    _, card = prepared_table
    assert [column["name"] for column in card.numeric_columns] == ["age", "income"]
    assert [column["name"] for column in card.categorical_columns] == ["city"]
    with pytest.raises(CardMismatch, match="is a table"):
        _ = card.input_shape
    image = replace(card, inputs={"x": {"dtype": "uint8", "shape": [1, 8, 8]}})
    assert image.input_shape == (1, 8, 8)


def test_without_a_card_the_prepare_stage_is_named(tmp_path):
    with pytest.raises(CardUnreadable, match="Run the prepare stage first"):
        Card.load(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe{}"])
def test_a_card_that_is_no_json_is_refused(prepared_table, content):
    folder, _ = prepared_table
    (folder / "card.json").write_bytes(content)
    with pytest.raises(CardUnreadable, match="not valid JSON"):
        Card.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda card: card.pop("classes"), r"missing: \['classes'\]"),
        (lambda card: card.update(extra=1), r"unknown: \['extra'\]"),
        (lambda card: card["counts"].pop("test"), "'counts' needs exactly the keys"),
        (lambda card: card.update(class_counts=[1]), "'class_counts' needs exactly the keys"),
        (lambda card: card.update(inputs={"x": [1, 2]}), "'inputs' needs an object"),
    ],
)
def test_fields_that_are_not_those_of_a_card_are_named(prepared_table, change, message):
    folder, _ = prepared_table
    content = json.loads((folder / "card.json").read_text())
    change(content)
    (folder / "card.json").write_text(json.dumps(content))
    with pytest.raises(CardUnreadable, match=message):
        Card.load(folder)


def test_a_list_is_no_card(tmp_path):
    (tmp_path / "card.json").write_text("[]")
    with pytest.raises(CardUnreadable, match="expected an object, got list"):
        Card.load(tmp_path)


def test_one_changed_byte_of_a_file_is_noticed(prepared_table):
    folder, card = prepared_table
    path = folder / "test.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CardMismatch, match=r"test\.arrow has SHA-256"):
        card.verify(folder)


def test_an_absent_file_is_noticed(prepared_table):
    folder, card = prepared_table
    (folder / "train.arrow").unlink()
    with pytest.raises(CardMismatch, match=r"train\.arrow.*absent"):
        card.verify(folder)


def test_a_card_with_changed_meaning_is_noticed(prepared_table):
    folder, card = prepared_table
    with pytest.raises(CardMismatch, match="data_hash does not follow"):
        replace(card, classes=["yes", "no"]).verify(folder)


def test_the_data_hash_ignores_names_but_not_meaning(prepared_table):
    _, card = prepared_table
    assert replace(card, name="other", license="MIT").compute_data_hash() == card.data_hash
    assert replace(card, statistics={}).compute_data_hash() != card.data_hash
