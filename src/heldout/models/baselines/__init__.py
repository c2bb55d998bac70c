"""Classical baselines: scikit-learn models of flattened inputs, fitted, read and stored like each other."""

from heldout.models.baselines.baseline import Baseline, build, load

__all__ = ["Baseline", "build", "load"]
