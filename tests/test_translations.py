"""How near translations come to given ones, against sacrebleu's own figures."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from heldout import translations
from heldout.predictions import Predictions
from heldout.scoring import scoring_of
from heldout.translations import ScorerMissing, corpus_score, resampled_scores, sentence_chrf, signatures

HYPOTHESES = ["Ouvrir le fichier de configuration", "Fermer", "Tout enregistrer maintenant, puis fermer la fenêtre", ""]
REFERENCES = ["Ouvrir un fichier de configuration", "Fermer", "Enregistrer tout, puis fermer cette fenêtre", "Rien"]


def test_a_sentence_alone_is_scored_from_nothing_to_the_reference() -> None:
    found = sentence_chrf(HYPOTHESES, REFERENCES)
    expected = [
        CHRF().sentence_score(one, [other]).score / 100 for one, other in zip(HYPOTHESES, REFERENCES, strict=True)
    ]
    np.testing.assert_allclose(found, expected)
    assert found[1] == 1
    assert found[3] == 0
    assert 0.3 < found[2] < found[0] < 1


def test_corpus_scores_are_those_of_sacrebleu_with_its_signature() -> None:
    bleu, chrf = BLEU(), CHRF()
    assert corpus_score("bleu", HYPOTHESES, REFERENCES) == bleu.corpus_score(HYPOTHESES, [REFERENCES]).score > 0
    assert corpus_score("corpus_chrf", HYPOTHESES, REFERENCES) == chrf.corpus_score(HYPOTHESES, [REFERENCES]).score
    assert signatures() == {"bleu": str(bleu.get_signature()), "corpus_chrf": str(chrf.get_signature())}
    assert "|version:" in signatures()["bleu"]


@pytest.mark.parametrize("name", ["bleu", "corpus_chrf"])
def test_resampled_scores_are_those_of_the_sentences_drawn(name: str) -> None:
    """Each as if the drawn sentences were a text of their own (seed 0)."""
    found = resampled_scores(name, HYPOTHESES, REFERENCES, 20, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    for value in found:
        rows = rng.integers(0, 4, 4)
        texts = [HYPOTHESES[row] for row in rows], [REFERENCES[row] for row in rows]
        assert value == pytest.approx(corpus_score(name, *texts))
    assert len(set(found.tolist())) > 5


def test_the_measures_of_a_translation() -> None:
    rows = Predictions(
        np.array(["a", "b", "c", "d"]),
        columns={
            "tokens": np.array([4.0, 2.0, 9.0, 1.0]),
            "loss": np.array([2.0, 1.0, 9.0, 4.0]),
            "chrf": sentence_chrf(HYPOTHESES, REFERENCES),
        },
        texts={"hypothesis": np.array(HYPOTHESES, object), "reference": np.array(REFERENCES, object)},
    )
    assert scoring_of("translation").of(rows) == pytest.approx(
        {
            "loss": 1.0,
            "perplexity": np.e,
            "chrf": sentence_chrf(HYPOTHESES, REFERENCES).mean(),
            "bleu": corpus_score("bleu", HYPOTHESES, REFERENCES),
            "corpus_chrf": corpus_score("corpus_chrf", HYPOTHESES, REFERENCES),
        }
    )


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        translations, "find_spec", lambda name: None if name == "sacrebleu" else importlib.util.find_spec(name)
    )
    with pytest.raises(ScorerMissing, match=r"pip install 'heldout\[translation\]'"):
        sentence_chrf(["a"], ["a"])
