"""A home whose database, folder of objects or artifacts is gone."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.projects import make_project, message_of

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.errors import StoreError


@pytest.fixture
def used(tracked: Project) -> Project:
    """Give a home with all of its stores."""
    resources = workflow.open_resources(tracked)
    assert resources.ledger.models() == []
    (tracked.home / "mlartifacts").mkdir()
    workflow.open_resources(tracked)
    return tracked


def lose(path: Path) -> None:
    """Remove a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def empty(path: Path) -> None:
    """Leave nothing in a file or folder."""
    lose(path)
    path.touch() if path.suffix else path.mkdir()


@pytest.mark.parametrize("name", ["store", "mlartifacts", "mlflow.db", "waterflow.db"])
@pytest.mark.parametrize("how", [lose, empty])
def test_a_store_that_is_lost_is_noticed(used: Project, name: str, how: Callable[[Path], None]) -> None:
    """Nothing starts, and the message has the command that goes on without it."""
    how(used.home / name)
    message = message_of(lambda: workflow.open_resources(used), StoreError)
    assert f"{str(used.home / name)!r} is gone" in message
    Path(message.rpartition("rm ")[2]).unlink()
    workflow.open_resources(used)
    workflow.open_resources(used)


def test_the_folder_of_another_home_is_noticed(used: Project, tmp_path: Path) -> None:
    """Objects of one home are not mixed with the database of another."""
    other = make_project(tmp_path / "other")
    workflow.open_resources(other)
    lose(used.home / "store")
    shutil.copytree(other.home / "store", used.home / "store")
    assert "is gone or another one now" in message_of(lambda: workflow.open_resources(used), StoreError)


def test_a_home_that_is_removed_whole_begins_again(used: Project) -> None:
    """As does one from before its stores were recorded."""
    (used.home / "installation.json").unlink()
    workflow.open_resources(used)
    shutil.rmtree(used.home)
    workflow.open_resources(used)


def test_a_record_that_cannot_be_read_is_named(used: Project) -> None:
    """In one line."""
    (used.home / "installation.json").write_text("[]")
    assert "installation.json cannot be read" in message_of(lambda: workflow.open_resources(used), StoreError)
