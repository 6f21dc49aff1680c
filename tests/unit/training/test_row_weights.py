from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.data.columns import feature_columns
from waterflow.data.validation import check_rows
from waterflow.datasets.loaders import iris
from waterflow.errors import DataError
from waterflow.scoring.metrics import Predicted
from waterflow.training.cross_validation import preprocess_splits, score_configured
from waterflow.training.decision import choose_decision
from waterflow.training.fitting import LabelledRows, fit_candidate

ROWS = iris()
X, Y = ROWS.drop(columns="species"), ROWS["species"]
COUNTS = pd.Series(np.arange(150) % 4)
REPEATED = ROWS.loc[np.repeat(np.arange(150), COUNTS)].reset_index(drop=True)
RAW = [{"select": {"type": "numeric"}}]  # scaling would learn other means from repeated rows


def test_a_weighted_fit_is_that_of_repeated_rows() -> None:
    """A weight of 3 is three rows, and one of 0 none."""
    config = config_of(preprocessing=RAW)
    weighted = fit_candidate(config, "nb", LabelledRows(X, Y, weights=COUNTS.astype(float)))
    repeated = fit_candidate(config, "nb", LabelledRows(REPEATED.drop(columns="species"), REPEATED["species"]))
    first, second = (entry.pipeline.predict_proba(X) for entry in (weighted, repeated))
    assert first == pytest.approx(second, abs=1e-6)


def test_folds_are_fitted_and_scored_by_weight() -> None:
    """A fold whose wrong rows weigh nothing is right."""
    folds = {"name": "rigorous", "select_on": "folds", "folds": 3, "promotable": True}
    config = config_of(strategy=folds, preprocessing=RAW)
    fold = pd.DataFrame({"fold": np.arange(150) % 3 + 1})
    plain = score_configured(config, "nb", preprocess_splits(config, "nb", LabelledRows(X, Y, fold), None), 1)
    wrong = np.zeros(150, dtype=bool)
    for number, predicted in enumerate(plain.predictions, start=1):
        wrong[(fold["fold"] == number).to_numpy()] = predicted.prediction != predicted.truth
    assert 0 < wrong.sum() < 15
    rows = LabelledRows(X, Y, fold, weights=pd.Series(np.where(wrong, 1e-9, 1.0)))
    weighted = score_configured(config, "nb", preprocess_splits(config, "nb", rows, None), 1)
    assert plain.means["accuracy"] < 0.99
    assert weighted.means["accuracy"] > plain.means["accuracy"]


def test_validation_rows_end_boosting_by_weight() -> None:
    """Where the rows that still improve weigh nothing, it ends earlier; a class that only they have is left out."""
    model = {"estimator": "xgboost.XGBClassifier", "params": {"n_estimators": 60}, "early_stopping_rounds": 3}
    config = config_of(candidates={"xgb": model}, preprocessing=RAW)
    known, even = (Y != "virginica").to_numpy(), np.arange(150) % 2 == 0
    train = LabelledRows(X[known & even], Y[known & even], weights=pd.Series(np.ones(50), index=X[known & even].index))
    watched = LabelledRows(X[~even], Y[~even], weights=pd.Series(np.linspace(0.1, 2, 75), index=X[~even].index))
    fitted = fit_candidate(config, "xgb", train, watched)
    assert fitted.rounds is not None
    assert set(fitted.pipeline.predict(X)) == {"setosa", "versicolor"}


def test_a_threshold_is_chosen_by_weight() -> None:
    """Misses that weigh much pull it down."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, 400)
    scores = np.clip(0.35 + 0.3 * truth + generator.normal(0, 0.2, 400), 0.01, 0.99)
    pair = np.column_stack([1 - scores, scores])
    config = config_of(decision="f1", target="late", metrics={"main": "accuracy"})

    def threshold(weights: Any) -> float:
        rule = choose_decision(config, [Predicted(truth, truth, (0, 1), pair, weights)])
        assert rule is not None
        return rule.threshold

    assert threshold(np.where(truth == 1, 20.0, 1.0)) < threshold(None)
    assert threshold(np.full(400, 3.0)) == threshold(None)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (np.r_[-1.0, np.ones(149)], "row 0 has -1.0"),
        (np.r_[np.ones(149), np.nan], "row 149 has nan"),
        (np.zeros(150), "all are 0"),
        (["much"] * 150, "not numbers"),
    ],
)
def test_weights_that_are_none_are_refused(weights: Any, said: str) -> None:
    """Every row needs a number of at least 0."""
    message = message_of(lambda: check_rows(ROWS.assign(fare=weights), config_of(weight="fare")), DataError)
    assert message.startswith("weight: 'fare'")
    assert said in message


def test_a_weight_is_no_feature() -> None:
    """It says how much a row counts, and nothing of it."""
    frame = ROWS.assign(fare=1.0)
    assert "fare" not in feature_columns(frame, config_of(weight="fare"))
    listed = config_of(weight="fare", features=["petal_length_cm", "fare"])
    assert "'fare' is the weight" in message_of(lambda: check_rows(frame, listed), DataError)
