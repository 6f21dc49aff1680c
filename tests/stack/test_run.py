"""A run of train_iris, read back from every server that had a part in it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.compose import Stack

pytestmark = pytest.mark.stack
CANDIDATES = {"logistic_regression", "k_neighbors", "svc", "random_forest", "hist_gradient_boosting"}


def test_one_parent_and_a_nested_run_for_each_candidate_all_finished(stack: Stack, iris_run: str) -> None:
    """A DAG run owns one MLflow run, and each candidate one nested run."""
    parent, *nested = stack.runs(iris_run)
    assert {run["info"]["run_name"].removesuffix(" refit") for run in nested} == CANDIDATES
    assert len(nested) == len(CANDIDATES) + 1, "the winner is fitted again"
    assert {run["tags"]["mlflow.parentRunId"] for run in nested} == {parent["info"]["run_id"]}
    assert {run["info"]["status"] for run in [parent, *nested]} == {"FINISHED"}


def test_the_parent_run_holds_the_pictures(stack: Stack, iris_run: str) -> None:
    """`evaluate` draws the pictures once, in the parent run."""
    parent, *_ = stack.runs(iris_run)
    pictures = stack.artifacts(parent["info"]["run_id"], "plots")
    assert {"plots/candidates.png", "plots/confusion_matrix.png", "plots/roc_curve.png"} <= set(pictures)


def test_the_runs_say_where_they_come_from(stack: Stack, iris_run: str) -> None:
    """Airflow's ids, the commit and the digests are tags, and the link leads to the Airflow run."""
    parent, nested, *_ = stack.runs(iris_run)
    for run in (parent, nested):
        assert run["tags"]["waterflow.dag_id"] == "train_iris"
        assert run["tags"]["waterflow.dag_run_id"] == iris_run
        assert len(run["tags"]["waterflow.data_digest"]) == 64
        assert len(run["tags"]["waterflow.git_commit"]) == 40
    assert parent["tags"]["waterflow.airflow_url"].startswith(f"http://localhost:{stack.airflow_port}/dags/train_iris/")


def test_the_winner_is_a_version_with_the_alias_champion(stack: Stack, iris_run: str) -> None:
    """It is better than the baseline, so the version became challenger and champion."""
    parent, *_ = stack.runs(iris_run)
    version = parent["tags"]["waterflow.registered"].removeprefix("iris/")
    assert stack.aliases() == {"challenger": version, "champion": version}


def test_rows_and_models_lie_in_the_buckets(stack: Stack, iris_run: str) -> None:
    """The prepared rows lie under their digest, artifacts and models in MLflow's bucket."""
    parent, *_ = stack.runs(iris_run)
    digest = parent["tags"]["waterflow.data_digest"]
    assert f"blobs/{digest[:2]}/{digest}" in stack.keys("waterflow")
    keys = stack.keys("mlflow")
    assert any(f"{parent['info']['run_id']}/artifacts/plots/candidates.png" in key for key in keys)
    assert any(key.endswith(f"{parent['tags']['waterflow.model_id']}/artifacts/model.pkl") for key in keys)


def test_artifacts_come_through_the_server(stack: Stack, iris_run: str) -> None:
    """A client outside the stack is sent the bytes, not to an address of the store that it cannot resolve."""
    parent, *_ = stack.runs(iris_run)
    info = requests.get(f"{stack.mlflow_url}/api/3.0/mlflow/server-info", timeout=30).json()
    assert (info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]) == (False, False)
    path = f"{stack.mlflow_url}/get-artifact"
    asked = {"run_uuid": parent["info"]["run_id"], "path": "plots/candidates.png"}
    picture = requests.get(path, params=asked, auth=("admin", stack.secret("mlflow_admin_password")), timeout=60)
    assert picture.content.startswith(b"\x89PNG")


def test_postgres_holds_the_runs(stack: Stack, iris_run: str) -> None:
    """Airflow's and MLflow's databases have rows of this run."""
    airflow = stack.sql("airflow", "airflow", f"select state from dag_run where run_id = '{iris_run}'").stdout
    assert airflow.strip() == "success"
    query = f"select count(*) from tags where key = 'waterflow.dag_run_id' and value = '{iris_run}'"
    mlflow = stack.sql("mlflow", "mlflow", query).stdout
    assert int(mlflow) == 2 + len(CANDIDATES)  # the winner is fitted a second time


def test_a_task_links_to_its_mlflow_run(stack: Stack, iris_run: str) -> None:
    """The details of a task in Airflow's UI lead to the run of its candidate."""
    runs = {run["info"]["run_name"]: run["info"]["run_id"] for run in stack.runs(iris_run)}
    for task in stack.tasks("train_iris", iris_run):
        if task["task_id"] != "train":
            continue
        path = f"/dags/train_iris/dagRuns/{iris_run}/taskInstances/train/links"
        links = stack.airflow("GET", path, params={"map_index": task["map_index"]}).json()["extra_links"]
        assert f"/runs/{runs[task['rendered_map_index']]}" in links["MLflow run"]


def test_airflow_has_a_way_to_mlflow(stack: Stack) -> None:
    """An item in Airflow's navigation opens MLflow as a browser on this machine reaches it."""
    plugins = stack.airflow("GET", "/plugins").json()["plugins"]
    views = [view for plugin in plugins for view in plugin["external_views"]]
    assert [view["href"] for view in views if view["name"] == "MLflow"] == [
        f"http://localhost:{stack.mlflow_port}/#/experiments?workflowType=machine_learning"
    ]


def test_the_command_line_works_against_the_stack(stack: Stack, iris_run: str) -> None:
    """`docker compose run --rm cli waterflow show iris` reads the registry with its own credentials."""
    shown = stack.compose("run", "--rm", "-T", "cli", "waterflow", "show", "iris").stdout
    assert "champion" in shown


@pytest.mark.parametrize(
    "conf",
    [
        {"candidates": ["sklearn.svm.SVC"]},
        {"candidates": ["nobody"]},
        {"strategy": "os.system"},
        {"window_end": "2026-02-31T25:00"},
        {"window_start": "tomorrow"},
    ],
)
def test_a_trigger_with_anything_but_names_and_times_is_refused(stack: Stack, conf: dict) -> None:
    """No task runs: the API answers with an error, and no DAG run is made."""
    before = stack.airflow("GET", "/dags/train_iris/dagRuns").json()["total_entries"]
    answer = stack.airflow("POST", "/dags/train_iris/dagRuns", json={"conf": conf, "logical_date": None})
    assert 400 <= answer.status_code < 500
    assert stack.airflow("GET", "/dags/train_iris/dagRuns").json()["total_entries"] == before


def test_the_champion_is_traced_to_its_dag_run(stack: Stack, iris_run: str) -> None:
    """Airflow is asked by the account of the `cli` service, and every link that can be asked resolves."""
    tree = json.loads(
        stack.compose("run", "--rm", "-T", "cli", "waterflow", "lineage", "iris@champion", "--json").stdout
    )
    links = {link["kind"]: link for link in all_links(tree)}
    assert [link["kind"] for link in links.values() if link["resolves"] is None] == ["source", "image"]
    assert links["DAG run"]["name"] == iris_run
    assert links["DAG run"]["facts"]["state"] == "success"
    assert "prepare success (attempt 1)" in links["DAG run"]["facts"]["tasks"]
    assert links["image"]["name"].startswith("waterflow")


def test_the_champion_can_be_had_again(stack: Stack, iris_run: str) -> None:
    """In a container that sees the checkout read-only, against the servers, to the last bit; the store is whole."""
    said = stack.compose("run", "--rm", "-T", "cli", "waterflow", "audit", "iris").stdout
    assert "versions that reproduce confirms" in said
    assert said.count("100.0 %") == 12


def all_links(link: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a link and all behind it."""
    yield link
    for behind in link["upstream"]:
        yield from all_links(behind)
