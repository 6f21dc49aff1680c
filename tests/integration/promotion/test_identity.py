"""A version is its model, not its number; and the alias ends on the newest decision."""

import sqlite3
import threading
from collections.abc import Callable

import pytest
from support.projects import message_of
from support.promotion import VERDICT, champion_of, entered, kinds

from waterflow import workflow
from waterflow.errors import LedgerError
from waterflow.promotion.champion_alias import move_alias, verify
from waterflow.promotion.rollback import rollback
from waterflow.resources import Resources
from waterflow.steps.promote import promote

Writer = Callable[..., str]


def serve_another(name: str, version: int, model_id: str, resources: Resources) -> None:
    """Let the registry serve another model under a number, as somebody with access to its database can."""
    with sqlite3.connect(resources.project.home / "mlflow.db") as database:
        database.execute(
            "UPDATE model_versions SET source = ?, storage_location = NULL WHERE name = ? AND version = ?",
            (f"models:/{model_id}", name, version),
        )


def test_a_row_names_model_and_files(resources: Resources, pipeline: Writer) -> None:
    """By the id of the logged model and the sha256 of its files."""
    name = pipeline()
    prepared, registered = entered(name, resources)
    row = promote(prepared, registered, resources).decision
    assert row is not None
    logged = resources.models.find_model(registered.evaluated.challenger.model_id)
    assert logged is not None
    assert (row.model_id, row.model_digest) == (logged.model_id, logged.files_digest)


def test_after_a_deleted_registered_model_version_1_is_another_one(resources: Resources, pipeline: Writer) -> None:
    """The ledger tells the two apart, and a rollback does not take one for the other."""
    name = pipeline()
    promote(*entered(name, resources, "run_1"), resources)
    resources.runs.client.delete_registered_model(name)
    promote(*entered(name, resources, "run_2"), resources)
    rows = resources.ledger.entries(name)
    assert [(row.kind, row.to_version) for row in rows] == [("promote", 1), ("manual", None), ("promote", 1)]
    assert rows[0].model_id != rows[2].model_id
    assert verify(name, resources) == []
    message = message_of(lambda: rollback(name, None, "", "ada", resources), LedgerError)
    assert "version 1 is another model now: the registry serves" in message
    assert (champion_of(name, resources), len(resources.ledger.entries(name))) == (1, 3)


def test_a_held_model_under_an_old_number_never_becomes_champion(resources: Resources, pipeline: Writer) -> None:
    """A rollback after the registered model was deleted has nothing to restore."""
    name = pipeline()
    promote(*entered(name, resources, "run_1"), resources)
    resources.runs.client.delete_registered_model(name)
    promote(*entered(name, resources, "run_2", VERDICT.model_copy(update={"outcome": "hold"})), resources)
    message = message_of(lambda: rollback(name, None, "", "ada", resources), LedgerError)
    assert "another model now" in message
    assert (champion_of(name, resources), kinds(name, resources)) == (None, ["promote", "manual", "hold"])


def test_a_version_that_serves_another_model_is_rejected(resources: Resources, pipeline: Writer) -> None:
    """What was compared is not what would serve."""
    name = pipeline()
    _, first = entered(name, resources, "run_1")
    prepared, registered = entered(name, resources, "run_2")
    serve_another(name, registered.version, first.evaluated.winner.model_id, resources)
    row = promote(prepared, registered, resources).decision
    assert row is not None
    assert row.kind == "reject"
    assert row.reason.startswith(f"version {registered.version} is another model now: the registry serves ")


def test_a_champion_that_was_swapped_is_noticed(resources: Resources, pipeline: Writer) -> None:
    """The ledger's check says which model is served, and the next decision does not take it for a champion."""
    name = pipeline()
    _, other = entered(name, resources, "run_1")
    promote(*entered(name, resources, "run_2"), resources)
    serve_another(name, 2, other.evaluated.winner.model_id, resources)
    (line,) = verify(name, resources)
    assert line.startswith(f"version 2 is another model now: the registry serves {other.evaluated.winner.model_id}, ")
    promote(*entered(name, resources, "run_3", VERDICT.model_copy(update={"outcome": "hold"}), full=True), resources)
    assert [row.kind for row in resources.ledger.entries(name)] == ["promote", "hold"]


def test_a_late_alias_call_does_not_leave_the_older_champion(
    resources: Resources, pipeline: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes move the alias; the call of the first arrives after the second has finished."""
    name = pipeline()
    versions = [entered(name, resources, f"run_{number}")[1].version for number in (1, 2)]
    slow, fast = workflow.open_resources(resources.project), workflow.open_resources(resources.project)
    is_called, may_arrive = threading.Event(), threading.Event()
    real = slow.registry.set_alias

    def delayed(model: str, alias: str, version: int) -> None:
        is_called.set()
        if not may_arrive.is_set():
            assert may_arrive.wait(60)
        real(model, alias, version)

    monkeypatch.setattr(slow.registry, "set_alias", delayed)
    decide(name, versions[0], resources)
    first = threading.Thread(target=move_alias, args=(name, slow))
    first.start()
    assert is_called.wait(60)
    decide(name, versions[1], resources)
    move_alias(name, fast)
    assert champion_of(name, resources) == versions[1]
    may_arrive.set()
    first.join(60)
    assert champion_of(name, resources) == versions[1]
    assert verify(name, resources) == []


def decide(name: str, version: int, resources: Resources) -> None:
    """Append a promotion whose alias is moved later."""
    resources.ledger.append(
        resources.ledger.head(name),
        model=name,
        kind="promote",
        version=version,
        to_version=version,
        reason="better",
        actor="ada",
    )
