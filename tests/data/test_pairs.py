"""Texts and their translations: how they are found, split, written as tokens, checked and dealt into batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import (
    Check,
    Level,
    PairsData,
    QualityConfig,
    SplitConfig,
    SplitMethod,
    TokensConfig,
    TransDeEnData,
    Unreadable,
    Vocabulary,
)
from heldout.config.errors import ConfigError
from heldout.data import tokens
from heldout.data.card import Card
from heldout.data.errors import ColumnUnusable, DataError, FileUnreadable, PackageMissing
from heldout.data.packing import NOTHING, next_tokens
from heldout.data.pair_batches import PairBatches
from heldout.data.pairs import alike, encode_sources, side_texts
from heldout.data.prepare import prepare
from heldout.data.quality import check
from heldout.data.shard import Shard
from heldout.data.sources import jupyterlab_fr, load_source, user_files_hash
from heldout.data.sources.jupyterlab_fr import messages
from heldout.data.sources.trans_de_en import entries
from heldout.data.store import read_split
from heldout.data.test_split import inputs_for_duplicate_check
from heldout.data.tokens import PADDING, SEPARATOR, load_tokenizer

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NOMBRES = ("un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf")
# five ways to write each of 36 texts, ß and [SEP] among them
PAIRS = [
    (f"{mark}{NUMBERS[one]} and {NUMBERS[other]}{end} ß", f"{mark}{NOMBRES[one]} et {NOMBRES[other]}{end} [SEP]")
    for one in range(9)
    for other in range(one)
    for mark, end in (("", ""), ("- ", "!"), ("", " ..."), ("«", "»"), ("", "?"))
]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A tab-separated file of pairs, below a header."""

    def make(pairs: list[tuple[str, ...]] = PAIRS, header: str = "source\ttranslation") -> Path:
        path = tmp_path / "pairs.tsv"
        path.write_text("\n".join([header, *("\t".join(pair) for pair in pairs)]) + "\n", encoding="utf-8")
        return path

    return make


def data(path: Path | str, **settings) -> PairsData:
    most = settings.pop("max_tokens", 24)
    tokens = TokensConfig(kind=Vocabulary.bytes, vocabulary=300, lowercase=False, max_tokens=most)
    split = settings.pop("split", SplitConfig(method=SplitMethod.grouped))
    separator = settings.pop("separator", "\t")
    return PairsData(name="pairs", path=str(path), separator=separator, tokens=tokens, split=split, **settings)


def sides(out: Path, name: str) -> list[tuple[str, str]]:
    inputs = inputs_for_duplicate_check(out)[1] if name == "test" else read_split(out, name).inputs
    return list(zip(*side_texts(inputs, load_tokenizer(Card.load(out).tokenizer)), strict=True))


def test_every_pair_is_written_in_tokens_that_give_it_back(write: Write, tmp_path: Path) -> None:
    card = prepare(data(write([*PAIRS, PAIRS[3]])), tmp_path / "out")
    found = [pair for name in ("train", "validation", "test") for pair in sides(tmp_path / "out", name)]
    assert sorted(found) == sorted(PAIRS), "the pair that occurs twice is there once"
    assert card.task == "translation"
    assert sum(card.counts.values()) == len(PAIRS)
    split = read_split(tmp_path / "out", "train")
    target = next_tokens(split.inputs)
    np.testing.assert_array_equal((target != NOTHING).sum(axis=1), split.target)
    ends = [row[row != NOTHING][-1] for row in target]
    assert set(ends) == {SEPARATOR}
    assert set(split.inputs["translation"][:, 0]) == {SEPARATOR}


def test_texts_that_are_alike_stand_in_one_split(write: Write, tmp_path: Path) -> None:
    prepare(data(write()), tmp_path / "out")
    by_split = [{alike(text) for text, _ in sides(tmp_path / "out", name)} for name in ("train", "validation", "test")]
    assert all(len(one) >= 5 for one in by_split)
    assert len(set.union(*by_split)) == sum(map(len, by_split)) == 36
    report = check(tmp_path / "out", QualityConfig())
    assert {one.check: one.value for one in report.findings}["exact_duplicates"] == 0


@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        ("Save file", "save  FILE…", True),
        ("&Open: %1", "Open %2", True),
        ("Line 12 of 300", "line 7 of 8", True),
        ("Save file", "Save files", False),
        ("→", "←", False),
    ],
)
def test_what_makes_texts_alike(one: str, other: str, are_alike: bool) -> None:
    assert (alike(one) == alike(other)) is are_alike


def test_the_vocabulary_knows_both_sides_of_train_and_nothing_else(write: Write, tmp_path: Path) -> None:
    rows = [
        (f"{word} {word} {n}", f"{other} {other} {n}", part)
        for part, word, other in (
            ("train", "apple", "pomme"),
            ("validation", "zzzzqq", "qqqqzz"),
            ("test", "yyyyxx", "xxxxyy"),
        )
        for n in ("ab", "cd", "ef", "gh")
    ]
    split = SplitConfig(method=SplitMethod.given, column="part")
    card = prepare(data(write(rows, "source\ttranslation\tpart"), split=split), tmp_path / "out")
    known = json.loads(card.tokenizer)["model"]["vocab"]
    assert {"apple", "pomme"} <= known.keys()
    assert not [token for token in known if {"zz", "qq", "yy", "xx"} & {token[i : i + 2] for i in range(len(token))}]


def test_a_pair_with_a_long_side_is_counted_and_not_cut(write: Write, tmp_path: Path) -> None:
    long = [(f"{word} so that " + "very " * 30 + "long", "court") for word in NUMBERS]
    card = prepare(data(write([*PAIRS, *long])), tmp_path / "out")
    assert sum(card.too_long.values()) == len(long)
    assert sum(card.counts.values()) == len(PAIRS)
    found = [pair for name in ("train", "validation", "test") for pair in sides(tmp_path / "out", name)]
    assert sorted(found) == sorted(PAIRS)
    findings = {one.check: one for one in check(tmp_path / "out", QualityConfig()).findings}
    lost, kept = card.too_long["train"], card.counts["train"]
    assert findings["cut_texts"].value == pytest.approx(lost / (lost + kept))


def test_without_tokenizers_the_extra_that_brings_all_is_named(write: Write, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tokens, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"pip install 'heldout\[translation\]'"):
        prepare(data(write()), tmp_path / "out")


def test_a_length_that_leaves_nothing_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.tokens\.max_tokens=1 leaves no pair in the train split"):
        prepare(data(write(), max_tokens=1), tmp_path / "out")


def test_lines_of_two_files_belong_together(tmp_path: Path) -> None:
    for name, side in zip(("a.en", "a.fr"), zip(*PAIRS, strict=True), strict=True):
        (tmp_path / name).write_text("\n".join(side) + "\n", encoding="utf-8")
    config = data(tmp_path / "a.en", translation_path=str(tmp_path / "a.fr"))
    raw = load_source(config)
    assert raw.texts is not None
    assert raw.translations is not None
    assert list(zip(raw.texts, raw.translations, strict=True)) == PAIRS
    assert raw.ids[:2].tolist() == ["line-1", "line-2"]
    before = user_files_hash(config)
    (tmp_path / "a.fr").write_text("un\n", encoding="utf-8")
    assert user_files_hash(config) != before
    with pytest.raises(FileUnreadable, match=r"a\.en has 180 lines, data\.translation_path=.* has 1; expected as many"):
        load_source(config)


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    for name, text in (("a.en", "one\ntwo\n"), ("a.fr", "un\ndeux\n")):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
    raw = load_source(data(tmp_path / "a.en", translation_path=str(tmp_path / "a.fr")))
    assert (raw.texts[0], raw.translations[0]) == ("one", "un")


@pytest.mark.parametrize("empty", [("", "rien"), ("nothing", ""), ("...", "rien")])
def test_an_empty_side_is_named_or_left_out(write: Write, empty: tuple[str, str]) -> None:
    path = write([*PAIRS, empty])
    with pytest.raises(ColumnUnusable, match=r"1 of 181 pairs of .* have an empty side: 'row-181'"):
        load_source(data(path))
    assert len(load_source(data(path, empty=Unreadable.skip))) == len(PAIRS)


def test_a_column_may_hold_other_groups(write: Write, tmp_path: Path) -> None:
    rows = [(*pair, f"d-{number % 10}", f"p-{number}") for number, pair in enumerate(PAIRS)]
    split = SplitConfig(method=SplitMethod.grouped, column="document")
    path = write(rows, "source\ttranslation\tdocument\tname")
    prepare(data(path, split=split, id="name"), tmp_path / "out")
    documents = [
        {int(name.removeprefix("p-")) % 10 for name in read_split(tmp_path / "out", part).ids}
        for part in ("train", "validation")
    ]
    assert not documents[0] & documents[1]
    # texts that are alike are then on both sides, which the policy sees
    planted = [(*PAIRS[0], "d-1", "x"), (*PAIRS[0][:1], "autre", "d-2", "y"), (*PAIRS[0][:1], "encore", "d-3", "z")]
    given = [(*row[:2], part, row[3]) for row, part in zip(planted, ("train", "validation", "test"), strict=True)]
    more = [(*pair, "train", f"q-{number}") for number, pair in enumerate(PAIRS[5:])]
    path = write([*given, *more], "source\ttranslation\tpart\tname")
    prepare(data(path, split=SplitConfig(method=SplitMethod.given, column="part"), id="name"), tmp_path / "given")
    report = check(tmp_path / "given", QualityConfig())
    (copies,) = [one for one in report.failed if one.check == "exact_duplicates"]
    assert copies.value == 1
    assert "'y'" in copies.message


def test_untranslated_pairs_and_unequal_sides_are_found(write: Write, tmp_path: Path) -> None:
    same = [(f"{word} only", f"{word} only") for word in NUMBERS]
    odd = [(f"{word} " + "short", f"{word} " + "très " * 12 + "long") for word in NUMBERS]
    prepare(data(write([*PAIRS, *same, *odd]), max_tokens=48), tmp_path / "out")
    policy = replace(QualityConfig(), untranslated=Check(Level.warn, 0.0), unequal_sides=Check(Level.warn, 0.0))
    findings = {one.check: one for one in check(tmp_path / "out", policy).findings}
    pairs = [pair for name in ("train", "validation") for pair in sides(tmp_path / "out", name)]
    assert findings["untranslated"].value == pytest.approx(sum(one == other for one, other in pairs) / len(pairs))
    assert findings["untranslated"].value > 0
    assert findings["unequal_sides"].value == pytest.approx(sum("très" in other for _, other in pairs) / len(pairs))
    assert findings["unequal_sides"].value > 0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.split.method=random"], "the same text could stand in two splits. Expected grouped"),
        (["data.tokens.kind=subwords"], "cannot write every text"),
        (["data.translation=french"], "data.translation=french: there is no such column"),
        (["data.translation_path=nowhere"], "data.translation_path=nowhere: there is no such file; expected a csv"),
        (["data.translation_path={path}", "data.id=n"], "two files of lines have no columns"),
    ],
)
def test_what_does_not_go_together_is_said_at_once(write: Write, overrides: list[str], message: str) -> None:
    path = write()
    given = [one.format(path=path) for one in overrides]
    with hydra_session(), pytest.raises(ConfigError, match=message):
        to_stage(compose_stage("prepare", ["data=pairs", f"data.path={path}", "data.separator='\t'", *given]))


def test_a_text_to_be_translated_is_read_as_far_as_it_fits(write: Write, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(prepare(data(write()), tmp_path / "out").tokenizer)
    inputs = encode_sources(tokenizer, ["one", "one and " * 40], 10)
    assert inputs["source"].shape == (2, 11)
    assert inputs["source_length"].tolist() == [1 + len(tokenizer.encode("one").ids), 11]
    assert inputs["source"][1, -1] == SEPARATOR
    assert set(inputs["source"][0, inputs["source_length"][0] :].tolist()) == {PADDING}


class TestBatches:
    """Pairs of 1 to 20 tokens (seed 0)."""

    @pytest.fixture
    def inputs(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(0)
        length = rng.integers(1, 21, 500)
        source = np.zeros((500, 21), np.int32)
        translation = np.zeros((500, 22), np.int32)
        for row, size in enumerate(length):
            source[row, : size + 1] = SEPARATOR
            translation[row, : size + 2] = SEPARATOR
        lengths = {"source_length": (length + 1).astype(np.int32), "translation_length": (length + 2).astype(np.int32)}
        return {"source": source, "translation": translation, **lengths}

    def batches(self, inputs: dict[str, np.ndarray], shuffle: bool, shard: Shard | None = None) -> PairBatches:
        return PairBatches(inputs, next_tokens(inputs), 16, shuffle=shuffle, seed=3, shard=shard)

    @pytest.mark.parametrize("shuffle", [True, False])
    def test_an_epoch_has_every_pair_once_and_little_padding(self, inputs, shuffle: bool) -> None:
        made = list(self.batches(inputs, shuffle))
        assert len(made) == 32
        assert sorted(torch.cat([batch["index"] for batch in made]).tolist()) == list(range(500))
        given = [batch["inputs"] for batch in made]
        for batch in given:
            assert batch["source"].shape[1] == batch["source_length"].max()
            assert batch["translation"].shape[1] == batch["translation_length"].max()
        places = sum(batch["source"].numel() for batch in given)
        there = sum(int(batch["source_length"].sum()) for batch in given)
        assert there / places > 0.9 > inputs["source_length"].sum() / inputs["source"].size

    def test_targets_go_with_their_pairs(self, inputs) -> None:
        expected = next_tokens(inputs)
        for batch in self.batches(inputs, shuffle=True):
            target = batch["target"]
            np.testing.assert_array_equal(target, expected[batch["index"]][:, : target.shape[1]])
            assert (expected[batch["index"]][:, target.shape[1] :] == NOTHING).all()
            np.testing.assert_array_equal(batch["inputs"]["source_length"], inputs["source_length"][batch["index"]])

    def test_the_order_is_that_of_seed_and_epoch(self, inputs) -> None:
        one, other = self.batches(inputs, True), self.batches(inputs, True)
        first = [batch["index"].tolist() for batch in one]
        assert first == [batch["index"].tolist() for batch in other]
        other.set_epoch(1)
        assert first != [batch["index"].tolist() for batch in other]
        # batches do not come by length
        assert [len(batch) for batch in first].index(4) == 31
        longest = [int(batch["inputs"]["source_length"].max()) for batch in one]
        assert longest != sorted(longest)

    def test_workers_share_each_batch(self, inputs) -> None:
        whole = [batch["index"].tolist() for batch in self.batches(inputs, True)]
        shares = [[b["index"].tolist() for b in self.batches(inputs, True, Shard(rank, 2, 16))] for rank in (0, 1)]
        assert [one + other for one, other in zip(*shares, strict=True)] == whole


def test_messages_of_a_catalogue(tmp_path: Path) -> None:
    """As gettext's own tools write them: a context, a number, marks of keys, an empty one with facts."""
    pairs = {
        "": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n > 1);\n",
        "&File": "&Fichier",
        "menu\x04Find  & Replace": "Rechercher & remplacer",
        "Move cell\x00Move %1 cells": "Déplacer la cellule\x00Déplacer %1 cellules",
    }
    (tmp_path / "x.mo").write_bytes(catalogue(pairs))
    assert list(messages(tmp_path / "x.mo")) == [
        ("File", "Fichier"),
        ("Move cell", "Déplacer la cellule"),
        ("Find & Replace", "Rechercher & remplacer"),
    ]


def catalogue(pairs: dict[str, str]) -> bytes:
    """GNU gettext manual, section 11.3 (The Format of GNU MO Files)."""
    keys = sorted(pairs)
    texts = [text.encode() for text in (*keys, *(pairs[key] for key in keys))]
    begin = 28 + 8 * len(texts)
    offsets = np.cumsum([begin, *(len(text) + 1 for text in texts)])[:-1]
    table = [number for text, offset in zip(texts, offsets, strict=True) for number in (len(text), offset)]
    head = [0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, begin]
    return np.array([*head, *table], "<u4").tobytes() + b"".join(text + b"\0" for text in texts)


def test_a_missing_language_pack_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jupyterlab_fr, "PACKAGE", "no-such-language-pack")
    with pytest.raises(PackageMissing, match=r"no-such-language-pack; expected the extra `translation`"):
        jupyterlab_fr.catalogues()


DICTIONARY = """# Version :: devel
Aal {m} (Fisch) [zool.] | Aale {pl} :: eel | eels
Das ist doch klar! [ugs.] | Er kam nicht. :: That goes without saying! | He did not come.
Er ging, ohne ein Wort zu sagen. :: He left | without a word.
Wie geht es dir? :: How are you?
kein Strich
"""


def test_a_line_of_the_dictionary_has_parts_that_belong_together() -> None:
    assert list(entries(DICTIONARY)) == [
        ("line-2-1", "Aal", "eel"),
        ("line-2-2", "Aale", "eels"),
        ("line-3-1", "Das ist doch klar!", "That goes without saying!"),
        ("line-3-2", "Er kam nicht.", "He did not come."),
        ("line-5-1", "Wie geht es dir?", "How are you?"),
    ]


def test_of_the_dictionary_sentences_are_taken_or_all(tmp_path: Path) -> None:
    file = tmp_path / "de-en"
    file.write_text(DICTIONARY, encoding="utf-8")
    config = TransDeEnData(name="trans_de_en", path=str(file))
    assert load_source(config).ids.tolist() == ["line-3-1", "line-3-2", "line-5-1"]
    assert len(load_source(replace(config, sentences=False))) == 5
    with pytest.raises(PackageMissing, match=r"the Debian package trans-de-en. Install it with: apt-get install"):
        load_source(replace(config, path=str(tmp_path / "nowhere")))
