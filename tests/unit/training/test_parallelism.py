from typing import Any

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_info
from xgboost import XGBRegressor

from waterflow.training.parallelism import given_threads, is_single_threaded, limited_threads, useful_threads


@pytest.mark.parametrize(
    ("estimator", "single"),
    [
        (LogisticRegression(), True),
        (GaussianNB(), True),
        (RandomForestClassifier(), False),
        (HistGradientBoostingClassifier(), False),
        (XGBRegressor(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_is_known_whose_trials_may_run_beside_one_another(estimator: Any, single: bool) -> None:
    """Those that have threads of their own run one after another."""
    assert is_single_threaded(estimator) == single


def test_threads_are_given_for_the_time_of_a_fit() -> None:
    """Afterwards the parameter is what it was."""
    forest = RandomForestClassifier()
    with given_threads(forest, 3):
        assert forest.n_jobs == 3
    assert forest.n_jobs is None


def test_a_number_in_the_yaml_counts_more() -> None:
    """Who writes `n_jobs` means it."""
    forest = RandomForestClassifier(n_jobs=1)
    with given_threads(forest, 3):
        assert forest.n_jobs == 1


def test_an_error_in_a_fit_takes_the_threads_back_too() -> None:
    """The model that remains is the one of the YAML."""
    forest = RandomForestClassifier()
    with pytest.raises(ValueError, match="bad"), given_threads(forest, 3):
        raise ValueError("bad")
    assert forest.n_jobs is None


def test_linear_algebra_has_one_thread_while_something_fits() -> None:
    """A sum in another order would make a result depend on the number of cores."""
    with limited_threads(2):
        assert {entry["num_threads"] for entry in threadpool_info() if entry["user_api"] == "blas"} == {1}


@pytest.mark.parametrize(("rows", "threads"), [(150, 1), (6_000, 4), (1_000_000, 8)])
def test_few_rows_take_few_threads(rows: int, threads: int) -> None:
    """Threads that wait for one another spin."""
    assert useful_threads(8, rows) == threads
