"""Where studies are kept: Postgres on the stack, SQLite below the home, through Optuna's own tables."""

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
TRIES = 5


@contextmanager
def open_storage(uri: str) -> Iterator["RDBStorage"]:
    """Open the database of the studies, with its tables made at first; `uri` is SQLAlchemy's.

    Call it inside `fitting.quiet`: Optuna warns that its heartbeats are an experiment. A database that does not
    answer raises UnreachableError, one that refuses StoreError; neither shows a password.
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
        shown = sqlalchemy.make_url(uri).render_as_string(hide_password=True)
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        if uri.startswith("sqlite"):
            raise StoreError(f"database: {shown} cannot be used ({reason}); check space and rights") from error
        if "authentication" in reason:
            raise StoreError(f"database: {shown} refuses the password; check the file that holds the URL") from error
        raise UnreachableError(f"database: {shown} does not answer ({reason}); is it up?") from error


@contextmanager
def beating(storage: "RDBStorage", trials: Sequence["Trial"]) -> Iterator[None]:
    """Show that trials are at work, so that nobody takes them for those of a dead process."""
    over = threading.Event()

    def beat() -> None:
        while True:
            for trial in trials:
                with suppress(Exception):  # a beat that is missed is no reason to lose a trial
                    storage.record_heartbeat(trial._trial_id)
            if over.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _connected(uri: str) -> "RDBStorage":
    """Connect, several times if need be: two workers that make the tables at once get in one another's way."""
    import sqlalchemy
    from optuna.storages import RDBStorage

    options = {"connect_args": {"timeout": 60}} if uri.startswith("sqlite") else {"pool_pre_ping": True}
    for number in range(TRIES):
        try:
            return RDBStorage(
                uri, engine_kwargs=options, heartbeat_interval=BEAT_SECONDS, grace_period=DEAD_AFTER_SECONDS
            )
        except sqlalchemy.exc.DatabaseError:
            if number == TRIES - 1:
                raise
            time.sleep(0.2 * 2**number)
    raise AssertionError("the loop returns or raises")
