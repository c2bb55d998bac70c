"""The figures of Fawaz et al. 2019 for three sets of the UCR archive against ours, over seeds.

    python pipelines/train.py experiment=ucr_mlp hydra.sweep.dir=outputs/ucr_mlp
    python pipelines/train.py experiment=ucr_resnet hydra.sweep.dir=outputs/ucr_resnet
    for run in outputs/ucr_*/[0-9]; do python pipelines/evaluate.py runs=$run; done
    python benchmarks/ucr_archive.py outputs/ucr_mlp outputs/ucr_resnet

Prints test accuracy: our mean over seeds, the interval that holds 95 % of single seeds (mean +- t x standard deviation
x sqrt(1 + 1/n); where the seeds agree to a test example, Wilson's over the test examples), and whether the published
mean of ten runs lies in it.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path

from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from heldout.record import Record, find_records

# test accuracy in percent, mean of ten runs: github.com/hfawaz/dl-4-tsc, results of the UCR and the MTS archive
REFERENCE = {
    ("gunpoint", "ucr_mlp"): 92.7,
    ("gunpoint", "ucr_resnet"): 99.1,
    ("italy_power_demand", "ucr_mlp"): 95.4,
    ("italy_power_demand", "ucr_resnet"): 96.3,
    ("japanese_vowels", "ucr_mlp"): 97.6,
    ("japanese_vowels", "ucr_resnet"): 99.2,
}
CONFIDENCE = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    infos = [Record.load(path).info for folder in parser.parse_args().folders for path in find_records(folder)]
    for (data, family), reference in REFERENCE.items():
        runs = [info for info in infos if (info["data"], info["family"]) == (data, family) and "test" in info]
        print(f"{data:20s} {family:12s} {line(runs, reference)}")


def line(runs: list[dict], reference: float) -> str:
    values = [100 * run["test"]["accuracy"] for run in runs]
    if len(values) < 2:
        return f"{len(values)} seeds; expected at least 2"
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * spread * math.sqrt(1 + 1 / len(values))
    lower, upper = mean - half, mean + half
    if max(values) - min(values) <= 100 / runs[0]["counts"]["test"]:
        examples = runs[0]["counts"]["test"]
        lower, upper = (100 * side for side in proportion_confint(mean / 100 * examples, examples, method="wilson"))
    inside = lower <= reference <= upper
    return (
        f"{len(values)} seeds  mean {mean:5.1f}  interval {lower:5.1f} to {upper:5.1f}  from {min(values):.1f} to "
        f"{max(values):.1f}  reference {reference:5.1f}  {'inside' if inside else 'OUTSIDE'}"
    )


if __name__ == "__main__":
    main()
