"""What each strategy does to a candidate, from stored rows to its run in MLflow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.projects import candidates, message_of, request_of, write_rows

from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError
from waterflow.records.data import Prepared
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.steps.train import train
from waterflow.training.candidate import train_candidate
from waterflow.training.parallelism import count_threads

Writer = Callable[..., str]
TREE: dict[str, Any] = {
    "estimator": "sklearn.tree.DecisionTreeClassifier",
    "params": {"max_depth": 1},
    "search": {"trials": 3, "space": {"max_depth": {"low": 1, "high": 6, "integer": True}}},
}
BOOSTED = {"estimator": "xgboost.XGBClassifier", "params": {"n_estimators": 50}, "early_stopping_rounds": 3}


def made(strategy: str, resources: Resources, pipeline: Writer, **changes: Any) -> tuple[Prepared, Trained]:
    """Prepare and train the candidate `tree` under a strategy."""
    listed = candidates(tree=changes.pop("tree", TREE)) | {"defaults": [{"/strategy": strategy}], "tuning": None}
    prepared = prepare(request_of(pipeline(**listed, **changes)), resources)
    return prepared, train(prepared, "tree", prepared.origin, resources)


def test_quick_takes_the_parameters_as_they_are(resources: Resources, pipeline: Writer) -> None:
    """It scores the holdout, and tunes nothing."""
    _, trained = made("quick", resources, pipeline)
    assert (trained.scored_on, trained.trials, trained.tuned, trained.spread) == ("test", 0, {}, {})
    run = resources.runs.client.get_run(trained.run_id)
    assert run.data.params["max_depth"] == "1"
    assert run.data.metrics["test_f1_macro"] == trained.metrics["f1_macro"]


def test_balanced_tunes_on_the_validation_rows(resources: Resources, pipeline: Writer, tmp_path: Path) -> None:
    """The run has the best parameters, the trials as a table and their pictures."""
    _, trained = made("balanced", resources, pipeline)
    run = resources.runs.client.get_run(trained.run_id)
    assert (trained.scored_on, trained.trials) == ("validation", 3)
    assert trained.tuned["max_depth"] > 1
    assert run.data.params["max_depth"] == str(trained.tuned["max_depth"])
    assert run.data.tags["waterflow.trials_complete"] == "3"
    files = {entry.path for entry in resources.runs.client.list_artifacts(trained.run_id, "tuning")}
    assert {"tuning/trials.csv", "tuning/optimization_history.png", "tuning/slice.png"} <= files
    table = pd.read_csv(resources.runs.client.download_artifacts(trained.run_id, "tuning/trials.csv", str(tmp_path)))
    assert table["value"].max() == pytest.approx(trained.metrics["f1_macro"])


def test_a_tuned_candidate_is_one_run(resources: Resources, pipeline: Writer) -> None:
    """Trials do not flood MLflow."""
    prepared, _ = made("balanced", resources, pipeline)
    assert len(resources.runs.client.search_runs([prepared.experiment_id])) == 2


def test_rigorous_tunes_on_the_folds_and_fits_all_their_rows(resources: Resources, pipeline: Writer) -> None:
    """The score is a mean with a spread; the model knows every row outside the holdout."""
    prepared, trained = made("rigorous", resources, pipeline)
    run = resources.runs.client.get_run(trained.run_id)
    assert (trained.scored_on, trained.trials) == ("folds", 3)
    assert trained.spread["f1_macro"] > 0
    assert run.data.metrics["folds_f1_macro"] == trained.metrics["f1_macro"]
    assert run.data.metrics["folds_f1_macro_std"] == trained.spread["f1_macro"]
    tree = resources.models.load_model(trained.model_id, prepared.pipeline)[-1]
    assert tree.tree_.n_node_samples[0] == prepared.rows - prepared.shares[-1].rows == 120


def test_rigorous_scores_a_candidate_without_a_search_on_the_folds_too(resources: Resources, pipeline: Writer) -> None:
    """Candidates are compared by the same rows."""
    _, trained = made("rigorous", resources, pipeline, tree={**TREE, "params": {"max_depth": 4}, "search": None})
    assert (trained.scored_on, trained.trials) == ("folds", 0)
    assert trained.spread["f1_macro"] > 0


def test_boosting_takes_the_rounds_that_its_folds_took(resources: Resources, pipeline: Writer) -> None:
    """The final fit has no rows left to watch."""
    prepared, trained = made("rigorous", resources, pipeline, tree=BOOSTED)
    params = resources.runs.client.get_run(trained.run_id).data.params
    model = resources.models.load_model(trained.model_id, prepared.pipeline)[-1]
    assert int(params["n_estimators"]) < 50
    assert model.estimator.get_booster().num_boosted_rounds() == int(params["n_estimators"])


@pytest.mark.parametrize("strategy", ["balanced", "rigorous"])
def test_a_decision_is_tuned_recorded_and_drawn(strategy: str, resources: Resources, pipeline: Writer) -> None:
    """Every trial is scored by a threshold of its own; the best one's is that of the model."""
    rows = iris()
    write_rows(resources.project, rows.assign(species=rows["species"] == "versicolor"), "two.csv")
    changes = {"costs": {"false_alarm": 1, "miss": 5}, "metrics": {"main": "expected_cost"}, "gate": None}
    prepared, trained = made(strategy, resources, pipeline, dataset={"kind": "csv", "path": "data/two.csv"}, **changes)
    decision = trained.choices.decision
    assert decision is not None
    assert decision.positive is True
    assert resources.models.load_model(trained.model_id, prepared.pipeline)[-1].threshold == decision.threshold
    tags = resources.runs.client.get_run(trained.run_id).data.tags
    assert tags["waterflow.decision_rule"] == f"True from {decision.threshold:.4g} on, by costs"
    files = {entry.path for entry in resources.runs.client.list_artifacts(trained.run_id, "plots")}
    assert files == {"plots/threshold.png"}


def test_a_short_time_budget_is_said_by_the_run(resources: Resources, pipeline: Writer) -> None:
    """The parameters of the YAML are fitted all the same."""
    tree = {**TREE, "search": {**TREE["search"], "time_budget_seconds": 1e-6}}
    _, trained = made("balanced", resources, pipeline, tree=tree)
    tags = resources.runs.client.get_run(trained.run_id).data.tags
    assert tags["waterflow.tuning_note"] == "the time budget of 1e-06 s ended after 1 of 3 trials"
    assert trained.tuned == {"max_depth": 1}


def test_selection_never_sees_the_holdout(
    resources: Resources, pipeline: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only `quick` hands the test rows to training."""
    seen: dict[str, set[str]] = {}

    def listen(config: Any, candidate: str, rows: Any, setting: Any) -> Any:
        seen[config.strategy.name] = set(rows)
        return train_candidate(config, candidate, rows, setting)

    monkeypatch.setattr("waterflow.training.candidate.train_candidate", listen)
    for strategy in ("quick", "balanced", "rigorous"):
        made(strategy, resources, pipeline, tree={**TREE, "search": None})
    assert seen == {"quick": {"train", "test"}, "balanced": {"train", "validation"}, "rigorous": {"train"}}


@pytest.mark.parametrize(
    ("environment", "threads"),
    [({"WATERFLOW_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3), ({"OMP_NUM_THREADS": "2"}, 2)],
)
def test_the_environment_says_how_many_threads(environment: dict[str, str], threads: int) -> None:
    """What is meant for Waterflow counts before what is meant for OpenMP."""
    assert count_threads(environment) == threads


def test_without_a_word_all_cores_are_used() -> None:
    """Those of this process."""
    assert count_threads({}) >= 1


@pytest.mark.parametrize("value", ["two", "0", "-1", "1.5"])
def test_a_number_of_threads_that_is_none_is_named(value: str) -> None:
    """The variable, and what it should look like."""
    message = message_of(lambda: count_threads({"WATERFLOW_THREADS": value}), ConfigError)
    assert message.startswith(f"WATERFLOW_THREADS: {value!r} is no number of threads")
