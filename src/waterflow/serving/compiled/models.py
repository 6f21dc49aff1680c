"""The last step of a pipeline, with calibration and threshold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waterflow.estimators.calibrated import calibrate
from waterflow.serving.compiled.interface import Categories, CompiledModel, Matrix, NotCompilableError, path_of
from waterflow.serving.compiled.linear_models import (
    compile_gaussian_bayes,
    compile_line,
    compile_linear_median,
    compile_logistic,
)
from waterflow.serving.compiled.treelite_trees import compile_histogram_boosting, compile_random_forest
from waterflow.serving.compiled.xgboost_trees import compile_xgboost

BOOSTING = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
LABEL_ENCODED = "waterflow.estimators.label_encoded.LabelEncodedClassifier"
CALIBRATED = "waterflow.estimators.calibrated.CalibratedClassifier"
THRESHOLD = "sklearn.model_selection._classification_threshold.FixedThresholdClassifier"

BOOSTED = (f"{BOOSTING}.HistGradientBoostingClassifier", f"{BOOSTING}.HistGradientBoostingRegressor")
LINEAR: Mapping[str, Callable[[Any], CompiledModel]] = {  # they take no NaN
    "sklearn.linear_model._ridge.Ridge": compile_line,
    "sklearn.linear_model._huber.HuberRegressor": compile_line,
    "waterflow.estimators.linear_median.LinearMedianRegressor": compile_linear_median,
    "sklearn.linear_model._logistic.LogisticRegression": compile_logistic,
    "sklearn.naive_bayes.GaussianNB": compile_gaussian_bayes,
}
TREES: Mapping[str, Callable[[Any, int], CompiledModel]] = {
    "xgboost.sklearn.XGBClassifier": compile_xgboost,
    "xgboost.sklearn.XGBRegressor": compile_xgboost,
    "sklearn.ensemble._forest.RandomForestClassifier": compile_random_forest,
    "sklearn.ensemble._forest.RandomForestRegressor": compile_random_forest,
}


@dataclass(frozen=True)
class Renamed:
    """A model of class numbers, with their names."""

    model: CompiledModel
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return positions of classes, and probabilities."""
        return self.model.predict(features)


@dataclass(frozen=True)
class Calibrated:
    """A model of two classes with calibrated probabilities."""

    model: CompiledModel
    positive: int
    slope: float
    intercept: float
    knots: tuple[tuple[float, float], ...]
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[np.intp], Matrix]:
        """Return positions of classes, and probabilities."""
        raw = np.asarray(_probabilities(self.model, features), dtype=float)[:, self.positive]
        positive = calibrate(raw, self.slope, self.intercept, self.knots)
        pair = (1 - positive, positive)
        chances = np.column_stack(pair if self.positive else pair[::-1])
        return chances.argmax(axis=1), chances


@dataclass(frozen=True)
class Thresholded:
    """A model of two classes that decides at a threshold."""

    model: CompiledModel
    positive: int
    threshold: float
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[np.intp], NDArray[Any]]:
        """Return positions of classes, and probabilities."""
        chances = _probabilities(self.model, features)
        return np.where(chances[:, self.positive] >= self.threshold, self.positive, 1 - self.positive), chances


def compile_model(model: Any, categories: Categories, threads: int = 1) -> CompiledModel:
    """Compile a fitted estimator with its wrappers. Raises NotCompilableError for any outside the closed set.

    `categories` are those of each feature, None for numbers.
    """
    path = path_of(model)
    if path in BOOSTED:
        return compile_histogram_boosting(model, categories, threads)
    if path in LINEAR:
        return LINEAR[path](model)
    if path in TREES:
        return TREES[path](model, threads)
    if path == LABEL_ENCODED:
        return Renamed(compile_model(model.estimator, categories, threads), tuple(model.classes_.tolist()))
    if path == CALIBRATED:
        inner = compile_model(model.estimator, categories, threads)
        knots = tuple(map(tuple, model.knots))
        positive = inner.classes.index(model.positive)
        return Calibrated(inner, positive, model.slope, model.intercept, knots, inner.classes)
    if path == THRESHOLD and model.response_method == "predict_proba":
        inner = compile_model(model.estimator_, categories, threads)
        return Thresholded(inner, inner.classes.index(model.pos_label), model.threshold, inner.classes)
    raise NotCompilableError(f"the estimator {type(model).__name__} has no fast path")


def takes_missing(model: Any) -> bool:
    """Return whether the estimator inside takes NaN."""
    while path_of(model) in (LABEL_ENCODED, CALIBRATED, THRESHOLD):
        model = model.estimator
    return path_of(model) in (*BOOSTED, *TREES)


def _probabilities(model: CompiledModel, features: Matrix) -> NDArray[Any]:
    _, chances = model.predict(features)
    assert chances is not None  # only classifiers with probabilities have a threshold
    return chances
