"""Errors of the machine and its servers, with remedies.

`TABLE` is read by codes: names of errno, SQLSTATE of Postgres, codes of S3, HTTP statuses, names of exception classes.
Nothing here imports the library that raised.
"""

import errno
from collections.abc import Iterator
from typing import Any, NamedTuple

from waterflow.errors import MachineError, StoreError, TrackingError, UnreachableError, WaterflowError, first_line


class Explained(NamedTuple):
    """The class to raise, what happened, and the remedy."""

    kind: type[WaterflowError]
    happened: str
    remedy: str


RETRIED = "it is tried again by itself; if it stays, see that the server is up"
FREE = "free space (`waterflow gc`, `docker system df`), then clear the task"
MEMORY = "raise SCHEDULER_MEMORY, or lower TRAINING_SLOTS or the rows (`sample`), then clear the task"
NO_SPACE = Explained(MachineError, "no space is left", FREE)
NO_MEMORY = Explained(MachineError, "there is not enough memory", MEMORY)
KILLED = Explained(MachineError, "Linux killed a process of this task, most often for want of memory", MEMORY)
NO_RIGHT = Explained(MachineError, "permission denied", "give the user of this process the right, then clear the task")
FILES = Explained(MachineError, "too many files are open", "raise `ulimit -n`, or lower the parallel tasks")
REFUSED = Explained(UnreachableError, "the server refuses the connection", RETRIED)
RESET = Explained(UnreachableError, "the server broke the connection off", RETRIED)
SILENT = Explained(UnreachableError, "the server does not answer in time", RETRIED)
NO_ROUTE = Explained(UnreachableError, "there is no way to the server", "check the network, the proxy and the address")
NO_NAME = Explained(UnreachableError, "the server's name is unknown", "check the name in the address, and the DNS")
NOT_TRUSTED = Explained(
    MachineError, "the server's certificate is not trusted", "name your authority in SSL_CERT_FILE, REQUESTS_CA_BUNDLE"
)
CONFLICT = Explained(UnreachableError, "two writers of the database were in each other's way", "it is tried again")
BUSY = Explained(UnreachableError, "the server is busy", "it is tried again by itself, later and later")
LOGIN = Explained(
    MachineError, "the login is refused", "the password and the server come from two stacks; restore both"
)

TABLE = {
    "ENOSPC": NO_SPACE,
    "EDQUOT": NO_SPACE,
    "EFBIG": NO_SPACE,
    "ENOMEM": NO_MEMORY,
    "MemoryError": NO_MEMORY,
    "_ArrayMemoryError": NO_MEMORY,
    "ArrowMemoryError": NO_MEMORY,
    "EMFILE": FILES,
    "ENFILE": FILES,
    "EROFS": Explained(
        MachineError, "the file system is read-only", "write below WATERFLOW_HOME or /tmp; check the disk"
    ),
    "EACCES": NO_RIGHT,
    "EPERM": NO_RIGHT,
    "EIO": Explained(MachineError, "the disk cannot be read or written", "check the disk, then clear the task"),
    "BrokenProcessPool": KILLED,
    "TerminatedWorkerError": KILLED,
    "ECONNREFUSED": REFUSED,
    "ConnectionError": Explained(UnreachableError, "the server cannot be reached", RETRIED),
    "ECONNRESET": RESET,
    "ECONNABORTED": RESET,
    "EPIPE": RESET,
    "RemoteDisconnected": RESET,
    "ETIMEDOUT": SILENT,
    "TimeoutError": SILENT,
    "EHOSTUNREACH": NO_ROUTE,
    "ENETUNREACH": NO_ROUTE,
    "gaierror": NO_NAME,
    "NameResolutionError": NO_NAME,
    "SSLCertVerificationError": NOT_TRUSTED,
    "SSLError": NOT_TRUSTED,
    # SQLSTATE
    "40001": CONFLICT,
    "40P01": CONFLICT,
    "55P03": CONFLICT,
    "53100": NO_SPACE,
    "53200": Explained(MachineError, "Postgres has not enough memory", "raise POSTGRES_MEMORY, then clear the task"),
    "53300": Explained(UnreachableError, "Postgres has no connection left", "it is tried again; see who holds them"),
    "57P01": RESET,
    "57P03": Explained(UnreachableError, "Postgres is starting", "it is tried again by itself"),
    "25006": Explained(
        MachineError, "the database is read-only", "a standby was asked; give the address of the primary"
    ),
    "28P01": LOGIN,
    "28000": LOGIN,
    "42501": Explained(MachineError, "the database's role lacks a right", "run `docker compose up postgres-setup`"),
    "database is locked": CONFLICT,
    "database or disk is full": NO_SPACE,
    # S3
    "NoSuchBucket": Explained(
        StoreError, "the bucket is gone", "`docker compose up minio-setup` makes it again, empty"
    ),
    "AccessDenied": Explained(
        StoreError, "the key may not do that", "check the key and the bucket's policy (`docker compose up minio-setup`)"
    ),
    "InvalidAccessKeyId": Explained(
        StoreError, "the store does not know the key", "key and store come from two stacks"
    ),
    "SignatureDoesNotMatch": Explained(StoreError, "the secret key is wrong", "use key and store of one stack"),
    "RequestTimeTooSkewed": Explained(
        StoreError, "the clocks differ by minutes", "set this machine's or the store's clock"
    ),
    "EntityTooLarge": Explained(
        StoreError, "the object is larger than the store takes", "train on fewer rows or columns, or raise its limit"
    ),
    "XMinioStorageFull": NO_SPACE,
    "SlowDown": BUSY,
    # HTTP
    "HTTP 401": Explained(TrackingError, "the login is refused", "check ~/.mlflow/credentials"),
    "HTTP 403": Explained(
        TrackingError, "the account may not do that", "give it the permission, or use another account"
    ),
    "HTTP 413": Explained(
        StoreError, "the file is larger than the server takes", "a smaller model, or raise its limit"
    ),
    "HTTP 429": BUSY,
    "HTTP 502": REFUSED,
    "HTTP 503": BUSY,
    "HTTP 504": SILENT,
    "HTTP 507": NO_SPACE,
}


def explain(error: BaseException) -> WaterflowError | None:
    """Return an error in our words. None for what may be a bug.

    The first of its causes that `TABLE` knows decides. Errors of ours come back unchanged.
    """
    for cause in causes_of(error):
        if isinstance(cause, WaterflowError):
            return cause
        known = next((TABLE[code] for code in codes_of(cause) if code in TABLE), None)
        if known is not None:
            place = place_of(cause)
            detail = first_line(cause)[:160] or type(cause).__name__
            return known.kind(f"{f'{place}: ' if place else ''}{known.happened} ({detail}); {known.remedy}")
    return None


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, outermost first.

    What was merely being handled counts for nothing: a bug in an `except` is a bug.
    """
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def codes_of(error: Any) -> Iterator[str]:
    """Yield the codes that the table may list."""
    if isinstance(error, OSError) and error.errno:
        yield errno.errorcode.get(error.errno, "")
    original = getattr(error, "orig", None) or error
    yield str(getattr(original, "pgcode", None) or "")
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        yield str(response.get("Error", {}).get("Code", ""))
    elif response is not None:
        yield f"HTTP {getattr(response, 'status_code', '')}"
    yield from (first_line(original),) if type(original).__module__ == "sqlite3" else ()
    yield from (kind.__name__ for kind in type(error).__mro__)


def place_of(error: Any) -> str:
    """Return the file or address that an error names. Empty without one."""
    request = getattr(error, "request", None)
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return error.filename
    return str(getattr(request, "url", "") or "").partition("?")[0]
