"""How often is a model that is no better promoted? Rates of the comparison on simulated holdouts, cell by cell.

    python benchmarks/false_promotions.py [--pairs 500] [--resamples 500] [--alpha 0.05] [--only TEXT]

Pairs of models are simulated whose metrics are the same in the population; a pair counts as promoted when its interval
lies above 0 and its p-value does not exceed alpha. A sound method promotes at most alpha of them. The power, in
brackets, is the rate for a challenger that is better by a planted gain. ADR 7 draws its conclusions from this table.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import expit

from waterflow.config.schema import CostsConfig
from waterflow.evaluation.comparison import compare_models
from waterflow.evaluation.dependence import Dependence
from waterflow.evaluation.paired_metrics import Pair, UndefinedError
from waterflow.scoring.metrics import Predicted

Array = np.ndarray
Draw = Callable[[np.random.Generator, float], Pair]
SCORED = ("roc_auc", "average_precision", "f1_macro", "accuracy", "expected_cost", "log_loss")
COSTS = CostsConfig(false_alarm=1, miss=4)


@dataclass(frozen=True)
class Cell:
    """A kind of holdout: `draw(generator, gain)` simulates a pair of models on it."""

    name: str
    draw: Draw
    metrics: tuple[str, ...]
    gain: float = 0.5


@dataclass(frozen=True)
class Days:
    """Rows in days.

    `shared` is the intraclass correlation of a model's quality within a day, `memory` its autocorrelation from day to
    day; `unequal` days differ in size by a lognormal factor; of `groups` crossed with the
    days each has as large a share in the quality as a day.
    """

    count: int
    shared: float = 0.0
    memory: float = 0.0
    rows_a_day: int = 50
    unequal: float = 0.0
    groups: int = 0
    positives: float = 0.3

    def __call__(self, generator: np.random.Generator, gain: float) -> Pair:
        """Simulate two classifiers."""
        day, dependence = self._rows(generator)
        truth = (generator.random(len(day)) < self.positives).astype(int)
        pair = [self._quality(generator, day, dependence) for _ in range(2)]
        scores = [(2 * truth - 1) * (0.5 + better + quality) for better, quality in zip((gain, 0), pair, strict=True)]
        return scored(truth, scores, dependence)

    def errors(self, generator: np.random.Generator, gain: float) -> Pair:
        """Simulate two regressions."""
        day, dependence = self._rows(generator)
        errors = [(1.5 + self._quality(generator, day, dependence)) * (1 - less) for less in (gain / 4, 0)]
        truth = np.zeros(len(day))
        return Pair("regression", *(Predicted(truth, error) for error in errors), dependence=dependence)

    def _rows(self, generator: np.random.Generator) -> tuple[Array, Dependence]:
        sizes = np.full(self.count, float(self.rows_a_day)) * generator.lognormal(0, self.unequal, self.count)
        day = np.repeat(np.arange(self.count), np.maximum(sizes.astype(int), 1))
        groupings = {"group": generator.integers(0, self.groups, len(day))} if self.groups else {}
        return day, Dependence(periods=day, groupings=groupings)

    def _quality(self, generator: np.random.Generator, day: Array, dependence: Dependence) -> Array:
        effects = generator.normal(size=self.count + 50)
        for place in range(1, len(effects)):
            effects[place] = self.memory * effects[place - 1] + np.sqrt(1 - self.memory**2) * effects[place]
        common = np.sqrt(self.shared) * effects[50:][day]
        rest = 1 - self.shared
        for codes in dependence.groupings.values():
            common = common + np.sqrt(self.shared) * generator.normal(size=self.groups)[codes]
            rest -= self.shared
        return common + np.sqrt(rest) * generator.normal(size=len(day))


def scored(truth: Array, scores: list[Array], dependence: Dependence | None = None) -> Pair:
    """Make classifiers of two or more classes of their scores: log-odds, or one column for each class."""
    models = []
    for score in scores:
        chances = np.column_stack([expit(-score), expit(score)]) if score.ndim == 1 else score
        classes = tuple(range(chances.shape[1]))
        models.append(Predicted(truth, chances.argmax(axis=1), classes, chances))
    return Pair("classification", models[0], models[1], dependence or Dependence(), COSTS)


def few_positives(positives: int, rows: int = 500) -> Draw:
    """Simulate scores with so many positives, exactly."""

    def draw(generator: np.random.Generator, gain: float) -> Pair:
        truth = (np.arange(rows) < positives).astype(int)
        return scored(truth, [generator.normal(size=rows) + truth * (1 + 2 * better) for better in (gain, 0)])

    return draw


def rare_class(rarest: int, rows: int = 300) -> Draw:
    """Simulate labels of three classes, the rarest with so many rows; every third call is wrong."""

    def draw(generator: np.random.Generator, gain: float) -> Pair:
        truth = np.where(np.arange(rows) < rarest, 2, np.arange(rows) % 2)
        chances = []
        for better in (gain, 0):
            wrong = generator.random(rows) < (1 - better) / 3
            calls = np.where(wrong, (truth + generator.integers(1, 3, rows)) % 3, truth)
            chances.append(0.1 + 0.7 * np.eye(3)[calls])
        return scored(truth, chances)

    return draw


def opposed(rows: int, positives: float, first: tuple[float, float], second: tuple[float, float]) -> Draw:
    """Simulate calls by (true, false) positive rate; the gain moves the challenger's false alarms."""

    def draw(generator: np.random.Generator, gain: float) -> Pair:
        truth = (generator.random(rows) < positives).astype(int)
        rates = (first[0] + gain * (1 - first[0]), first[1] * (1 - gain)), second
        return scored(truth, [(2 * (generator.random(rows) < np.where(truth, *rate)) - 1.0) for rate in rates])

    return draw


def labels(rows: int, positives: float, errors: Array, other: Array, shared: float) -> Draw:
    """Simulate calls by (error on negatives, error on positives); `shared` errors are common to both models."""

    def draw(generator: np.random.Generator, gain: float) -> Pair:
        truth = (generator.random(rows) < positives).astype(int)
        common, is_common = generator.random(rows), generator.random(rows) < shared
        scores = []
        for rate in (np.asarray(errors) * (1 - gain), np.asarray(other)):
            wrong = np.where(is_common, common, generator.random(rows)) < rate[truth]
            scores.append(2.0 * np.where(wrong, 1 - truth, truth) - 1)
        return scored(truth, scores)

    return draw


def grouped(groups: int, shared: float = 0.5) -> Draw:
    """Simulate groups of 5 to 30 rows in which a model is good or bad at a whole group."""

    def draw(generator: np.random.Generator, gain: float) -> Pair:
        group = np.repeat(np.arange(groups), generator.integers(5, 31, size=groups))
        truth = (generator.random(len(group)) < 0.4).astype(int)
        base, scores = generator.beta(1.0, 3.0, size=groups), []
        for better in (gain, 0):
            error = (shared * base + (1 - shared) * generator.beta(1.0, 3.0, size=groups))[group] * (1 - better)
            scores.append(2.0 * np.where(generator.random(len(group)) < error, 1 - truth, truth) - 1)
        return scored(truth, scores, Dependence(groupings={"group": group}))

    return draw


def heavy_tailed(rows: int) -> Draw:
    """Simulate regressions whose errors have the tail of Student's t with 4 degrees of freedom."""

    def draw(generator: np.random.Generator, gain: float) -> Pair:
        common = generator.standard_t(4, size=rows)
        errors = [0.8 * common + 0.6 * generator.standard_t(4, size=rows) for _ in range(2)]
        return Pair(
            "regression", Predicted(np.zeros(rows), errors[0] * (1 - gain)), Predicted(np.zeros(rows), errors[1])
        )

    return draw


def equal_f1(recall_error: float, other_recall_error: float, false_alarms: float, positives: float) -> float:
    """Find the second model's rate of false alarms at which both macro F1 scores are equal in the population."""
    alarms = np.append(np.linspace(0, 0.5, 500_001), false_alarms)
    misses = np.append(np.full(500_001, other_recall_error), recall_error)
    hit, called = positives * (1 - misses), positives * (1 - misses) + (1 - positives) * alarms
    kept, cleared = (1 - positives) * (1 - alarms), (1 - positives) * (1 - alarms) + positives * misses
    scores = hit / (positives + called) + kept / (1 - positives + cleared)
    return float(alarms[np.argmin(np.abs(scores[:-1] - scores[-1]))])


def cells() -> Iterator[Cell]:
    """Yield the cells of the table."""
    more, less = (0.02, 0.3), (equal_f1(0.3, 0.5, 0.02, 0.03), 0.5)
    yield Cell("balanced, 300 rows", labels(300, 0.5, (0.2, 0.2), (0.2, 0.2), 0.5), ("f1_macro", "accuracy"))
    yield Cell("balanced, 30 rows", labels(30, 0.5, (0.1, 0.1), (0.1, 0.1), 0.3), ("accuracy", "f1_macro"), 0.9)
    yield Cell("1 % errors, 1000 rows", labels(1000, 0.5, (0.01,) * 2, (0.01,) * 2, 0.6), ("accuracy",), 0.9)
    yield Cell(
        "3 % positives, 1000 rows", labels(1000, 0.03, (0.01, 0.4), (0.01, 0.4), 0.5), ("f1_macro", "expected_cost")
    )
    yield Cell("3 % positives, 5000 rows", labels(5000, 0.03, (0.01, 0.4), (0.01, 0.4), 0.5), ("f1_macro",), 0.3)
    yield Cell("same F1, more recall, 1000 rows", labels(1000, 0.03, more, less, 0.3), ("f1_macro",))
    yield Cell("same F1, less recall, 1000 rows", labels(1000, 0.03, less, more, 0.3), ("f1_macro",))
    for rows in (50, 500):
        yield Cell(f"heavy tail, {rows} rows", heavy_tailed(rows), ("rmse", "mae", "median_ae", "r2")[:3], 0.2)
    for positives in (1, 2, 3, 5, 8, 10, 20):
        yield Cell(f"{positives} positives of 500", few_positives(positives), SCORED)
    for rarest in (1, 2, 3, 5, 8, 10, 20):
        yield Cell(f"three classes, the rarest {rarest} rows", rare_class(rarest), ("balanced_accuracy", "f1_macro"))
    for groups in (2, 3, 5, 8, 15, 60):
        yield Cell(f"{groups} groups", grouped(groups), ("f1_macro", "accuracy"))
    half = opposed(500, 0.5, (0.1, 0.0), (0.95, 0.85))
    yield Cell("rates (.1, 0) and (.95, .85)", half, ("accuracy", "balanced_accuracy"))
    yield Cell("costs, rates (.2, .02) and (.7, .52)", opposed(500, 0.2, (0.2, 0.02), (0.7, 0.52)), ("expected_cost",))
    for count in (8, 20, 60, 120, 365):
        some = 50 if count < 100 else 20
        for shared in (0.0, 0.05, 0.2):
            yield from _timed(f"{count} days, ICC {shared}", Days(count, shared, rows_a_day=some))
        for memory in (0.3, 0.5, 0.7):
            yield from _timed(f"{count} days, ICC 0.2, AR {memory}", Days(count, 0.2, memory, some))
        yield from _timed(f"{count} unequal days, ICC 0.2, AR 0.3", Days(count, 0.2, 0.3, some, unequal=1.0))
    for count, groups in ((20, 15), (60, 15), (60, 60)):
        yield from _timed(f"{count} days × {groups} groups, ICC 0.1 each", Days(count, 0.1, groups=groups))
    yield from _timed("60 days, ICC 0.2, 3 % positives", Days(60, 0.2, positives=0.03))


def _timed(name: str, days: Days) -> Iterator[Cell]:
    yield Cell(name, days, SCORED)
    yield Cell(name, days.errors, ("rmse",))


def promoted(cell: Cell, gain: float, pairs: int, alpha: float, resamples: int) -> dict[str, float]:
    """Return the share of pairs that are promoted, by metric."""
    generator = np.random.default_rng(20261125)
    counts = dict.fromkeys(cell.metrics, 0)
    for seed in range(pairs):
        pair = cell.draw(generator, gain)
        for metric in cell.metrics:
            try:
                found = compare_models(pair, metric, alpha=alpha, resamples=resamples, seed=seed)
            except UndefinedError:
                continue
            counts[metric] += found.difference.low > 0 and found.p_value <= alpha
    return {metric: count / pairs for metric, count in counts.items()}


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    most = stats.binom.isf(0.005, given.pairs, given.alpha) / given.pairs
    print(f"{given.pairs} pairs, {given.resamples} resamples, alpha {given.alpha}; chance alone reaches {most:.4f}\n")
    print("| holdout | metric: rate (power) |\n|---|---|")
    for cell in cells():
        if given.only not in cell.name:
            continue
        rates = promoted(cell, 0.0, given.pairs, given.alpha, given.resamples)
        power = promoted(cell, cell.gain, max(given.pairs // 5, 1), given.alpha, given.resamples)
        line = ", ".join(
            f"{metric} {'**' if rate > most else ''}{rate:.3f}{'**' if rate > most else ''} ({power[metric]:.2f})"
            for metric, rate in rates.items()
        )
        print(f"| {cell.name} | {line} |", flush=True)


if __name__ == "__main__":
    main()
