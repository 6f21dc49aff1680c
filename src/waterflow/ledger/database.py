"""The ledger's database. Opens its engine and translates its errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from waterflow.errors import ConfigError, LedgerError, StoreError, UnreachableError, WaterflowError, first_line
from waterflow.ledger.tables import SCHEMA


def open_engine(url: str) -> tuple[Engine, str]:
    """Return an engine, and its address without a password. Raises ConfigError on an invalid address."""
    try:
        address = make_url(url)
    except ArgumentError as error:  # its message would show what may hold a password
        raise ConfigError(
            "profile.database_uri: it is no address of SQLAlchemy's; write it like sqlite:////home/me/waterflow.db"
        ) from error
    shown = address.render_as_string(hide_password=True)
    if address.get_backend_name() == "sqlite":
        engine = create_engine(address, poolclass=NullPool, connect_args={"timeout": 60})
        # Else Python's driver begins transactions when it sees fit, and not before it changes tables.
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        return engine, shown
    # A role may change its own search path: then its tables or operators would stand before the ledger's.
    settings = {"connect_timeout": 10, "options": "-csearch_path=pg_catalog"}
    engine = create_engine(address, poolclass=NullPool, connect_args=settings)
    return engine.execution_options(schema_translate_map={None: SCHEMA}), shown


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Raise the database's errors as ours."""
    try:
        yield
    except WaterflowError:
        raise
    except DBAPIError as error:
        raise _explained(error, shown) from error


def _explained(error: DBAPIError, shown: str) -> WaterflowError:
    reason = first_line(error.orig) or type(error).__name__
    refused = ("authentication failed", "does not exist", "permission denied")
    if isinstance(error, OperationalError) and not any(word in str(error.orig) for word in refused):
        if shown.startswith("sqlite") and "locked" not in reason:
            return StoreError(f"ledger at {shown}: {reason}; check space and rights")
        return UnreachableError(f"ledger at {shown} does not answer ({reason}); is the database up?")
    return LedgerError(f"ledger at {shown}: {reason}; check the address and the rights of its role")
