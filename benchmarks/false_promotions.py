"""How often would a model that is no better be promoted? It depends on how the bootstrap makes its interval.

    python benchmarks/false_promotions.py [--pairs 2000] [--resamples 1000] [--alpha 0.05]

Pairs of models are simulated whose metric is the same in the population; a pair is promoted when the lower end of the
interval at confidence 1 - 2·alpha lies above 0. A good method promotes at most alpha of them. The last column is the
share of pairs found where the challenger really is better. ADR 7 draws its conclusion from this table.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

Array = np.ndarray
METHODS = ("percentile", "expanded", "basic", "BCa", "studentised")


@dataclass(frozen=True)
class Case:
    """A kind of holdout: `draw(generator, gain)` gives sums per unit, shape (units, k), and each unit's stratum."""

    name: str
    draw: Callable[[np.random.Generator, float], tuple[Array, Array]]
    difference: Callable[[Array], Array]  # of sums, shape (…, k)
    gain: float


def f1_difference(sums: Array) -> Array:
    """Give the macro F1 of two models from sums of, for each class: rows, calls and hits of either model."""
    rows, calls, hits = sums[..., 0:2], sums[..., 2:6], sums[..., 6:10]
    both = []
    for model in (0, 1):
        called, hit = calls[..., 2 * model : 2 * model + 2], hits[..., 2 * model : 2 * model + 2]
        both.append((2 * hit / np.maximum(rows + called, 1e-12)).mean(axis=-1))
    return both[0] - both[1]


def accuracy_difference(sums: Array) -> Array:
    """Give the difference of the shares of hits, from the sums of `f1_difference`."""
    return (sums[..., 6:8].sum(axis=-1) - sums[..., 8:10].sum(axis=-1)) / sums[..., 0:2].sum(axis=-1)


def loss_difference(sums: Array) -> Array:
    """Give the mean loss of the second model minus that of the first, from sums of losses and of rows."""
    return (sums[..., 1] - sums[..., 0]) / sums[..., 2]


def rmse_difference(sums: Array) -> Array:
    """Give the root mean squared error of the second model minus that of the first."""
    return np.sqrt(sums[..., 1] / sums[..., 2]) - np.sqrt(sums[..., 0] / sums[..., 2])


def count_rows(truth: Array, first: Array, second: Array) -> Array:
    """Turn labels 0 and 1 into the columns that `f1_difference` sums."""
    columns = [truth == 0, truth == 1, first == 0, first == 1, second == 0, second == 1]
    columns += [(truth == name) & (calls == name) for calls in (first, second) for name in (0, 1)]
    return np.column_stack(columns).astype(float)


def labels(
    rows: int, positives: float, rates: tuple[float, float], other: tuple[float, float], shared: float
) -> Callable[[np.random.Generator, float], tuple[Array, Array]]:
    """Simulate two classifiers by their (error on negatives, error on positives); `shared` errors are common."""

    def draw(generator: np.random.Generator, gain: float) -> tuple[Array, Array]:
        truth = (generator.random(rows) < positives).astype(int)
        common, is_common = generator.random(rows), generator.random(rows) < shared
        calls = []
        for number, errors in enumerate((rates, other)):
            noise = np.where(is_common, common, generator.random(rows))
            error = np.asarray(errors)[truth] * (1 - gain * (number == 0))
            calls.append(np.where(noise < error, 1 - truth, truth))
        return count_rows(truth, *calls), truth

    return draw


def grouped(groups: int, shared: float) -> Callable[[np.random.Generator, float], tuple[Array, Array]]:
    """Simulate groups of 5 to 30 rows in which a model is good or bad at a whole group."""

    def draw(generator: np.random.Generator, gain: float) -> tuple[Array, Array]:
        of_row = np.repeat(np.arange(groups), generator.integers(5, 31, size=groups))
        truth = (generator.random(len(of_row)) < 0.4).astype(int)
        base, columns = generator.beta(1.0, 3.0, size=groups), []
        for number in (0, 1):
            own = shared * base + (1 - shared) * generator.beta(1.0, 3.0, size=groups)
            error = own[of_row] * (1 - gain * (number == 0))
            columns.append(np.where(generator.random(len(of_row)) < error, 1 - truth, truth))
        rows = count_rows(truth, *columns)
        sums = np.column_stack([np.bincount(of_row, weights=column) for column in rows.T])
        return sums, np.zeros(groups, dtype=int)

    return draw


def losses(rows: int, tail: float, *, squared: bool) -> Callable[[np.random.Generator, float], tuple[Array, Array]]:
    """Simulate row losses with a heavy tail: squared errors, or log losses of a confident classifier."""

    def draw(generator: np.random.Generator, gain: float) -> tuple[Array, Array]:
        common = generator.standard_t(tail, size=rows)
        errors = [0.8 * common + 0.6 * generator.standard_t(tail, size=rows) for _ in range(2)]
        errors[0] = errors[0] * (1 - gain)
        columns = [error**2 if squared else np.log1p(np.exp(-2 + error)) for error in errors]
        if not squared:
            columns[0] = columns[0] * (1 - gain)
        return np.column_stack([*columns, np.ones(rows)]), np.zeros(rows, dtype=int)

    return draw


def equal_f1(recall_error: float, other_recall_error: float, false_alarms: float, positives: float) -> float:
    """Find the second model's rate of false alarms at which both macro F1 scores are equal in the population."""

    def macro_f1(alarm: float, miss: float) -> float:
        hit, called = positives * (1 - miss), positives * (1 - miss) + (1 - positives) * alarm
        kept, cleared = (1 - positives) * (1 - alarm), (1 - positives) * (1 - alarm) + positives * miss
        return hit / (positives + called) + kept / (1 - positives + cleared)

    grid = np.linspace(0, 0.5, 500_001)
    wanted = macro_f1(false_alarms, recall_error)
    return float(grid[np.argmin(np.abs(np.array([macro_f1(grid, other_recall_error)]) - wanted))])


MORE_RECALL = (0.02, 0.3)  # errors on negatives and on positives
LESS_RECALL = (equal_f1(0.3, 0.5, 0.02, 0.03), 0.5)
CASES = (
    Case("balanced, F1, 300 rows", labels(300, 0.5, (0.2, 0.2), (0.2, 0.2), 0.5), f1_difference, 0.5),
    Case("balanced, accuracy, 30 rows", labels(30, 0.5, (0.1, 0.1), (0.1, 0.1), 0.3), accuracy_difference, 0.9),
    Case("1 % errors, accuracy, 1000 rows", labels(1000, 0.5, (0.01,) * 2, (0.01,) * 2, 0.6), accuracy_difference, 0.9),
    Case("3 % positives, F1, 1000 rows", labels(1000, 0.03, (0.01, 0.4), (0.01, 0.4), 0.5), f1_difference, 0.6),
    Case("3 % positives, F1, 5000 rows", labels(5000, 0.03, (0.01, 0.4), (0.01, 0.4), 0.5), f1_difference, 0.3),
    Case("same F1, more recall, 1000 rows", labels(1000, 0.03, MORE_RECALL, LESS_RECALL, 0.3), f1_difference, 0.5),
    Case("same F1, less recall, 1000 rows", labels(1000, 0.03, LESS_RECALL, MORE_RECALL, 0.3), f1_difference, 0.5),
    Case("15 groups, F1", grouped(15, 0.5), f1_difference, 0.6),
    Case("60 groups, F1", grouped(60, 0.5), f1_difference, 0.4),
    Case("RMSE, heavy tail, 50 rows", losses(50, 4.0, squared=True), rmse_difference, 0.3),
    Case("RMSE, heavy tail, 500 rows", losses(500, 4.0, squared=True), rmse_difference, 0.1),
    Case("log loss, 100 rows", losses(100, 8.0, squared=False), loss_difference, 0.3),
)  # fmt: skip


def draw_weights(strata: Array, resamples: int, generator: np.random.Generator) -> Array:
    """Say how often each unit is drawn: shape (resamples, units)."""
    weights = np.zeros((resamples, len(strata)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        weights[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), resamples)
    return weights


def standard_errors(case: Case, units: Array, sums: Array, weights: Array, strata: Array) -> Array:
    """Estimate the standard error at each resample by the infinitesimal jackknife, within strata."""
    steps = 1e-4 * np.maximum(np.abs(units).mean(axis=0), 1e-9)
    slopes = np.stack(
        [
            (case.difference(sums + step * unit) - case.difference(sums - step * unit)) / (2 * step)
            for step, unit in zip(steps, np.eye(units.shape[1]), strict=True)
        ],
        axis=-1,
    )
    influence = slopes @ units.T
    variance = np.zeros(len(sums))
    for stratum in np.unique(strata):
        within, weight = influence[:, strata == stratum], weights[:, strata == stratum]
        count = weight.sum(axis=1)
        mean = (weight * within).sum(axis=1) / count
        variance += (weight * (within - mean[:, None]) ** 2).sum(axis=1)
    return np.sqrt(variance)


def lower_ends(case: Case, units: Array, strata: Array, alpha: float, resamples: int, seed: int) -> dict[str, float]:
    """Give the lower end of each method's interval."""
    generator = np.random.default_rng(seed)
    weights = draw_weights(strata, resamples, generator)
    sums = weights @ units
    drawn, found = case.difference(sums), float(case.difference(units.sum(axis=0)))
    count, freedom = len(units), len(units) - len(np.unique(strata))
    tail = stats.norm.sf(math.sqrt(count / freedom) * stats.t.isf(alpha, freedom))
    ends = {
        "percentile": np.quantile(drawn, alpha, method="lower"),
        "expanded": np.quantile(drawn, tail, method="lower"),
        "basic": 2 * found - np.quantile(drawn, 1 - alpha, method="higher"),
    }
    left_out = case.difference(units.sum(axis=0) - units)
    pulls = left_out.mean() - left_out
    skew = (pulls**3).sum() / (6 * max((pulls**2).sum(), 1e-30) ** 1.5)
    below = (np.mean(drawn < found) + np.mean(drawn <= found)) / 2
    bias = stats.norm.ppf(np.clip(below, 1e-6, 1 - 1e-6))
    shifted = bias + stats.norm.ppf(alpha)
    ends["BCa"] = np.quantile(drawn, stats.norm.cdf(bias + shifted / (1 - skew * shifted)), method="lower")
    own = standard_errors(case, units, units.sum(axis=0)[None], np.ones((1, count)), strata)[0]
    errors = standard_errors(case, units, sums, weights, strata)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num((drawn - found) / errors, nan=0.0, posinf=np.inf, neginf=-np.inf)
    ends["studentised"] = found - np.quantile(ratios, 1 - alpha, method="higher") * own if own else 0.0
    return {name: float(end) for name, end in ends.items()}


def promoted(case: Case, gain: float, pairs: int, alpha: float, resamples: int) -> dict[str, float]:
    """Give the share of pairs that each method promotes."""
    generator = np.random.default_rng(20261121)
    counts = dict.fromkeys(METHODS, 0)
    for pair in range(pairs):
        units, strata = case.draw(generator, gain)
        for name, end in lower_ends(case, units, strata, alpha, resamples, pair).items():
            counts[name] += end > 0
    return {name: count / pairs for name, count in counts.items()}


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--alpha", type=float, default=0.05)
    given = parser.parse_args()
    most = stats.binom.isf(0.005, given.pairs, given.alpha) / given.pairs
    print(f"{given.pairs} pairs, {given.resamples} resamples, alpha {given.alpha}; chance alone reaches {most:.4f}\n")
    print("| no real difference | " + " | ".join(METHODS) + " | gain found (expanded) |\n|---" + "|---" * 6 + "|")
    for case in CASES:
        rates = promoted(case, 0.0, given.pairs, given.alpha, given.resamples)
        power = promoted(case, case.gain, max(given.pairs // 5, 1), given.alpha, given.resamples)["expanded"]
        line = " | ".join(
            f"{'**' if rate > most else ''}{rate:.3f}{'**' if rate > most else ''}" for rate in rates.values()
        )
        print(f"| {case.name} | {line} | {power:.2f} |", flush=True)


if __name__ == "__main__":
    main()
