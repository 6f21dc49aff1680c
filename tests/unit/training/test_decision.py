from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss
from support.projects import config_of, message_of

from waterflow.config.schema import PipelineConfig
from waterflow.datasets.loaders import iris
from waterflow.errors import DataError
from waterflow.records.training import DecisionRule, FitChoices
from waterflow.scoring.metrics import Predicted, predict_rows
from waterflow.training.candidate import ScoredCandidate, TrainingContext, train_candidate
from waterflow.training.decision import choose_decision, explain_no_decision
from waterflow.training.fitting import LabelledRows, fit_candidate

ROWS = iris()
X = ROWS[["sepal_length_cm", "sepal_width_cm"]]
Y = (ROWS["species"] == "versicolor").map({True: "yes", False: "no"})
PART = np.arange(150) % 3
TRAIN, VALIDATION, TEST = (LabelledRows(X[number == PART], Y[number == PART]) for number in range(3))
COSTS = {"false_alarm": 1, "miss": 5}
STRATEGIES: dict[str, dict[str, Any]] = {
    "quick": {"name": "quick", "select_on": "test", "promotable": False},
    "balanced": {"name": "balanced", "select_on": "validation", "validation_fraction": 0.2, "promotable": True},
    "rigorous": {"name": "rigorous", "select_on": "folds", "folds": 3, "promotable": True},
}
XGBOOST = {"estimator": "xgboost.XGBClassifier", "params": {"n_estimators": 60}, "early_stopping_rounds": 3}


def deciding(strategy: str = "balanced", **changes: Any) -> PipelineConfig:
    """Configure a two-class pipeline with the candidate `nb`."""
    return config_of(**{"strategy": STRATEGIES[strategy], "costs": COSTS, "metrics": {"main": "roc_auc"}, **changes})


def trained(config: PipelineConfig, candidate: str = "nb") -> ScoredCandidate:
    """Train on a third of the flowers; folds are those of all rows."""
    folded = LabelledRows(X, Y, pd.DataFrame({"fold": PART + 1}))
    train = folded if config.strategy.select_on == "folds" else TRAIN
    context = TrainingContext(lambda: "", "study", 1)
    return train_candidate(config, candidate, {"train": train, "validation": VALIDATION, "test": TEST}, context)


def rule_of(scored: ScoredCandidate) -> DecisionRule:
    """Return the decision that was chosen."""
    assert scored.choices.decision is not None
    return scored.choices.decision


def test_costs_move_the_threshold_and_lower_the_cost() -> None:
    """Chosen on the validation rows, by which labels are scored."""
    plain, scored = trained(deciding(decision=0.5)), trained(deciding())
    assert plain.choices.decision is None
    assert rule_of(scored).positive == "yes"
    assert rule_of(scored).threshold < 0.5
    assert scored.scores["expected_cost"] < plain.scores["expected_cost"]
    assert scored.scores["roc_auc"] == plain.scores["roc_auc"]


def test_the_pipeline_decides_by_the_threshold() -> None:
    """Its labels are those that were scored, and its rate of positives is recorded."""
    scored = trained(deciding())
    positive = scored.fitted.pipeline.predict_proba(VALIDATION.features)[:, 1]
    called = scored.fitted.pipeline.predict(VALIDATION.features) == "yes"
    assert (called == (positive >= rule_of(scored).threshold)).all()
    assert called.mean() == pytest.approx(rule_of(scored).positive_rate)
    assert scored.predicted is not None
    assert ((scored.predicted.prediction == "yes") == called).all()


def test_without_costs_or_a_decision_the_estimator_decides() -> None:
    """Nothing is wrapped around it."""
    scored = trained(deciding(costs=None))
    assert scored.choices == FitChoices()
    assert type(scored.fitted.pipeline[-1]).__name__ == "GaussianNB"


@pytest.mark.parametrize("decision", ["f1", "balanced", {"recall_at_least": 0.9}, 0.25])
def test_a_declared_decision_takes_the_place_of_the_costs(decision: Any) -> None:
    """Costs are then measured only."""
    scored = trained(deciding(decision=decision))
    if decision == 0.25:
        assert rule_of(scored).threshold == 0.25
    if isinstance(decision, dict):
        assert scored.scores["recall.yes"] >= 0.9
    assert "expected_cost" in scored.scores


def test_the_declared_class_is_the_positive_one() -> None:
    """Its probability is calibrated and compared with the threshold, whichever column it has."""
    scored = trained(deciding(costs={**COSTS, "positive": "no"}, calibration="sigmoid"))
    probabilities = scored.fitted.pipeline.predict_proba(VALIDATION.features)
    called = scored.fitted.pipeline.predict(VALIDATION.features) == "no"
    assert (called == (probabilities[:, 0] >= rule_of(scored).threshold)).all()
    assert scored.predicted is not None
    assert scored.predicted.probabilities == pytest.approx(probabilities)


def test_folds_choose_one_decision_for_the_final_fit() -> None:
    """From the predictions of all of them."""
    scored = trained(deciding("rigorous"))
    assert len(scored.out_of_sample) == 3
    assert scored.fitted.pipeline[-1].threshold == rule_of(scored).threshold < 0.5


def test_quick_chooses_nothing_from_the_holdout() -> None:
    """It has no other rows outside the fit, and says so; a declared threshold holds."""
    scored = trained(deciding("quick"))
    assert scored.choices.decision is None
    assert "quick leaves no rows outside the fit but the holdout" in scored.decision_note
    assert rule_of(trained(deciding("quick", decision=0.3))).threshold == 0.3


@pytest.mark.parametrize(
    ("positives", "groups", "is_learnt"), [(8, None, True), (7, None, False), (20, 5, True), (20, 4, False)]
)
def test_few_rows_or_groups_of_a_class_choose_nothing(positives: int, groups: int | None, *, is_learnt: bool) -> None:
    """The threshold would follow these few; the note says which labels stand instead."""
    actual = np.arange(100) < positives
    scores = np.linspace(0.9, 0.1, 100)
    predicted = Predicted(actual, scores > 0.5, (False, True), np.column_stack((1 - scores, scores)))
    names = None if groups is None else pd.Series(np.arange(100) % groups)
    config = deciding()
    rule = choose_decision(config, [predicted], [names])
    assert (rule is not None) == is_learnt
    assert ("8 rows or 5 groups" in explain_no_decision(config, rule)) == (not is_learnt)


@pytest.mark.parametrize("calibration", ["sigmoid", "isotonic"])
def test_calibration_moves_probabilities_closer_to_the_outcomes(calibration: str) -> None:
    """On the rows that it was fitted on; the pipeline predicts the calibrated ones."""
    scored = trained(deciding(decision=0.5, calibration=calibration))
    assert rule_of(scored).is_calibrated
    raw, after = scored.out_of_sample[0].probabilities, scored.fitted.pipeline.predict_proba(VALIDATION.features)
    assert log_loss(VALIDATION.target, after) < log_loss(VALIDATION.target, raw)
    assert after.sum(axis=1) == pytest.approx(1)
    assert scored.scores["log_loss"] == pytest.approx(log_loss(VALIDATION.target, after))


@pytest.mark.parametrize("calibration", [None, "isotonic"])
def test_a_later_fit_on_more_rows_keeps_the_choices(calibration: str | None) -> None:
    """Rounds, threshold and calibration are constants; only the estimator learns."""
    config = deciding(candidates={"xgb": XGBOOST}, calibration=calibration)
    scored = trained(config, "xgb")
    assert scored.choices.rounds is not None
    choices = FitChoices.from_json(scored.choices.to_json())
    more = LabelledRows(pd.concat([TRAIN.features, VALIDATION.features]), pd.concat([TRAIN.target, VALIDATION.target]))
    model = fit_candidate(config, "xgb", more, None, choices).pipeline[-1]
    assert model.threshold == rule_of(scored).threshold
    inner = model.estimator if calibration is None else model.estimator.estimator
    assert inner.estimator.get_booster().num_boosted_rounds() == scored.choices.rounds < 60
    if calibration:
        assert model.estimator.knots == rule_of(scored).knots


def test_predictions_for_scoring_are_those_of_the_pipeline() -> None:
    """They take one pass for labels and probabilities."""
    pipeline = trained(deciding(calibration="sigmoid")).fitted.pipeline
    predicted = predict_rows(pipeline, TEST.features, TEST.target, "classification")
    assert (predicted.prediction == pipeline.predict(TEST.features)).all()
    assert (predicted.probabilities == pipeline.predict_proba(TEST.features)).all()


def test_an_estimator_without_probabilities_decides_itself() -> None:
    """And the run says so."""
    svc = {"estimator": "sklearn.svm.LinearSVC"}
    scored = trained(deciding(candidates={"svc": svc}, metrics={"main": "accuracy"}), "svc")
    assert scored.choices.decision is None
    assert "predicts no probabilities" in scored.decision_note


def test_a_decision_is_between_two_classes() -> None:
    """Three have no threshold."""
    rows = {"train": LabelledRows(X, ROWS["species"]), "validation": LabelledRows(X, ROWS["species"])}
    config = deciding(costs=None, decision="f1")
    message = message_of(lambda: train_candidate(config, "nb", rows, TrainingContext(lambda: "", "", 1)), DataError)  # type: ignore[arg-type]
    assert "two classes" in message
