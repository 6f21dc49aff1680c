"""An audit of real runs: nothing is found until a fault is planted, and then that one alone."""

import os
import pickle
import platform
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow.entities import LoggedModelStatus
from support.projects import FLOWERS, message_of, write_pipeline
from support.tracing import path_of, version_of

from waterflow.errors import ConfigError, TrackingError
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations import audit as checks
from waterflow.operations import integrity
from waterflow.operations.audit import Audit, audit
from waterflow.provenance.hashing import digest_of, sha256_of
from waterflow.resources import Resources
from waterflow.tracking.registry import Version
from waterflow.tracking.run_queries import TrackedRun

Fault = Callable[[VersionHistory, Resources], AbstractContextManager[None]]
ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


@pytest.fixture(scope="module")
def version(resources: Resources) -> Version:
    """Return the one version of the pipeline `audited`; every fault is undone after its test."""
    write_pipeline(resources.project, "audited", {**FLOWERS, "defaults": ONE}, promotion={"resamples": 200})
    return version_of("audited", resources, full=True)


def found_by(resources: Resources) -> set[str]:
    """Return the checks that find something."""
    return {finding.check for finding in audit("audited", resources, reproduced=0).findings}


@contextmanager
def edited(path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    content = path.read_bytes()
    path.write_bytes(change(content))
    try:
        yield
    finally:
        path.write_bytes(content)


@contextmanager
def removed(path: Path) -> Iterator[None]:
    aside = path.rename(path.with_name("aside"))
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def logged(run: TrackedRun, name: str, value: float, resources: Resources) -> Iterator[None]:
    resources.runs.log(run.run_id, metrics={name: value})
    try:
        yield
    finally:
        resources.runs.client.log_metric(run.run_id, name, run.metrics[name], timestamp=2**41)


def another_metric(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    selected, name = resources.runs.get_run(history.evaluated.winner.run_id), "validation_f1_macro"
    return logged(selected, name, selected.metrics[name] + 1e-12, resources)


def another_score_of_the_holdout(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return logged(history.registration_run, "test_accuracy", 1.5, resources)


def another_score_of_a_class(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    (name, *_) = [name for name in history.registration_run.metrics if name.startswith("test_recall.")]
    return logged(history.registration_run, name, 1.5, resources)


@contextmanager
def stored(resources: Resources, table: str, column: str, value: str, where: str) -> Iterator[None]:
    """Change a cell of MLflow's own database, behind its API."""
    with closing(sqlite3.connect(resources.runs.uri.removeprefix("sqlite:///"))) as database:
        (before,) = database.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()

        def write(content: str) -> None:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (content,))
            database.commit()

        write(value)
        try:
            yield
        finally:
            write(before)


def another_parameter(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    where = f"key = 'rows' AND run_uuid = '{history.registration_run.run_id}'"
    return stored(resources, "params", "value", "151", where)


def another_verdict(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    where = f"key = 'waterflow.verdict' AND run_uuid = '{history.registration_run.run_id}'"
    return stored(resources, "tags", "value", "promote, of course", where)


def another_verdict_of_the_version(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return stored(resources, "model_version_tags", "value", "promote, of course", "key = 'waterflow.verdict'")


@contextmanager
def removed_tag(history: VersionHistory, resources: Resources) -> Iterator[None]:
    run = history.fit_run
    resources.runs.client.delete_tag(run.run_id, "waterflow.data_digest")
    try:
        yield
    finally:
        resources.runs.log(run.run_id, tags={"waterflow.data_digest": run.tags["waterflow.data_digest"]})


@contextmanager
def edited_artifact(run: TrackedRun, path: str) -> Iterator[None]:
    with edited(Path(run.artifact_uri.removeprefix("file://")) / path, lambda content: content + b" "):
        yield


def edited_record(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return edited_artifact(history.registration_run, "waterflow/evaluated.json")


def edited_report(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return edited_artifact(history.registration_run, "verdict/verdict.json")


def edited_picture(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return edited_artifact(history.registration_run, "plots/confusion_matrix.png")


def another_source(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return stored(resources, "model_versions", "source", "models:/m-another", "name = 'audited'")


def another_location(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return stored(resources, "model_versions", "storage_location", "/somewhere/else", "name = 'audited'")


def another_location_of_the_model(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    where = f"model_id = '{history.model.model_id}'"
    return stored(resources, "logged_models", "artifact_location", "/somewhere/else", where)


def another_digest_of_the_model(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    where = f"model_id = '{history.model.model_id}' AND tag_key = 'waterflow.files_sha256'"
    return stored(resources, "logged_model_tags", "tag_value", "0" * 64, where)


@contextmanager
def altered_data(history: VersionHistory, resources: Resources) -> Iterator[None]:
    with edited(path_of(history.prepared.data, resources), lambda content: content[:-1] + b"x"):
        yield


@contextmanager
def cut_predictions(history: VersionHistory, resources: Resources) -> Iterator[None]:
    verdict = history.evaluated.verdict
    assert verdict is not None
    assert verdict.predictions is not None
    with edited(path_of(verdict.predictions, resources), lambda content: content[:100]):
        yield


@contextmanager
def altered_model(history: VersionHistory, resources: Resources) -> Iterator[None]:
    with edited(folder_of(history, resources) / "model.pkl", lambda content: content + b"x"):
        yield


@contextmanager
def model_without_files(history: VersionHistory, resources: Resources) -> Iterator[None]:
    with removed(folder_of(history, resources)):
        yield


@contextmanager
def record_that_is_gone(history: VersionHistory, resources: Resources) -> Iterator[None]:
    location = resources.runs.client.get_run(history.fit_run.run_id).info.artifact_uri.removeprefix("file://")
    with removed(Path(location) / "waterflow"):
        yield


@contextmanager
def deleted(run_id: str, resources: Resources) -> Iterator[None]:
    resources.runs.client.delete_run(run_id)
    try:
        yield
    finally:
        resources.runs.client.restore_run(run_id)


def deleted_run(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return deleted(history.fit_run.run_id, resources)


def deleted_parent(history: VersionHistory, resources: Resources) -> AbstractContextManager[None]:
    return deleted(history.registration_run.run_id, resources)


@contextmanager
def running(history: VersionHistory, resources: Resources, age: timedelta, **tags: str) -> Iterator[None]:
    start = int((datetime.now(UTC) - age).timestamp() * 1000)
    named = {f"waterflow.{name}": value for name, value in tags.items()}
    run = resources.runs.client.create_run(history.registration_run.experiment_id, start_time=start, tags=named)
    try:
        yield
    finally:
        resources.runs.client.delete_run(run.info.run_id)


def folder_of(history: VersionHistory, resources: Resources) -> Path:
    """Find the folder of the version's model."""
    location = resources.runs.client.get_logged_model(history.model.model_id).artifact_location
    return Path(location.removeprefix("file://"))


def test_nothing_is_found_where_nothing_is_wrong(resources: Resources, version: Version) -> None:
    """Every check looked at something, and every share is whole."""
    found = audit("audited", resources, reproduced=0)
    assert found.findings == ()
    assert {entry.check for entry in found.rates} == {
        integrity.MANIFESTS,
        integrity.METRICS,
        integrity.PARAMETERS,
        integrity.TAGS,
        integrity.ARTIFACTS,
        integrity.ENDED,
        integrity.WITH_RUN,
        integrity.WITH_FILES,
        integrity.SERVED,
        integrity.LEDGER,
        checks.TRACED,
    }
    assert all(entry.good == entry.total > 0 for entry in found.rates)
    assert Audit.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("fault", "finds"),
    [
        (another_metric, {integrity.METRICS}),
        (another_score_of_the_holdout, {integrity.METRICS}),
        (another_score_of_a_class, {integrity.METRICS}),
        (another_parameter, {integrity.PARAMETERS}),
        (another_verdict, {integrity.TAGS}),
        (another_verdict_of_the_version, {integrity.TAGS}),
        (removed_tag, {integrity.TAGS}),
        (edited_record, {integrity.MANIFESTS}),
        (edited_report, {integrity.ARTIFACTS}),
        (edited_picture, {integrity.ARTIFACTS}),
        (record_that_is_gone, {integrity.MANIFESTS, integrity.SERVED, checks.TRACED}),
        (another_source, {integrity.SERVED, checks.TRACED}),
        (another_location, {integrity.SERVED, checks.TRACED}),
        (another_location_of_the_model, {integrity.ARTIFACTS, integrity.SERVED, checks.TRACED}),
        (another_digest_of_the_model, {integrity.ARTIFACTS, integrity.SERVED, checks.TRACED}),
        (altered_data, {integrity.ARTIFACTS, checks.TRACED}),
        (cut_predictions, {integrity.ARTIFACTS}),
        (altered_model, {integrity.ARTIFACTS, checks.TRACED}),
        (model_without_files, {integrity.ARTIFACTS, integrity.WITH_FILES, checks.TRACED}),
        (deleted_run, {integrity.WITH_RUN, checks.TRACED}),
        (deleted_parent, {integrity.WITH_RUN, checks.TRACED}),
    ],
)
def test_a_planted_fault_is_found(resources: Resources, version: Version, fault: Fault, finds: set[str]) -> None:
    """By the checks that it concerns and no other."""
    with fault(VersionHistory(version, resources), resources):
        assert found_by(resources) == finds


class Stranger:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        """Touch the mark in place of being restored."""
        return Path.touch, (self.mark,)


@pytest.fixture
def stranger(resources: Resources, version: Version, tmp_path: Path) -> Iterator[Path]:
    """Register a model that no fit logged, with digests of its own; returns the file that appears if it is loaded."""
    history, client = VersionHistory(version, resources), resources.runs.client
    shutil.copytree(folder_of(history, resources), tmp_path / "model")
    (tmp_path / "model" / "model.pkl").write_bytes(pickle.dumps(Stranger(tmp_path / "loaded")))
    files = sorted(path for path in (tmp_path / "model").rglob("*") if path.is_file())
    digests = {path.relative_to(tmp_path / "model").as_posix(): sha256_of(path) for path in files}
    tags = {"waterflow.sha256": digests["model.pkl"], "waterflow.files_sha256": digest_of(digests)}
    model = client.create_logged_model(
        history.fit_run.experiment_id, name="stranger", source_run_id=history.fit_run.run_id, tags=tags
    )
    client.log_model_artifacts(model.model_id, str(tmp_path / "model"))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    given = version.tags | {"waterflow.model_id": model.model_id}
    made = client.create_model_version("audited", f"models:/{model.model_id}", tags=given, model_id=model.model_id)
    yield tmp_path / "loaded"
    client.delete_model_version("audited", made.version)


def test_a_model_that_nobody_signed_is_never_loaded(resources: Resources, stranger: Path) -> None:
    """A pickle runs code, and whoever may write to the registry could have put it there."""
    found = audit("audited", resources, reproduced=1)
    assert not stranger.exists()
    (problem,) = {finding.problem for finding in found.findings if finding.check == integrity.SERVED}
    assert "nothing vouches for it" in problem
    assert integrity.SERVED in {finding.check for finding in found.findings if finding.subject == "audited@2"}


def test_a_removed_alias_is_found(resources: Resources, version: Version) -> None:
    """The ledger knows the champion."""
    row = resources.ledger.append(
        None,
        model="audited",
        kind="promote",
        version=1,
        to_version=1,
        reason="it is better",
        actor="test",
        run_id="1" * 32,
    )
    resources.registry.set_alias("audited", "champion", 1)
    resources.ledger.mark_projected(row)
    resources.registry.tag_version("audited", 1, {"waterflow.decision": "promote: it is better"})
    assert found_by(resources) == set()
    resources.registry.remove_alias("audited", "champion")
    assert found_by(resources) == {integrity.LEDGER}
    resources.registry.set_alias("audited", "champion", 1)
    resources.registry.tag_version("audited", 1, {"waterflow.decision": "promote: it is worse"})
    assert found_by(resources) == {integrity.TAGS}
    resources.registry.tag_version("audited", 1, {"waterflow.decision": "promote: it is better"})


def test_a_run_whose_process_is_gone_is_stuck(resources: Resources, version: Version) -> None:
    """It was started from a shell of this machine; one that is alive may go on."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    tags = {"runner": "cli", "host": platform.node()}
    history, now = VersionHistory(version, resources), timedelta()
    with running(history, resources, now, dag_run_id=f"cli__2026_{gone.stdout.strip()}", **tags):
        assert found_by(resources) == {integrity.ENDED}
    with running(history, resources, now, dag_run_id=f"cli__2026_{os.getpid()}", **tags):
        assert found_by(resources) == set()


@pytest.mark.parametrize(("days", "finds"), [(0, set()), (2, {integrity.ENDED})])
def test_a_run_that_nobody_can_be_asked_for_is_stuck_after_a_day(
    resources: Resources, version: Version, days: int, finds: set[str]
) -> None:
    """The embedded profile has no Airflow to ask."""
    tags = {"runner": "airflow", "dag_id": "train_flowers", "dag_run_id": "manual__1"}
    with running(VersionHistory(version, resources), resources, timedelta(days=days), **tags):
        assert found_by(resources) == finds


def test_bytes_are_counted_by_what_holds_them(resources: Resources, version: Version) -> None:
    """Of the objects each once; a version has what its two runs have, of which neither is that of the selection."""
    found = audit("audited", resources, reproduced=0)
    held = {entry.kind: entry for entry in found.held}
    history = VersionHistory(version, resources)
    assert held["data sets"].size_bytes == history.prepared.data.size_bytes
    assert held["models"].count == 2 * len(
        [path for path in folder_of(history, resources).rglob("*") if path.is_file()]
    )
    assert {"plots", "reports", "records", "predictions", "tracking database"} <= set(held)
    assert (found.per_run.count, found.per_version.count) == (3, 1)
    assert 0 < found.per_version.total_bytes < found.per_run.total_bytes
    assert found.per_run.total_bytes == sum(
        entry.size_bytes for entry in found.held if entry.kind != "tracking database"
    )


def test_access_is_timed(resources: Resources, version: Version) -> None:
    """Listing, opening, loading: a median and a 95th percentile each."""
    access = audit("audited", resources, reproduced=0).access
    assert [entry.samples for entry in access] == [10, 10, 5]
    assert all(0 < entry.median_ms <= entry.p95_ms for entry in access)


def test_a_version_that_cannot_be_trained_again_is_found(resources: Resources, version: Version) -> None:
    """A refusal counts as not reproduced, with its reason."""
    lock = VersionHistory(version, resources).provenance.lock
    assert lock is not None
    with removed(path_of(lock, resources)):
        found = audit("audited", resources, reproduced=1)
    findings = {finding.check: finding.problem for finding in found.findings}
    assert "no such object" in findings[checks.REPRODUCED]
    assert next(entry.good for entry in found.rates if entry.check == checks.REPRODUCED) == 0


def test_a_pipeline_that_never_ran_is_refused(resources: Resources, version: Version) -> None:
    """With those that did."""
    message = message_of(lambda: audit("tulips", resources), ConfigError)
    assert message == "pipeline: MLflow has no run of 'tulips'; valid: audited"


def size_of(folder: Path) -> int:
    """Sum up a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_row_that_cannot_be_read_stops_no_other(
    version: Version, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose artifacts are refused is one finding; every other row is looked at."""
    broken = next(run for run in resources.runs.list_runs() if run.parent is not None)
    list_files = resources.runs.list_files

    def refuse(run_id: str) -> dict[str, int]:
        if run_id == broken.run_id:
            raise TrackingError("MLflow refuses this run")
        return list_files(run_id)

    monkeypatch.setattr(resources.runs, "list_files", refuse)
    found = audit("audited", resources, reproduced=0).findings
    assert [(entry.check, "refuses this run" in entry.problem) for entry in found] == [(integrity.READABLE, True)]
    assert broken.run_id[:8] in found[0].subject
