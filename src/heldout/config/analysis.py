"""Schema of the `analysis` group."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class AnalysisConfig:
    """How gaps are measured and when they earn which verdict; formulas: docs/explanation/verdicts.md."""

    # level of every confidence interval, and one minus the level of the test for an onset
    confidence: float = 0.95
    # resamples of the examples (and seeds) of each bootstrap
    bootstrap_samples: int = 1000
    # seed of the bootstrap; the same seed and records give the same files
    seed: int = 0

    # accuracy gap (train minus validation) from which a model overfits
    overfit_gap: float = 0.05
    # share by which validation loss must stand above its lowest level for the kept epoch to be overfit by
    # its loss
    overfit_loss_rise: float = 0.1
    # widest interval of the gap that, when it straddles overfit_gap, is still decided by its middle
    max_interval_width: float = 0.1
    # fewest validation examples for a verdict
    min_examples: int = 30

    # train accuracy from which, with validation near chance, a model memorises
    memorising_train_score: float = 0.95
    # validation counts as near chance up to this share of the way from chance to 1
    memorising_validation_lift: float = 0.2
    # a model underfits when train covers less than this share of the way from chance to 1
    underfit_lift: float = 0.3

    # of what draws images: share that is copied from train, beyond chance, from which it overfits
    overfit_copied: float = 0.1
    # widest interval of that share that, when it straddles overfit_copied, does not leave the question open
    max_copied_width: float = 0.4
    # it underfits when its images cover less than this share of what as many images of train cover
    underfit_recall: float = 0.5

    # width of the running median that smooths a loss curve, as a share of its epochs
    onset_smoothing: float = 0.1
    # fewest epochs in which an onset is looked for
    onset_min_epochs: int = 8

    # most over least frequent class of validation from which scores that weigh all classes alike are shown
    imbalance: float = 2.0

    # equal-width bins of confidence for the expected calibration error
    calibration_bins: int = 15
