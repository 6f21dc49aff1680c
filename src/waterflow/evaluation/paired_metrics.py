"""A metric of two models on the same rows. It has values, the influence of each row, and values on resamples."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.metrics import Task
from waterflow.config.schema import CostsConfig
from waterflow.evaluation.bootstrap import Codes, Values
from waterflow.evaluation.dependence import Dependence
from waterflow.evaluation.weighted_metrics import (
    Curve,
    PairedMetric,
    RankMetric,
    SumMetric,
    area_under_roc,
    average_precision,
    median_of,
)
from waterflow.scoring.metrics import Predicted, find_positive_class

WITHIN_CLASSES = ("balanced_accuracy", "recall_macro", "roc_auc")  # what does not depend on the shares of the classes
OVER_CLASSES = (*WITHIN_CLASSES, "precision_macro", "f1_macro", "average_precision")  # to which a rare class matters


class UndefinedError(Exception):
    """A metric without a value for these rows and models. The message is a clause that says why."""


@dataclass(frozen=True)
class Pair:
    """Predictions of challenger and champion, row by row. Also how the rows belong together.

    `positive` is the class that costs and average precision are about; of two classes the greater one unless given.
    """

    task: Task
    challenger: Predicted
    champion: Predicted
    dependence: Dependence = field(default_factory=Dependence)
    costs: CostsConfig | None = None
    positive: Any = None

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
        return METRICS_OF_PAIRS[metric](pair)
    except UndefinedError as error:
        raise UndefinedError(f"{metric} is undefined: {error}") from error


# Metrics of labels: sums by class of rows, calls and hits, over the joint cells of truth and both models' calls.


def _of_labels(metric: str) -> Callable[[Pair], PairedMetric]:
    def prepare(pair: Pair) -> PairedMetric:
        codes, classes = _encode_labels(pair)
        size = len(classes)
        truth, first, second = np.split(codes, 3)
        cells, joint = pd.factorize((truth * size + first) * size + second)
        truth, first, second = joint // size**2, joint // size % size, joint % size
        of_class = np.eye(size)
        columns = [of_class[truth], *(of_class[calls] for calls in (first, second))]
        columns += [of_class[truth] * (calls == truth)[:, None] for calls in (first, second)]
        return SumMetric(np.hstack([*columns, np.ones((len(joint), 1))]), _from_hits(metric, size), cells)

    return prepare


def _encode_labels(pair: Pair) -> tuple[Codes, tuple[Any, ...]]:
    """Return labels as positions in the classes, and the classes.

    The labels are those of truth, challenger and champion.
    """
    labels = (pair.truth, pair.challenger.prediction, pair.champion.prediction)
    codes, seen = pd.factorize(
        np.concatenate([np.asarray(given, dtype=object) for given in labels]), use_na_sentinel=False
    )
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
    return _mean_of(np.column_stack(columns))


def cost_of_calls(is_positive: NDArray[np.bool_], called: NDArray[np.bool_], costs: CostsConfig) -> Values:
    """Return what each call costs, shape (rows,)."""
    return np.select(
        [is_positive & called, is_positive & ~called, ~is_positive & called],
        [costs.hit, costs.miss, costs.false_alarm],
        default=costs.correct_rejection,
    )


# Metrics of sums over rows.


def _mean_of(losses: Values, then: Callable[[Values], Values] = lambda means: means) -> PairedMetric:
    columns = np.column_stack([losses, np.ones(len(losses))]).astype(np.float64)  # XGBoost's probabilities have 32 bits
    return SumMetric(columns, lambda sums: then(sums[:, :2] / sums[:, 2:]))


def _log_loss(pair: Pair) -> PairedMetric:
    return _mean_of(np.column_stack([-np.log(_probability_of_truth(model)) for model in _models(pair)]))


def _probability_of_truth(predicted: Predicted) -> Values:
    probabilities = _probabilities(predicted)
    codes, seen = pd.factorize(np.asarray(predicted.truth, dtype=object))
    position = {name: number for number, name in enumerate(predicted.classes)}
    unknown = [name for name in seen if name not in position]
    if unknown:
        raise UndefinedError(f"a model that never saw class {unknown[0]!r} predicts no probability of it")
    columns = np.array([position[name] for name in seen])[codes]
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
    centred = pair.truth - pair.truth.mean()  # else the sums of squares cancel badly
    if not centred.any():
        raise UndefinedError("all rows have the same true value")

    def values(sums: Values) -> Values:
        spread = (sums[:, 3] - sums[:, 2] ** 2 / sums[:, 4])[:, None]
        return 1 - np.divide(sums[:, :2], spread, out=np.full((len(sums), 2), np.nan), where=spread > 0)

    return SumMetric(np.column_stack([_errors(pair) ** 2, centred, centred**2, np.ones(len(centred))]), values)


# Metrics of weighted rows.


def _of_curves(area: Callable[[Values, NDArray[np.bool_]], Curve]) -> Callable[[Pair], PairedMetric]:
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
            curves.append([area(probabilities[:, place], model.truth == model.classes[place]) for place in places])
        return RankMetric((curves[0], curves[1]))

    return prepare


def _median_ae(pair: Pair) -> PairedMetric:
    first, second = ([median_of(column)] for column in np.abs(_errors(pair)).T)
    return RankMetric((first, second))


METRICS_OF_PAIRS: dict[str, Callable[[Pair], PairedMetric]] = {
    **{
        name: _of_labels(name)
        for name in ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro")
    },
    "expected_cost": _expected_cost,
    "roc_auc": _of_curves(area_under_roc),
    "average_precision": _of_curves(average_precision),
    "log_loss": _log_loss,
    "mae": lambda pair: _mean_of(np.abs(_errors(pair))),
    "rmse": lambda pair: _mean_of(_errors(pair) ** 2, np.sqrt),
    "r2": _r2,
    "median_ae": _median_ae,
}
