"""Rows of a SQL query. No message, log line or exception chain shows the password of its database."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pyarrow as pa

from waterflow.config.schema import SqlSource
from waterflow.data.column_types import array_of
from waterflow.errors import ConfigError, DataError, UnreachableError, WaterflowError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

CONNECT_TIMEOUT_SECONDS = 10
# How Postgres' and MySQL's drivers word transient failures of a server or a network.
TRANSIENT = re.compile(
    r"refused|timed? ?out|time-?out|could not translate|not known|unreachable|no route|can't connect|starting up|"
    r"shutting down|recovery|too many (clients|connections)|connection slots|closed the connection|reset by peer",
    re.IGNORECASE,
)


def read_sql(source: SqlSource, root: Path) -> pa.Table:
    """Return the rows of the query. Raises what `iterate_sql` raises."""
    return next(iterate_sql(source, root, None))


def list_sql_tables(source: SqlSource, root: Path) -> list[str]:
    """Return the names of a database's tables and views. Raises what `iterate_sql` raises."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import SQLAlchemyError

    url = _parse(source, root)
    with _connect(source, url) as connection:
        try:
            inspector = inspect(connection)
            return sorted([*inspector.get_table_names(), *inspector.get_view_names()])
        except SQLAlchemyError as error:
            raise _not_answered(error, url) from None


def iterate_sql(source: SqlSource, root: Path, batch_rows: int | None) -> Iterator[pa.Table]:
    """Yield the rows of the query in batches. Without `batch_rows` there is one with all.

    Nothing that it changes is committed. Raises UnreachableError when the database does not answer, DataError when it
    refuses the login or the query, ConfigError when the address cannot be used.
    """
    from sqlalchemy.exc import SQLAlchemyError

    url = _parse(source, root)
    with _connect(source, url) as connection:
        # Otherwise drivers look for parameters in the query and fail at each `%`.
        raw = connection.execution_options(no_parameters=True, stream_results=batch_rows is not None)
        try:
            result = raw.exec_driver_sql(source.query)
            names = [*result.keys()]
            _check_names(names)
            parts = [result.fetchall()] if batch_rows is None else result.partitions(batch_rows)
            for rows in parts:
                columns = zip(*rows, strict=True) if rows else [()] * len(names)
                yield pa.table({name: array_of(values) for name, values in zip(names, columns, strict=True)})
        except SQLAlchemyError as error:
            raise _not_answered(error, url) from None


def _connect(source: SqlSource, url: "URL") -> "Connection":
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

    timeout = {} if url.get_backend_name() == "sqlite" else {"connect_timeout": CONNECT_TIMEOUT_SECONDS}
    try:
        return create_engine(url, poolclass=NullPool, connect_args=timeout).connect()
    except (ImportError, ArgumentError) as error:
        reason = _first_line(error, url)
        raise ConfigError(
            f"dataset.{_place(source)}: no driver for {url.drivername!r} ({reason}); install it"
        ) from None
    except DBAPIError as error:
        raise _not_connected(error, url) from None
    except SQLAlchemyError as error:
        raise DataError(f"database {_server(url)}: {_first_line(error, url)}; check dataset.{_place(source)}") from None


def _place(source: SqlSource) -> str:
    return "url" if source.url else "url_env"


def _parse(source: SqlSource, root: Path) -> "URL":
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(source.url or _from_environment(str(source.url_env)))
    except (ArgumentError, ValueError):  # whose messages may contain a part of the password
        raise ConfigError(
            f"dataset.{_place(source)}: no database URL; write it like postgresql+psycopg2://user@host:5432/database"
        ) from None
    if url.host and "@" in url.host:
        raise ConfigError(f"dataset.{_place(source)}: the password holds an @; write %40 in its place")
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg2")
    if url.get_backend_name() == "sqlite" and url.database and not url.database.startswith((":", "file:")):
        path = root / url.database
        if not path.is_file():  # SQLite would create an empty one
            raise DataError(f"dataset.{_place(source)}: {url.database!r} is no file (looked for {path}); fix the path")
        url = url.set(database=str(path))
    return url


def _from_environment(name: str) -> str:
    if value := os.environ.get(name):
        return value
    path = os.environ.get(f"{name}_FILE")
    if not path:
        raise ConfigError(
            f"dataset.url_env: {name!r} is not set; set it to the database's URL, or {name}_FILE to a file with it"
        )
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"{name}_FILE: {path!r} cannot be read ({error.strerror}); fix the path or its permissions"
        ) from None


def _not_connected(error: Any, url: "URL") -> WaterflowError:
    text = str(error.orig)
    # A host with several addresses has a line for each; one that answered says FATAL.
    answers = [line for line in text.splitlines() if "FATAL" in line] or [_first_line(error.orig, url)]
    reason = _masked(answers[0].rpartition("FATAL:")[2].strip(), url)
    if TRANSIENT.search(answers[0]):
        return UnreachableError(f"database {_server(url)} does not answer ({reason}); is it up?")
    return DataError(f"database {_server(url)} refuses the login ({reason}); check user, password and database name")


def _not_answered(error: Any, url: "URL") -> WaterflowError:
    if getattr(error, "connection_invalidated", False):
        return UnreachableError(f"database {_server(url)} closed the connection ({_first_line(error, url)}); try again")
    if type(error).__name__ == "ResourceClosedError":
        return DataError("dataset.query: it returns no rows; write a SELECT")
    return DataError(f"dataset.query: database {_server(url)} refuses it ({_first_line(error, url)}); fix the query")


def _check_names(names: list[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"dataset.query: it returns column {twice[0]!r} twice; name each column once")


def _server(url: "URL") -> str:
    """Return `user@host:port/database`, without password and options."""
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"{user}{url.host or ''}{port}/{url.database or ''}" if url.host else str(url.database)


def _first_line(error: Any, url: "URL") -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return _masked(text.splitlines()[0] if text else type(error).__name__, url)


def _masked(text: str, url: "URL") -> str:
    secrets = [str(url.password)] if url.password else []
    secrets += [str(value) for name, value in url.query.items() if "pass" in name.lower() or "key" in name.lower()]
    for secret in secrets:
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(form, "***")
    return text
