"""Predictors: functions from columns of plain values to scores."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from waterflow.records.serving import FeatureColumn, Scores

LARGEST_EXACT = 2**53  # of the integers that a float holds
Columns = Mapping[str, Sequence[Any]]
DTYPES = {
    "number": "float64",
    "integer": "float64",  # where a null stands beside integers
    "boolean": "object",
    "text": "object",
    "category": "object",
}


class Predictor(Protocol):
    """Whatever answers rows. Safe to call from several threads."""

    def predict(self, columns: Columns) -> Scores:
        """Return the scores of rows.

        `columns` has every feature, by name, each with one checked value a row: float, int, bool, str, datetime in UTC,
        or None.
        """
        ...


class PipelinePredictor:
    """A predictor over a fitted scikit-learn pipeline, through pandas."""

    def __init__(self, pipeline: Any, features: Sequence[FeatureColumn]) -> None:
        self._pipeline, self._model, self._features = pipeline, pipeline[-1], features
        self._classes = tuple(_plain(getattr(pipeline, "classes_", ())))
        self._has_probabilities = hasattr(pipeline, "predict_proba")

    def predict(self, columns: Columns) -> Scores:
        """Return the scores of rows. See `Predictor`."""
        rows = frame_of(columns, self._features)
        for _, step in self._pipeline.steps[:-1]:  # once, for labels and probabilities
            rows = step.transform(rows)
        labels = _plain(self._model.predict(rows))
        if not self._has_probabilities:
            return Scores(labels)
        return Scores(labels, np.asarray(self._model.predict_proba(rows), dtype=float), self._classes)


def frame_of(columns: Columns, features: Sequence[FeatureColumn]) -> pd.DataFrame:
    """Return checked columns as the frame that pipelines take.

    Types are those of the signature.
    """
    return pd.DataFrame({feature.name: _series(columns[feature.name], feature) for feature in features})


def _series(values: Sequence[Any], feature: FeatureColumn) -> pd.Series:
    if feature.kind == "time":
        return pd.to_datetime(pd.Series(values, dtype=object), utc=True).dt.tz_convert(None)
    if feature.whole:
        numbers = pd.Series(values, dtype="float64")
        is_whole = (numbers % 1 == 0) & (numbers.abs() < LARGEST_EXACT)
        return pd.Series(values, dtype="int64") if is_whole.all() else numbers
    if feature.kind == "boolean" and None not in values:
        return pd.Series(values, dtype="bool")
    return pd.Series(values, dtype=DTYPES[feature.kind])


def _plain(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
