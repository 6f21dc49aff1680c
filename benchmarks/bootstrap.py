"""A comparison of two models on 100,000 rows with 2,000 resamples, in CPU seconds.

    python benchmarks/bootstrap.py [--rows 100000] [--resamples 2000] [--rounds 3]
    python benchmarks/bootstrap.py --before ada7464^     and the code of a commit beside it, process by process in turn

A comparison is all that a verdict needs of a metric: both models' values, influences, standard errors, resamples,
intervals and p-value. Rows are drawn one by one, or in the blocks of 60 days with 40 crossed groups.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np

from waterflow.evaluation.paired_metrics import Pair
from waterflow.scoring.metrics import Predicted

ROOT = Path(__file__).resolve().parents[1]
# Runs with older code, too: until ada7464 the comparison had another name and other arguments.
TIMED = """
import time
from bootstrap import make_pairs
from waterflow.config.schema import EvidenceConfig
from waterflow.evaluation import comparison
pair = make_pairs(100_000)["{metric}"]
def compare(resamples):
    if hasattr(comparison, "compare_models"):
        return comparison.compare_models(pair, "{metric}", alpha=0.05, resamples=resamples, seed=0)
    return comparison.compare(pair, "{metric}", EvidenceConfig(alpha=0.05, resamples=resamples), seed=0)
compare(200)
started = time.process_time()
compare({resamples})
print(time.process_time() - started)
"""

METRICS = ("roc_auc", "average_precision", "f1_macro", "accuracy", "log_loss", "rmse")


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
    return {name: labels for name in METRICS if name != "rmse"} | {"rmse": values}


def time_comparison(pair: Pair, metric: str, resamples: int) -> float:
    """Return the CPU seconds of one comparison, from the predictions to the interval."""
    from waterflow.evaluation.comparison import compare_models  # older code has none

    started = time.process_time()
    compare_models(pair, metric, alpha=0.05, resamples=resamples, seed=0)
    return time.process_time() - started


def compare_commits(before: str, rounds: int, resamples: int, metrics: list[str]) -> None:
    """Print the least CPU seconds of a commit's code and of this one's, which take turns in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", before, "src"], capture_output=True, check=True, cwd=ROOT).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        code = {"before": Path(folder) / "src", "now": ROOT / "src"}
        least = {metric: dict.fromkeys(code, np.inf) for metric in metrics}
        for metric in metrics * rounds:
            for name, source in code.items():
                seconds = float(
                    subprocess.run(
                        [sys.executable, "-c", TIMED.format(metric=metric, resamples=resamples)],
                        env=os.environ | {"PYTHONPATH": f"{source}:{ROOT / 'benchmarks'}"},
                        capture_output=True,
                        check=True,
                    ).stdout
                )
                least[metric][name] = min(least[metric][name], seconds)
    print(f"| metric | {before} | now | ratio |\n|---|---|---|---|")
    for metric, seconds in least.items():
        ratio = seconds["now"] / seconds["before"]
        print(f"| {metric} | {seconds['before']:.3f} | {seconds['now']:.3f} | {ratio:.2f} |")


def peak_megabytes(pair: Pair, metric: str) -> float:
    """Return the most memory that a comparison holds beside its input."""
    from waterflow.evaluation.comparison import compare_models

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
    parser.add_argument("--before", help="a commit to compare with")
    parser.add_argument("--metrics", nargs="+", default=list(METRICS))
    given = parser.parse_args()
    if given.before:
        compare_commits(given.before, given.rounds, given.resamples, given.metrics)
        return
    from waterflow.evaluation.dependence import Dependence

    days = np.arange(given.rows) * 60 // given.rows
    groups = np.random.default_rng(1).integers(0, 40, given.rows)
    undeclared = Dependence(keys={"customer": groups}, declared=False)
    clustered = Dependence(periods=days, groupings={"customer": groups})
    print("| metric | independent rows | key, order tested | days × groups | peak memory |")
    print("|---|---|---|---|---|")
    for metric, pair in make_pairs(given.rows).items():
        seconds = [
            statistics.median(
                time_comparison(replace(pair, dependence=dependence), metric, given.resamples)
                for _ in range(given.rounds)
            )
            for dependence in (Dependence(), undeclared, clustered)
        ]
        memory = peak_megabytes(pair, metric)
        columns = " | ".join(f"{value:.2f}" for value in seconds)
        print(f"| {metric} | {columns} | {memory:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
