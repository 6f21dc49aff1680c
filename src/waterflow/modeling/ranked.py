"""Metrics of an order of rows, as functions of row weights: sorted once, weighed many times."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
OfWeights = Callable[[Values], Values]  # weights of shape (resamples, rows) become values of shape (resamples,)


def area_under_roc(scores: Values, positive: NDArray[np.bool_]) -> OfWeights:
    """Prepare the area under the ROC curve: the share of pairs that the scores put in order, ties counting half."""
    order, starts = _ascending(scores)
    is_positive = positive[order]

    def area(weights: Values) -> Values:
        given = weights[:, order]
        hits = np.add.reduceat(given * is_positive, starts, axis=1)
        misses = np.add.reduceat(given * ~is_positive, starts, axis=1)
        below = np.cumsum(misses, axis=1) - misses / 2
        return _divide((hits * below).sum(axis=1), hits.sum(axis=1) * misses.sum(axis=1))

    return area


def average_precision(scores: Values, positive: NDArray[np.bool_]) -> OfWeights:
    """Prepare the average precision: precision at each score, weighted by the recall that it adds."""
    order, starts = _ascending(-scores)
    is_positive = positive[order]

    def area(weights: Values) -> Values:
        given = weights[:, order]
        hits = np.add.reduceat(given * is_positive, starts, axis=1)
        called = np.cumsum(np.add.reduceat(given, starts, axis=1), axis=1)
        precision = np.divide(np.cumsum(hits, axis=1), called, out=np.zeros_like(called), where=called > 0)
        return _divide((hits * precision).sum(axis=1), hits.sum(axis=1))

    return area


def median_of(values: Values) -> OfWeights:
    """Prepare the median, the mean of the two middle values where their number is even."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def median(weights: Values) -> Values:
        reached = np.cumsum(weights[:, order], axis=1)
        total = reached[:, -1]
        middle = [(reached <= place[:, None]).sum(axis=1) for place in ((total - 1) // 2, total // 2)]
        return (ordered[middle[0]] + ordered[middle[1]]) / 2

    return median


def _ascending(scores: Values) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the order of rows by score, and where each new score starts in it."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))


def _divide(part: Values, whole: Values) -> Values:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
