"""The MNIST-1D reference figures against ours, over seeds.

    python pipelines/train.py experiment=mnist1d_paper hydra.sweep.dir=outputs/paper
    for run in outputs/paper/[0-9]*; do python pipelines/evaluate.py runs=$run; done
    python benchmarks/mnist1d_paper.py outputs/paper

Prints test accuracy: our mean over seeds, the interval that holds 95 % of single seeds (mean +- t x standard deviation
x sqrt(1 + 1/n)), and whether the published single-seed figure lies in it. Where the seed changes nothing, as in
logistic regression, the interval is Wilson's over the test examples.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path

from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from heldout.record import Record, find_records

# README of greydanus/mnist1d and the logs beside it, one seed each; forest and logistic: scikit-learn, same split
REFERENCE = {
    "cnn_paper": 92.3,
    "gru_paper": 89.1,
    "mlp_paper": 65.1,
    "logistic": 32.9,
    "random_forest_paper": 80.0,
}
CONFIDENCE = 0.95
TEST_EXAMPLES = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    scores: dict[str, list[float]] = {}
    for path in find_records(folder):
        info = Record.load(path).info
        if "test" in info:
            scores.setdefault(info["family"], []).append(100 * info["test"]["accuracy"])
    for family, reference in REFERENCE.items():
        print(line(family, scores.get(family, []), reference))


def line(family: str, values: list[float], reference: float) -> str:
    if len(values) < 2:
        return f"{family:20s} {len(values)} seeds; expected at least 2"
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * spread * math.sqrt(1 + 1 / len(values))
    lower, upper = mean - half, mean + half
    if spread == 0:
        lower, upper = (
            100 * side for side in proportion_confint(mean / 100 * TEST_EXAMPLES, TEST_EXAMPLES, method="wilson")
        )
    inside = lower <= reference <= upper
    return (
        f"{family:20s} {len(values)} seeds  mean {mean:5.1f}  interval {lower:5.1f} to {upper:5.1f}  "
        f"from {min(values):.1f} to {max(values):.1f}  reference {reference:5.1f}  {'inside' if inside else 'OUTSIDE'}"
    )


if __name__ == "__main__":
    main()
