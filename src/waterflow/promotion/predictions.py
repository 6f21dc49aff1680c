"""Predictions of the held-out rows. Checks whether they can be used."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.columns import feature_columns, weights_of
from waterflow.data.row_identity import hash_column
from waterflow.errors import DataError, StoreError, TrackingError, UnreachableError, first_line
from waterflow.scoring.metrics import Predicted, predict_rows


class UnusableError(Exception):
    """A model that cannot be compared. The message is a clause that says why."""


def predict_holdout(model: Any, rows: pd.DataFrame, config: PipelineConfig) -> Predicted:
    """Predict from the columns that a model was fitted on.

    Raises DataError when one is missing.
    """
    names = [str(name) for name in getattr(model, "feature_names_in_", feature_columns(rows, config))]
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise DataError(f"it needs the columns {', '.join(map(repr, missing))}, which these rows lack")
    return predict_rows(model, rows[names], rows[config.target], config.task, weights_of(rows, config))


def predict_usably(predict: Callable[[], Predicted]) -> Predicted:
    """Load a model, predict, and check the answers.

    Raises UnusableError when that raises, or when an answer is null, NaN or infinite. Lost files and servers that do
    not answer are no fault of the model, and raise what they raise.
    """
    try:
        predicted = predict()
    except (UnreachableError, StoreError, TrackingError):
        raise
    except Exception as error:  # a model of another signature may raise anything
        raise UnusableError(f"it cannot predict these rows: {type(error).__name__}: {first_line(error)}") from error
    empty = np.asarray(pd.isna(predicted.prediction))
    if predicted.prediction.dtype.kind == "f":
        empty = empty | np.isinf(predicted.prediction)
    if predicted.probabilities is not None:
        empty = empty | ~np.isfinite(predicted.probabilities).all(axis=1)
    if empty.any():
        raise UnusableError(f"it answers NaN on {int(empty.sum())} of {len(empty)} rows")
    return predicted


def align_labels(predicted: Predicted, reference: Predicted) -> Predicted:
    """Return predictions with the labels of `reference`. Labels are compared by value.

    So 1, 1.0 and "1" are one class, whatever type each model's data was read as. Raises UnusableError when the two
    models have no label in common, or when two labels of one of them have the same value.
    """
    known: dict[int, Any] = {}
    for label in _distinct_labels(reference):
        if known.setdefault(_value_of(label), label) != label:
            raise UnusableError(f"labels {known[_value_of(label)]!r} and {label!r} have the same value")
    own = _distinct_labels(predicted)
    names = {label: known.get(_value_of(label), label) for label in own}
    if len(set(map(_value_of, own))) < len(own):
        raise UnusableError("two of its labels have the same value")
    if not set(names.values()) & set(known.values()):
        raise UnusableError(
            f"it answers with other labels ({_listed(own)}) than these rows have ({_listed(known.values())})"
        )
    if all(type(name) is type(label) for label, name in names.items()):
        return predicted
    prediction = np.array([names[label] for label in predicted.prediction.tolist()], dtype=object)
    return replace(predicted, prediction=prediction, classes=tuple(names[label] for label in _plain(predicted.classes)))


def columns_of(model: str, predicted: Predicted) -> dict[str, Any]:
    """Return predictions as columns named after a model. Probabilities have one for each class."""
    columns: dict[str, Any] = {model: predicted.prediction}
    if predicted.probabilities is not None:
        for position, name in enumerate(predicted.classes):
            columns[f"{model}_probability_{name}"] = predicted.probabilities[:, position]
    return columns


def _distinct_labels(predicted: Predicted) -> list[Any]:
    return list(dict.fromkeys([*_plain(predicted.classes), *pd.unique(predicted.prediction).tolist()]))


def _plain(labels: Any) -> list[Any]:
    return [label.item() if isinstance(label, np.generic) else label for label in labels]


def _value_of(label: Any) -> int:
    return int(hash_column(pd.Series([label], dtype=object))[0])


def _listed(labels: Any) -> str:
    return ", ".join(map(repr, list(labels)[:5]))
