"""Two models' predictions of the same rows, and a metric of both on the holdout and on each resample of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.metrics import Task
from waterflow.config.schema import CostsConfig
from waterflow.evaluation.bootstrap import Units, draw_row_weights, resample_counts, resample_sums
from waterflow.evaluation.weighted_metrics import area_under_roc, average_precision, median_of
from waterflow.scoring.metrics import Predicted

Values = NDArray[np.float64]
OF_COUNTS = ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro", "expected_cost")


class UndefinedError(Exception):
    """A metric that these rows and models have no value for; the message is a clause that says why."""


@dataclass(frozen=True)
class Pair:
    """Predictions of the challenger and of the champion, row by row; `groups` names each row's group, if any."""

    task: Task
    challenger: Predicted
    champion: Predicted
    groups: NDArray[Any] | None = None
    costs: CostsConfig | None = None

    @property
    def truth(self) -> NDArray[Any]:
        """What really happened, shape (rows,)."""
        return self.challenger.truth

    @property
    def identical(self) -> bool:
        """Say whether the two models gave the same on every row."""
        first, second = self.challenger.probabilities, self.champion.probabilities
        same = first is second or (first is not None and second is not None and np.array_equal(first, second))
        return bool(same and np.array_equal(self.challenger.prediction, self.champion.prediction))

    def take(self, chosen: NDArray[np.bool_]) -> "Pair":
        """Give the same pair on some of the rows."""
        return replace(
            self,
            challenger=_take(self.challenger, chosen),
            champion=_take(self.champion, chosen),
            groups=None if self.groups is None else self.groups[chosen],
        )

    def units(self) -> Units:
        """Say what a resample draws: groups where there are some, else rows within each class, else rows."""
        if self.groups is not None:
            return Units(len(self.truth), groups=pd.factorize(self.groups, use_na_sentinel=False)[0])
        if self.task == "classification":
            return Units(len(self.truth), strata=pd.factorize(self.truth, use_na_sentinel=False)[0])
        return Units(len(self.truth))


def resample_metric(
    pair: Pair, metric: str, units: Units, resamples: int, generator: np.random.Generator
) -> tuple[Values, Values]:
    """Give a metric of challenger and champion: on the rows, shape (2,), and on resamples, shape (resamples, 2).

    A resample that lacks what the metric needs is NaN. Raises UndefinedError when the rows themselves do.
    """
    if metric in OF_COUNTS:
        labels = _Labels.of(pair)
        value = _of_counts(metric, labels, pair.costs)
        drawn = resample_counts(labels.cells, len(labels.counts), units, resamples, generator)
        return value(labels.counts[None])[0], value(drawn)
    if metric in OF_SUMS:
        columns, of_sums = OF_SUMS[metric](pair)
        columns = np.column_stack([columns, np.ones(len(columns))]) if units.groups is not None else columns
        drawn = resample_sums(columns, units, resamples, generator)
        total = columns.sum(axis=0)[None]
        return of_sums(total, _rows_of(total, units))[0], of_sums(drawn, _rows_of(drawn, units))
    weighted = OF_WEIGHTS[metric](pair)
    drawn = np.concatenate([weighted(weights) for weights in draw_row_weights(units, resamples, generator)])
    return weighted(np.ones((1, units.rows)))[0], drawn


def _take(predicted: Predicted, chosen: NDArray[np.bool_]) -> Predicted:
    probabilities = None if predicted.probabilities is None else predicted.probabilities[chosen]
    return replace(
        predicted, truth=predicted.truth[chosen], prediction=predicted.prediction[chosen], probabilities=probabilities
    )


def _rows_of(sums: Values, units: Units) -> Values:
    """Give the number of rows behind each line of sums: where groups are drawn it varies, and is the last column."""
    return np.full(len(sums), float(units.rows)) if units.groups is None else sums[:, -1]


# Metrics of counts: how many rows of each class were called what by either model.


@dataclass(frozen=True)
class _Labels:
    """Rows by joint cell: true class, challenger's call, champion's call, each as a position in `classes`."""

    classes: tuple[Any, ...]
    cells: NDArray[np.intp]
    counts: Values
    truth: NDArray[np.intp]
    calls: tuple[NDArray[np.intp], NDArray[np.intp]]

    @classmethod
    def of(cls, pair: Pair) -> "_Labels":
        columns = [np.asarray(given, dtype=object) for given in _labels_of(pair)]
        codes, seen = pd.factorize(np.concatenate(columns), use_na_sentinel=False)
        known = [*pair.challenger.classes, *pair.champion.classes]
        classes = tuple(dict.fromkeys([*seen.tolist(), *known]))
        size = len(classes)
        truth, first, second = np.split(codes, 3)
        joint = (truth * size + first) * size + second
        cells, found = pd.factorize(joint)
        counts = np.bincount(cells).astype(float)
        return cls(classes, cells, counts, found // size**2, (found // size % size, found % size))


def _labels_of(pair: Pair) -> tuple[NDArray[Any], ...]:
    return pair.truth, pair.challenger.prediction, pair.champion.prediction


def _of_counts(metric: str, labels: _Labels, costs: CostsConfig | None) -> Callable[[Values], Values]:
    size = np.arange(len(labels.classes))
    of_class = (labels.truth[:, None] == size).astype(float)

    def values(counts: Values) -> Values:
        rows, given = counts @ of_class, counts.sum(axis=1)
        columns = []
        for calls in labels.calls:
            if metric == "expected_cost":
                columns.append(counts @ _costs_of(labels, calls, costs) / given)
                continue
            called = counts @ (calls[:, None] == size).astype(float)
            hits = counts @ (of_class * (calls[:, None] == size))
            columns.append(_from_hits(metric, rows, called, hits))
        return np.column_stack(columns)

    return values


def _from_hits(metric: str, rows: Values, called: Values, hits: Values) -> Values:
    """Compute a metric from counts by class, each of shape (resamples, classes), by scikit-learn's definitions."""
    if metric == "accuracy":
        return hits.sum(axis=1) / rows.sum(axis=1)
    if metric == "balanced_accuracy":
        return _ratio(hits, rows).sum(axis=1) / (rows > 0).sum(axis=1)
    parts = {"precision_macro": (hits, called), "recall_macro": (hits, rows), "f1_macro": (2 * hits, rows + called)}
    return _ratio(*parts[metric]).mean(axis=1)


def _ratio(part: Values, whole: Values) -> Values:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _costs_of(labels: _Labels, calls: NDArray[np.intp], costs: CostsConfig | None) -> Values:
    if costs is None or len(labels.classes) != 2:
        raise UndefinedError("costs are of a decision between two classes")
    positive = max(labels.classes) if costs.positive is None else costs.positive
    is_positive = np.array([name == positive for name in labels.classes])
    truth, called = is_positive[labels.truth], is_positive[calls]
    return np.select(
        [truth & called, truth & ~called, ~truth & called],
        [costs.hit, costs.miss, costs.false_alarm],
        default=costs.correct_rejection,
    )


# Metrics of sums: columns, shape (rows, k), and what their sums make, shape (resamples, 2).

OfSums = Callable[[Values, Values], Values]


def _log_loss(pair: Pair) -> tuple[Values, OfSums]:
    losses = [-np.log(_probability_of_truth(predicted)) for predicted in (pair.challenger, pair.champion)]
    return np.column_stack(losses), lambda sums, rows: sums[:, :2] / rows[:, None]


def _probability_of_truth(predicted: Predicted) -> Values:
    probabilities = _probabilities(predicted)
    codes, seen = pd.factorize(np.asarray(predicted.truth, dtype=object))
    position = {name: number for number, name in enumerate(predicted.classes)}
    unknown = [name for name in seen if name not in position]
    if unknown:
        raise UndefinedError(f"a model that never saw class {unknown[0]!r} gives it no probability")
    columns = np.array([position[name] for name in seen])[codes]
    nothing = np.finfo(probabilities.dtype).eps  # as in scikit-learn
    return np.clip(probabilities[np.arange(len(columns)), columns], nothing, 1 - nothing)


def _probabilities(predicted: Predicted) -> Values:
    if predicted.probabilities is None:
        raise UndefinedError("a model that gives no probabilities has none")
    return np.asarray(predicted.probabilities)


def _errors(pair: Pair) -> Values:
    return np.column_stack([pair.truth - pair.challenger.prediction, pair.truth - pair.champion.prediction])


def _mae(pair: Pair) -> tuple[Values, OfSums]:
    return np.abs(_errors(pair)), lambda sums, rows: sums[:, :2] / rows[:, None]


def _rmse(pair: Pair) -> tuple[Values, OfSums]:
    return _errors(pair) ** 2, lambda sums, rows: np.sqrt(sums[:, :2] / rows[:, None])


def _r2(pair: Pair) -> tuple[Values, OfSums]:
    centred = pair.truth - pair.truth.mean()  # else the sums of squares cancel badly
    if not centred.any():
        raise UndefinedError("all rows have the same true value")
    columns = np.column_stack([_errors(pair) ** 2, centred, centred**2])

    def values(sums: Values, rows: Values) -> Values:
        spread = sums[:, 3] - sums[:, 2] ** 2 / rows
        shares = np.divide(sums[:, :2], spread[:, None], out=np.full((len(sums), 2), np.nan), where=spread[:, None] > 0)
        return 1 - shares

    return columns, values


OF_SUMS: dict[str, Callable[[Pair], tuple[Values, OfSums]]] = {
    "log_loss": _log_loss,
    "mae": _mae,
    "rmse": _rmse,
    "r2": _r2,
}


# Metrics of weighted rows: weights, shape (resamples, rows), become values, shape (resamples, 2).


def _curves(area: Callable[[Values, NDArray[np.bool_]], Callable[[Values], Values]], pair: Pair) -> Any:
    """Average an area over the classes, each one against the rest; of two classes the second one counts."""
    by_model = []
    for predicted in (pair.challenger, pair.champion):
        probabilities = _probabilities(predicted)
        positives = range(1, 2) if len(predicted.classes) == 2 else range(len(predicted.classes))
        is_class = [predicted.truth == predicted.classes[position] for position in positives]
        if set(np.unique(predicted.truth)) != set(predicted.classes):
            raise UndefinedError("the true classes of these rows are not those of the models")
        by_model.append(
            [area(probabilities[:, place], found) for place, found in zip(positives, is_class, strict=True)]
        )
    return lambda weights: np.column_stack(
        [np.mean([curve(weights) for curve in curves], axis=0) for curves in by_model]
    )


def _median_ae(pair: Pair) -> Callable[[Values], Values]:
    medians = [median_of(column) for column in np.abs(_errors(pair)).T]
    return lambda weights: np.column_stack([median(weights) for median in medians])


OF_WEIGHTS: dict[str, Callable[[Pair], Callable[[Values], Values]]] = {
    "roc_auc": lambda pair: _curves(area_under_roc, pair),
    "average_precision": lambda pair: _curves(average_precision, pair),
    "median_ae": _median_ae,
}
