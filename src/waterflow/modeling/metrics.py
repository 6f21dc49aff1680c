"""Scores of a fitted pipeline on given rows, by scikit-learn's definitions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics as skm

from waterflow.config.catalog import METRICS, Task


@dataclass(frozen=True)
class Predicted:
    """What a model said of some rows: labels or numbers, and for classes their probabilities.

    `probabilities` has shape (rows, classes) in the order of `classes`, or is None where the estimator
    gives none. `truth` and `prediction` have shape (rows,).
    """

    truth: NDArray[Any]
    prediction: NDArray[Any]
    classes: tuple[Any, ...] = ()
    probabilities: NDArray[np.float64] | None = None


def predict_rows(pipeline: Any, features: pd.DataFrame, target: pd.Series, task: Task) -> Predicted:
    """Let a fitted pipeline predict raw columns; `target` is what really happened."""
    truth, prediction = target.to_numpy(), np.asarray(pipeline.predict(features)).ravel()
    if task == "regression":
        return Predicted(truth.astype(float), prediction.astype(float))
    probabilities = pipeline.predict_proba(features) if hasattr(pipeline, "predict_proba") else None
    return Predicted(truth, prediction, tuple(pipeline.classes_), probabilities)


def score_rows(predicted: Predicted, task: Task) -> dict[str, float]:
    """Compute every metric of the task that is defined on these rows, and precision, recall and F1 per class.

    Undefined are ROC AUC and log loss without probabilities, ROC AUC on rows of a single class, and R² on a
    single row; they are left out, not set to a number.
    """
    return _score_numbers(predicted) if task == "regression" else _score_classes(predicted)


def headline(scores: dict[str, float]) -> dict[str, float]:
    """Leave out the scores per class."""
    return {name: value for name, value in scores.items() if name in METRICS}


def confusion(predicted: Predicted) -> dict[str, Any]:
    """Count predictions by class: `matrix[i][j]` rows of `classes[i]` were called `classes[j]`."""
    classes = _all_classes(predicted)
    matrix = skm.confusion_matrix(predicted.truth, predicted.prediction, labels=classes)
    return {"classes": [str(name) for name in classes], "matrix": matrix.tolist()}


def _score_numbers(predicted: Predicted) -> dict[str, float]:
    truth, prediction = predicted.truth, predicted.prediction
    scores = {
        "mae": float(skm.mean_absolute_error(truth, prediction)),
        "rmse": float(skm.root_mean_squared_error(truth, prediction)),
    }
    if len(truth) > 1:
        scores["r2"] = float(skm.r2_score(truth, prediction))
    return scores


def _score_classes(predicted: Predicted) -> dict[str, float]:
    truth, prediction = predicted.truth, predicted.prediction
    classes = _all_classes(predicted)
    precision, recall, f1, _ = skm.precision_recall_fscore_support(truth, prediction, labels=classes, zero_division=0.0)
    present = np.isin(np.asarray(classes, dtype=object), np.unique(truth).astype(object))
    scores = {
        "accuracy": float(np.mean(truth == prediction)),
        "balanced_accuracy": float(np.mean(recall[present])),
        "precision_macro": float(np.mean(precision)),
        "recall_macro": float(np.mean(recall)),
        "f1_macro": float(np.mean(f1)),
    }
    if predicted.probabilities is not None:
        scores |= _score_probabilities(truth, predicted.probabilities, predicted.classes)
    for position, name in enumerate(classes):
        scores[f"precision.{name}"] = float(precision[position])
        scores[f"recall.{name}"] = float(recall[position])
        scores[f"f1.{name}"] = float(f1[position])
    return scores


def _score_probabilities(
    truth: NDArray[Any], probabilities: NDArray[np.float64], classes: Sequence[Any]
) -> dict[str, float]:
    if not np.isin(truth, np.asarray(classes)).all():
        return {}  # a class that training never saw has no probability
    scores = {"log_loss": float(skm.log_loss(truth, probabilities, labels=list(classes)))}
    if set(np.unique(truth)) != set(classes):
        return scores
    if len(classes) == 2:
        scores["roc_auc"] = float(skm.roc_auc_score(truth == classes[1], probabilities[:, 1]))
    else:
        scores["roc_auc"] = float(
            skm.roc_auc_score(truth, probabilities, labels=list(classes), multi_class="ovr", average="macro")
        )
    return scores


def _all_classes(predicted: Predicted) -> list[Any]:
    seen = np.unique(np.concatenate([predicted.truth, predicted.prediction])).tolist()
    return sorted(set(predicted.classes) | set(seen), key=str)
