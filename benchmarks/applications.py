"""Test scores of an experiment by family, with those that unequal classes need beside accuracy.

    python pipelines/train.py experiment=shuttle hydra.sweep.dir=outputs/shuttle
    for run in outputs/shuttle/[0-9]; do python pipelines/evaluate.py runs=$run; done
    python benchmarks/applications.py outputs/shuttle

A line a family, best balanced accuracy first: means over its seeds of accuracy, balanced accuracy (mean recall of the
classes) and macro F1 on test, accuracy on the measured part of train, and seconds of a fit.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, f1_score

from heldout.record import Record, find_records

COLUMNS = ("accuracy", "balanced", "macro F1", "train", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    scores: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for path in find_records(parser.parse_args().folder):
        record = Record.load(path)
        if "test" in record.prediction_splits:
            scores[record.info["family"]].append(measure(record))
    print(f"{'family':24s} seeds  " + "  ".join(f"{name:>9s}" for name in COLUMNS))
    means = {
        family: [statistics.fmean(column) for column in zip(*rows, strict=True)] for family, rows in scores.items()
    }
    for family, values in sorted(means.items(), key=lambda item: -item[1][1]):
        print(f"{family:24s} {len(scores[family]):5d}  " + "  ".join(f"{value:9.3f}" for value in values))


def measure(record: Record) -> tuple[float, ...]:
    test, train = record.predictions_of("test"), record.predictions_of("train")
    found = test.probabilities.argmax(axis=1)
    return (
        float(np.mean(found == test.target)),
        float(balanced_accuracy_score(test.target, found)),
        float(f1_score(test.target, found, average="macro", zero_division=0)),
        float(np.mean(train.probabilities.argmax(axis=1) == train.target)),
        record.info["fit_seconds"],
    )


if __name__ == "__main__":
    main()
