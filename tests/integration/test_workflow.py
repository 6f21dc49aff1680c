"""Whole runs without Airflow: what they leave when they end well, and that they leave nothing when they do not."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.projects import (
    candidates,
    copy_database,
    free_port,
    left_behind,
    make_project,
    message_of,
    request_of,
    write_pipeline,
    write_rows,
)

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError, FitError, StoreError, UnreachableError
from waterflow.records.promotion import Registered
from waterflow.resources import Resources

NB = "sklearn.naive_bayes.GaussianNB"
BROKEN = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": -1.0}}
HUNGRY = {"estimator": "sklearn.neighbors.KNeighborsClassifier", "params": {"n_neighbors": 1000}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> tuple[Resources, Registered]:
    """Run `flowers` once for all tests that only look at what it left."""
    project = make_project(tmp_path_factory.mktemp("finished"))
    copy_database(project, tracking_template)
    resources = workflow.open_resources(project)
    return resources, workflow.run_all(request_of(), resources)


def test_a_run_registers_its_winner(finished: tuple[Resources, Registered]) -> None:
    """One version, with both aliases, since it is better than the baseline."""
    resources, registered = finished
    assert (registered.model, registered.version) == ("flowers", 1)
    assert registered.aliases == ("challenger", "champion")
    champion = resources.registry.find_alias("flowers", "champion")
    assert champion is not None
    assert champion.version == 1


def test_a_run_has_one_parent_and_a_nested_run_for_each_candidate(finished: tuple[Resources, Registered]) -> None:
    """All of them are FINISHED."""
    resources, registered = finished
    runs = resources.runs.client.search_runs([registered.experiment_id])
    parents = {run.info.run_id: run.data.tags.get("mlflow.parentRunId") for run in runs}
    assert len(runs) == 4  # the winner is fitted again
    assert parents.pop(registered.parent_run_id) is None
    assert set(parents.values()) == {registered.parent_run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_candidates_are_ranked_by_the_main_metric(finished: tuple[Resources, Registered]) -> None:
    """The best on the validation rows comes first."""
    _, registered = finished
    ranked = registered.evaluated.ranked
    assert {entry.scored_on for entry in ranked} == {"validation"}
    assert ranked[0].metrics["f1_macro"] >= ranked[1].metrics["f1_macro"]


def test_the_parent_holds_the_pictures(finished: tuple[Resources, Registered]) -> None:
    """Candidates side by side, and the winner's curves."""
    resources, registered = finished
    files = [entry.path for entry in resources.runs.client.list_artifacts(registered.parent_run_id, "plots")]
    names = ("candidates", "confusion_matrix", "precision_recall_curve", "roc_curve")
    assert sorted(files) == [f"plots/{name}.png" for name in names]


def test_each_candidate_holds_its_confusion_matrix(finished: tuple[Resources, Registered]) -> None:
    """As JSON, beside its record."""
    resources, registered = finished
    for entry in registered.evaluated.ranked:
        files = {found.path for found in resources.runs.client.list_artifacts(entry.run_id)}
        assert {"confusion_matrix_validation.json", "waterflow"} <= files


def test_each_run_names_the_data_that_it_used(finished: tuple[Resources, Registered]) -> None:
    """The data set input has the digest of the stored rows."""
    resources, registered = finished
    for run in resources.runs.client.search_runs([registered.experiment_id]):
        digest = run.inputs.dataset_inputs[0].dataset.digest
        assert run.data.tags["waterflow.data_digest"].startswith(digest)


@pytest.mark.parametrize(
    "tag",
    [
        "waterflow.dag_run_id",
        "waterflow.try_number",
        "waterflow.lock_digest",
        "waterflow.config_digest",
        "waterflow.data_digest",
        "waterflow.seed",
        "waterflow.split_seed",
        "waterflow.action_key",
    ],
)
def test_each_run_can_be_traced(finished: tuple[Resources, Registered], tag: str) -> None:
    """Origin, inputs and seeds are tags of parent and candidates alike."""
    resources, registered = finished
    for run in resources.runs.client.search_runs([registered.experiment_id]):
        assert run.data.tags.get(tag), run.info.run_name


def test_the_logged_configuration_names_no_server(finished: tuple[Resources, Registered], tmp_path: Path) -> None:
    """What is logged can be shown to anybody."""
    resources, registered = finished
    path = resources.runs.client.download_artifacts(registered.parent_run_id, "waterflow/config.json", str(tmp_path))
    text = Path(path).read_text()
    assert '"flowers"' in text
    for word in ("tracking_uri", "store_uri", "sqlite", str(resources.project.home)):
        assert word not in text


def test_a_run_writes_nothing_into_the_project(finished: tuple[Resources, Registered]) -> None:
    """All that is written lies in the home."""
    resources, _ = finished
    assert {path.name for path in resources.project.root.iterdir()} == {"conf", "data", "requirements.lock"}


def test_a_forced_second_run_makes_a_second_version(tracked: Project) -> None:
    """The champion stays: the same rows and settings make nothing better."""
    resources = workflow.open_resources(tracked)
    first = workflow.run_all(request_of(run_id="run_1"), resources)
    second = workflow.run_all(request_of(run_id="run_2", force=True), resources)
    versions = resources.registry.list_versions("flowers")
    assert [(version.version, version.aliases) for version in versions] == [(2, ()), (1, first.aliases)]
    assert [row.decision and row.decision.kind for row in (first, second)] == ["promote", "hold"]
    assert first.experiment_id == second.experiment_id


def test_a_run_that_is_repeated_changes_nothing(tracked: Project) -> None:
    """The same run id finds the same runs, models and version."""
    resources = workflow.open_resources(tracked)
    first = workflow.run_all(request_of(), resources)
    before = {run.info.run_id: run.info.end_time for run in resources.runs.client.search_runs([first.experiment_id])}
    second = workflow.run_all(request_of(), resources)
    after = {run.info.run_id: run.info.end_time for run in resources.runs.client.search_runs([first.experiment_id])}
    assert [entry.model_id for entry in second.evaluated.ranked] == [entry.model_id for entry in first.evaluated.ranked]
    assert second.version == first.version
    assert before.keys() == after.keys()
    nested = [entry.run_id for entry in first.evaluated.ranked]
    assert [before[run_id] for run_id in nested] == [after[run_id] for run_id in nested]


# Candidates that cannot be trained


@pytest.mark.parametrize("broken", [BROKEN, HUNGRY], ids=["fails in fit", "fails in predict"])
def test_a_candidate_that_fails_is_left_out_and_named(tracked: Project, broken: dict[str, Any]) -> None:
    """The others go on, the run says so, and it can never win."""
    write_pipeline(tracked, "flowers", **candidates(broken=broken, nb=NB))
    resources = workflow.open_resources(tracked)
    said: list[tuple[str, str]] = []
    registered = workflow.run_all(request_of(), resources, report=lambda step, text: said.append((step, text)))
    assert registered.evaluated.winner.candidate == "nb"
    assert registered.evaluated.missing == ("broken",)
    assert next(text for step, text in said if step == "failed").startswith("candidates.broken: ")
    runs = resources.runs.client.search_runs([registered.experiment_id])
    by_name = {run.info.run_name: run for run in runs}
    assert by_name["broken"].info.status == "FAILED"
    assert by_name["broken"].data.tags["waterflow.failure"].startswith("candidates.broken: ")
    assert by_name["run_1"].data.tags["waterflow.missing_candidates"] == "broken"


def test_when_all_candidates_fail_nothing_is_registered(tracked: Project) -> None:
    """The message lists them and says where the reasons are."""
    write_pipeline(tracked, "flowers", **candidates(broken=BROKEN, hungry=HUNGRY))
    resources = workflow.open_resources(tracked)
    message = message_of(lambda: workflow.run_all(request_of(), resources), FitError)
    assert "no candidate of flowers could be trained (broken, hungry)" in message
    assert left_behind(resources) == []


def test_a_main_metric_that_a_candidate_does_not_have_leaves_it_out(tracked: Project) -> None:
    """A support vector machine says no probabilities, so log loss cannot rank it."""
    write_pipeline(
        tracked,
        "flowers",
        **candidates(svc="sklearn.svm.SVC", nb=NB),
        metrics={"main": "log_loss"},
    )
    resources = workflow.open_resources(tracked)
    registered = workflow.run_all(request_of(), resources)
    assert registered.evaluated.missing == ("svc",)


# Bad input after a run began


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: rows.drop(columns="species"), "target: 'species' is no column"),
        (lambda rows: rows.assign(species="setosa"), "there is nothing to learn"),
        (lambda rows: rows.iloc[:101], "has one row"),
        (lambda rows: rows.assign(petal_width_cm=np.nan), "is null or empty in all 150 rows"),
        (lambda rows: rows.assign(species=rows["species"].where(rows.index > 0)), "is null in 1 of 150 rows"),
        (lambda rows: rows.iloc[:0], "has no row"),
    ],
    ids=["no target", "constant target", "class of one row", "column of nulls", "null target", "no rows"],
)
def test_bad_rows_leave_nothing_behind(
    tracked: Project, spoil: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    """One line, no version, no alias, no run that still runs."""
    write_rows(tracked, spoil(iris()))
    resources = workflow.open_resources(tracked)
    assert reason in message_of(lambda: workflow.run_all(request_of(), resources), DataError)
    assert left_behind(resources) == []


@pytest.mark.parametrize("content", [None, b"", b"PAR1\xff\xfe\x00\x15\x04PAR1"], ids=["missing", "empty", "no csv"])
def test_a_bad_file_leaves_nothing_behind(tracked: Project, content: bytes | None) -> None:
    """One line that names the file."""
    path = tracked.root / "data" / "flowers.csv"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    resources = workflow.open_resources(tracked)
    assert "'data/flowers.csv'" in message_of(lambda: workflow.run_all(request_of(), resources), DataError)
    assert left_behind(resources) == []


def test_bad_rows_do_not_take_the_champions_place(tracked: Project) -> None:
    """What stood before stands after."""
    resources = workflow.open_resources(tracked)
    workflow.run_all(request_of(run_id="good"), resources)
    write_rows(tracked, iris().assign(species="setosa"))
    message_of(lambda: workflow.run_all(request_of(run_id="bad"), resources), DataError)
    champion = resources.registry.find_alias("flowers", "champion")
    assert champion is not None
    assert champion.version == 1
    assert len(resources.registry.list_versions("flowers")) == 1


def test_settings_that_do_not_fit_the_columns_leave_nothing_behind(tracked: Project) -> None:
    """What only the rows can tell is found in training, and the parent run is closed too."""
    write_pipeline(tracked, "flowers", preprocessing=[{"select": {"names": ["petal"]}}])
    resources = workflow.open_resources(tracked)
    message = message_of(lambda: workflow.run_all(request_of(), resources), ConfigError)
    assert "'petal' is no feature" in message
    assert left_behind(resources) == []


def test_an_object_that_is_altered_in_the_middle_of_a_run_leaves_nothing_behind(tracked: Project) -> None:
    """Rows that are not what was prepared are never trained on."""
    resources = workflow.open_resources(tracked)

    def alter(step: str, text: str) -> None:
        if step == "train":
            for path in (tracked.home / "store" / "blobs").rglob("*"):
                if path.is_file() and path.read_bytes().startswith(b"PAR1"):
                    path.write_bytes(b"PAR1 other rows PAR1")

    message = message_of(lambda: workflow.run_all(request_of(), resources, report=alter), StoreError)
    assert "altered" in message
    assert left_behind(resources) == []


def test_an_interrupted_run_leaves_nothing_running(tracked: Project) -> None:
    """Ctrl-C between two candidates closes the parent too."""
    resources = workflow.open_resources(tracked)

    def interrupt(step: str, text: str) -> None:
        if step == "train":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workflow.run_all(request_of(), resources, report=interrupt)
    assert left_behind(resources) == []


def test_an_unknown_candidate_begins_no_run(tracked: Project) -> None:
    """A name is refused before MLflow hears of it."""
    resources = workflow.open_resources(tracked)
    request = request_of(candidates=("os.system",))
    assert "valid: gaussian_nb" in message_of(lambda: workflow.run_all(request, resources), ConfigError)
    assert resources.runs.client.get_experiment_by_name("waterflow/flowers") is None


# Servers and folders that cannot be used


def test_a_tracking_server_that_does_not_answer_is_named(project: Project) -> None:
    """The run ends before it begins, within seconds."""
    uri = f"http://127.0.0.1:{free_port()}"
    resources = workflow.open_resources(project, [f"profile.tracking_uri={uri}"])
    message = message_of(lambda: workflow.prepare(request_of("flowers"), resources), UnreachableError)
    assert f"MLflow at {uri} does not answer" in message


def test_a_store_folder_that_cannot_be_written_is_named(project: Project, tmp_path: Path) -> None:
    """A folder below a file cannot be made, whoever tries."""
    (tmp_path / "file").touch()
    message = message_of(
        lambda: workflow.open_resources(project, [f"profile.store_uri={tmp_path}/file/store"]), StoreError
    )
    assert f"{tmp_path}/file/store" in message


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """`WATERFLOW_HOME` is named, since that is what to change."""
    (tmp_path / "file").touch()
    project = make_project(tmp_path, home=tmp_path / "file" / "home")
    assert "WATERFLOW_HOME" in message_of(lambda: workflow.open_resources(project), StoreError)


def test_an_artifact_folder_that_cannot_be_written_leaves_nothing_behind(tracked: Project, tmp_path: Path) -> None:
    """Artifacts may lie elsewhere than the store."""
    (tmp_path / "file").touch()
    resources = workflow.open_resources(tracked, [f"profile.artifact_root={tmp_path}/file/artifacts"])
    message = message_of(lambda: workflow.run_all(request_of(), resources), StoreError)
    assert f"{tmp_path}/file" in message
    assert left_behind(resources) == []


def test_the_commands_import_nothing_that_only_a_fit_needs() -> None:
    """What was computed before is fetched in a moment, which an import of seconds would spoil."""
    program = (
        "import sys; from waterflow import cli, workflow; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "waterflow" in imported
    assert not imported & {"sklearn", "matplotlib", "optuna", "xgboost", "joblib", "torch"}
