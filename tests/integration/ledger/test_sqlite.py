"""The ledger on SQLite, and what is particular to addresses and files."""

import os
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from support.keys import KEYS
from support.ledger_contract import *  # noqa: F403  # the tests that every database has to pass
from support.projects import free_port, message_of

from waterflow.errors import ConfigError, StoreError, UnreachableError
from waterflow.ledger import migrate
from waterflow.ledger.store import Ledger


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Name a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/waterflow.db"


def test_the_newest_revision_is_known_without_alembic() -> None:
    """The constant that each task compares with is the head of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def test_an_address_that_is_none_is_one_line() -> None:
    """And does not repeat it: it may hold a password."""
    message = message_of(lambda: Ledger("s3cret", KEYS), ConfigError)
    assert "no address of SQLAlchemy's" in message
    assert "s3cret" not in message


def test_a_database_that_does_not_answer_is_worth_a_retry() -> None:
    """Its password stays out of the message."""
    port = free_port()
    message = message_of(
        lambda: Ledger(f"postgresql+psycopg2://waterflow:s3cret@127.0.0.1:{port}/waterflow", KEYS), UnreachableError
    )
    assert f"127.0.0.1:{port}" in message
    assert "s3cret" not in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Before anything is decided."""
    tmp_path.chmod(0o500)
    assert "unable to open" in message_of(lambda: Ledger(f"sqlite:///{tmp_path}/waterflow.db", KEYS), StoreError)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """With the address, for there may be two."""
    message = message_of(lambda: Ledger(f"sqlite:///{tmp_path}/none/waterflow.db", KEYS), StoreError)
    assert f"{tmp_path}/none/waterflow.db" in message
