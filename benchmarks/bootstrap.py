"""A paired bootstrap of 2,000 resamples over 100,000 rows, beside NumPy drawing the same resample indices.

    python benchmarks/bootstrap.py [--rows 100000] [--resamples 2000] [--rounds 5]

The floor is `generator.integers(0, rows, size=rows)`, once for each resample, with nothing done to what is drawn. A
comparison is all that a verdict needs of a metric: both models' values, their difference, intervals and p-value.
Floor and comparisons take turns, so that a busy machine is busy for both; each ratio is of two neighbours in time.
"""

import argparse
import statistics
import time
import tracemalloc

import numpy as np

from waterflow.config.schema import EvidenceConfig
from waterflow.evaluation.comparison import compare
from waterflow.evaluation.paired_metrics import Pair
from waterflow.scoring.metrics import Predicted

MOST = 1.5


def make_pairs(rows: int) -> dict[str, Pair]:
    """Simulate two classifiers of three classes and two regressions."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, size=rows)
    classified = []
    for lean in (1.0, 0.9):
        weights = generator.random((rows, 3)) + lean * np.eye(3)[truth]
        shares = weights / weights.sum(axis=1, keepdims=True)
        classified.append(Predicted(truth, shares.argmax(axis=1), (0, 1, 2), shares))
    numbers = generator.normal(size=rows)
    regressed = [Predicted(numbers, numbers + generator.normal(0, noise, size=rows)) for noise in (1.0, 1.01)]
    labels, values = Pair("classification", *classified), Pair("regression", *regressed)
    return {"f1_macro": labels, "log_loss": labels, "rmse": values}


def draw_indices(rows: int, resamples: int) -> float:
    """Time the floor."""
    generator = np.random.default_rng(0)
    started = time.perf_counter()
    for _ in range(resamples):
        generator.integers(0, rows, size=rows)
    return time.perf_counter() - started


def time_comparison(pair: Pair, metric: str, evidence: EvidenceConfig) -> float:
    """Time one comparison, from the predictions to the interval."""
    started = time.perf_counter()
    compare(pair, metric, evidence, seed=0)
    return time.perf_counter() - started


def peak_megabytes(pair: Pair, metric: str, evidence: EvidenceConfig) -> float:
    """Give the most memory that a comparison holds beside its input."""
    tracemalloc.start()
    compare(pair, metric, evidence, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    evidence = EvidenceConfig(resamples=given.resamples)
    pairs = make_pairs(given.rows)
    ratios: dict[str, list[float]] = {metric: [] for metric in pairs}
    seconds: dict[str, list[float]] = {metric: [] for metric in ("floor", *pairs)}
    for _ in range(given.rounds):
        for metric, pair in pairs.items():
            before = draw_indices(given.rows, given.resamples)
            taken = time_comparison(pair, metric, evidence)
            floor = (before + draw_indices(given.rows, given.resamples)) / 2
            ratios[metric].append(taken / floor)
            seconds[metric].append(taken)
            seconds["floor"].append(floor)
    print(f"{given.resamples:,} resamples of {given.rows:,} rows; floor {statistics.median(seconds['floor']):.2f} s\n")
    print(f"| metric | seconds | ÷ floor (at most {MOST}) | range | peak memory |\n|---|---|---|---|---|")
    for metric, found in ratios.items():
        memory = peak_megabytes(pairs[metric], metric, EvidenceConfig(resamples=200))
        print(
            f"| {metric} | {statistics.median(seconds[metric]):.2f} | **{statistics.median(found):.2f}** "
            f"| {min(found):.2f}–{max(found):.2f} | {memory:.0f} MB |"
        )


if __name__ == "__main__":
    main()
