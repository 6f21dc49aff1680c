import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score
from sklearn.model_selection import TunedThresholdClassifierCV

from waterflow.config.schema import CostsConfig, Decision, RecallDecision
from waterflow.datasets.loaders import iris
from waterflow.scoring.thresholds import NEVER, choose_threshold, measure_decisions, trace_thresholds

ROWS = iris()
X, ACTUAL = ROWS.drop(columns="species").to_numpy(), (ROWS["species"] == "versicolor").to_numpy()
MODEL = LogisticRegression(max_iter=1000).fit(X, ACTUAL)
SCORES = MODEL.predict_proba(X)[:, 1]
COSTS = CostsConfig(false_alarm=1, miss=4, hit=0.5)


def test_every_distinct_decision_is_counted() -> None:
    """From never positive to always; each row has one outcome."""
    curve = trace_thresholds(ACTUAL, SCORES)
    assert (curve.thresholds[0], curve.thresholds[-1]) == (NEVER, 0.0)
    assert (np.diff(curve.thresholds) < 0).all()
    total = curve.hits + curve.misses + curve.false_alarms + curve.correct_rejections
    assert set(total) == {150}
    for position in (0, 1, 40, -1):
        called = curve.thresholds[position] <= SCORES
        assert (called & ACTUAL).sum() == curve.hits[position]
        assert (called & ~ACTUAL).sum() == curve.false_alarms[position]


@pytest.mark.parametrize(("decision", "scoring"), [("f1", "f1"), ("balanced", "balanced_accuracy")])
def test_no_threshold_of_scikit_learn_is_better(decision: Decision, scoring: str) -> None:
    """Its search looks at a grid of a hundred."""
    tuned = TunedThresholdClassifierCV(FrozenEstimator(MODEL), scoring=scoring, cv="prefit", refit=False)
    tuned.fit(X, ACTUAL)
    score = {"f1": f1_score, "balanced": balanced_accuracy_score}[str(decision)]
    assert score(ACTUAL, choose_threshold(ACTUAL, SCORES, decision) <= SCORES) >= tuned.best_score_ - 1e-12


def test_costs_decide_as_an_exhaustive_search_does() -> None:
    """By the mean cost per row over all thresholds."""

    def cost(threshold: float) -> float:
        called = threshold <= SCORES
        return float(np.where(ACTUAL, np.where(called, 0.5, 4), called * 1.0).mean())

    chosen = choose_threshold(ACTUAL, SCORES, "costs", COSTS)
    assert cost(chosen) == pytest.approx(min(map(cost, [0.0, 2.0, *SCORES])))
    assert cost(chosen) < cost(0.5)


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_a_recall_is_reached_with_as_few_alarms_as_possible(share: float) -> None:
    """One alarm fewer would miss it."""
    chosen = choose_threshold(ACTUAL, SCORES, RecallDecision(recall_at_least=share))
    assert recall_score(ACTUAL, chosen <= SCORES) >= share
    fewer = SCORES[chosen <= SCORES].min() < SCORES
    assert recall_score(ACTUAL, fewer) < share


def test_of_equal_thresholds_the_one_nearest_to_one_half_is_taken() -> None:
    """One miss costs as much as one false alarm here."""
    actual, scores = np.array([False, True, False, True]), np.array([0.1, 0.45, 0.6, 0.9])
    costs = CostsConfig(false_alarm=1, miss=1)
    assert choose_threshold(actual, scores, "costs", costs) == pytest.approx(0.275)
    assert choose_threshold(actual, scores, 0.3) == 0.3


def test_when_alarms_never_pay_none_is_raised() -> None:
    """No probability reaches the threshold."""
    assert choose_threshold(ACTUAL, SCORES, "costs", CostsConfig(false_alarm=1, hit=1)) == NEVER


def test_a_decision_has_the_name_of_its_aim() -> None:
    """For the axis of its picture."""
    curve = trace_thresholds(ACTUAL, SCORES)
    decisions: list[Decision] = ["costs", "f1", "balanced", RecallDecision(recall_at_least=0.9)]
    names = [measure_decisions(curve, decision, COSTS)[0] for decision in decisions]
    assert names == ["cost per row", "F1", "balanced accuracy", "recall"]
