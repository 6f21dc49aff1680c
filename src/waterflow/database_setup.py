"""First use of a database file. One process creates or migrates the tables, the others wait."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from waterflow.waiting import announced


@contextmanager
def exclusive_setup(uri: str, schema: str) -> Iterator[None]:
    """Let one process at a time set up SQLite tables.

    The processes share a SQLite database. `schema` names the library behind the tables and its version. A file beside
    the database is the lock and lists what is set up, so that later processes do not wait. Other databases, and those
    in memory, are left to their own locks.
    """
    path = _sqlite_file(uri)
    if path is None or not path.parent.is_dir():
        yield
        return
    note = path.with_name(f"{path.name}.setup")
    with note.open("a", encoding="utf-8") as file:
        with announced(f"another process that sets up {path}"):
            fcntl.flock(file, fcntl.LOCK_EX)
        is_done = path.is_file() and schema in note.read_text("utf-8").splitlines()
        if is_done:
            fcntl.flock(file, fcntl.LOCK_UN)
        yield
        if not is_done:
            file.write(f"{schema}\n")


def _sqlite_file(uri: str) -> Path | None:
    scheme, _, rest = uri.partition(":///")
    name = rest.partition("?")[0]
    return Path(name) if scheme.startswith("sqlite") and name not in ("", ":memory:") else None
