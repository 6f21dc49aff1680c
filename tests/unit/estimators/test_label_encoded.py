from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.projects import config_of

from waterflow.datasets.loaders import iris
from waterflow.estimators.calibrated import unwrap_estimator
from waterflow.estimators.label_encoded import LabelEncodedClassifier, label_encoded
from waterflow.scoring.metrics import predict_rows, score_rows
from waterflow.training.fitting import LabelledRows, captured_warnings, fit_candidate, fit_estimator, preprocess_split

ROWS = iris()
X, Y = ROWS.drop(columns="species"), ROWS["species"]
ODD = np.arange(150) % 2 == 1
TRAIN, VALIDATION = LabelledRows(X[~ODD], Y[~ODD]), LabelledRows(X[ODD], Y[ODD])
XGBOOST: dict[str, Any] = {
    "estimator": "xgboost.XGBClassifier",
    "params": {"n_estimators": 60, "max_depth": 2},
    "early_stopping_rounds": 3,
}


@pytest.mark.parametrize(
    "target",
    [Y, Y == "setosa", Y.map({"setosa": 3, "versicolor": 7, "virginica": 7})],
    ids=["text", "booleans", "numbers"],
)
def test_classes_keep_their_names(target: pd.Series) -> None:
    """XGBoost wants classes from 0; whoever asks the pipeline hears the names that the data have."""
    config = config_of(candidates={"xgb": {**XGBOOST, "early_stopping_rounds": None}})
    pipeline = fit_candidate(config, "xgb", LabelledRows(X, target)).pipeline
    assert pipeline.classes_.tolist() == sorted(set(target))
    assert pipeline.predict(X).dtype.kind == target.to_numpy().dtype.kind
    assert (pipeline.predict(X) == target).mean() > 0.9
    assert (pipeline.classes_[pipeline.predict_proba(X).argmax(axis=1)] == pipeline.predict(X)).all()


def test_boosting_stops_where_the_validation_rows_gain_no_more() -> None:
    """The rounds after the best are not used."""
    config = config_of(candidates={"xgb": XGBOOST})
    with captured_warnings():
        model = fit_estimator(config, "xgb", preprocess_split(config, "xgb", TRAIN, VALIDATION), {}, 1)
    assert model.rounds is not None
    assert 1 <= model.rounds < 60
    assert unwrap_estimator(model.estimator).get_booster().num_boosted_rounds() <= model.rounds + 3


def test_without_validation_rows_boosting_takes_all_its_rounds() -> None:
    """Under `quick` there are no rows to watch but the holdout."""
    fitted = fit_candidate(config_of(candidates={"xgb": XGBOOST}), "xgb", TRAIN)
    assert unwrap_estimator(fitted.pipeline[-1]).get_booster().num_boosted_rounds() == 60


def test_a_regressor_stops_early_too() -> None:
    """Numbers need no names."""
    config = config_of(
        task="regression",
        target="petal_width_cm",
        metrics={"main": "mae"},
        candidates={"xgb": {**XGBOOST, "estimator": "xgboost.XGBRegressor"}},
    )
    rows = [
        LabelledRows(part.features.drop(columns="petal_width_cm"), part.features["petal_width_cm"])
        for part in (TRAIN, VALIDATION)
    ]
    fitted = fit_candidate(config, "xgb", *rows)
    assert fitted.pipeline[-1].best_iteration < 59


def test_a_class_that_only_the_watched_rows_have_is_not_watched() -> None:
    """It has no number, so no probability."""
    seen = (Y != "virginica").to_numpy()
    config = config_of(candidates={"xgb": XGBOOST})
    fitted = fit_candidate(config, "xgb", LabelledRows(X[seen & ~ODD], Y[seen & ~ODD]), VALIDATION)
    assert fitted.pipeline.classes_.tolist() == ["setosa", "versicolor"]


def test_the_number_of_threads_is_no_parameter_of_the_model() -> None:
    """A model says nothing of the machine that it was fitted on."""
    fitted = fit_candidate(config_of(candidates={"xgb": XGBOOST}), "xgb", TRAIN, VALIDATION, threads=2)
    assert unwrap_estimator(fitted.pipeline[-1]).get_params()["n_jobs"] is None


def test_categories_and_nulls_are_taken_as_they_are() -> None:
    """A category that training never saw counts as a null."""
    wide = X.assign(garden=np.where(X.index % 3 == 0, "north", "south"))
    wide.loc[::7, "petal_length_cm"] = np.nan
    blocks = [
        {"select": {"type": "numeric"}},
        {"select": {"type": "categorical"}, "encode": "category"},
    ]
    params = {**XGBOOST["params"], "enable_categorical": True}
    config = config_of(candidates={"xgb": {**XGBOOST, "params": params, "preprocessing": blocks}})
    pipeline = fit_candidate(config, "xgb", LabelledRows(wide[~ODD], Y[~ODD]), LabelledRows(wide[ODD], Y[ODD])).pipeline
    assert "c" in unwrap_estimator(pipeline[-1]).get_booster().feature_types
    assert (pipeline.predict(wide.assign(garden="west")) == Y).mean() > 0.9


def test_only_what_wants_numbers_is_wrapped() -> None:
    """Scikit-learn's classifiers know names, but take 0.5 and 1.5 for a quantity."""
    from sklearn.naive_bayes import GaussianNB
    from xgboost import XGBClassifier, XGBRegressor

    stars = Y.map({"setosa": 0.5, "versicolor": 1.0, "virginica": 4.5})
    assert isinstance(label_encoded(XGBClassifier(), Y), LabelEncodedClassifier)
    assert isinstance(label_encoded(XGBRegressor(), stars), XGBRegressor)
    assert isinstance(label_encoded(GaussianNB(), Y), GaussianNB)
    assert isinstance(label_encoded(GaussianNB(), stars), LabelEncodedClassifier)


@pytest.mark.parametrize(
    "estimator",
    [
        "sklearn.linear_model.LogisticRegression",
        "sklearn.neighbors.KNeighborsClassifier",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.svm.SVC",
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "xgboost.XGBClassifier",
    ],
)
def test_fractions_are_classes_where_the_task_is_classification(estimator: str) -> None:
    """Ratings such as 0.5 and 4.5 come back as they are; target encoding takes them for classes too."""
    stars = Y.map({"setosa": 0.5, "versicolor": 1.0, "virginica": 4.5})
    rows = X.assign(garden=np.where(ODD, "north", "south"))
    blocks = [{"select": {"type": "categorical"}, "encode": "target"}, {"select": {"type": "numeric"}}]
    config = config_of(candidates={"own": {"estimator": estimator, "preprocessing": blocks}})
    pipeline = fit_candidate(config, "own", LabelledRows(rows, stars)).pipeline
    assert pipeline.classes_.tolist() == [0.5, 1.0, 4.5]
    predicted = predict_rows(pipeline, rows, stars, "classification")
    assert (predicted.prediction == pipeline.predict(rows)).all()
    assert score_rows(predicted, "classification")["accuracy"] > 0.9
    assert (predicted.probabilities is None) == estimator.endswith("SVC")
