"""Garbage collection, after real runs; objects are aged by the clock that is given to it."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from support.projects import FLOWERS, copy_database, make_project, message_of, request_of, write_pipeline, write_rows
from support.promotion import entered
from support.s3_server import BUCKET, s3_client, s3_server
from support.served import answered, seconds

from waterflow import workflow
from waterflow.config.schema import LogConfig
from waterflow.datasets.loaders import iris
from waterflow.errors import StoreError
from waterflow.lineage.run_provenance import read_provenance
from waterflow.operations.garbage_collection import Survey, remove, survey
from waterflow.records.data import Blob, Prepared
from waterflow.records.prediction_log import PostedOutcome
from waterflow.resources import Resources
from waterflow.serving.prediction_log.outcomes import record_outcomes
from waterflow.serving.prediction_log.reading import read_predictions
from waterflow.serving.prediction_log.sealing import seal_spool
from waterflow.serving.prediction_log.spool import PredictionLog
from waterflow.steps.prepare import prepare
from waterflow.steps.promote import promote
from waterflow.stores.base import get_file, put_file
from waterflow.stores.s3 import S3Store

MONTH = timedelta(days=30)
LATER = datetime.now(UTC) + timedelta(days=60)


@pytest.fixture
def resources(tmp_path: Path, tracking_template: Path) -> Resources:
    """Open the stores of a project of this test alone: a survey looks at all that is kept."""
    project = make_project(tmp_path)
    copy_database(project, tracking_template)
    one = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]
    write_pipeline(project, "flowers", {**FLOWERS, "defaults": one})
    return workflow.open_resources(project)


@pytest.fixture
def stray(resources: Resources, tmp_path: Path) -> Blob:
    """Store an object that nothing names."""
    name_one(resources, tmp_path)
    (tmp_path / "stray").write_bytes(b"who am I?")
    return put_file(resources.store, tmp_path / "stray")


def name_one(resources: Resources, folder: Path) -> None:
    """Store an object that a run of somebody's names in a tag."""
    (folder / "named").write_bytes(b"I am somebody's")
    blob = put_file(resources.store, folder / "named")
    run = resources.runs.client.create_run(resources.runs.ensure_experiment("named"), tags={"uses": blob.digest})
    resources.runs.client.set_terminated(run.info.run_id)


def look(resources: Resources, now: datetime = LATER) -> Survey:
    """Survey what is older than a month, two months from now."""
    return survey(resources, MONTH, now)


def keys(found: Survey) -> set[str]:
    """Name what would go."""
    return {unused.entry.key for unused in found.unreachable}


def stored_by(prepared: Prepared, resources: Resources) -> set[str]:
    """Name what `prepare` stored: rows, split, configuration, and the lock file."""
    lock = read_provenance(resources.runs.get_run(prepared.parent_run_id), resources).lock
    assert lock is not None
    return {blob.key for blob in (prepared.data, prepared.split, prepared.config, lock)}


def promoted(resources: Resources) -> Prepared:
    """Run all five steps, without the seconds that staging takes."""
    prepared, registered = entered("flowers", resources, full=True)
    promote(prepared, registered, resources)
    return prepared


def test_what_nothing_names_goes_and_all_else_stays(resources: Resources, stray: Blob) -> None:
    """After a whole run with a champion: rows, split, configuration and predictions can still be fetched."""
    prepared = promoted(resources)
    found = look(resources)
    assert keys(found) == {stray.key}
    assert found.unreachable[0].why == "named by nothing"
    remove(found, resources)
    assert not resources.store.exists(stray.key)
    (row,) = resources.ledger.entries("flowers")
    evaluated = resources.runs.read_json(prepared.parent_run_id, "waterflow/evaluated.json") or {}
    predictions = Blob.from_json(evaluated["verdict"]["predictions"])
    needed = [prepared.data, prepared.split, prepared.config, predictions]
    assert row.run_id == prepared.parent_run_id
    for blob in needed:
        get_file(resources.store, blob, resources.project.home / "back")
    assert {entry.key for entry in found.reachable} > {blob.key for blob in needed}


def test_looking_removes_nothing(resources: Resources, stray: Blob) -> None:
    """The survey alone is the dry run."""
    look(resources)
    assert resources.store.exists(stray.key)


def test_what_is_young_stays(resources: Resources, stray: Blob) -> None:
    """A run under way stores before it names."""
    found = look(resources, now=datetime.now(UTC))
    assert not found.unreachable
    assert [entry.key for entry in found.young] == [stray.key]


def test_what_a_deleted_run_alone_names_goes(resources: Resources) -> None:
    """Deleting a run in MLflow gives its objects free, and the reason says which run it was."""
    prepared = prepare(request_of(), resources)
    resources.runs.client.set_terminated(prepared.parent_run_id, "FAILED")
    assert not look(resources).unreachable
    stored = stored_by(prepared, resources)
    resources.runs.client.delete_run(prepared.parent_run_id)
    found = look(resources)
    assert keys(found) == stored
    why = f"named only by the deleted run run_1 ({prepared.parent_run_id[:8]})"
    assert {unused.why for unused in found.unreachable} == {why}


def test_what_two_runs_share_stays_with_one_of_them(resources: Resources) -> None:
    """The same rows are one object."""
    first, second = (prepare(request_of(run_id=name), resources) for name in ("run_1", "run_2"))
    assert first.data == second.data
    for prepared in (first, second):
        resources.runs.client.set_terminated(prepared.parent_run_id, "FAILED")
    resources.runs.client.delete_run(first.parent_run_id)
    assert not look(resources).unreachable


def test_a_version_keeps_what_its_deleted_runs_name(resources: Resources) -> None:
    """A version can be traced and trained again, though somebody tidied up in MLflow."""
    prepared = promoted(resources)
    for run in resources.runs.client.search_runs([prepared.experiment_id]):
        resources.runs.client.delete_run(run.info.run_id)
    found = look(resources)
    assert not found.unreachable
    assert not found.obstacles
    assert prepared.split.key in {entry.key for entry in found.reachable}


def test_the_ledger_keeps_the_predictions_of_its_verdicts(resources: Resources) -> None:
    """Runs and version are gone; the evidence of a decision is not."""
    prepared = promoted(resources)
    (row,) = resources.ledger.entries("flowers")
    kept = resources.store.exists
    evaluated = resources.runs.read_json(prepared.parent_run_id, "waterflow/evaluated.json") or {}
    predictions = Blob.from_json(evaluated["verdict"]["predictions"])
    verdict = row.verdict
    assert verdict is not None
    resources.ledger.append(
        row,
        model="flowers",
        kind="hold",
        version=1,
        to_version=1,
        reason="",
        actor="test",
        verdict=verdict.model_copy(update={"predictions": predictions}),
    )
    stored = stored_by(prepared, resources)
    resources.runs.client.delete_registered_model("flowers")
    for run in resources.runs.client.search_runs([prepared.experiment_id]):
        resources.runs.client.delete_run(run.info.run_id)
    found = look(resources)
    assert keys(found) == stored
    remove(found, resources)
    assert kept(predictions.key)


def test_a_record_of_a_new_kind_keeps_its_objects(resources: Resources, stray: Blob) -> None:
    """Any JSON beside the records that names a digest counts."""
    prepared = prepare(request_of(), resources)
    resources.runs.client.log_text(prepared.parent_run_id, json.dumps({"diff": stray.to_json()}), "waterflow/new.json")
    assert not look(resources).unreachable


def _break_json(resources: Resources, prepared: Prepared) -> None:
    resources.runs.client.log_text(prepared.parent_run_id, '{"data": ', "waterflow/record.json")


def _lose_record(resources: Resources, prepared: Prepared) -> None:
    resources.runs.client.set_terminated(prepared.parent_run_id, "FINISHED")
    root = resources.runs.client.get_run(prepared.parent_run_id).info.artifact_uri
    (Path(root.removeprefix("file://")) / "waterflow" / "record.json").unlink()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_break_json, "waterflow/record.json cannot be read (JSONDecodeError)"),
        (_lose_record, "it is FINISHED and has no waterflow/record.json"),
        (lambda resources, prepared: None, "is under way"),
    ],
)
def test_nothing_is_removed_while_a_run_is_not_known_whole(
    resources: Resources, stray: Blob, harm: Callable[[Resources, Prepared], None], says: str
) -> None:
    """What it names cannot be known, so any unreachable object may be its."""
    prepared = prepare(request_of(), resources)
    harm(resources, prepared)
    found = look(resources)
    message = message_of(lambda: remove(found, resources), StoreError)
    assert message.startswith("gc: nothing was removed: run run_1")
    assert says in message
    assert resources.store.exists(stray.key)


def test_nothing_is_removed_when_a_run_began_meanwhile(resources: Resources, stray: Blob) -> None:
    """It may store again, and so rely on, what was found unreachable."""
    found = look(resources)
    assert not found.obstacles
    prepare(request_of(), resources)
    assert "began meanwhile" in message_of(lambda: remove(found, resources), StoreError)
    assert resources.store.exists(stray.key)


def test_what_a_run_that_began_and_ended_meanwhile_needs_stays(resources: Resources, stray: Blob) -> None:
    """Rows that are in the store already are not stored again, so the run relies on what is about to go."""
    first = prepare(request_of(), resources)
    resources.runs.client.set_terminated(first.parent_run_id, "FAILED")
    resources.runs.client.delete_run(first.parent_run_id)
    found = look(resources)
    second = prepare(request_of(run_id="run_2"), resources)
    resources.runs.client.set_terminated(second.parent_run_id, "FAILED")
    assert second.data.key in keys(found)
    message = message_of(lambda: remove(found, resources), StoreError)
    assert message == "gc: nothing was removed: a run that began meanwhile needs 4 of the objects; run gc again"
    assert all(resources.store.exists(key) for key in keys(found))


def test_a_store_of_another_mlflow_is_left_alone(resources: Resources, tmp_path: Path) -> None:
    """A fresh MLflow beside an old store names nothing there, which is no reason to empty it."""
    (tmp_path / "other").write_bytes(b"needed elsewhere")
    blob = put_file(resources.store, tmp_path / "other")
    message = message_of(lambda: remove(look(resources), resources), StoreError)
    assert "names none of the objects in file://" in message
    assert resources.store.exists(blob.key)


def test_a_version_whose_run_mlflow_forgot_forbids(resources: Resources) -> None:
    """Its record is lost, and with it the names of what it needs."""
    prepared = promoted(resources)
    resources.runs.client.set_model_version_tag("flowers", "1", "waterflow.parent_run_id", "0" * 32)
    (obstacle,) = look(resources).obstacles
    assert f"run {'0' * 32} of flowers version 1 is gone from MLflow" in obstacle
    assert prepared.data.key not in keys(look(resources))


def test_a_cut_off_upload_goes_and_a_persons_file_stays(resources: Resources) -> None:
    """Only blobs and their leftovers are Waterflow's to remove."""
    root = resources.project.home / "store"
    for name in ("blobs/ab/.partial-x1y2", "blobs/notes.txt", "raw/rows.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
        os.utime(root / name, (0, 0))
    found = look(resources)
    assert keys(found) == {"blobs/ab/.partial-x1y2"}
    assert found.unreachable[0].why == "left by an upload that was cut short"
    remove(found, resources)
    assert [entry.key for entry in look(resources).foreign] == ["blobs/notes.txt"]
    assert (root / "raw" / "rows.csv").exists()


def test_a_bucket_is_collected_as_a_folder_is(resources: Resources, tmp_path: Path) -> None:
    """The same on a real S3 server."""
    (tmp_path / "s3").mkdir()
    (tmp_path / "stray").write_bytes(b"who am I?")
    with s3_server(tmp_path / "s3") as port:
        there = replace(resources, store=S3Store(f"s3://{BUCKET}", s3_client(port)))
        write_rows(there.project, iris())
        prepared = prepare(request_of(), there)
        there.runs.client.set_terminated(prepared.parent_run_id, "FAILED")
        stray = put_file(there.store, tmp_path / "stray")
        found = look(there)
        assert keys(found) == {stray.key}
        remove(found, there)
        assert not there.store.exists(stray.key)
        assert there.store.exists(prepared.data.key)


def test_recorded_predictions_stay_until_they_expire(resources: Resources, tmp_path: Path) -> None:
    """Two days' rows: those that need not be kept any more go, and the table has the others."""
    name_one(resources, tmp_path)
    now = datetime.now(UTC)
    log = PredictionLog(tmp_path / "spool")
    log.append(answered(), LogConfig())
    log.append(answered(at=seconds(now - timedelta(days=9))), LogConfig(keep_days=5))
    log.close()
    seal_spool(tmp_path / "spool", resources.store, resources.prediction_index)
    found = look(resources)
    assert len(found.unreachable) == 1
    remove(found, resources)
    read = partial(read_predictions, index=resources.prediction_index, store=resources.store)
    assert len(read("flowers", now - timedelta(days=30), now + timedelta(days=1))) == 1


def test_outcomes_go_when_they_expire(resources: Resources, tmp_path: Path) -> None:
    """Removing forgets them too; looking does not."""
    name_one(resources, tmp_path)
    posted = [PostedOutcome(key="c", outcome=1, known_at=datetime.now(UTC))]
    record_outcomes("flowers", posted, resources.prediction_index, keep_days=-1)
    found = look(resources)
    remove(found, resources)
    assert resources.prediction_index.remove_expired_outcomes(datetime.now(UTC).date()) == 0
