import numpy as np
import pytest
from support.projects import config_of, message_of

from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, FitError
from waterflow.training.fitting import LabelledRows, fit_candidate

ROWS = iris()
X, Y = ROWS.drop(columns="species"), ROWS["species"]
TRAIN = LabelledRows(X, Y)


def test_preprocessing_and_estimator_are_fitted_as_one() -> None:
    """The pipeline predicts raw columns, so training and serving cannot differ."""
    fitted = fit_candidate(config_of(), "nb", TRAIN)
    assert list(fitted.pipeline.named_steps) == ["preprocess", "model"]
    assert (fitted.pipeline.predict(X) == Y).mean() > 0.9
    assert fitted.fit_seconds > 0


def test_columns_that_no_block_takes_are_listed() -> None:
    """A person sees what the model does not use."""
    config = config_of(preprocessing=[{"select": {"pattern": "^petal"}}])
    assert fit_candidate(config, "nb", TRAIN).unused_columns == ("sepal_length_cm", "sepal_width_cm")


def test_a_fit_that_did_not_converge_says_so() -> None:
    """The warning is kept with the candidate and stops nothing."""
    estimator = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 1}}
    fitted = fit_candidate(config_of(candidates={"lr": estimator}), "lr", TRAIN)
    assert "converge" in fitted.warnings[0]


def test_a_fit_that_fails_speaks_in_the_estimators_words() -> None:
    """The message names the candidate and has the estimator's own reason."""
    estimator = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": -1.0}}
    config = config_of(candidates={"lr": estimator})
    message = message_of(lambda: fit_candidate(config, "lr", TRAIN), FitError)
    assert message.startswith("candidates.lr: InvalidParameterError while fitting: The 'C' parameter")


def test_blocks_that_do_not_fit_the_columns_are_an_error_of_the_configuration() -> None:
    """A misnamed column is not the estimator's fault."""
    config = config_of(preprocessing=[{"select": {"names": ["petal"]}}])
    assert "'petal' is no feature" in message_of(lambda: fit_candidate(config, "nb", TRAIN), ConfigError)


def test_the_same_seed_fits_the_same_model() -> None:
    """Two fits of one configuration cannot be told apart."""
    forest = {"estimator": "sklearn.ensemble.RandomForestClassifier", "params": {"n_estimators": 5}}
    config = config_of(candidates={"forest": forest})
    first, second = (fit_candidate(config, "forest", TRAIN).pipeline.predict_proba(X) for _ in range(2))
    other = fit_candidate(config_of(candidates={"forest": forest}, seed=9), "forest", TRAIN).pipeline.predict_proba(X)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.filterwarnings("error")
def test_warnings_of_an_estimator_do_not_reach_the_caller() -> None:
    """A run's log is no place for the inner notes of a library."""
    estimator = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 1}}
    fit_candidate(config_of(candidates={"lr": estimator}), "lr", TRAIN)
