"""Pipelines with every estimator of the set, compiled, and the decisions around them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import HuberRegressor, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from support.compiled import COLUMNS, FEATURES, fit_pipeline
from xgboost import XGBClassifier, XGBRegressor

from waterflow.config.schema import Block, Selector
from waterflow.errors import DataError
from waterflow.estimators.linear_median import LinearMedianRegressor
from waterflow.records.serving import Scores
from waterflow.records.training import DecisionRule
from waterflow.serving.compiled.interface import NotCompilableError
from waterflow.serving.compiled.pipeline import CompiledPredictor, compile_pipeline
from waterflow.serving.predictors import PipelinePredictor

NUMERIC, TEXT = Selector(type="numeric"), Selector(type="categorical")
DENSE = (
    Block(select=NUMERIC, impute="median", scale="standard"),
    Block(select=TEXT, impute="missing", encode="onehot"),
)
WITH_NULLS = (Block(select=NUMERIC), Block(select=TEXT, encode="ordinal"))
CATEGORIES = (Block(select=TEXT, encode="category"), Block(select=NUMERIC))
THRESHOLD = DecisionRule(positive="yes", threshold=0.3, positive_rate=0.5)
SIGMOID = THRESHOLD.model_copy(update={"positive": "no", "slope": 1.7, "intercept": -0.2})
ISOTONIC = THRESHOLD.model_copy(update={"knots": ((0.0, 0.1), (0.4, 0.3), (1.0, 0.9))})
XGB = XGBClassifier(n_estimators=12, enable_categorical=True, tree_method="hist", n_jobs=1)
XGB_REGRESSOR = XGBRegressor(n_estimators=12, enable_categorical=True, n_jobs=1)
BOOSTED = HistGradientBoostingClassifier(max_iter=12)
FOREST = RandomForestClassifier(12, max_depth=8, random_state=1)
PIPELINES: dict[str, tuple[Any, ...]] = {
    "logistic": (DENSE, LogisticRegression()),
    "logistic, three classes": (DENSE, LogisticRegression(), "three"),
    "logistic, threshold": (DENSE, LogisticRegression(), "two", THRESHOLD),
    "logistic, sigmoid": (DENSE, LogisticRegression(), "two", SIGMOID),
    "ridge": (DENSE, Ridge(), "number"),
    "huber": (DENSE, HuberRegressor(max_iter=1000), "number"),
    "linear median": (DENSE, LinearMedianRegressor(random_state=1), "number"),
    "naive Bayes": (DENSE, GaussianNB(), "three"),
    "xgboost": (WITH_NULLS, XGB),
    "xgboost, categories": (CATEGORIES, XGB),
    "xgboost, three classes": (CATEGORIES, XGB, "three"),
    "xgboost, threshold": (CATEGORIES, XGB, "two", THRESHOLD),
    "xgboost, isotonic": (CATEGORIES, XGB, "two", ISOTONIC),
    "xgboost regression": (CATEGORIES, XGB_REGRESSOR, "number"),
    "histogram boosting": (WITH_NULLS, BOOSTED),
    "histogram boosting, categories": (CATEGORIES, BOOSTED),
    "histogram boosting, three classes": (CATEGORIES, BOOSTED, "three"),
    "histogram boosting, sigmoid": (WITH_NULLS, BOOSTED, "two", SIGMOID),
    "histogram boosting regression": (CATEGORIES, HistGradientBoostingRegressor(loss="absolute_error"), "number"),
    "histogram boosting, counts": (WITH_NULLS, HistGradientBoostingRegressor(loss="poisson"), "positive"),
    "random forest": (WITH_NULLS, FOREST),
    "random forest, three classes": (DENSE, FOREST, "three"),
    "random forest, threshold": (DENSE, FOREST, "two", THRESHOLD),
    "random forest regression": (WITH_NULLS, RandomForestRegressor(12, max_depth=8, random_state=1), "number"),
}
FITTED: dict[str, tuple[PipelinePredictor, CompiledPredictor]] = {}


def fitted(name: str) -> tuple[PipelinePredictor, CompiledPredictor]:
    """Return a pipeline's two predictors, made once."""
    if name not in FITTED:
        pipeline = fit_pipeline(*PIPELINES[name])
        FITTED[name] = PipelinePredictor(pipeline, FEATURES), compile_pipeline(pipeline, FEATURES)
    return FITTED[name]


def assert_equal(found: Scores, expected: Scores) -> None:
    """Compare labels, classes and probabilities."""
    assert found.classes == expected.classes
    if not expected.classes:
        np.testing.assert_allclose(found.labels, expected.labels, rtol=1e-9)
        return
    assert found.labels == expected.labels
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PIPELINES)
@given(columns=COLUMNS)
@settings(max_examples=8, deadline=None, derandomize=True)
def test_a_compiled_pipeline_equals_the_fitted_one(name: str, columns: dict[str, list[Any]]) -> None:
    """Labels are equal, and so are numbers and probabilities but for rounding, in one row and in several."""
    pipeline, compiled = fitted(name)
    assert_equal(compiled.predict(columns), pipeline.predict(columns))


def test_labels_are_plain_values() -> None:
    """They become JSON."""
    columns = {feature.name: [None] for feature in FEATURES}
    assert type(fitted("xgboost regression")[1].predict(columns).labels[0]) is float
    assert type(fitted("logistic")[1].predict(columns).labels[0]) is str


def test_a_null_that_the_model_refuses_is_named() -> None:
    """As scikit-learn refuses it, but with the column."""
    pipeline = fit_pipeline((Block(select=Selector(names=("count",))),), LogisticRegression())
    columns = {feature.name: [None] for feature in FEATURES}
    with pytest.raises(DataError, match="column 'count'"):
        compile_pipeline(pipeline, FEATURES).predict(columns)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (KNeighborsClassifier(), "KNeighborsClassifier"),
        (SVC(), "SVC"),
        (type("Mine", (LogisticRegression,), {})(), "Mine"),
        (XGBClassifier(booster="gblinear", n_estimators=2), "linear booster"),
        (XGBClassifier(missing=-1, n_estimators=2), "missing"),
    ],
    ids=["k_neighbors", "svc", "a subclass", "gblinear", "missing"],
)
def test_what_is_no_estimator_of_the_set_has_a_reason(estimator: Any, reason: str) -> None:
    """A subclass is another estimator: it may override anything."""
    with pytest.raises(NotCompilableError, match=reason):
        compile_pipeline(fit_pipeline(DENSE, estimator), FEATURES)
