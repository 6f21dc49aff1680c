"""A metric of two models on the same rows. It has values, the influence of each row, and values on resamples."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.metrics import METRICS, Metric, Task
from waterflow.config.schema import CostsConfig, OwnMetric
from waterflow.errors import ConfigError
from waterflow.evaluation.bootstrap import Codes, Values
from waterflow.evaluation.dependence import Dependence
from waterflow.evaluation.own_metrics import MOST_ROWS, CalledMetric
from waterflow.evaluation.weighted_metrics import (
    Curve,
    RankMetric,
    SumMetric,
    area_under_roc,
    average_precision,
    median_of,
)
from waterflow.scoring.metrics import Predicted, find_positive_class
from waterflow.scoring.own_metrics import answers_of, call_own

PairedMetric = SumMetric | RankMetric | CalledMetric

WITHIN_CLASSES = ("balanced_accuracy", "recall_macro", "roc_auc")  # what does not depend on the shares of the classes
OVER_CLASSES = (*WITHIN_CLASSES, "precision_macro", "f1_macro", "average_precision")  # to which a rare class matters


class UndefinedError(Exception):
    """A metric without a value for these rows and models. The message is a clause that says why."""


@dataclass(frozen=True)
class Pair:
    """Predictions of challenger and champion, row by row. Also how the rows belong together.

    `positive` is the class that costs and average precision are about; of two classes the greater one unless given.
    `own` are the user's metrics. The challenger's predictions have the rows' weights.
    """

    task: Task
    challenger: Predicted
    champion: Predicted
    dependence: Dependence = field(default_factory=Dependence)
    costs: CostsConfig | None = None
    positive: Any = None
    own: Mapping[str, OwnMetric] = field(default_factory=dict)

    @property
    def weights(self) -> Values | None:
        """Return what each row counts, shape (rows,). None where all count alike."""
        return self.challenger.weights

    def find_metric(self, name: str) -> Metric:
        """Return a metric of Waterflow's or of the user's own."""
        own = self.own.get(name)
        return METRICS[name] if own is None else Metric(name, self.task, own.greater_is_better)

    @property
    def truth(self) -> NDArray[Any]:
        """Return the true values, shape (rows,)."""
        return self.challenger.truth

    @property
    def identical(self) -> bool:
        """Return whether the two models agree on every row."""
        first, second = self.challenger.probabilities, self.champion.probabilities
        same = first is second or (first is not None and second is not None and np.array_equal(first, second))
        return bool(same and np.array_equal(self.challenger.prediction, self.champion.prediction))

    def take(self, chosen: NDArray[np.bool_]) -> "Pair":
        """Return the same pair on some of the rows."""
        return replace(
            self,
            challenger=self.challenger.take(chosen),
            champion=self.champion.take(chosen),
            dependence=self.dependence.take(chosen),
        )


def prepare_metric(pair: Pair, metric: str) -> PairedMetric:
    """Prepare a metric on the rows of a pair. Raises UndefinedError where it has no value."""
    try:
        return _own_metric(pair, metric) if metric in pair.own else METRICS_OF_PAIRS[metric](pair)
    except UndefinedError as error:
        raise UndefinedError(f"{metric} is undefined: {error}") from error


# Metrics of labels: sums by class of rows, calls and hits, over the joint cells of truth and both models' calls.


def _of_labels(metric: str) -> Callable[[Pair], PairedMetric]:
    def prepare(pair: Pair) -> PairedMetric:
        codes, classes = _encode_labels(pair)
        size = len(classes)
        truth, first, second = np.split(codes, 3)
        cells, joint = pd.factorize((truth * size + first) * size + second)
        if pair.weights is None:
            truth, first, second = joint // size**2, joint // size % size, joint % size
        counted = np.ones(len(truth)) if pair.weights is None else pair.weights
        of_class = np.eye(size)
        columns = [of_class[truth], *(of_class[calls] for calls in (first, second))]
        columns += [of_class[truth] * (calls == truth)[:, None] for calls in (first, second)]
        table = np.hstack([np.hstack(columns) * counted[:, None], np.ones((len(truth), 1))])
        # Rows of a cell are alike unless they have weights.
        return SumMetric(table, _from_hits(metric, size), cells if pair.weights is None else None)

    return prepare


def _encode_labels(pair: Pair) -> tuple[Codes, tuple[Any, ...]]:
    """Return labels as positions in the classes, and the classes.

    The labels are those of truth, challenger and champion.
    """
    labels = [np.asarray(given) for given in (pair.truth, pair.challenger.prediction, pair.champion.prediction)]
    if len({given.dtype for given in labels}) > 1:  # numpy would turn numbers beside text into text
        labels = [given.astype(object) for given in labels]
    codes, seen = pd.factorize(np.concatenate(labels), use_na_sentinel=False)
    return codes, tuple(seen.tolist())


def _from_hits(metric: str, size: int) -> Callable[[Values], Values]:
    """Compute a metric from sums by class, as scikit-learn does. Averages are over the labels that occur."""

    def values(sums: Values) -> Values:
        rows, *calls_and_hits = (sums[:, start * size : (start + 1) * size] for start in range(5))
        return np.column_stack([of_model(rows, calls_and_hits[model], calls_and_hits[model + 2]) for model in (0, 1)])

    def of_model(rows: Values, called: Values, hits: Values) -> Values:
        if metric == "accuracy":
            return hits.sum(axis=1) / rows.sum(axis=1)
        part, whole = {"precision_macro": (hits, called), "f1_macro": (2 * hits, rows + called)}.get(
            metric, (hits, rows)
        )
        occurs = rows > 0 if metric == "balanced_accuracy" else rows + called > 0
        return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0).sum(axis=1) / occurs.sum(axis=1)

    return values


def _expected_cost(pair: Pair) -> PairedMetric:
    known = {*pair.challenger.classes, *pair.champion.classes, *pair.truth}
    if pair.costs is None or len(known) != 2:
        raise UndefinedError("costs are of a decision between two classes")
    positive = find_positive_class(known, pair.positive)
    is_positive = pair.truth == positive
    columns = [cost_of_calls(is_positive, model.prediction == positive, pair.costs) for model in _models(pair)]
    return _mean_of(pair, np.column_stack(columns))


def cost_of_calls(is_positive: NDArray[np.bool_], called: NDArray[np.bool_], costs: CostsConfig) -> Values:
    """Return what each call costs, shape (rows,)."""
    return np.select(
        [is_positive & called, is_positive & ~called, ~is_positive & called],
        [costs.hit, costs.miss, costs.false_alarm],
        default=costs.correct_rejection,
    )


# Metrics of sums over rows.


def _mean_of(pair: Pair, losses: Values, then: Callable[[Values], Values] = lambda means: means) -> PairedMetric:
    return SumMetric(_weighed(pair, losses.astype(np.float64)), lambda sums: then(sums[:, :2] / sums[:, 2:3]))


def _weighed(pair: Pair, columns: Values) -> Values:
    """Weigh columns of sums. The weights become a column, too, before the last one, of ones."""
    ones = np.ones((len(columns), 1))
    if pair.weights is None:
        return np.hstack([columns, ones])
    weights = pair.weights[:, None]
    return np.hstack([columns * weights, weights, ones])


def _log_loss(pair: Pair) -> PairedMetric:
    return _mean_of(pair, np.column_stack([-np.log(_probability_of_truth(model)) for model in _models(pair)]))


def _probability_of_truth(predicted: Predicted) -> Values:
    probabilities = _probabilities(predicted)
    codes, seen = pd.factorize(np.asarray(predicted.truth))
    position = {name: number for number, name in enumerate(predicted.classes)}
    unknown = [name for name in seen.tolist() if name not in position]
    if unknown:
        raise UndefinedError(f"a model that never saw class {unknown[0]!r} predicts no probability of it")
    columns = np.array([position[name] for name in seen.tolist()])[codes]
    smallest = np.finfo(probabilities.dtype).eps  # as in scikit-learn
    return np.clip(probabilities[np.arange(len(columns)), columns], smallest, 1 - smallest)


def _probabilities(predicted: Predicted) -> Values:
    if predicted.probabilities is None:
        raise UndefinedError("a model that predicts no probabilities has none")
    return np.asarray(predicted.probabilities)


def _models(pair: Pair) -> tuple[Predicted, Predicted]:
    return pair.challenger, pair.champion


def _errors(pair: Pair) -> Values:
    return np.column_stack([pair.truth - model.prediction for model in _models(pair)])


def _r2(pair: Pair) -> PairedMetric:
    centred = pair.truth - np.average(pair.truth, weights=pair.weights)  # else the sums of squares cancel badly
    if not centred.any():
        raise UndefinedError("all rows have the same true value")

    def values(sums: Values) -> Values:
        spread = (sums[:, 3] - sums[:, 2] ** 2 / sums[:, 4])[:, None]
        return 1 - np.divide(sums[:, :2], spread, out=np.full((len(sums), 2), np.nan), where=spread > 0)

    return SumMetric(_weighed(pair, np.column_stack([_errors(pair) ** 2, centred, centred**2])), values)


# Metrics of weighted rows.


def _of_curves(area: Callable[[Values, NDArray[np.bool_], Values | None], Curve]) -> Callable[[Pair], PairedMetric]:
    """Average an area over the classes. Each one is compared with the rest; of two classes it is the positive one's."""

    def prepare(pair: Pair) -> PairedMetric:
        curves: list[list[Curve]] = []
        for model in _models(pair):
            probabilities = _probabilities(model)
            if set(np.unique(model.truth)) != set(model.classes):
                raise UndefinedError("the true classes of these rows are not those of the models")
            positives = list(model.classes)
            if len(positives) == 2:
                positives = [find_positive_class(positives, pair.positive)]
            places = [list(model.classes).index(name) for name in positives]
            truths = [model.truth == model.classes[place] for place in places]
            pairs = zip(places, truths, strict=True)
            curves.append([area(probabilities[:, place], truth, pair.weights) for place, truth in pairs])
        return RankMetric((curves[0], curves[1]))

    return prepare


def _median_ae(pair: Pair) -> PairedMetric:
    first, second = ([median_of(column, pair.weights)] for column in np.abs(_errors(pair)).T)
    return RankMetric((first, second))


def _own_metric(pair: Pair, name: str) -> PairedMetric:
    own, rows = pair.own[name], len(pair.truth)
    answers = [answers_of(own, model, pair.positive) for model in _models(pair)]
    first, second = answers
    if first is None or second is None:
        raise UndefinedError("a model that predicts no probabilities has none")
    values = [call_own(name, own, pair.truth, entry, pair.weights) for entry in (first, second)]
    if all(entry.ndim for entry in values):
        return _mean_of(pair, np.column_stack(values))
    if rows > MOST_ROWS:
        raise UndefinedError(
            f"{own.function} returns one number, and is called once for each row, of which {rows:,} are more than "
            f"{MOST_ROWS:,}; let it return a value for each row"
        )

    def value(chosen: Codes) -> Values:
        weights = None if pair.weights is None else pair.weights[chosen]
        try:
            called = [call_own(name, own, pair.truth[chosen], entry[chosen], weights) for entry in (first, second)]
        except ConfigError:  # such as a resample that lacks a class
            return np.full(2, np.nan)
        return np.array([np.average(entry, weights=weights if entry.ndim else None) for entry in called])

    return CalledMetric(rows, value)


METRICS_OF_PAIRS: dict[str, Callable[[Pair], PairedMetric]] = {
    **{
        name: _of_labels(name)
        for name in ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro")
    },
    "expected_cost": _expected_cost,
    "roc_auc": _of_curves(area_under_roc),
    "average_precision": _of_curves(average_precision),
    "log_loss": _log_loss,
    "mae": lambda pair: _mean_of(pair, np.abs(_errors(pair))),
    "rmse": lambda pair: _mean_of(pair, _errors(pair) ** 2, np.sqrt),
    "r2": _r2,
    "median_ae": _median_ae,
}
