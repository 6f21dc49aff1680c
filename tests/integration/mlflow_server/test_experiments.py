"""What a pipeline is told when MLflow keeps it from its experiment: each cause has its own remedy."""

import logging
from pathlib import Path

import pytest
from support.mlflow_attacks import API, Champion
from support.mlflow_server import ADMIN, PASSWORD, SERVICE, STRANGER, MLflowServer
from support.projects import message_of

from waterflow.config.profile import Profile
from waterflow.errors import TrackingError
from waterflow.tracking.runs import RunStore


def connect(
    server: MLflowServer, account: str, monkeypatch: pytest.MonkeyPatch, folder: Path, password: str = PASSWORD
) -> RunStore:
    """Open the runs as an account."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", account)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    return RunStore(Profile(name="stack", tracking_uri=server.url, store_uri=str(folder)))


def test_an_experiment_of_another_account_is_no_matter_of_passwords(
    server: MLflowServer, champion: Champion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message names the experiment and who can help."""
    runs = connect(server, STRANGER, monkeypatch, tmp_path)
    message = message_of(lambda: runs.ensure_experiment("water"), TrackingError)
    assert "experiment waterflow/water belongs to another account" in message
    assert "grants it MANAGE" in message
    assert "credentials" not in message


def test_an_account_that_may_not_create_an_experiment_is_told_so(
    server: MLflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what the server says about it."""
    runs = connect(server, STRANGER, monkeypatch, tmp_path)
    message = message_of(lambda: runs.ensure_experiment("never_made"), TrackingError)
    assert "only the pipelines' account and admins may change experiments" in message


def test_a_wrong_password_is_called_one(server: MLflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And the message says where it is set."""
    runs = connect(server, STRANGER, monkeypatch, tmp_path, password="wrong")
    message = message_of(lambda: runs.ensure_experiment("water"), TrackingError)
    assert "refuses the credentials" in message
    assert "MLFLOW_TRACKING_PASSWORD" in message


def test_a_deleted_experiment_is_restored_and_only_then_said_to_be(
    server: MLflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where restoring fails, no line says that it happened, and the error names the command that does it."""
    runs = connect(server, SERVICE, monkeypatch, tmp_path)
    experiment_id = runs.ensure_experiment("deleted")
    delete = {"json": {"experiment_id": experiment_id}}
    assert server.ask(ADMIN, "POST", f"{API}/experiments/delete", **delete).ok
    monkeypatch.setattr(runs.client, "restore_experiment", runs.client.get_run)  # refused: there is no such run
    message = message_of(lambda: runs.ensure_experiment("deleted"), TrackingError)
    assert f"mlflow experiments restore --experiment-id {experiment_id}" in message
    assert "restored it" not in caplog.text
    monkeypatch.undo()
    runs = connect(server, SERVICE, monkeypatch, tmp_path)
    with caplog.at_level(logging.WARNING):
        assert runs.ensure_experiment("deleted") == experiment_id
    assert "restored it, with its runs" in caplog.text
