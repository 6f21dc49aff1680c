"""Scores of a fitted pipeline on given rows. They follow scikit-learn's definitions.

Labels are hashed to integers once. scikit-learn sorts and compares them as strings for each metric, which takes
seconds on many rows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics as skm
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import Pipeline

from waterflow.config.metrics import Task, metric_name
from waterflow.config.schema import CostsConfig
from waterflow.errors import ConfigError, DataError
from waterflow.estimators.label_encoded import LabelEncodedClassifier


@dataclass(frozen=True)
class Predicted:
    """A model's predictions of some rows, with the true values.

    `truth` and `prediction` have shape (rows,). `probabilities` has shape (rows, classes) in the order of `classes`;
    it is None for regressions and for estimators without probabilities. `weights`, shape (rows,), say how much each row
    counts in metrics; None counts all alike.
    """

    truth: NDArray[Any]
    prediction: NDArray[Any]
    classes: tuple[Any, ...] = ()
    probabilities: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None

    def take(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the predictions of some of the rows."""
        probabilities = None if self.probabilities is None else self.probabilities[chosen]
        weights = None if self.weights is None else self.weights[chosen]
        truth, prediction = self.truth[chosen], self.prediction[chosen]
        return replace(self, truth=truth, prediction=prediction, probabilities=probabilities, weights=weights)


def predict_rows(
    pipeline: Any, features: pd.DataFrame, target: pd.Series, task: Task, weights: pd.Series | None = None
) -> Predicted:
    """Predict raw columns with a fitted pipeline. `target` holds the true values, `weights` what each row counts."""
    model, transformed = pipeline, features
    if isinstance(pipeline, Pipeline) and len(pipeline) > 1:  # transform once for labels and probabilities
        model, transformed = pipeline[-1], pipeline[:-1].transform(features)
    truth, counted = target.to_numpy(), None if weights is None else weights.to_numpy(dtype=float)
    is_threshold = isinstance(model, FixedThresholdClassifier)
    if is_threshold or (isinstance(model, LabelEncodedClassifier) and model.decides_by_probability):
        # predict would compute them again
        chances = model.predict_proba(transformed)
        return Predicted(truth, model.classes_[_decide(model, chances)], tuple(model.classes_), chances, counted)
    prediction = np.asarray(model.predict(transformed)).ravel()
    if task == "regression":
        return Predicted(truth.astype(float), prediction.astype(float), weights=counted)
    probabilities = model.predict_proba(transformed) if hasattr(model, "predict_proba") else None
    return Predicted(truth, prediction, tuple(model.classes_), probabilities, counted)


def _decide(model: Any, probabilities: NDArray[np.float64]) -> NDArray[np.intp]:
    if isinstance(model, LabelEncodedClassifier):
        return probabilities.argmax(axis=1)
    positive = model.classes_.tolist().index(model.pos_label)
    return np.where(probabilities[:, positive] >= model.threshold, positive, 1 - positive)


def score_rows(
    predicted: Predicted, task: Task, costs: CostsConfig | None = None, positive: Any = None
) -> dict[str, float]:
    """Compute every metric that is defined on these rows.

    They are the metrics of the task, and precision, recall and F1 per class.

    Macro averages are over the labels that occur in truth or prediction. Average precision and costs are of the
    `positive` class of two, the greater one by default; of more classes it is the mean of each against the rest. Left
    out are ROC AUC, average precision and log loss without probabilities, the first two also where a class has no row,
    R² on a single row, and the expected cost without `costs`. Raises the errors of `find_positive_class`.
    """
    if task == "regression":
        return _score_numbers(predicted)
    return _score_classes(predicted, costs, positive)


def headline(scores: dict[str, float]) -> dict[str, float]:
    """Return the scores without those per class. Their names have a dot."""
    return {name: value for name, value in scores.items() if "." not in name}


def find_positive_class(classes: Iterable[Any], declared: Any = None) -> Any:
    """Return the positive class of two. It is the declared one, else the greater of them.

    Raises DataError where there are not exactly two classes, ConfigError where the declared one is none of them.
    """
    names = sorted({_plain(name) for name in classes}, key=_order)
    listed = ", ".join(map(repr, names[:10]))
    if len(names) != 2:
        raise DataError(
            f"costs, positive: they are about a decision between two classes, the target has {len(names)} ({listed}); "
            "remove them, or choose a target with two classes"
        )
    if declared is None:
        return names[1]
    if declared not in names:
        raise ConfigError(f"positive: {declared!r} is not a class of the target; valid: {listed}")
    return names[names.index(declared)]


@dataclass(frozen=True)
class _Coded:
    """Labels as positions in `classes`. These are the model's classes in its order, then any others.

    `counts` has the weight of rows by truth and prediction, shape (classes, classes).
    """

    classes: tuple[Any, ...]
    truth: NDArray[np.intp]
    prediction: NDArray[np.intp]
    counts: NDArray[Any]
    weights: NDArray[np.float64] | None


def _encode(predicted: Predicted) -> _Coded:
    factors = [pd.factorize(values, use_na_sentinel=False) for values in (predicted.truth, predicted.prediction)]
    seen = {_plain(name) for _, names in factors for name in names}
    known = [_plain(name) for name in predicted.classes]
    classes = (*known, *sorted(seen - set(known), key=_order))
    position = {name: number for number, name in enumerate(classes)}
    truth, prediction = (np.array([position[_plain(name)] for name in names])[codes] for codes, names in factors)
    size = len(classes)
    counts = np.bincount(truth * size + prediction, predicted.weights, minlength=size * size).reshape(size, size)
    return _Coded(classes, truth, prediction, counts, predicted.weights)


def _score_numbers(predicted: Predicted) -> dict[str, float]:
    pair, weights = (predicted.truth, predicted.prediction), predicted.weights
    scores = {
        "mae": float(skm.mean_absolute_error(*pair, sample_weight=weights)),
        "median_ae": float(skm.median_absolute_error(*pair, sample_weight=weights)),
        "rmse": float(skm.root_mean_squared_error(*pair, sample_weight=weights)),
    }
    if len(predicted.truth) > 1:
        scores["r2"] = float(skm.r2_score(*pair, sample_weight=weights))
    return scores


def _score_classes(predicted: Predicted, costs: CostsConfig | None, positive: Any) -> dict[str, float]:
    coded = _encode(predicted)
    hits, rows, called = np.diag(coded.counts), coded.counts.sum(axis=1), coded.counts.sum(axis=0)
    precision, recall = _ratio(hits, called), _ratio(hits, rows)
    f1, occurs = _ratio(2 * hits, rows + called), rows + called > 0
    scores = {
        "accuracy": hits.sum() / rows.sum(),
        "balanced_accuracy": recall[rows > 0].mean(),
        "precision_macro": precision[occurs].mean(),
        "recall_macro": recall[occurs].mean(),
        "f1_macro": f1[occurs].mean(),
    }
    if predicted.probabilities is not None:
        scores |= _score_probabilities(coded, np.asarray(predicted.probabilities), positive)
    if costs is not None:
        scores["expected_cost"] = _expected_cost(coded, costs, positive)
    for position, name in enumerate(map(metric_name, coded.classes)):
        scores[f"precision.{name}"] = precision[position]
        scores[f"recall.{name}"] = recall[position]
        scores[f"f1.{name}"] = f1[position]
    return {name: float(value) for name, value in scores.items()}


def _score_probabilities(coded: _Coded, probabilities: NDArray[np.float64], positive: Any) -> dict[str, float]:
    truth, known = coded.truth, probabilities.shape[1]
    if truth.max() >= known:
        return {}  # a class that training never saw has no probability
    loss = float(skm.log_loss(truth, probabilities, labels=list(range(known)), sample_weight=coded.weights))
    if len(np.unique(truth)) < known:
        return {"log_loss": loss}
    classes = coded.classes[:known]
    positives = [classes.index(find_positive_class(classes, positive))] if known == 2 else range(known)
    curves = [(truth == position, probabilities[:, position]) for position in positives]
    return {
        "roc_auc": _mean_over(skm.roc_auc_score, curves, coded.weights),
        "average_precision": _mean_over(skm.average_precision_score, curves, coded.weights),
        "log_loss": loss,
    }


def _mean_over(metric: Any, curves: Sequence[Any], weights: NDArray[np.float64] | None) -> float:
    return float(np.mean([metric(*curve, sample_weight=weights) for curve in curves]))


def _expected_cost(coded: _Coded, costs: CostsConfig, declared: Any) -> float:
    """Compute the mean cost per row. It is the confusion matrix weighted by the costs (Elkan, IJCAI 2001)."""
    positive = coded.classes.index(find_positive_class(coded.classes, declared))
    negative = 1 - positive
    total = (
        costs.hit * coded.counts[positive, positive]
        + costs.miss * coded.counts[positive, negative]
        + costs.false_alarm * coded.counts[negative, positive]
        + costs.correct_rejection * coded.counts[negative, negative]
    )
    return float(total / coded.counts.sum())


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Divide, with 0 for a division by 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _order(value: Any) -> tuple[bool, Any]:
    """Sort numbers first and by value. Everything else is sorted by its text."""
    is_number = isinstance(value, int | float)
    return not is_number, value if is_number else str(value)
