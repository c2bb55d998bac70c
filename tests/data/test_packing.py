"""Texts to be continued: how they are found, and that their blocks hold each token of theirs once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import CorpusData, SplitConfig, SplitMethod, TokensConfig, Vocabulary
from heldout.config.errors import ConfigError
from heldout.data.errors import ColumnUnusable, DataError
from heldout.data.packing import NOTHING, encode_texts, next_tokens
from heldout.data.prepare import prepare
from heldout.data.sources import load_source
from heldout.data.store import read_split
from heldout.data.test_split import inputs_for_duplicate_check
from heldout.data.token_sums import TokenTable
from heldout.data.tokens import PADDING, SEPARATOR, load_tokenizer

BLOCK = 8
TEXTS = [f"Text  number {number}:\n\twith [SEP], ß and 🍞 {'again ' * (number % 5)}" for number in range(40)]


def corpus(path: Path, **settings) -> CorpusData:
    tokens = TokensConfig(kind=Vocabulary.bytes, vocabulary=280, lowercase=False, max_tokens=BLOCK)
    split = settings.pop("split", SplitConfig(method=SplitMethod.random))
    return CorpusData(name="corpus", path=str(path), tokens=tokens, split=split, **settings)


def inputs_of(out: Path, name: str) -> dict[str, np.ndarray]:
    return inputs_for_duplicate_check(out)[1] if name == "test" else read_split(out, name).inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "texts"
    (made / "deep").mkdir(parents=True)
    for number, text in enumerate([*TEXTS, TEXTS[3]]):
        place = made / "deep" if number % 2 else made
        (place / f"{number:02}.txt").write_text(text, encoding="utf-8")
    return made


def test_blocks_hold_every_token_of_every_text_once(folder: Path, tmp_path: Path) -> None:
    """Put together again, they are the very texts, to the last blank; the one that occurs twice is there once."""
    card = prepare(corpus(folder), tmp_path / "out")
    tokenizer = load_tokenizer(card.tokenizer)
    found: dict[str, list[str]] = {}
    for name in ("train", "validation", "test"):
        inputs = inputs_of(tmp_path / "out", name)
        tokens, length = inputs["tokens"], inputs["length"]
        assert tokens.shape[1] == BLOCK + 1
        targets = next_tokens(inputs)
        np.testing.assert_array_equal((targets != NOTHING).sum(axis=1), length - 1)
        # the first token of a block is the last that was predicted in the block before
        np.testing.assert_array_equal(tokens[1:, 0], targets[:-1, -1])
        stream = targets[targets != NOTHING]
        ends = np.flatnonzero(stream == SEPARATOR)
        assert ends[-1] == len(stream) - 1
        parts = np.split(stream, ends + 1)[:-1]
        found[name] = [tokenizer.decode(part[:-1].tolist()) for part in parts]
        measured = TokenTable.of(card).sums(targets)
        assert measured["tokens"].sum() == len(stream)
        assert measured["bytes"].sum() == sum(len(text.encode()) for text in found[name])
    assert sorted(text for texts in found.values() for text in texts) == sorted(TEXTS)
    assert card.counts["train"] > card.counts["test"] > 0


def test_of_a_few_long_texts_a_limit_keeps_so_many_blocks(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(10):
        text = f"{number} " + "so it goes on and on " * 20
        (tmp_path / "texts" / f"{number}.txt").write_text(text, encoding="utf-8")
    split = SplitConfig(method=SplitMethod.random, validation=0.2, test=0.2)
    whole = prepare(corpus(tmp_path / "texts", split=split), tmp_path / "whole")
    limited = prepare(corpus(tmp_path / "texts", split=split, limit=20), tmp_path / "out")
    assert min(whole.counts.values()) > 12
    assert limited.counts == {"train": 12, "validation": 4, "test": 4}
    assert len(np.unique(read_split(tmp_path / "out", "train").ids)) == 12


def test_an_id_says_in_which_text_a_block_begins(folder: Path, tmp_path: Path) -> None:
    card = prepare(corpus(folder), tmp_path / "out")
    split = read_split(tmp_path / "out", "train")
    tokenizer = load_tokenizer(card.tokenizer)
    for name, row in zip(split.ids.tolist()[:20], split.inputs["tokens"], strict=False):
        text, place = name.rsplit("@", 1)
        whole = [SEPARATOR, *tokenizer.encode((folder / text).read_text(encoding="utf-8")).ids]
        end = whole[int(place) :][: len(row)]
        assert row[: len(end)].tolist() == end


def test_the_tokenizer_has_seen_train_alone(tmp_path: Path) -> None:
    for part, word in (("train", "apple"), ("validation", "zzzzqq"), ("test", "yyyyxx")):
        (tmp_path / "in" / part).mkdir(parents=True)
        for number in range(4):
            text = f"{word} {word} {word} {number}"
            (tmp_path / "in" / part / f"{number}.txt").write_text(text, encoding="utf-8")
    card = prepare(corpus(tmp_path / "in", split=SplitConfig(method=SplitMethod.given)), tmp_path / "out")
    known = json.loads(card.tokenizer)["model"]["vocab"]
    assert "apple" in known
    assert not [token for token in known if "zz" in token or "yy" in token]


def test_a_file_has_a_text_a_paragraph(tmp_path: Path) -> None:
    file = tmp_path / "book.txt"
    file.write_text("\n\nOne\nand its second line.\n \nTwo.\n\n\n", encoding="utf-8")
    raw = load_source(corpus(file))
    assert raw.texts is not None
    assert raw.texts.tolist() == ["One\nand its second line.", "Two."]
    assert raw.ids.tolist() == ["paragraph-1", "paragraph-2"]


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("First.\n\nSecond.\n", encoding="utf-8-sig")
    for path in (file, tmp_path):
        assert load_source(corpus(path)).texts[0].startswith("First.")


def test_a_csv_has_a_text_a_row(tmp_path: Path) -> None:
    file = tmp_path / "notes.csv"
    file.write_text('note,said\nn-1,"One, two."\nn-2,Three.\n', encoding="utf-8")
    raw = load_source(corpus(file, text="said", id="note"))
    assert raw.texts is not None
    assert dict(zip(raw.ids.tolist(), raw.texts.tolist(), strict=True)) == {"n-1": "One, two.", "n-2": "Three."}


def test_a_text_to_be_measured_is_one_block(folder: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(prepare(corpus(folder), tmp_path / "out").tokenizer)
    inputs = encode_texts(tokenizer, ["ab", "a long one, of many more tokens than a block holds", ""], BLOCK)
    assert inputs["length"].tolist() == [1 + len(tokenizer.encode("ab").ids) + 1, BLOCK + 1, 2]
    assert inputs["tokens"][0, inputs["length"][0] - 1] == SEPARATOR
    assert set(inputs["tokens"][0, inputs["length"][0] :].tolist()) == {PADDING}
    assert inputs["tokens"][2, :2].tolist() == [SEPARATOR, SEPARATOR]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.txt": "fine", "b.txt": " \n "}, r"1 of 2 texts of .* are empty: 'b\.txt'"),
        ({"a.txt": "Käse".encode("latin-1")}, r"a\.txt: no text in data\.encoding=utf-8"),
        ({"a.md": "fine"}, r"holds no file that ends in \.txt"),
    ],
)
def test_texts_that_cannot_be_learned_from_are_named(tmp_path: Path, files: dict, message: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        load_source(corpus(tmp_path))


def test_a_folder_that_is_no_split_is_refused(folder: Path) -> None:
    with pytest.raises(ColumnUnusable, match="expected only the folders train, validation, test"):
        load_source(corpus(folder, split=SplitConfig(method=SplitMethod.given)))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.tokens.kind=words"], r"these cannot write every text\. Expected data\.tokens\.kind=bytes"),
        (["data.tokens.vocabulary=100"], "expected 259 or more"),
        (["data.path=nowhere"], "there is no such folder or file; expected a folder of .txt files"),
    ],
)
def test_what_no_language_model_can_read_is_said_at_once(folder: Path, overrides: list[str], message: str) -> None:
    with hydra_session(), pytest.raises(ConfigError, match=message):
        to_stage(compose_stage("prepare", ["data=corpus", f"data.path={folder}", *overrides]))


def test_a_column_that_the_file_lacks_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "notes.csv"
    file.write_text("said\nOne.\n", encoding="utf-8")
    with hydra_session(), pytest.raises(ConfigError, match=r"data\.text=text"):
        to_stage(compose_stage("prepare", ["data=corpus", f"data.path={file}"]))
