"""Pairs of predictions for tests."""

from typing import Any

import numpy as np

from waterflow.evaluation.dependence import Dependence
from waterflow.evaluation.paired_metrics import Pair
from waterflow.scoring.metrics import Predicted


def grouped(groups: Any) -> Dependence:
    """Declare groups, or that rows are independent where there are none."""
    return Dependence() if groups is None else Dependence(groupings={"group": np.asarray(groups)})


def labelled(truth: Any, first: Any, second: Any, groups: Any = None, **others: Any) -> Pair:
    """Make a pair of labels without probabilities."""
    classes = tuple(np.unique(truth).tolist())
    challenger, champion = (Predicted(np.asarray(truth), np.asarray(calls), classes) for calls in (first, second))
    return Pair("classification", challenger, champion, grouped(groups), **others)


def scored(truth: Any, first: Any, second: Any, groups: Any = None) -> Pair:
    """Make a pair of probabilities, shape (rows, classes) each; the label is the likeliest class."""
    truth = np.asarray(truth)
    classes = tuple(np.unique(truth).tolist())
    both = [np.asarray(given, dtype=float) for given in (first, second)]
    calls = [np.asarray(classes)[given.argmax(axis=1)] for given in both]
    challenger, champion = (Predicted(truth, call, classes, given) for call, given in zip(calls, both, strict=True))
    return Pair("classification", challenger, champion, grouped(groups))


def numbers(truth: Any, first: Any, second: Any, groups: Any = None) -> Pair:
    """Make a pair of regressions."""
    challenger, champion = (Predicted(np.asarray(truth), np.asarray(given)) for given in (first, second))
    return Pair("regression", challenger, champion, grouped(groups))


def random_scored(rows: int, classes: int, seed: int = 0, groups: int | None = None) -> Pair:
    """Draw a pair whose probabilities, of which some are tied, lean to the truth."""
    generator = np.random.default_rng(seed)
    truth = np.append(np.arange(classes), generator.integers(0, classes, size=rows - classes))
    both = []
    for _ in range(2):
        weights = np.round(generator.random((rows, classes)) + 0.7 * np.eye(classes)[truth], 1) + 0.05
        both.append(weights / weights.sum(axis=1, keepdims=True))
    names = None if groups is None else generator.integers(0, groups, size=rows)
    return scored(truth, *both, groups=names)


def random_numbers(rows: int, seed: int = 0, groups: int | None = None) -> Pair:
    """Draw a pair of regressions."""
    generator = np.random.default_rng(seed)
    truth = generator.normal(10, 3, size=rows)
    names = None if groups is None else generator.integers(0, groups, size=rows)
    return numbers(truth, truth + generator.normal(0, 1, rows), truth + generator.normal(0, 1.1, rows), names)
