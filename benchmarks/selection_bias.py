"""Whether the selection bias that a sweep's report expects is the one that sweeps have: on planted truth.

    python benchmarks/selection_bias.py [--replications 200] [--seed 0]

Each replication plants configurations with known means, lets one sweep happen (n noisy scores; the best three fitted
again on five fresh seeds each), and asks `expected_luck` what choosing the best explains, from what that sweep shows:
its scores and the spread between its refits. The truth is the mean drop of 4,000 sweeps of the same configurations,
simulated here without any of the code under test. The unit is the standard deviation between seeds; validation
examples add luck of half of that.

  drop        to fresh seeds: mean of the true drops, and mean of the reported ones with its Monte Carlo error
  covered     share of replications whose reported interval holds the true drop (nominal: 0.95)
  beyond      share of single sweeps whose drop exceeds what the report gives as the most (nominal: 0.025)
  to test     the same for the step from the winner's fresh seeds to new examples

A second table prunes: of n trials a quarter is let finish, those with the best intermediate score, whose luck has the
given correlation with that of the final score. It shows the report's two numbers, for the finished trials alone and as
if all had competed, between which the truth should lie.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from heldout.analysis.selection.competition import Noise
from heldout.analysis.selection.luck import Design, expected_luck

REFITTED, SEEDS = 3, 5
FREEDOM = REFITTED * (SEEDS - 1)
EXAMPLES = 0.25
CONFIDENCE = 0.95
SWEEPS = 4000

FIELDS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "all equal": lambda n, rng: np.zeros(n),
    "normal, spread 1": lambda n, rng: rng.normal(0, 1, n),
    "normal, spread 3": lambda n, rng: rng.normal(0, 3, n),
    "normal, spread 10": lambda n, rng: rng.normal(0, 10, n),
    "a ceiling and a tail": lambda n, rng: -rng.exponential(3, n),
    "half do not work": lambda n, rng: rng.normal(0, 0.5, n) - rng.integers(0, 2, n) * rng.uniform(5, 60, n),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(f"{options.replications} replications, seed {options.seed}, numpy {np.__version__}\n")
    print("| configurations | n | drop: true | reported | covered | beyond | to test: true | reported | covered |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, field in FIELDS.items():
        for n in (4, 16, 64):
            rows = np.array([replication(field(n, rng), rng) for _ in range(options.replications)])
            print(f"| {name} | {n} | {' | '.join(summary(rows))} |", flush=True)
    print("\n| pruned to a quarter of | correlation | true | finished alone | all had competed | true is between |")
    print("|---|---|---|---|---|---|")
    for n in (16, 64):
        for correlation in (0.0, 0.5, 0.8, 1.0):
            rows = np.array([pruned(n, correlation, rng) for _ in range(options.replications)])
            true, alone, together = rows.mean(axis=0)
            between = "yes" if alone <= true <= together else "no"
            print(f"| {n} | {correlation} | {true:.2f} | {alone:.2f} | {together:.2f} | {between} |", flush=True)


def replication(means: np.ndarray, rng: np.random.Generator) -> tuple[float, ...]:
    """What is true of one sweep and what is reported of it."""
    true = np.mean(list(sweeps(means, SWEEPS, rng)), axis=0)
    on_validation = means + np.sqrt(EXAMPLES) * rng.standard_normal(len(means))
    scores = on_validation + rng.standard_normal(len(means))
    leader = int(scores.argmax())
    drop = scores[leader] - on_validation[leader] - rng.standard_normal() / np.sqrt(SEEDS)
    design = Design(min(REFITTED, len(means)), SEEDS)
    luck = expected_luck(scores, measured_noise(rng), design, CONFIDENCE, rng)
    assert luck.to_test is not None
    fresh, test = luck.to_fresh, luck.to_test
    return (
        *(true[0], fresh.value, fresh.lower <= true[0] <= fresh.upper, drop > luck.to_fresh_most),
        *(true[1], test.value, test.lower <= true[1] <= test.upper),
    )


def measured_noise(rng: np.random.Generator) -> Noise:
    """The noise as refits measure it."""
    return Noise(rng.chisquare(FREEDOM) / FREEDOM, FREEDOM, EXAMPLES)


def sweeps(means: np.ndarray, count: int, rng: np.random.Generator) -> Iterator[tuple[float, float]]:
    """The two drops of `count` sweeps of configurations that are worth `means`."""
    for _ in range(count):
        on_validation = means + np.sqrt(EXAMPLES) * rng.standard_normal(len(means))
        scores = on_validation + rng.standard_normal(len(means))
        best = np.argsort(-scores)[:REFITTED]
        fresh = on_validation[best] + rng.standard_normal(len(best)) / np.sqrt(SEEDS)
        winner = int(fresh.argmax())
        yield scores[best[0]] - fresh[0], fresh[winner] - means[best[winner]]


def pruned(n: int, correlation: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """The drop of pruned sweeps of configurations that differ by as much as seeds do, and the two reported for one."""
    means = rng.normal(0, 1, n)
    true = np.mean([pruned_sweep(means, correlation, rng)[1] for _ in range(SWEEPS // 10)])
    scores, _ = pruned_sweep(means, correlation, rng)
    noise, design = measured_noise(rng), min(REFITTED, len(scores))
    alone, together = (
        expected_luck(scores, noise, Design(design, SEEDS, others), CONFIDENCE, rng).to_fresh.value
        for others in (0, n - len(scores))
    )
    return float(true), alone, together


def pruned_sweep(means: np.ndarray, correlation: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Scores of the trials that finish, and the seed's luck of the best of them."""
    n = len(means)
    early = rng.standard_normal(n)
    late = correlation * early + np.sqrt(1 - correlation**2) * rng.standard_normal(n)
    on_validation = means + np.sqrt(EXAMPLES) * rng.standard_normal(n)
    finished = np.argsort(-(on_validation + early))[: n // 4]
    scores = (on_validation + late)[finished]
    return scores, float(late[finished[scores.argmax()]])


def summary(rows: np.ndarray) -> list[str]:
    error = rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
    mean = rows.mean(axis=0)
    reported = {i: f"{mean[i]:.2f} ± {2 * error[i]:.2f}" for i in (1, 5)}
    return [reported.get(i, f"{value:.3f}" if i == 3 else f"{value:.2f}") for i, value in enumerate(mean)]


if __name__ == "__main__":
    main()
