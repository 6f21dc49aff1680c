"""Thresholds of two-class decisions, and which is best. Each one has the outcomes that it would have had."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix_at_thresholds

from waterflow.config.schema import CostsConfig, Decision, RecallDecision

DEFAULT_THRESHOLD = 0.5
NEVER = float(np.nextafter(1.0, 2.0))  # above every probability


@dataclass(frozen=True)
class ThresholdCurve:
    """Outcomes of every distinct decision, by falling threshold. Counts of rows have the shape (thresholds,).

    A row is called positive if its score reaches the threshold.
    """

    thresholds: NDArray[np.float64]
    hits: NDArray[np.float64]
    false_alarms: NDArray[np.float64]
    misses: NDArray[np.float64]
    correct_rejections: NDArray[np.float64]


def trace_thresholds(
    actual: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> ThresholdCurve:
    """Count the outcomes at each threshold. They go from never positive to always.

    `actual` says which rows are positive, `scores` are their probabilities, `weights` what each counts. Thresholds lie
    midway between scores, so that those of another fit fall on the same side.
    """
    rejected, false_alarms, misses, hits, reached = confusion_matrix_at_thresholds(
        actual, scores, sample_weight=weights
    )
    midway = np.append((reached[:-1] + reached[1:]) / 2, 0.0)
    counted = np.ones(len(actual)) if weights is None else weights
    positives, negatives = counted[actual].sum(), counted[~actual].sum()
    return ThresholdCurve(
        thresholds=np.append(NEVER, midway),
        hits=np.append(0.0, hits),
        false_alarms=np.append(0.0, false_alarms),
        misses=np.append(positives, misses).astype(float),
        correct_rejections=np.append(negatives, rejected).astype(float),
    )


def choose_threshold(
    actual: NDArray[np.bool_],
    scores: NDArray[np.float64],
    decision: Decision,
    costs: CostsConfig | None = None,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Return the best threshold for out-of-sample scores. Of equals it is the one nearest to 0.5.

    `recall_at_least` raises as few alarms as that recall allows.
    """
    if isinstance(decision, float):
        return decision
    curve = trace_thresholds(actual, scores, weights)
    _, values = measure_decisions(curve, decision, costs)
    if isinstance(decision, RecallDecision):
        values = np.where(values >= decision.recall_at_least, -(curve.hits + curve.false_alarms), -np.inf)
    elif decision == "costs":
        values = -values
    best = curve.thresholds[np.isclose(values, values.max(), rtol=0, atol=1e-12)]
    return float(best[np.abs(best - DEFAULT_THRESHOLD).argmin()])


def measure_decisions(
    curve: ThresholdCurve, decision: Decision, costs: CostsConfig | None = None
) -> tuple[str, NDArray[np.float64]]:
    """Return the name and values of a decision's aim. The values are by threshold."""
    recall = curve.hits / (curve.hits + curve.misses)
    if isinstance(decision, RecallDecision):
        return "recall", recall
    if decision == "costs":
        assert costs is not None
        return "cost per row", measure_costs(curve, costs)
    if decision == "f1":
        return "F1", 2 * curve.hits / (2 * curve.hits + curve.false_alarms + curve.misses)
    specificity = curve.correct_rejections / (curve.correct_rejections + curve.false_alarms)
    return "balanced accuracy", (recall + specificity) / 2


def measure_costs(curve: ThresholdCurve, costs: CostsConfig) -> NDArray[np.float64]:
    """Return the mean cost per row at each threshold."""
    total = (
        costs.hit * curve.hits
        + costs.false_alarm * curve.false_alarms
        + costs.miss * curve.misses
        + costs.correct_rejection * curve.correct_rejections
    )
    return total / (curve.hits + curve.false_alarms + curve.misses + curve.correct_rejections)
