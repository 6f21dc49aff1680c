import errno
import os
import socket
import sqlite3
import ssl
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import psycopg2
import pytest
import requests
from botocore.exceptions import ClientError
from sqlalchemy.exc import DBAPIError

from waterflow.errors import DataError, MachineError, StoreError, TrackingError, UnreachableError, WaterflowError
from waterflow.system_errors import explain


def system(code: int, path: str | None = None) -> OSError:
    """Return what the operating system raises."""
    return OSError(code, os.strerror(code), path)


def s3(code: str) -> ClientError:
    """Return what boto3 raises."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutObject")


def http(status: int) -> requests.HTTPError:
    """Return what a client of a web server raises."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} for url", response=response)


def postgres(code: str) -> DBAPIError:
    """Return what SQLAlchemy raises for an answer of Postgres."""

    class Answer(psycopg2.Error):
        pgcode = code

    return DBAPIError("select 1", {}, Answer("no"))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (system(errno.ENOSPC, "/data/model.pkl"), MachineError, "/data/model.pkl: no space is left"),
        (system(errno.EDQUOT), MachineError, "no space is left"),
        (system(errno.ENOMEM), MachineError, "not enough memory"),
        (MemoryError(), MachineError, "not enough memory"),
        (system(errno.EMFILE), MachineError, "ulimit -n"),
        (system(errno.EROFS, "/opt/x"), MachineError, "read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/data"), MachineError, "/data: permission denied"),
        (BrokenProcessPool("a process ended"), MachineError, "Linux killed a process"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), UnreachableError, "refuses the connection"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), UnreachableError, "broke the connection off"),
        (TimeoutError("timed out"), UnreachableError, "does not answer in time"),
        (socket.gaierror(-2, "Name or service not known"), UnreachableError, "the DNS"),
        (ssl.SSLCertVerificationError("certificate verify failed"), MachineError, "SSL_CERT_FILE"),
        (requests.ConnectionError("Max retries exceeded"), UnreachableError, "cannot be reached"),
        (sqlite3.OperationalError("database is locked"), UnreachableError, "two writers"),
        (sqlite3.OperationalError("database or disk is full"), MachineError, "no space is left"),
        (postgres("40P01"), UnreachableError, "two writers"),
        (postgres("40001"), UnreachableError, "two writers"),
        (postgres("53100"), MachineError, "no space is left"),
        (postgres("28P01"), MachineError, "the login is refused"),
        (s3("NoSuchBucket"), StoreError, "minio-setup"),
        (s3("AccessDenied"), StoreError, "the bucket's policy"),
        (s3("EntityTooLarge"), StoreError, "larger than the store takes"),
        (s3("SlowDown"), UnreachableError, "busy"),
        (s3("XMinioStorageFull"), MachineError, "no space is left"),
        (http(403), TrackingError, "the account may not do that"),
        (http(503), UnreachableError, "busy"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value)[:40],
)
def test_an_error_of_the_machine_is_told_in_our_words(error: Exception, kind: type[WaterflowError], said: str) -> None:
    """One line with what happened, the server's own words, and what to do; its kind says whether to try again."""
    explained = explain(error)
    assert type(explained) is kind
    assert said in str(explained)
    assert "; " in str(explained)
    assert "\n" not in str(explained)


def test_a_real_full_disk_is_explained() -> None:
    """As Linux raises it: /dev/full takes nothing."""
    with pytest.raises(OSError, match="28") as caught, Path("/dev/full").open("w") as file:
        file.write("x" * 100_000)
    assert "no space is left ([Errno 28] No space left on device); free space" in str(explain(caught.value))


def test_the_cause_of_a_librarys_error_counts() -> None:
    """A library wraps what the system raised."""
    wrapped = RuntimeError("could not save")
    wrapped.__cause__ = system(errno.ENOSPC)
    assert type(explain(wrapped)) is MachineError


def test_an_error_of_ours_stays_as_it_is() -> None:
    """It was explained where it arose."""
    error = DataError("column 'a' is missing; valid: b")
    assert explain(error) is error


def test_a_bug_keeps_its_traceback() -> None:
    """Also one that appears while a known error is handled."""
    assert explain(KeyError("window_end")) is None
    bug = KeyError("window_end")
    bug.__context__ = system(errno.ENOSPC)
    assert explain(bug) is None
