"""Fitted scikit-learn models as files from which only types on a list are ever constructed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from heldout.models.errors import UnreadableModelFile
from heldout.models.files import replaced

# beyond what skops trusts by itself. Trees are checked after loading. The function and its partial are what gradient
# boosting puts before its categories; a partial of any other function is refused with that function.
TRUSTED = (
    "functools.partial",
    "heldout.models.baselines.dense_tfidf.DenseTfidf",
    "heldout.models.baselines.forecasts.LastValue",
    "heldout.models.baselines.forecasts.PastMeans",
    "heldout.models.baselines.memory.CopySource",
    "heldout.models.baselines.memory.TranslationMemory",
    "heldout.models.baselines.generators.GaussianMixture",
    "heldout.models.baselines.generators.IndependentPixels",
    "heldout.models.baselines.generators.KernelDensity",
    "heldout.models.baselines.ngram.NGram",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils.validation.check_array",
)
_KEYS = {"estimator", "features", "classes"}
# walks all of scikit-learn when imported, this module of it too, which imports torch: seconds, for nothing
_TORCH_SHIM = "sklearn.externals.array_api_compat.torch"


def write(content: dict[str, Any], path: Path) -> None:
    """Write a fitted model to `path`."""
    with _quick_import():
        from skops.io import dump
    with replaced(path) as temporary:
        dump(content, temporary)


def read(path: Path) -> dict[str, Any]:
    """Read what `write` wrote; raises UnreadableModelFile."""
    with _quick_import():
        from skops.io import load
        from skops.io.exceptions import UntrustedTypesFoundException
    try:
        content = load(path, trusted=list(TRUSTED))
    except FileNotFoundError:
        raise UnreadableModelFile(f"{path}: no such file; expected a fitted baseline") from None
    except UntrustedTypesFoundException as error:
        first = str(error).split("\n", maxsplit=1)[0]
        raise UnreadableModelFile(
            f"{path}: refused, because a baseline has no such content. {first} Fit the baseline again"
        ) from None
    except (BadZipFile, OSError, KeyError, ValueError, TypeError, AttributeError, ImportError) as error:
        raise UnreadableModelFile(
            f"{path}: not a readable skops file ({error}); fit the baseline again or restore it"
        ) from None
    if not isinstance(content, dict) or content.keys() != _KEYS:
        raise UnreadableModelFile(f"{path}: a skops file, but not of a baseline; fit the baseline again")
    estimator = content["estimator"]
    if not all(tree.is_sound(estimator.n_features_in_) for tree in _trees(estimator)):
        raise UnreadableModelFile(
            f"{path}: damaged, its trees point outside of themselves; fit the baseline again or restore it"
        )
    return content


@contextmanager
def _quick_import() -> Iterator[None]:
    """Import skops without importing torch on the way; does nothing when either is imported already."""
    if "skops.io" in sys.modules or _TORCH_SHIM in sys.modules:
        yield
        return
    sys.modules[_TORCH_SHIM] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_TORCH_SHIM]


class _Tree(NamedTuple):
    """The indices that scikit-learn follows unchecked when a tree predicts: one value a node."""

    is_leaf: np.ndarray
    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    # sets of categories: which of the tree's a node uses, and how many there are
    category_set: np.ndarray
    category_sets: int

    def is_sound(self, features: int) -> bool:
        """Whether every walk stays inside; children come after their parent, so every walk ends."""
        index = np.flatnonzero(~self.is_leaf)
        children = np.stack([self.left[index], self.right[index]]).astype(np.int64)
        inside = (children > index) & (children < len(self.is_leaf))
        feature = self.feature[index]
        known = (feature >= 0) & (feature < features)
        return bool(inside.all() and known.all() and (self.category_set < self.category_sets).all())


def _trees(estimator: Any) -> Iterator[_Tree]:
    """Every tree of a forest or of a boosted ensemble."""
    for member in getattr(estimator, "estimators_", ()):
        tree = member.tree_
        leaf = tree.children_left == -1
        yield _Tree(leaf, tree.children_left, tree.children_right, tree.feature, np.empty(0), 0)
    for predictor in (p for iteration in getattr(estimator, "_predictors", ()) for p in iteration):
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        used = nodes["bitset_idx"][~leaf & nodes["is_categorical"].astype(bool)]
        sets = len(predictor.raw_left_cat_bitsets)
        yield _Tree(leaf, nodes["left"], nodes["right"], nodes["feature_idx"], used, sets)
