import time

import pytest
import requests
from mlflow.exceptions import MlflowException
from support.projects import free_port, message_of

from waterflow.errors import TrackingError, UnreachableError
from waterflow.tracking.errors import ForbiddenError, check_reachable, translated, without_credentials


def test_a_server_that_does_not_answer_is_said_at_once() -> None:
    """MLflow's own client would try for minutes."""
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    message = message_of(lambda: check_reachable(uri), UnreachableError)
    assert time.monotonic() - started < 10
    assert f"MLflow at {uri} does not answer" in message
    assert "profile.tracking_uri" in message


def test_a_database_has_no_server_to_reach() -> None:
    """SQLite is opened, not asked."""
    check_reachable("sqlite:////nowhere/mlflow.db")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://someone:secret@mlflow:5000/path", "http://mlflow:5000/path"),
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("sqlite:////home/mlflow.db", "sqlite:////home/mlflow.db"),
    ],
)
def test_a_password_in_an_address_is_not_shown(uri: str, expected: str) -> None:
    """Messages and logs hold no credentials."""
    assert without_credentials(uri) == expected


def test_the_message_of_an_unreachable_server_holds_no_password() -> None:
    """Neither user nor password reaches the terminal."""
    uri = f"http://someone:secret@127.0.0.1:{free_port()}"
    message = message_of(lambda: check_reachable(uri), UnreachableError)
    assert "secret" not in message
    assert "someone" not in message


def raise_translated(error: Exception) -> None:
    """Raise an error where MLflow would."""
    with translated("http://mlflow:5000"):
        raise error


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (requests.ConnectionError("refused"), UnreachableError, "does not answer"),
        (MlflowException("API request to endpoint failed with exception timed out"), UnreachableError, "timed out"),
        (MlflowException("API request to x failed with timeout exception y."), UnreachableError, "does not answer"),
        (MlflowException("API request to x failed with error code 404 != 200"), TrackingError, "404"),
        (MlflowException("API request to x failed with error code 503 != 200"), UnreachableError, "does not answer"),
        (MlflowException("API request failed with error code 401 != 200"), TrackingError, "refuses the credentials"),
        (
            MlflowException("API request failed with error code 403 != 200. Response body: 'Permission denied'"),
            ForbiddenError,
            "knows the account and refuses what it asks (Permission denied)",
        ),
        (MlflowException("Run 'x' not found\nwith a second line"), TrackingError, "Run 'x' not found"),
    ],
)
def test_only_what_a_retry_can_mend_is_unreachable(error: Exception, kind: type[Exception], reason: str) -> None:
    """A refusal is for good, silence may pass."""
    assert reason in message_of(lambda: raise_translated(error), kind)
