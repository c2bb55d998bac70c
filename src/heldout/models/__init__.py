"""Models of all families: networks built from a config and a card, classical baselines beside them.

Importing this package imports neither torch nor scikit-learn; building or loading a model does.
"""

from heldout.models.registry import build, deep_families, register
from heldout.models.weights import load_weights, save_weights

__all__ = ["build", "deep_families", "load_weights", "register", "save_weights"]
