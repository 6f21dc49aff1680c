"""Storage of Optuna studies. It is Postgres on the stack, SQLite on one machine."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from waterflow.errors import StoreError, UnreachableError

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.storages import RDBStorage

BEAT_SECONDS = 15
DEAD_AFTER_SECONDS = 60
ATTEMPTS = 5


@contextmanager
def open_storage(uri: str) -> Iterator["RDBStorage"]:
    """Open the database of studies and create its tables. It is given as a SQLAlchemy URL.

    Call it inside `fitting.captured_warnings`, because Optuna warns that heartbeats are experimental. Raises
    UnreachableError when the database does not answer, StoreError when it refuses; neither shows a password.
    """
    import sqlalchemy
    from optuna.exceptions import StorageInternalError

    try:
        storage = _connected(uri)
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError) as error:
        address = sqlalchemy.make_url(uri).render_as_string(hide_password=True)
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        if uri.startswith("sqlite"):
            raise StoreError(f"database: {address} cannot be used ({reason}); check space and rights") from error
        if "authentication" in reason:
            raise StoreError(f"database: {address} refuses the password; check the file that holds the URL") from error
        raise UnreachableError(f"database: {address} does not answer ({reason}); is it up?") from error


@contextmanager
def heartbeat(storage: "RDBStorage", trials: Sequence["Trial"]) -> Iterator[None]:
    """Keep trials marked as alive. Then no other process fails them."""
    finished = threading.Event()

    def beat() -> None:
        while True:
            for trial in trials:
                with suppress(Exception):  # one missed beat does not fail a trial
                    storage.record_heartbeat(trial._trial_id)
            if finished.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _connected(uri: str) -> "RDBStorage":
    """Connect with retries. Workers may create the tables at the same time."""
    import sqlalchemy
    from optuna.storages import RDBStorage

    options = {"connect_args": {"timeout": 60}} if uri.startswith("sqlite") else {"pool_pre_ping": True}
    for number in range(ATTEMPTS):
        try:
            return RDBStorage(
                uri, engine_kwargs=options, heartbeat_interval=BEAT_SECONDS, grace_period=DEAD_AFTER_SECONDS
            )
        except sqlalchemy.exc.DatabaseError:
            if number == ATTEMPTS - 1:
                raise
            time.sleep(0.2 * 2**number)
    raise AssertionError("the loop returns or raises")
