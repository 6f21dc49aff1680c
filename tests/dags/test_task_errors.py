"""What the log of a failed task says, written by Airflow's own logging."""

import json
import subprocess
import sys

import pytest

PROGRAM = """\
import sys, io
from airflow.sdk.log import configure_logging
out = io.BytesIO()
configure_logging(json_output=True, output=out, sending_to_supervisor=True)
import structlog
log = structlog.get_logger(logger_name="task")
log.info("start")
from waterflow.errors import DataError, UnreachableError
from waterflow.orchestration.task_errors import fail_without_retry
def fail():
    raise {error}
try:
    with fail_without_retry():
        fail()
except BaseException as error:
    log.exception("Task failed with exception")
    print(type(error).__name__)
sys.stdout.write(out.getvalue().decode())
"""


def log_of(error: str) -> tuple[str, dict]:
    """Return the class that Airflow sees, and the last line of the log."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(error=error)], capture_output=True, text=True, timeout=120, check=True
    )
    kind, *lines = done.stdout.splitlines()
    return kind, json.loads(lines[-1])


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ('DataError("column a is missing; valid: b")', "AirflowFailException", "column a is missing; valid: b"),
        ('UnreachableError("MLflow does not answer; is it up?")', "UnreachableError", "is it up?"),
        ('OSError(28, "No space left on device", "/data/x")', "AirflowFailException", "/data/x: no space is left"),
        ('ConnectionRefusedError(111, "Connection refused")', "UnreachableError", "refuses the connection"),
    ],
)
def test_a_log_ends_with_one_line(error: str, kind: str, said: str) -> None:
    """No frame of Airflow's or ours; what is worth a retry is left to Airflow."""
    raised, last = log_of(error)
    assert raised == kind
    assert said in last["event"]
    assert "exception" not in last


def test_a_bug_is_logged_with_its_frames() -> None:
    """Whoever repairs it needs them."""
    raised, last = log_of('KeyError("window_end")')
    assert raised == "KeyError"
    assert "fail" in json.dumps(last["exception"])
