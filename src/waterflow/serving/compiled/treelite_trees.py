"""Histogram boosting and random forests, by treelite."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import treelite
import treelite.sklearn
from numpy.typing import NDArray
from treelite.gtil.gtil import GTILConfig, _predict_impl

from waterflow.errors import DataError
from waterflow.serving.compiled.interface import Categories, Matrix, NotCompilableError
from waterflow.serving.compiled.linear_models import decide_by_scores

IDENTITY_LOSSES = ("squared_error", "absolute_error", "quantile")
LOG_LOSSES = ("poisson", "gamma")


class _Trees:
    """A model of treelite with its settings. `gtil.predict` would parse them from JSON at each call."""

    def __init__(self, model: Any, threads: int) -> None:
        self._model = treelite.sklearn.import_model(model)
        self._config = GTILConfig(nthread=threads, predict_type="raw")

    def sum(self, features: Matrix) -> Matrix:
        """Return raw scores, shape (rows, outputs)."""
        return _predict_impl(self._model, features, config=self._config)[:, 0, :]


@dataclass(frozen=True)
class HistogramBoosting:
    """Histogram boosting. `order` has the categories first, as scikit-learn has them."""

    trees: _Trees
    order: NDArray[np.intp] | None
    has_log_link: bool
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[Any], Matrix | None]:
        """Return positions of classes or numbers, and probabilities."""
        scores = self.trees.sum(features if self.order is None else features[:, self.order])
        if self.classes:
            return decide_by_scores(scores)
        return np.exp(scores[:, 0]) if self.has_log_link else scores[:, 0], None


@dataclass(frozen=True)
class RandomForest:
    """A random forest. Its trees compare float32, as they were fitted."""

    trees: _Trees
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[Any], Matrix | None]:
        """Return positions of classes or numbers, and probabilities. Raises DataError for a number beyond float32."""
        with np.errstate(over="ignore"):
            rounded = features.astype(np.float32)
        if np.isinf(rounded).any():
            raise DataError("a number is too large for the random forest, which takes at most 3.4e38")
        answers = self.trees.sum(rounded.astype(np.float64))
        return (answers.argmax(axis=1), answers) if self.classes else (answers[:, 0], None)


def compile_histogram_boosting(model: Any, categories: Categories, threads: int) -> HistogramBoosting:
    """Compile `HistGradientBoostingClassifier` or `…Regressor`.

    Raises NotCompilableError for an unknown loss, and where its codes of `categories` are not ours.
    """
    classes = _classes_of(model)
    if not classes and model.loss not in (*IDENTITY_LOSSES, *LOG_LOSSES):
        raise NotCompilableError(f"the loss {model.loss!r} has no fast path")
    is_category = np.array([names is not None for names in categories])
    _check_codes(model, is_category, [names for names in categories if names is not None])
    order = None
    if is_category.any():
        order = np.concatenate((np.flatnonzero(is_category), np.flatnonzero(~is_category)))
        model = copy.copy(model)
        model._preprocessor = None  # its encoder: our categories arrive as the codes that it would make
    return HistogramBoosting(_Trees(model, threads), order, model.loss in LOG_LOSSES, classes)


def compile_random_forest(model: Any, threads: int) -> RandomForest:
    """Compile `RandomForestClassifier` or `RandomForestRegressor`."""
    return RandomForest(_Trees(model, threads), _classes_of(model))


def _check_codes(model: Any, is_category: NDArray[np.bool_], categories: Sequence[tuple[str, ...]]) -> None:
    own = np.zeros(len(is_category), bool) if model.is_categorical_ is None else model.is_categorical_
    if not np.array_equal(own, is_category):
        raise NotCompilableError("the estimator takes numbers for categories")
    if not categories:
        return
    encoder = model._preprocessor.named_transformers_["encoder"]
    for ours, theirs in zip(categories, encoder.categories_, strict=True):
        if list(ours) != [name for name in theirs.tolist() if name == name]:
            raise NotCompilableError("the estimator orders numbers that are categories as text")


def _classes_of(model: Any) -> tuple[Any, ...]:
    return tuple(model.classes_.tolist()) if hasattr(model, "classes_") else ()
