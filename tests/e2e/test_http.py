"""A whole run against a real `mlflow server` over HTTP, as on the stack."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.airflow_home import BIN
from support.projects import free_port, make_project, message_of, request_of, stop, wait_for

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.errors import UnreachableError
from waterflow.lineage.graph import broken_nodes, trace_lineage
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations.garbage_collection import survey
from waterflow.records.promotion import Registered
from waterflow.resources import Resources


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Iterator[str]:
    """Start an MLflow server that proxies artifacts, on a copy of the ready-made database."""
    folder = tmp_path_factory.mktemp("mlflow_server")
    (folder / "mlflow.db").write_bytes(tracking_template.read_bytes())
    port = free_port()
    command = [
        *(str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=dict(os.environ))
        try:
            wait_for(f"http://127.0.0.1:{port}/version", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


@pytest.fixture(scope="module")
def run(server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Resources, Registered]:
    """Run `flowers` once over HTTP."""
    project = make_project(tmp_path_factory.mktemp("http"))
    resources = workflow.open_resources(project, [f"profile.tracking_uri={server}", "profile.artifact_root=null"])
    return resources, workflow.run_all(request_of(), resources)


def test_a_run_over_http_registers_its_winner(run: tuple[Resources, Registered]) -> None:
    """The same four steps end as they do on SQLite."""
    resources, registered = run
    assert registered.aliases == ("challenger", "champion")
    assert resources.runs.get_run(registered.parent_run_id).status == "FINISHED"


def test_artifacts_go_through_the_server(run: tuple[Resources, Registered]) -> None:
    """Only the object store is written beside it."""
    resources, registered = run
    uri = resources.runs.client.get_run(registered.parent_run_id).info.artifact_uri
    assert uri.startswith("mlflow-artifacts:")
    assert not (resources.project.home / "mlartifacts").exists()
    files = [entry.path for entry in resources.runs.client.list_artifacts(registered.parent_run_id, "plots")]
    assert "plots/candidates.png" in files


def test_a_model_comes_back_through_the_server(run: tuple[Resources, Registered]) -> None:
    """It is compared with its digest on the way."""
    resources, registered = run
    assert hasattr(resources.models.load_model(registered.evaluated.winner.model_id, registered.model), "predict")


def test_a_retry_over_http_finds_what_was_done(run: tuple[Resources, Registered]) -> None:
    """Records are read from the server's artifacts."""
    resources, registered = run
    again = workflow.run_all(request_of(), resources)
    assert again.version == registered.version
    assert [entry.run_id for entry in again.evaluated.ranked] == [entry.run_id for entry in registered.evaluated.ranked]


def test_the_registry_serves_what_was_recorded(run: tuple[Resources, Registered]) -> None:
    """Addresses of a server are compared as they are, and files are verified through it."""
    resources, registered = run
    version = resources.registry.get_version(registered.model, registered.version)
    assert version is not None
    assert broken_nodes(trace_lineage(VersionHistory(version, resources), Verifier(resources))) == []


def test_gc_reads_through_the_server_what_is_needed(run: tuple[Resources, Registered]) -> None:
    """Deleted runs of a version too: nothing that it needs would go, months later."""
    resources, registered = run
    later = datetime.now(UTC) + timedelta(days=90)
    client = resources.runs.client
    client.delete_run(registered.parent_run_id)
    try:
        found = survey(resources, timedelta(days=30), later)
    finally:
        client.restore_run(registered.parent_run_id)
    assert not found.unreachable
    assert not found.obstacles
    assert len(found.reachable) == 6  # rows, split, configuration, predictions, identities of the rows, lock file


def test_a_model_that_nobody_registered_has_no_alias(run: tuple[Resources, Registered]) -> None:
    """The server's refusal is an answer, not an error."""
    resources, _ = run
    assert resources.registry.find_alias("roses", "champion") is None


def test_a_server_that_is_not_there_is_named(project: Project) -> None:
    """Within seconds, before any row is read."""
    uri = f"http://127.0.0.1:{free_port()}"
    resources = workflow.open_resources(project, [f"profile.tracking_uri={uri}"])
    message = message_of(lambda: resources.runs, UnreachableError)
    assert uri in message
