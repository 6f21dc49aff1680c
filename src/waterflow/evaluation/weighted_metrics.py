"""Metrics of an order of rows, as functions of row weights: sorted once, weighed many times."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
OfWeights = Callable[[Values], Values]  # weights of shape (resamples, rows) become values of shape (resamples,)


def area_under_roc(scores: Values, positive: NDArray[np.bool_]) -> OfWeights:
    """Prepare the area under the ROC curve: the share of pairs that the scores put in order, ties counting half."""
    hits, misses = np.flatnonzero(positive), np.flatnonzero(~positive)
    misses = misses[np.argsort(scores[misses], kind="stable")]
    lower, not_higher = (np.searchsorted(scores[misses], scores[hits], side=side) for side in ("left", "right"))

    def area(weights: Values) -> Values:
        of_hits, below = weights[:, hits], _running(weights[:, misses])
        won = (of_hits * (below[:, lower] + below[:, not_higher])).sum(axis=1) / 2
        return _divide(won, of_hits.sum(axis=1) * below[:, -1])

    return area


def average_precision(scores: Values, positive: NDArray[np.bool_]) -> OfWeights:
    """Prepare the average precision: precision at each score, weighted by the recall that it adds."""
    order = np.argsort(-scores, kind="stable")
    hits = order[positive[order]]
    called_by, hit_by = (
        np.searchsorted(-scores[rows], -scores[hits], side="right") for rows in (order, hits)
    )  # how many rows, and how many positives, score as high as each positive or higher

    def area(weights: Values) -> Values:
        of_hits = weights[:, hits]
        called, hit = _running(weights[:, order])[:, called_by], _running(of_hits)[:, hit_by]
        precision = np.divide(hit, called, out=np.zeros_like(called), where=called > 0)
        return _divide((of_hits * precision).sum(axis=1), of_hits.sum(axis=1))

    return area


def median_of(values: Values) -> OfWeights:
    """Prepare the median, the mean of the two middle values where their number is even."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def median(weights: Values) -> Values:
        found = []
        for reached in np.cumsum(weights[:, order], axis=1):
            middle = np.searchsorted(reached, [(reached[-1] - 1) // 2, reached[-1] // 2], side="right")
            found.append(ordered[middle].mean())
        return np.array(found)

    return median


def _running(weights: Values) -> Values:
    """Sum up weights along the rows, from 0 on: shape (resamples, rows + 1)."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def _divide(part: Values, whole: Values) -> Values:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
