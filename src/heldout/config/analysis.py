"""Schema of the `analysis` group."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class AnalysisConfig:
    """How gaps are measured and when they earn which verdict."""

    # level of every confidence interval
    confidence: float = 0.95
    # resamples of the examples (and seeds) of each bootstrap
    bootstrap_samples: int = 1000
    # seed of the bootstrap
    seed: int = 0
    # metric in which the verdict is spoken; higher is better
    metric: str = "accuracy"
    # gap of the metric (train minus validation) from which a model overfits
    overfit_gap: float = 0.05
    # share by which validation loss must rise above its minimum for a late overfit
    overfit_loss_rise: float = 0.1
    # train score from which, with a validation score near chance, a model memorises
    memorising_train_score: float = 0.95
    # distance to chance (as a share of the way from chance to 1) below which validation counts as near chance
    memorising_validation_lift: float = 0.2
    # lift over the majority class on train below which a model underfits
    underfit_lift: float = 0.3
    # widest interval of the gap that still allows a verdict
    max_interval_width: float = 0.2
    # fewest validation examples for a verdict
    min_examples: int = 30
