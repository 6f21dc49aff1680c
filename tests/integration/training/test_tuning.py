import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from support.projects import CHECKOUT, config_of, free_port, message_of

from waterflow.config.schema import PipelineConfig
from waterflow.datasets.loaders import iris
from waterflow.errors import FitError, StoreError, UnreachableError
from waterflow.training.cross_validation import preprocess_splits, score_configured
from waterflow.training.fitting import LabelledRows, PreprocessedSplit, captured_warnings
from waterflow.training.tuning.study_storage import open_storage
from waterflow.training.tuning.tuner import Tuned, tune_candidate

ROWS = iris()
X, Y = ROWS.drop(columns="species"), ROWS["species"]
ODD = np.arange(150) % 2 == 1
BALANCED = {
    "name": "balanced",
    "select_on": "validation",
    "validation_fraction": 0.2,
    "tune": True,
    "promotable": True,
}
RIGOROUS = {"name": "rigorous", "select_on": "folds", "folds": 3, "tune": True, "promotable": True}
TREE: dict[str, Any] = {
    "estimator": "sklearn.tree.DecisionTreeClassifier",
    "params": {"max_depth": 2},
    "search": {
        "trials": 6,
        "space": {"max_depth": {"low": 1, "high": 6, "integer": True}, "criterion": {"choices": ["gini", "entropy"]}},
    },
}


def searching(search: dict[str, Any] | None = None, strategy: dict[str, Any] = BALANCED, **tree: Any) -> PipelineConfig:
    """Configure one candidate, `tree`, that is tuned."""
    candidate = {**TREE, **tree, "search": {**TREE["search"], **(search or {})}}
    return config_of(strategy=strategy, candidates={"tree": candidate})


def divided(config: PipelineConfig) -> list[PreprocessedSplit]:
    """Divide the flowers as the strategy says."""
    if config.strategy.folds:
        return preprocess_splits(
            config, "tree", LabelledRows(X, Y, pd.DataFrame({"fold": np.arange(150) % 3 + 1})), None
        )
    return preprocess_splits(config, "tree", LabelledRows(X[~ODD], Y[~ODD]), LabelledRows(X[ODD], Y[ODD]))


@pytest.fixture
def tune(tmp_path: Path) -> Callable[..., Tuned]:
    """Tune the candidate `tree` in a database of this test."""

    def run(config: PipelineConfig, database: str = "waterflow.db", threads: int = 1) -> Tuned:
        return tune_candidate(
            config,
            "tree",
            divided(config),
            database_uri=f"sqlite:///{tmp_path}/{database}",
            study_name="action-key",
            threads=threads,
        )

    return run


def params_of(tuned: Tuned) -> list[tuple[Any, ...]]:
    """Return the parameters of all trials, in order."""
    return list(tuned.trials[["max_depth", "criterion"]].itertuples(index=False, name=None))


def test_the_parameters_of_the_yaml_are_the_first_trial(tune: Callable[..., Tuned]) -> None:
    """So the best is never worse than they are."""
    config = searching()
    tuned = tune(config)
    usual = score_configured(config, "tree", divided(config), 1)
    assert params_of(tuned)[0] == (2, "gini")
    assert tuned.trials["value"].iloc[0] == usual.means["accuracy"]
    assert tuned.best.means["accuracy"] == tuned.trials["value"].max()


def test_as_many_trials_are_made_as_were_configured(tune: Callable[..., Tuned]) -> None:
    """Each is a row, with its parameters, score and seconds."""
    tuned = tune(searching())
    assert list(tuned.trials) == ["number", "state", "value", "max_depth", "criterion", "seconds", "reason"]
    assert tuned.trials["state"].tolist() == ["COMPLETE"] * 6
    assert (tuned.trials["seconds"] > 0).all()
    assert tuned.note is None


def test_the_best_model_is_kept_and_not_fitted_again(tune: Callable[..., Tuned]) -> None:
    """It has the parameters that the best trial had."""
    tuned = tune(searching())
    assert tuned.best.model is not None
    assert tuned.best.model.estimator.max_depth == tuned.params["max_depth"]
    assert tuned.best.model.estimator.criterion == tuned.params["criterion"]


def test_the_same_seed_makes_the_same_trials(tune: Callable[..., Tuned]) -> None:
    """Two databases, one outcome; after ten trials TPE begins to learn from them."""
    config = searching({"trials": 12})
    first, second = tune(config, "first.db"), tune(config, "second.db")
    assert params_of(first) == params_of(second)
    assert first.params == second.params


def test_another_seed_makes_other_trials(tune: Callable[..., Tuned]) -> None:
    """It is the seed of the pipeline."""
    config = searching({"trials": 4})
    first, other = tune(config), tune(config.model_copy(update={"seed": 5}), "other.db")
    assert params_of(first) != params_of(other)


def test_trials_beside_one_another_are_as_repeatable(tmp_path: Path) -> None:
    """Many rows let two trials of a single-threaded estimator run at once."""
    config = searching({"trials": 4})
    rows = LabelledRows(pd.concat([X] * 30, ignore_index=True), pd.concat([Y] * 30, ignore_index=True))
    division = preprocess_splits(config, "tree", rows, rows)
    first, second = (
        tune_candidate(
            config, "tree", division, database_uri=f"sqlite:///{tmp_path}/{name}.db", study_name="key", threads=2
        )
        for name in ("first", "second")
    )
    assert params_of(first) == params_of(second)
    assert len(first.trials) == 4


def test_parameters_outside_the_space_are_tried_first_too(tune: Callable[..., Tuned]) -> None:
    """A default of null lies in no range of numbers."""
    tuned = tune(searching(params={"max_depth": None}))
    assert tuned.trials["max_depth"].isna().tolist() == [True] + [False] * 5
    assert tuned.trials["value"].notna().all()


def test_a_grid_is_tried_as_a_whole(tune: Callable[..., Tuned]) -> None:
    """Every point once, the usual parameters first."""
    space = {**TREE["search"]["space"], "max_depth": {"low": 1, "high": 3, "step": 1, "integer": True}}
    tuned = tune(searching({"method": "grid", "trials": None, "space": space}))
    assert params_of(tuned)[0] == (2, "gini")
    assert sorted(params_of(tuned)) == sorted((depth, name) for depth in (1, 2, 3) for name in ("entropy", "gini"))


def test_a_bounded_grid_says_what_it_left_out(tune: Callable[..., Tuned]) -> None:
    """A part of a grid is no exhaustive search."""
    space = {"max_depth": {"choices": [1, 2, 3, 4]}}
    tuned = tune(searching({"method": "grid", "trials": 2, "space": space}))
    assert tuned.note == "2 of 4 points of the grid were tried"


def test_a_combination_that_cannot_be_fitted_stops_no_other(tune: Callable[..., Tuned]) -> None:
    """Its trial has failed, and says why."""
    space = {"max_depth": {"choices": [2, -1]}}
    tuned = tune(searching({"method": "grid", "trials": None, "space": space}))
    assert tuned.trials["state"].tolist() == ["COMPLETE", "FAIL"]
    assert "The 'max_depth' parameter" in tuned.trials["reason"].iloc[1]
    assert tuned.params == {"max_depth": 2}


def test_when_every_trial_fails_the_first_reason_is_given(tune: Callable[..., Tuned]) -> None:
    """It is that of the parameters of the YAML."""
    config = searching({"trials": 3}, params={"min_samples_leaf": -7})
    message = message_of(lambda: tune(config), FitError)
    assert message.startswith("candidates.tree: InvalidParameterError while fitting: ")
    assert "-7" in message


def test_trials_that_fail_are_counted_with_a_reason(tune: Callable[..., Tuned]) -> None:
    """A candidate most of whose trials fail is shown as such."""
    space = {"max_depth": {"low": -9, "high": 1, "integer": True}}
    counts = tune(searching({"method": "tpe", "trials": 6, "space": space}, params={"max_depth": 2})).counts
    assert counts["trials"] == 6
    assert counts["failed_trials"] > 3
    assert "max_depth" in counts["trial_failure"]


def test_a_time_budget_that_ends_before_the_first_trial_leaves_the_usual_parameters(tune: Callable[..., Tuned]) -> None:
    """They are tried however short the time is, and the run says so."""
    tuned = tune(searching({"time_budget_seconds": 1e-6}))
    assert params_of(tuned) == [(2, "gini")]
    assert tuned.params == {"max_depth": 2, "criterion": "gini"}
    assert tuned.note == "the time budget of 1e-06 s ended after 1 of 6 trials"


def test_trials_on_folds_are_pruned(tune: Callable[..., Tuned]) -> None:
    """A mean below the median of the earlier trials after the same fold is not worth another fit."""
    tuned = tune(searching({"trials": 10, "space": {"max_depth": {"choices": [1, 2, 3]}}}, RIGOROUS))
    assert {"COMPLETE", "PRUNED"} == set(tuned.trials["state"])
    assert len(tuned.best.scores) == 3
    assert tuned.best.spread["accuracy"] >= 0


def test_a_finished_study_is_not_made_again(tune: Callable[..., Tuned]) -> None:
    """A second process finds the trials of the first, with their scores."""
    first, again = tune(searching()), tune(searching())
    assert again.params == first.params
    assert again.best.scores == first.best.scores
    assert again.best.model is None
    assert len(again.trials) == 6


def test_a_study_goes_on_with_other_parameters_than_before(tune: Callable[..., Tuned]) -> None:
    """Random numbers that began again would repeat the trials of the process before."""
    space = {"min_impurity_decrease": {"low": 0.0, "high": 0.1}}
    tune(searching({"trials": 3, "space": space}))
    tuned = tune(searching({"trials": 6, "space": space}))
    assert tuned.trials["min_impurity_decrease"].nunique() == 6


SLOW = """
    import time
    from sklearn.tree import DecisionTreeClassifier

    class Slow(DecisionTreeClassifier):
        def fit(self, features, target):
            time.sleep(0.3)
            return super().fit(features, target)
"""
TUNE = """
    import test_tuning
    from test_tuning import divided, searching, tune_candidate

    config = searching({{"trials": 6}}, estimator="slow_tree.Slow")
    tune_candidate(config, "tree", divided(config), database_uri={uri!r}, study_name="action-key")
"""


def test_a_killed_study_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished trials count, the one that died does not, and nothing waits for it."""
    uri = f"sqlite:///{tmp_path}/waterflow.db"
    (tmp_path / "slow_tree.py").write_text(textwrap.dedent(SLOW))
    monkeypatch.syspath_prepend(tmp_path)
    folders = f"sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(CHECKOUT / 'tests')!r}, {str(tmp_path)!r}]"
    program = f"import sys; {folders}\n" + textwrap.dedent(TUNE.format(uri=uri))
    process = subprocess.Popen([sys.executable, "-c", program])
    while len(states_of(tmp_path / "waterflow.db")) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    before = states_of(tmp_path / "waterflow.db")
    assert before[-1] == "RUNNING"

    config = searching(estimator="slow_tree.Slow")
    tuned = tune_candidate(config, "tree", divided(config), database_uri=uri, study_name="action-key")
    assert (tuned.trials["state"] == "COMPLETE").sum() == 6
    assert len(tuned.trials) == 7
    assert tuned.trials["state"].iloc[len(before) - 1] != "COMPLETE"


def states_of(database: Path) -> list[str]:
    """Read the states of all trials, as another program would."""
    import sqlite3

    if not database.exists():
        return []
    connection = sqlite3.connect(database)
    try:
        return [state for (state,) in connection.execute("SELECT state FROM trials ORDER BY number")]
    except sqlite3.OperationalError:  # the tables are not made yet
        return []
    finally:
        connection.close()


def test_trials_that_an_interruption_cuts_short_do_not_count(
    tune: Callable[..., Tuned], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C leaves no trial running."""
    (tmp_path / "interrupted_tree.py").write_text(
        "from sklearn.tree import DecisionTreeClassifier\n"
        "class Interrupted(DecisionTreeClassifier):\n"
        "    def fit(self, features, target):\n"
        "        raise KeyboardInterrupt\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        tune(searching(estimator="interrupted_tree.Interrupted"))
    assert states_of(tmp_path / "waterflow.db") == ["FAIL"]
    assert (tune(searching()).trials["state"] == "COMPLETE").sum() == 6


# Databases


def test_workers_that_begin_at_once_make_the_tables_once(tmp_path: Path) -> None:
    """Training tasks of one run start together, on a database that is empty."""

    def begin(number: int) -> str:
        with open_storage(f"sqlite:///{tmp_path}/waterflow.db") as storage:
            return optuna.create_study(storage=storage, study_name="key", load_if_exists=True).study_name

    with captured_warnings(), ThreadPoolExecutor(4) as pool:
        assert set(pool.map(begin, range(4))) == {"key"}


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    """The same call may work later."""
    uri = f"postgresql+psycopg2://waterflow:secret@127.0.0.1:{free_port()}/waterflow"
    with captured_warnings():
        message = message_of(lambda: open_storage(uri).__enter__(), UnreachableError)
    assert "does not answer" in message
    assert "Connection refused" in message
    assert "secret" not in message


def test_a_database_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A folder below a file is no folder."""
    (tmp_path / "file").touch()
    with captured_warnings():
        message = message_of(lambda: open_storage(f"sqlite:///{tmp_path}/file/waterflow.db").__enter__(), StoreError)
    assert f"{tmp_path}/file/waterflow.db" in message
