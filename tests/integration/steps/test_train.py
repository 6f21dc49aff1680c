from collections.abc import Callable
from pathlib import Path

from support.projects import candidates, request_of

from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.steps.train import train

Writer = Callable[..., str]


def test_a_retry_returns_a_finished_candidate_untouched(resources: Resources, pipeline: Writer) -> None:
    """The same run and the same model, fitted once."""
    prepared = prepare(request_of(pipeline()), resources)
    first = train(prepared, "gaussian_nb", prepared.origin, resources)
    again = train(prepared, "gaussian_nb", prepared.origin.model_copy(update={"try_number": 2}), resources)
    run = resources.runs.client.get_run(first.run_id)
    assert again == first
    assert run.data.tags["waterflow.try_number"] == "1"
    assert len(run.outputs.model_outputs) == 1


def test_a_retry_of_a_dead_attempt_reopens_its_run(resources: Resources, pipeline: Writer) -> None:
    """The killed try's run is used, not left beside a new one."""
    prepared = prepare(request_of(pipeline()), resources)
    first = train(prepared, "gaussian_nb", prepared.origin, resources)
    client = resources.runs.client
    client.update_run(first.run_id, status="RUNNING")
    location = client.get_run(first.run_id).info.artifact_uri.removeprefix("file://")
    (Path(location) / "waterflow" / "record.json").unlink()
    again = train(prepared, "gaussian_nb", prepared.origin.model_copy(update={"try_number": 2}), resources)
    assert again.run_id == first.run_id
    assert again.model_id != first.model_id
    run = client.get_run(first.run_id)
    assert (run.info.status, run.data.tags["waterflow.try_number"]) == ("FINISHED", "2")


def test_a_candidate_is_logged_with_its_parameters(resources: Resources, pipeline: Writer) -> None:
    """Defaults of the estimator are parameters too."""
    prepared = prepare(request_of(pipeline()), resources)
    trained = train(prepared, "gaussian_nb", prepared.origin, resources)
    params = resources.runs.client.get_run(trained.run_id).data.params
    assert params["estimator"] == "sklearn.naive_bayes.GaussianNB"
    assert params["var_smoothing"] == "1e-09"


def test_a_candidate_is_logged_with_scores_per_class(resources: Resources, pipeline: Writer) -> None:
    """The part that they were measured on stands in their name."""
    prepared = prepare(request_of(pipeline()), resources)
    trained = train(prepared, "gaussian_nb", prepared.origin, resources)
    metrics = resources.runs.client.get_run(trained.run_id).data.metrics
    names = {"accuracy", "f1_macro", "log_loss", "roc_auc", "recall.setosa", "precision.virginica", "f1.versicolor"}
    assert {f"validation_{name}" for name in names} | {"fit_seconds"} <= set(metrics)
    assert metrics["validation_f1_macro"] == trained.metrics["f1_macro"]


def test_the_index_of_the_map_does_not_matter(resources: Resources, pipeline: Writer) -> None:
    """Two candidates trained in another order keep their runs."""
    name = pipeline(**candidates(a="sklearn.naive_bayes.GaussianNB", b="sklearn.naive_bayes.BernoulliNB"))
    prepared = prepare(request_of(name), resources)
    first = {key: train(prepared, key, prepared.origin, resources).run_id for key in ("a", "b")}
    again = {key: train(prepared, key, prepared.origin, resources).run_id for key in ("b", "a")}
    assert again == first


def test_columns_that_are_not_used_are_named(resources: Resources, pipeline: Writer) -> None:
    """The run says what the model does not look at."""
    prepared = prepare(request_of(pipeline(preprocessing=[{"select": {"pattern": "^petal"}}])), resources)
    trained = train(prepared, "gaussian_nb", prepared.origin, resources)
    tags = resources.runs.client.get_run(trained.run_id).data.tags
    assert tags["waterflow.unused_columns"] == "sepal_length_cm, sepal_width_cm"
