"""A comparison of two models on 100,000 rows with 2,000 resamples, in CPU seconds.

    python benchmarks/bootstrap.py [--rows 100000] [--resamples 2000] [--rounds 3]

A comparison is all that a verdict needs of a metric: both models' values, influences, standard errors, resamples,
intervals and p-value. Rows are drawn one by one, or in the blocks of 60 days with 40 crossed groups.
"""

import argparse
import statistics
import time
import tracemalloc
from dataclasses import replace

import numpy as np

from waterflow.evaluation.comparison import compare_models
from waterflow.evaluation.dependence import Dependence
from waterflow.evaluation.paired_metrics import Pair
from waterflow.scoring.metrics import Predicted

# CPU seconds of the comparison before it knew of dependent rows (2026-11-25), on the machine of the table in README.md.
BEFORE = {"roc_auc": 5.16, "average_precision": 5.71, "f1_macro": 0.04, "log_loss": 0.88, "rmse": 0.91}
MOST = 1.5


def make_pairs(rows: int) -> dict[str, Pair]:
    """Simulate two classifiers of two classes and two regressions."""
    generator = np.random.default_rng(0)
    truth = (generator.random(rows) < 0.2).astype(int)
    common, classified = generator.normal(size=rows) + truth, []
    for noise in (0.5, 0.55):
        positive = 1 / (1 + np.exp(1 - common - noise * generator.normal(size=rows)))
        shares = np.column_stack([1 - positive, positive])
        classified.append(Predicted(truth, shares.argmax(axis=1), (0, 1), shares))
    numbers = generator.normal(size=rows)
    regressed = [Predicted(numbers, numbers + generator.normal(0, noise, size=rows)) for noise in (1.0, 1.01)]
    labels, values = Pair("classification", *classified), Pair("regression", *regressed)
    return {name: labels for name in BEFORE if name != "rmse"} | {"rmse": values}


def time_comparison(pair: Pair, metric: str, resamples: int) -> float:
    """Return the CPU seconds of one comparison, from the predictions to the interval."""
    started = time.process_time()
    compare_models(pair, metric, alpha=0.05, resamples=resamples, seed=0)
    return time.process_time() - started


def peak_megabytes(pair: Pair, metric: str) -> float:
    """Return the most memory that a comparison holds beside its input."""
    tracemalloc.start()
    compare_models(pair, metric, alpha=0.05, resamples=200, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    days = np.arange(given.rows) * 60 // given.rows
    groups = np.random.default_rng(1).integers(0, 40, given.rows)
    undeclared = Dependence(keys={"customer": groups}, declared=False)
    clustered = Dependence(periods=days, groupings={"customer": groups})
    print(
        f"| metric | before | independent rows (at most × {MOST}) | key, order tested | days × groups | peak memory |"
    )
    print("|---|---|---|---|---|---|")
    for metric, pair in make_pairs(given.rows).items():
        seconds = [
            statistics.median(
                time_comparison(replace(pair, dependence=dependence), metric, given.resamples)
                for _ in range(given.rounds)
            )
            for dependence in (Dependence(), undeclared, clustered)
        ]
        columns = [f"{value:.2f}" for value in seconds]
        columns[0] += f" (× {seconds[0] / BEFORE[metric]:.2f})"
        memory = peak_megabytes(pair, metric)
        print(f"| {metric} | {BEFORE[metric]:.2f} | {' | '.join(columns)} | {memory:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
