"""How near translations come to those of people: chrF and BLEU as sacrebleu counts them, imported where it is used.

Post 2018 (arXiv 1804.08771): a figure of either means something only with its signature.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from heldout.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

# as sacrebleu names them, by the name of the measure
CORPUS = {"bleu": "BLEU", "corpus_chrf": "CHRF"}


class ScorerMissing(UserError):
    """The package by which translations are scored is not installed."""


def sentence_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """chrF (Popović 2015) of each translation alone, float64 [n], from 0, which shares nothing, to 1, the reference."""
    import numpy as np

    metric = _metric("CHRF")
    pairs = zip(hypotheses, references, strict=True)
    return np.array([min(1.0, metric.sentence_score(one, [other]).score / 100) for one, other in pairs])


def corpus_score(name: str, hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """`bleu` (Papineni et al. 2002) or `corpus_chrf` of all translations together, 0 to 100, as papers have them."""
    return float(_metric(CORPUS[name]).corpus_score(list(hypotheses), [list(references)]).score)


def resampled_scores(
    name: str, hypotheses: Sequence[str], references: Sequence[str], samples: int, rng: np.random.Generator
) -> np.ndarray:
    """The same of `samples` corpora whose sentences are drawn from these with replacement, float64 [samples].

    Koehn 2004 (EMNLP, Statistical Significance Tests for Machine Translation Evaluation). What is counted of a
    sentence is counted once.
    """
    import numpy as np

    metric = _metric(CORPUS[name])
    # the two steps of its corpus_score, which has no way in for samples
    counts = np.array(metric._extract_corpus_statistics(list(hypotheses), [list(references)]), dtype=np.int64)
    drawn = (rng.integers(0, len(counts), len(counts)) for _ in range(samples))
    sums = [counts[rows].sum(axis=0).tolist() for rows in drawn]
    return np.array([metric._compute_score_from_stats(of).score for of in sums])


def signatures() -> dict[str, str]:
    """What has to be said with a figure of each corpus score, so that others can count the same."""
    found = {}
    for name, kind in CORPUS.items():
        metric = _metric(kind)
        metric.corpus_score(["a"], [["a"]])
        found[name] = str(metric.get_signature())
    return found


def _metric(kind: str) -> Any:
    if find_spec("sacrebleu") is None:
        raise ScorerMissing(
            "translations are scored by the package sacrebleu; expected the extra `translation`: "
            "pip install 'heldout[translation]'."
        )
    from sacrebleu import metrics

    return getattr(metrics, kind)()
