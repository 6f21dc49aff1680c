"""The ledger's contract on a Postgres of its own, in a container."""

import uuid
from collections.abc import Iterator

import pytest
from support.compose import command, eventually
from support.ledger_contract import *  # noqa: F403  # the tests that every database has to pass
from support.projects import free_port

from waterflow.ledger.store import Ledger

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start Postgres; returns its address without a database."""
    name, port = f"waterflow-test-ledger-{uuid.uuid4().hex[:8]}", free_port()
    variables = ("POSTGRES_USER=waterflow", "POSTGRES_PASSWORD=of-one-test", "POSTGRES_DB=waterflow")
    settings = [word for variable in variables for word in ("-e", variable)]
    command("docker", "run", "--detach", "--name", name, "-p", f"127.0.0.1:{port}:5432", *settings, "postgres:17")
    try:
        ask = ("psql", "-h", "127.0.0.1", "-U", "waterflow", "-c", "select 1")
        asked = ("docker", "exec", "-e", "PGPASSWORD=of-one-test", name, *ask)
        eventually(lambda: command(*asked, check=False).returncode == 0, 60)
        yield f"postgresql+psycopg2://waterflow:of-one-test@127.0.0.1:{port}"
    finally:
        command("docker", "rm", "--force", "--volumes", name)


@pytest.fixture
def url(server: str) -> str:
    """Make an empty database."""
    from sqlalchemy import create_engine, text

    name = f"ledger_{uuid.uuid4().hex}"
    engine = create_engine(f"{server}/waterflow", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def test_the_ledger_cannot_be_truncated(url: str) -> None:
    """Not even all at once."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import DBAPIError

    promote(Ledger(url), 1)  # noqa: F405
    engine = create_engine(url)
    with pytest.raises(DBAPIError, match="rows of the ledger are not changed"), engine.begin() as connection:
        connection.execute(text("TRUNCATE waterflow_ledger"))
    engine.dispose()
