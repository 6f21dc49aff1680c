import numpy as np
import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.datasets.loaders import iris
from waterflow.errors import FitError
from waterflow.training.cross_validation import ParameterScores, iterate_folds, preprocess_splits, score_configured
from waterflow.training.fitting import LabelledRows

ROWS = iris()
X, Y = ROWS.drop(columns="species"), ROWS["species"]
RIGOROUS = {"name": "rigorous", "select_on": "folds", "folds": 3, "promotable": True}
FOLDED = LabelledRows(X, Y, pd.DataFrame({"fold": np.arange(150) % 3 + 1}))


def test_a_fold_is_predicted_by_a_model_of_the_others() -> None:
    """Every row is predicted once."""
    pairs = list(iterate_folds(FOLDED))
    assert [len(judged.target) for _, judged in pairs] == [50, 50, 50]
    for learnt, judged in pairs:
        assert set(learnt.features.index) | set(judged.features.index) == set(X.index)
        assert not set(learnt.features.index) & set(judged.features.index)


def test_in_time_a_fold_is_predicted_by_a_model_of_the_earlier_ones() -> None:
    """Fold 0 is learnt from only."""
    folds = pd.DataFrame({"fold": np.arange(150) // 40, "learn_from": np.arange(150) // 40 + 1})
    pairs = list(iterate_folds(LabelledRows(X, Y, folds)))
    assert [(learnt.features.index.max(), judged.features.index.min()) for learnt, judged in pairs] == [
        (39, 40),
        (79, 80),
        (119, 120),
    ]


def test_in_time_a_row_whose_outcome_came_later_is_not_learnt_from() -> None:
    """The last ten rows before each fold were not yet known when it began."""
    number = np.arange(150) // 40
    late = np.arange(150) % 40 >= 30
    folds = pd.DataFrame({"fold": number, "learn_from": number + 1 + late})
    pairs = list(iterate_folds(LabelledRows(X, Y, folds)))
    assert [train.features.index.max() for train, _ in pairs] == [29, 69, 109]
    assert [len(train.target) for train, _ in pairs] == [30, 70, 110]


def test_preprocessing_is_fitted_on_what_is_learnt_from() -> None:
    """No fold's own mean reaches its scaler."""
    config = config_of(strategy=RIGOROUS)
    splits = preprocess_splits(config, "nb", FOLDED, None)
    for split, (train, _) in zip(splits, iterate_folds(FOLDED), strict=True):
        scaler = next(iter(split.preprocessor.named_transformers_.values()))[-1]
        assert scaler.mean_ == pytest.approx(train.features.mean().to_numpy())


def test_an_attempt_on_folds_has_a_mean_and_a_spread() -> None:
    """A metric that one fold lacks has neither; the spread is the sample's standard deviation."""
    attempt = ParameterScores(({"mae": 1.0, "r2": 0.5}, {"mae": 2.0}, {"mae": 6.0, "r2": 0.7}), (10, 20, 31))
    assert attempt.means == {"mae": 3.0}
    assert attempt.spread == {"mae": pytest.approx(7**0.5)}
    assert attempt.mean_rounds == 20


def test_a_single_division_has_no_spread() -> None:
    """One number does not scatter."""
    assert ParameterScores(({"mae": 1.0},), (None,)).spread == {}


def test_parameters_are_scored_on_each_fold() -> None:
    """Two threads give what one gives."""
    config = config_of(strategy=RIGOROUS)
    divisions = preprocess_splits(config, "nb", FOLDED, None)
    one, two = (score_configured(config, "nb", divisions, threads) for threads in (1, 2))
    assert len(one.scores) == 3
    assert one.scores == two.scores
    assert one.means["accuracy"] > 0.9


def test_a_main_metric_that_is_undefined_fails_the_candidate() -> None:
    """A support vector machine says no probabilities."""
    svc = {"estimator": "sklearn.svm.SVC"}
    config = config_of(strategy=RIGOROUS, candidates={"svc": svc}, metrics={"main": "log_loss"})
    divisions = preprocess_splits(config, "svc", FOLDED, None)
    message = message_of(lambda: score_configured(config, "svc", divisions, 1), FitError)
    assert "metrics.main 'log_loss' is undefined for it" in message
