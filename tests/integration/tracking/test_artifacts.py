from pathlib import Path

import pytest
from support.projects import copy_database, make_project, message_of

from waterflow import workflow
from waterflow.errors import SignatureError, StoreError
from waterflow.tracking.artifacts import write_record
from waterflow.tracking.runs import RunIdentity, RunStore
from waterflow.tracking.tags import PIPELINE, RECORD_DIGEST, RECORD_FILE


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> RunStore:
    """Return one MLflow for this module."""
    project = make_project(tmp_path_factory.mktemp("artifacts"))
    copy_database(project, tracking_template)
    return workflow.open_resources(project).runs


@pytest.fixture
def run_id(runs: RunStore, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Open a run, and log a signed record."""
    name = request.node.name
    opened = runs.open_run(runs.ensure_experiment("flowers"), RunIdentity("flowers", name), "key", name, {})
    digest = write_record(tmp_path, {"rows": 3})
    signed = runs.sign_records("flowers", opened.run_id, {RECORD_FILE: digest})
    runs.log(opened.run_id, tags={PIPELINE: "flowers", RECORD_DIGEST: digest, **signed})
    runs.log_folder(opened.run_id, tmp_path)
    return opened.run_id


def test_a_record_is_read_by_its_digest(runs: RunStore, run_id: str) -> None:
    """It comes back as it was written."""
    assert runs.read_verified(runs.get_run(run_id), RECORD_FILE) == runs.read_json(run_id, RECORD_FILE) == {"rows": 3}


@pytest.mark.parametrize(
    ("content", "problem"),
    [('{"rows": 4}', "was altered or cut short"), ('{"ro', "was altered or cut short"), (None, "is gone")],
)
def test_a_damaged_record_is_named(runs: RunStore, run_id: str, content: str | None, problem: str) -> None:
    """Altered, cut short and gone are no records."""
    path = Path(runs.get_run(run_id).artifact_uri.removeprefix("file://")) / RECORD_FILE
    path.unlink() if content is None else path.write_text(content)
    message = message_of(lambda: runs.read_verified(runs.get_run(run_id), RECORD_FILE), StoreError)
    assert message == f"its {RECORD_FILE} {problem}"


def test_a_record_that_others_wrote_is_not_believed(runs: RunStore, run_id: str, tmp_path: Path) -> None:
    """Whoever may write to MLflow can write a record with its digest, and cannot sign it."""
    digest = write_record(tmp_path, {"rows": 4})
    runs.log(run_id, tags={RECORD_DIGEST: digest})
    runs.log_folder(run_id, tmp_path)
    message = message_of(lambda: runs.read_verified(runs.get_run(run_id), RECORD_FILE), SignatureError)
    assert message.startswith(f"nothing vouches for its {RECORD_FILE} (record {run_id}/{RECORD_FILE} of ")


def test_a_record_counts_for_its_own_run(runs: RunStore, run_id: str, tmp_path: Path) -> None:
    """Neither under the tags of another run, nor under another pipeline's name."""
    tags, content = runs.get_run(run_id).tags, tmp_path / "other"
    other = runs.open_run(runs.ensure_experiment("other"), RunIdentity("other", run_id), "key", "other", {}).run_id
    write_record(content, {"rows": 3})
    runs.log(other, tags={name: value for name, value in tags.items() if name.startswith("waterflow.")})
    runs.log_folder(other, content)
    assert "nothing vouches" in message_of(lambda: runs.read_verified(runs.get_run(other), RECORD_FILE), SignatureError)
    runs.log(run_id, tags={PIPELINE: "other"})
    assert "nothing vouches" in message_of(
        lambda: runs.read_verified(runs.get_run(run_id), RECORD_FILE), SignatureError
    )


def test_what_is_not_there_or_no_json_is_none(runs: RunStore, run_id: str, tmp_path: Path) -> None:
    """Neither a missing file, nor a missing run, nor a file of another kind is an error."""
    (tmp_path / "note.json").write_text("half a")
    runs.log_folder(run_id, tmp_path)
    assert runs.read_json(run_id, "missing.json") is None
    assert runs.read_json("0" * 32, RECORD_FILE) is None
    assert runs.read_json(run_id, "note.json") is None


def test_files_are_listed_with_their_size(runs: RunStore, run_id: str) -> None:
    """Folders are walked."""
    assert runs.list_files(run_id) == {RECORD_FILE: len('{\n  "rows": 3\n}')}
