"""What a writer of the SQLite file can do, and where it is found."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.keys import KEYS
from support.ledger_contract import look, promote

from waterflow.errors import LedgerError
from waterflow.ledger.marks import LedgerMarks
from waterflow.ledger.store import Ledger
from waterflow.stores.folder import FolderStore

Sql = Callable[[str], None]
TRIGGERS = "SELECT name FROM sqlite_master WHERE type = 'trigger'"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Name the folder of objects."""
    return tmp_path / "store"


@pytest.fixture
def ledger(tmp_path: Path, store: Path) -> Ledger:
    """Give a ledger with two pipelines, three decisions each, and two looks."""
    ledger = Ledger(f"sqlite:///{tmp_path}/waterflow.db", KEYS, LedgerMarks(FolderStore(store)))
    for version in (1, 2, 3):
        for model in ("flowers", "roses"):
            ledger.mark_projected(promote(ledger, version, model, run_id=f"r{version}"))
    ledger.append_look(look(1))
    ledger.append_look(look(2, "f"))
    return ledger


@pytest.fixture
def sql(ledger: Ledger, tmp_path: Path) -> Sql:
    """Run SQL on the file."""

    def run(script: str) -> None:
        with closing(sqlite3.connect(tmp_path / "waterflow.db")) as connection:
            connection.executescript(script)

    return run


@pytest.fixture
def free_sql(sql: Sql, tmp_path: Path) -> Sql:
    """Run SQL on the file, whose triggers are gone."""
    with closing(sqlite3.connect(tmp_path / "waterflow.db")) as connection:
        for (name,) in connection.execute(TRIGGERS).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.commit()
    return sql


def copied(table: str, **changes: str) -> str:
    """Return the SQL of the columns of a row, some of them replaced."""
    from waterflow.ledger import tables

    found = next(entry for entry in tables.metadata.sorted_tables if entry.name == table)
    return ", ".join(changes.get(column.name, column.name) for column in found.columns)


ROW = copied("waterflow_ledger", reason="'forged'")
RENUMBERED = copied("waterflow_ledger", sequence="4")
LOOK = copied("waterflow_look", number="1")
RENAMED_LOOK = copied("waterflow_look", sequence="3")


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT OR REPLACE INTO waterflow_ledger SELECT {ROW} FROM waterflow_ledger WHERE sequence = 2",
        f"INSERT OR IGNORE INTO waterflow_ledger SELECT {RENUMBERED} FROM waterflow_ledger WHERE sequence = 3",
        f"INSERT OR REPLACE INTO waterflow_ledger SELECT {RENUMBERED} FROM waterflow_ledger WHERE sequence = 3",
        f"REPLACE INTO waterflow_look SELECT {LOOK} FROM waterflow_look WHERE sequence = 1",
        f"REPLACE INTO waterflow_look SELECT {RENAMED_LOOK} FROM waterflow_look WHERE sequence = 2",
        "REPLACE INTO waterflow_ledger_projection VALUES ('flowers', 1, '2026-01-01', 'x')",
        "UPDATE OR REPLACE waterflow_ledger SET sequence = 1 WHERE sequence = 3",
        "INSERT INTO waterflow_ledger_identity VALUES ('x')",
        "REPLACE INTO waterflow_ledger_identity SELECT id FROM waterflow_ledger_identity",
        "DELETE FROM waterflow_ledger_identity",
        "INSERT INTO waterflow_ledger (model, sequence, kind, reason, actor, decided_at) "
        "VALUES ('flowers', 4, 'promote', 'x', 'x', '2026-01-01 00:00:00.000000')",
        "INSERT INTO waterflow_ledger (model, sequence, kind, reason, actor, decided_at, previous_digest, signature) "
        "VALUES ('flowers', 9, 'promote', 'x', 'x', '2026-01-01 00:00:00.000000', 'x', 'x')",
        "PRAGMA recursive_triggers = off; REPLACE INTO waterflow_ledger SELECT "
        f"{ROW} FROM waterflow_ledger WHERE sequence = 1",
    ],
)
def test_triggers_refuse_replacement(ledger: Ledger, sql: Sql, statement: str) -> None:
    """Neither by the key, by the run nor by the evaluation of a row."""
    before = ledger.entries("flowers"), ledger.looks("flowers"), ledger.id
    with pytest.raises(sqlite3.IntegrityError):
        sql(statement)
    assert (ledger.entries("flowers"), ledger.looks("flowers"), ledger.id) == before
    assert ledger.verify("flowers").problems == []


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("UPDATE waterflow_ledger SET to_version = 9 WHERE sequence = 3", "row 3 is not one of this ledger's"),
        ("UPDATE waterflow_ledger SET actor = 'ada' WHERE sequence = 1", "row 1 is not one of this ledger's"),
        ("DELETE FROM waterflow_ledger WHERE sequence = 2", "row 2 is missing: the next one has number 3"),
        ("DELETE FROM waterflow_ledger WHERE sequence = 3", "row 3 is gone"),
        ("DELETE FROM waterflow_ledger", "row 1 is gone"),
        (
            f"REPLACE INTO waterflow_ledger SELECT {ROW} FROM waterflow_ledger "
            "WHERE sequence = 3 AND model = 'flowers'",
            "row 3 is not one of this ledger's",
        ),
        (
            "UPDATE waterflow_ledger SET sequence = sequence + 10;"
            "UPDATE waterflow_ledger SET sequence = CASE sequence WHEN 11 THEN 2 WHEN 12 THEN 1 ELSE 3 END",
            "row 1 is not one of this ledger's",
        ),
        (
            "DELETE FROM waterflow_ledger WHERE model = 'flowers';"
            "UPDATE waterflow_ledger SET model = 'flowers' WHERE model = 'roses'",
            "row 1 is not one of this ledger's",
        ),
        ("UPDATE waterflow_look SET alpha = 0.05 WHERE sequence = 1", "looks: row 1 is not one of this ledger's"),
        ("DELETE FROM waterflow_look WHERE sequence = 1", "looks: row 1 is missing"),
        ("DELETE FROM waterflow_look WHERE sequence = 2", "looks: row 2 is gone"),
        ("DELETE FROM waterflow_look", "looks: row 1 is gone"),
        ("UPDATE waterflow_ledger_identity SET id = 'other'", "row 1 is not one of this ledger's"),
        (
            "UPDATE waterflow_ledger SET decided_at = 'never' WHERE sequence = 2",
            "ledger of flowers: a row cannot be read",
        ),
    ],
)
def test_what_a_writer_of_the_file_does_is_found(ledger: Ledger, free_sql: Sql, statement: str, line: str) -> None:
    """Whoever can write the file needs no trigger's leave, and yet cannot sign."""
    free_sql(statement)
    again = Ledger(str(ledger._engine.url), KEYS, ledger._marks)
    assert any(problem.startswith(line) for problem in again.verify("flowers").problems)


def test_a_row_that_does_not_verify_stops_its_own_pipeline_alone(ledger: Ledger, free_sql: Sql) -> None:
    """Nothing is decided on top of it; every other pipeline goes on."""
    free_sql("UPDATE waterflow_ledger SET to_version = 9 WHERE sequence = 3 AND model = 'flowers'")
    with pytest.raises(LedgerError, match="row 3 is not one of this ledger's: it was altered"):
        ledger.head("flowers")
    with pytest.raises(LedgerError):
        promote(ledger, 4, after=ledger.unverified_entries("flowers")[-1])
    assert promote(ledger, 4, "roses").sequence == 4


def test_a_mark_that_is_gone_is_named(ledger: Ledger, store: Path) -> None:
    """Except that of the newest row, whose author may have been stopped; the next row's author adds it."""
    marks = sorted(store.glob("ledger/*/waterflow_ledger/flowers/*"))
    marks[2].unlink()
    assert ledger.verify("flowers").problems == []
    promote(ledger, 4)
    assert marks[2].exists()
    marks[1].unlink()
    assert ledger.verify("flowers").problems[0].startswith("row 2 has lost its mark in ")


def test_a_mark_that_no_key_of_ours_made_says_nothing(ledger: Ledger, store: Path) -> None:
    """Who may write objects cannot make it look as if rows were cut."""
    folder = next(store.glob("ledger/*/waterflow_ledger/flowers"))
    mark = next(folder.iterdir())
    (folder / f"00000009-{'a' * 64}").write_text(mark.read_text())
    (folder / f"00000008-{'a' * 64}").write_bytes(b"\xff")
    (folder / "else").write_text("x")
    assert ledger.verify("flowers").problems == []


def test_a_ledger_cut_with_its_marks_verifies(ledger: Ledger, free_sql: Sql, store: Path) -> None:
    """What is not found here: whoever may write database and store. The registry still names the later version."""
    free_sql(
        "DELETE FROM waterflow_ledger WHERE sequence = 3; DELETE FROM waterflow_ledger_projection WHERE sequence = 3"
    )
    for mark in store.glob("ledger/*/waterflow_ledger/*/00000003-*"):
        mark.unlink()
    assert ledger.verify("flowers").problems == []
