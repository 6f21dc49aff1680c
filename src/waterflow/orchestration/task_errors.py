"""Errors of a task, their retries and their log."""

import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from waterflow.errors import UnreachableError, WaterflowError

logger = logging.getLogger(__name__)


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Fail the task in one line on known errors.

    It fails at once. A server that does not answer is worth a retry. An unknown error keeps its traceback.
    """
    from airflow.sdk.exceptions import AirflowFailException

    from waterflow.system_errors import explain

    try:
        yield
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        log_in_one_line()
        if logging.getLogger("waterflow").handlers:  # a terminal that shows our messages and none of Airflow's
            logger.error("%s", known)
        if isinstance(known, UnreachableError):
            raise known from error
        raise AirflowFailException(str(known)) from known


def log_in_one_line() -> None:
    """Make Airflow log a known error without its frames.

    Airflow logs whatever fails a task with all frames, its own included, and offers no setting.
    """
    import structlog

    processors = structlog.get_config()["processors"]
    if drop_frames not in processors:
        processors.insert(0, drop_frames)


def drop_frames(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the traceback of a known error. A processor of structlog."""
    import sys

    raised = event.get("exc_info")
    error = sys.exc_info()[1] if raised is True else raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException) and any(isinstance(e, WaterflowError) for e in (error, error.__cause__)):
        del event["exc_info"]
        event["event"] = f"{event['event']}: {error}"
    return event
