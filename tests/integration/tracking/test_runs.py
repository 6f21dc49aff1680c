import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from support.projects import copy_database, make_project

from waterflow.config.profile import Profile
from waterflow.config.project import Project
from waterflow.tracking import run_queries
from waterflow.tracking.artifacts import write_record
from waterflow.tracking.runs import OpenRun, RunIdentity, RunStore
from waterflow.tracking.tags import PIPELINE, RECORD_DIGEST, RECORD_FILE

PARENT = RunIdentity("flowers", "run_1")
CHILD = RunIdentity("flowers", "run_1", "nb")


def connect(project: Project) -> RunStore:
    """Open the runs of an embedded project."""
    return RunStore(
        Profile(
            name="embedded",
            tracking_uri=f"sqlite:///{project.home}/mlflow.db",
            artifact_root=f"{project.home}/mlartifacts",
            store_uri=f"{project.home}/store",
            signing_key_file=f"{project.home}/keys/signing_key",
            make_signing_key=True,
        )
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> RunStore:
    """Return one MLflow for this module; each test has an experiment of its own."""
    project = make_project(tmp_path_factory.mktemp("runs"))
    copy_database(project, tracking_template)
    return connect(project)


@pytest.fixture
def experiment(runs: RunStore, request: pytest.FixtureRequest) -> str:
    """Make an experiment named after the test."""
    return runs.ensure_experiment(request.node.name)


def open_run(runs: RunStore, experiment: str, identity: RunIdentity = PARENT, key: str = "k1", **more: str) -> OpenRun:
    """Open a run as a step does."""
    return runs.open_run(experiment, identity, key, name="a run", tags={"try": more.pop("attempt", "1")}, **more)


def log_record(runs: RunStore, run_id: str, folder: Path, content: dict[str, object]) -> None:
    """Log the record of a step that came to its end."""
    digest = write_record(folder, content)
    signed = runs.sign_records(PARENT.pipeline, run_id, {RECORD_FILE: digest})
    runs.log(run_id, tags={PIPELINE: PARENT.pipeline, RECORD_DIGEST: digest, **signed})
    runs.log_folder(run_id, folder)


def test_an_experiment_is_made_once(runs: RunStore) -> None:
    """The second call finds what the first one made."""
    assert runs.ensure_experiment("once") == runs.ensure_experiment("once")
    assert runs.client.get_experiment_by_name("waterflow/once") is not None


def test_a_deleted_experiment_is_restored(runs: RunStore, experiment: str) -> None:
    """Its name cannot be used again, so it is taken back."""
    runs.client.delete_experiment(experiment)
    name = runs.client.get_experiment(experiment).name.removeprefix("waterflow/")
    assert runs.ensure_experiment(name) == experiment
    assert runs.client.get_experiment(experiment).lifecycle_stage == "active"


def _ensure(arguments: tuple[Project, str]) -> str:
    project, name = arguments
    return connect(project).ensure_experiment(name)


def test_processes_that_race_for_an_experiment_get_one(tracked: Project) -> None:
    """Nobody's run lands in the experiment Default."""
    names = [f"raced_{number // 2}" for number in range(20)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        ids = list(pool.map(_ensure, [(tracked, name) for name in names]))
    assert ids[::2] == ids[1::2]
    assert len(set(ids)) == 10
    assert "0" not in ids


def test_a_new_run_is_running_and_tagged(runs: RunStore, experiment: str) -> None:
    """Nested runs know their parent."""
    parent = open_run(runs, experiment)
    child = open_run(runs, experiment, CHILD, parent_run_id=parent.run_id)
    run = runs.client.get_run(child.run_id)
    assert run.info.status == "RUNNING"
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id
    assert (parent.record, child.record) == (None, None)


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_a_retry_reopens_what_an_earlier_attempt_left(runs: RunStore, experiment: str, status: str) -> None:
    """The run keeps its id, is RUNNING again and names the new attempt."""
    first = open_run(runs, experiment)
    runs.client.update_run(first.run_id, status=status)
    second = open_run(runs, experiment, attempt="2")
    run = runs.client.get_run(first.run_id)
    assert second == first
    assert run.info.status == "RUNNING"
    assert run.data.tags["try"] == "2"


def test_a_finished_run_comes_back_untouched(runs: RunStore, experiment: str, tmp_path: Path) -> None:
    """Its record is all that a retry needs."""
    first = open_run(runs, experiment)
    log_record(runs, first.run_id, tmp_path, {"rows": 3})
    runs.client.set_terminated(first.run_id)
    before = runs.client.get_run(first.run_id)
    second = open_run(runs, experiment, attempt="2")
    after = runs.client.get_run(first.run_id)
    assert (second.run_id, second.record) == (first.run_id, {"rows": 3})
    assert after.info.status == "FINISHED"
    assert after.info.end_time == before.info.end_time
    assert after.data.tags == before.data.tags


def test_a_record_of_an_attempt_that_died_later_is_believed(runs: RunStore, experiment: str, tmp_path: Path) -> None:
    """The step's work was done; only the closing was not."""
    first = open_run(runs, experiment)
    log_record(runs, first.run_id, tmp_path, {"rows": 3})
    assert open_run(runs, experiment).record == {"rows": 3}


def test_a_record_that_was_cut_short_is_not_believed(runs: RunStore, experiment: str, tmp_path: Path) -> None:
    """Half a file is no record."""
    first = open_run(runs, experiment)
    log_record(runs, first.run_id, tmp_path, {"rows": 3})
    (tmp_path / RECORD_FILE).write_text('{"rows"')
    runs.log_folder(first.run_id, tmp_path)
    assert open_run(runs, experiment).record is None


def test_another_action_key_makes_another_run(runs: RunStore, experiment: str) -> None:
    """What was left from before an edit is marked and closed."""
    first = open_run(runs, experiment, key="k1")
    second = open_run(runs, experiment, key="k2")
    old = runs.client.get_run(first.run_id)
    assert second.run_id != first.run_id
    assert (old.info.status, old.data.tags["waterflow.superseded"]) == ("KILLED", "true")


def test_a_superseded_run_that_was_finished_stays_finished(runs: RunStore, experiment: str) -> None:
    """History is marked, not rewritten."""
    first = open_run(runs, experiment, key="k1")
    runs.client.set_terminated(first.run_id)
    open_run(runs, experiment, key="k2")
    assert runs.get_run(first.run_id).status == "FINISHED"


@pytest.mark.parametrize(
    "other",
    [RunIdentity("flowers", "run_2"), RunIdentity("flowers", "run_1", "svc"), RunIdentity("roses", "run_1")],
)
def test_each_identity_has_a_run_of_its_own(runs: RunStore, experiment: str, other: RunIdentity) -> None:
    """Another pipeline, DAG run or candidate is never reopened."""
    assert open_run(runs, experiment).run_id != open_run(runs, experiment, other).run_id


def test_a_block_that_ends_well_closes_its_run(runs: RunStore, experiment: str) -> None:
    """The run is FINISHED."""
    opened = open_run(runs, experiment)
    with runs.closing(opened.run_id):
        pass
    assert runs.get_run(opened.run_id).status == "FINISHED"


def test_a_run_can_be_left_open_for_the_next_step(runs: RunStore, experiment: str) -> None:
    """The parent goes on after `prepare`."""
    opened = open_run(runs, experiment)
    with runs.closing(opened.run_id, success=None):
        pass
    assert runs.get_run(opened.run_id).status == "RUNNING"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("no such column"), "FAILED", "no such column"),
        (KeyboardInterrupt(), "KILLED", "interrupted"),
        (SystemExit(1), "KILLED", "interrupted"),
    ],
)
def test_a_block_that_ends_badly_closes_its_run(
    runs: RunStore, experiment: str, error: BaseException, status: str, reason: str
) -> None:
    """An error leaves FAILED, an interruption KILLED, and either its reason."""
    opened = open_run(runs, experiment)
    with pytest.raises(type(error)), runs.closing(opened.run_id, success=None):
        raise error
    run = runs.client.get_run(opened.run_id)
    assert (run.info.status, run.data.tags["waterflow.failure"]) == (status, reason)


def test_a_failure_to_close_does_not_hide_the_failure(runs: RunStore) -> None:
    """The first error is the one that a person has to read."""
    with pytest.raises(ValueError, match="the real reason"), runs.closing("no-such-run"):
        raise ValueError("the real reason")


def test_nested_runs_of_dead_tasks_are_closed(runs: RunStore, experiment: str) -> None:
    """Only those of the given parent, and only those that still run."""
    parent, other = open_run(runs, experiment), open_run(runs, experiment, RunIdentity("flowers", "run_2"))
    dead = open_run(runs, experiment, CHILD, parent_run_id=parent.run_id)
    done = open_run(runs, experiment, RunIdentity("flowers", "run_1", "svc"), parent_run_id=parent.run_id)
    runs.client.set_terminated(done.run_id)
    strange = open_run(runs, experiment, RunIdentity("flowers", "run_2", "nb"), parent_run_id=other.run_id)
    assert runs.close_unfinished_children(experiment, parent.run_id) == [dead.run_id]
    assert runs.get_run(dead.run_id).status == "KILLED"
    assert runs.get_run(done.run_id).status == "FINISHED"
    assert runs.get_run(strange.run_id).status == "RUNNING"


def test_a_batch_reaches_the_run(runs: RunStore, experiment: str) -> None:
    """Parameters, metrics and tags arrive in one call."""
    opened = open_run(runs, experiment)
    runs.log(opened.run_id, params={"C": 1.0}, metrics={"f1": 0.5}, tags={"seed": "3"})
    data = runs.client.get_run(opened.run_id).data
    assert (data.params["C"], data.metrics["f1"], data.tags["seed"]) == ("1.0", 0.5, "3")


def test_a_long_parameter_is_cut_to_what_mlflow_takes(runs: RunStore, experiment: str) -> None:
    """A list of ten thousand columns does not stop a run."""
    opened = open_run(runs, experiment)
    runs.log(opened.run_id, params={"columns": "x" * 10_000})
    value = runs.client.get_run(opened.run_id).data.params["columns"]
    assert len(value) <= 6000
    assert value.endswith("…")


def test_a_data_set_is_attached_by_its_digest(runs: RunStore, experiment: str) -> None:
    """MLflow shows the digest's first 36 characters and where the rows lie."""
    opened = open_run(runs, experiment)
    runs.log_dataset(
        opened.run_id, name="flowers", digest="ab" * 32, source="file:///store/x", rows=150, context="train"
    )
    attached = runs.client.get_run(opened.run_id).inputs.dataset_inputs[0]
    assert attached.dataset.digest == "ab" * 18
    assert "file:///store/x" in attached.dataset.source
    assert attached.tags[0].value == "train"


def test_running_runs_of_airflow_are_listed(runs: RunStore, experiment: str) -> None:
    """Parents and candidates, with the tags that name their task; no run that a person started."""
    tags = {"waterflow.runner": "airflow", "waterflow.dag_id": "train_flowers", "waterflow.dag_run_id": "run_1"}
    parent = runs.open_run(experiment, PARENT, "k", name="run_1", tags=tags)
    more = {"waterflow.candidate": "nb", "waterflow.map_index": "2"}
    child = runs.open_run(experiment, CHILD, "k", name="nb", tags=tags | more, parent_run_id=parent.run_id)
    typed = open_run(runs, experiment, RunIdentity("flowers", "cli"))
    found = {run.run_id: run for run in runs.list_running()}
    assert found[child.run_id].tags.items() >= (tags | more).items()
    assert parent.run_id in found
    assert typed.run_id not in found
    runs.close(child.run_id, "KILLED", "its task was over")
    assert child.run_id not in {run.run_id for run in runs.list_running()}
    runs.close(parent.run_id, "KILLED", "its task was over")


def test_every_page_of_runs_is_read(runs: RunStore, experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested runs on a second page are closed as well."""
    monkeypatch.setattr(run_queries, "MAX_PAGE", 2)
    parent = open_run(runs, experiment)
    nested = {
        open_run(runs, experiment, RunIdentity("flowers", "run_1", name), parent_run_id=parent.run_id).run_id
        for name in ("nb", "svc", "tree")
    }
    assert {run.run_id for run in runs.list_runs(experiment)} == nested | {parent.run_id}
    assert set(runs.close_unfinished_children(experiment, parent.run_id)) == nested


def test_a_deleted_run_is_found_only_if_asked_for(runs: RunStore, experiment: str) -> None:
    """Garbage collection looks at what can still be restored; nothing else does."""
    opened = open_run(runs, experiment)
    runs.client.delete_run(opened.run_id)
    found = runs.find_run(opened.run_id, deleted_too=True)
    assert runs.find_run(opened.run_id) is None
    assert found is not None
    assert found.is_deleted


def test_mlflow_reports_to_nobody() -> None:
    """Who starts a run from a shell has set nothing."""
    program = (
        "import waterflow.tracking.runs; from mlflow.telemetry.client import get_telemetry_client;"
        "print(get_telemetry_client())"
    )
    told = {"CI", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS"}
    environment = {name: value for name, value in os.environ.items() if name not in told}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
