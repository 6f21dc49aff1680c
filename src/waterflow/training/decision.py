"""The decision of a two-class model. Calibration and threshold are chosen from out-of-sample predictions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from waterflow.config.schema import PipelineConfig
from waterflow.estimators.calibrated import SMALLEST, CalibratedClassifier, calibrate
from waterflow.records.training import DecisionRule
from waterflow.scoring.metrics import Predicted, find_positive_class
from waterflow.scoring.thresholds import choose_threshold

MAX_KNOTS = 100
# With fewer rows of either class a learnt threshold costs more than 0.5 on average (simulated at 3 % positives).
LEAST_ROWS_OF_CLASS = 8
LEAST_GROUPS_OF_CLASS = 5


def choose_decision(
    config: PipelineConfig,
    predictions: Sequence[Predicted],
    groups: Sequence[pd.Series | None] = (),
    may_learn: bool = True,
) -> DecisionRule | None:
    """Choose calibration and threshold from out-of-sample predictions.

    There is an entry per fold; `groups` name the group of each row where rows are grouped.

    With `may_learn=False` only a declared threshold counts. Returns None where the estimator's own labels stand:
    without a declared decision, without probabilities, or where one of the classes has fewer than 8 rows or
    lies in fewer than 5 groups. Raises DataError unless there are two classes.
    """
    is_fixed = isinstance(config.decision_rule, float) and config.calibration is None
    has_scores = all(entry.probabilities is not None for entry in predictions)
    if not config.has_decision or not has_scores or not (is_fixed or may_learn):
        return None
    classes = {name for entry in predictions for name in entry.classes}
    if len(classes) < 2:
        return None
    positive = find_positive_class(classes, config.declared_positive)
    actual, scores = positive_scores(predictions, positive)
    if not is_fixed and not _is_enough(actual, [entry for entry in groups if entry is not None]):
        return None
    weights = _weights_of(predictions)
    calibration = _fit_calibration(config, actual, scores, weights)
    calibrated = calibrate(scores, **calibration) if calibration else scores
    threshold = choose_threshold(actual, calibrated, config.decision_rule, config.costs, weights)
    rate = float(np.average(calibrated >= threshold, weights=weights))
    return DecisionRule(positive=positive, threshold=threshold, positive_rate=rate, **calibration)


def explain_no_decision(config: PipelineConfig, rule: DecisionRule | None) -> str:
    """Return why a declared decision was not chosen. It is empty where it was, or none is declared."""
    if rule is not None or not config.has_decision:
        return ""
    reason = (
        f"{config.strategy.name} leaves no rows outside the fit but the holdout"
        if config.strategy.select_on == "test"
        else "the estimator predicts no probabilities, or one of the classes has fewer than "
        f"{LEAST_ROWS_OF_CLASS} rows or {LEAST_GROUPS_OF_CLASS} groups outside the fit"
    )
    return f"decision: labels are the estimator's own, at 0.5 where it has probabilities: {reason}"


def _is_enough(actual: NDArray[np.bool_], groups: Sequence[pd.Series]) -> bool:
    """Return whether both classes have enough rows and groups."""
    if min(actual.sum(), (~actual).sum()) < LEAST_ROWS_OF_CLASS:
        return False
    names = pd.concat(groups).to_numpy() if groups else None
    return names is None or min(pd.Series(names[of]).nunique() for of in (actual, ~actual)) >= LEAST_GROUPS_OF_CLASS


def positive_scores(predictions: Sequence[Predicted], positive: Any) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which rows are positive, and their probabilities. The rows are those of all folds."""
    actual = np.concatenate([np.asarray(entry.truth == positive) for entry in predictions]).astype(bool)
    return actual, np.concatenate([_scores_of(entry, positive) for entry in predictions])


def calibrate_scores(scores: NDArray[np.float64], rule: DecisionRule) -> NDArray[np.float64]:
    """Return the probabilities that the model with this rule predicts."""
    return calibrate(scores, rule.slope, rule.intercept, rule.knots) if rule.is_calibrated else scores


def with_decision(model: Any, rule: DecisionRule | None) -> Any:
    """Wrap a fitted estimator so that it decides by rule. No further fit changes the rule."""
    if rule is None:
        return model
    if rule.is_calibrated:
        model = CalibratedClassifier(model, rule.positive, rule.slope, rule.intercept, rule.knots)
    decided = FixedThresholdClassifier(
        model, threshold=rule.threshold, pos_label=rule.positive, response_method="predict_proba"
    )
    decided.estimator_ = model  # what its `fit` would set, after fitting a clone
    return decided


def apply_decision(predicted: Predicted, rule: DecisionRule | None) -> Predicted:
    """Return what a model with this rule predicts. It is derived from what the model predicts without."""
    if rule is None or len(predicted.classes) != 2:  # a fold may lack a class
        return predicted
    column = predicted.classes.index(rule.positive)
    positive = calibrate_scores(_scores_of(predicted, rule.positive), rule)
    names = np.asarray(predicted.classes, dtype=predicted.prediction.dtype)
    pair = (1 - positive, positive) if column else (positive, 1 - positive)
    called = np.where(positive >= rule.threshold, column, 1 - column)
    return replace(predicted, prediction=names[called], probabilities=np.column_stack(pair))


def _scores_of(predicted: Predicted, positive: Any) -> NDArray[np.float64]:
    """Return the probabilities of a class. They are zeros where the model was fitted without its rows."""
    if positive not in predicted.classes:
        return np.zeros(len(predicted.truth))
    assert predicted.probabilities is not None
    return np.asarray(predicted.probabilities[:, predicted.classes.index(positive)], dtype=float)


def _weights_of(predictions: Sequence[Predicted]) -> NDArray[np.float64] | None:
    parts = [entry.weights for entry in predictions if entry.weights is not None]
    return np.concatenate(parts) if parts else None


def _fit_calibration(
    config: PipelineConfig,
    actual: NDArray[np.bool_],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """Fit the constants of `calibrate`. They are fitted by a sigmoid (Platt, 1999) or isotonic regression."""
    if config.calibration is None:
        return {}
    if config.calibration == "sigmoid":
        odds = logit(np.clip(scores, SMALLEST, 1 - SMALLEST)).reshape(-1, 1)
        line = LogisticRegression(C=np.inf, max_iter=1000).fit(odds, actual, sample_weight=weights)
        return {"slope": float(line.coef_[0, 0]), "intercept": float(line.intercept_[0])}
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, actual, sample_weight=weights)
    knots = np.column_stack((steps.X_thresholds_, steps.y_thresholds_))
    kept = np.unique(np.linspace(0, len(knots) - 1, min(MAX_KNOTS, len(knots))).astype(int))
    return {"knots": tuple((float(raw), float(calibrated)) for raw, calibrated in knots[kept])}
