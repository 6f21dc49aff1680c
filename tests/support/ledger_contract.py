"""What the ledger promises on every database; a test module imports these tests and gives the fixture `url`."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from sqlalchemy import create_engine, event, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from support.keys import KEYS
from waterflow.errors import LedgerConflict, LedgerError
from waterflow.ledger import migrate
from waterflow.ledger.store import Ledger
from waterflow.ledger.tables import decisions
from waterflow.records.data import Blob
from waterflow.records.evaluation import Verdict
from waterflow.records.promotion import Decision, Look
from waterflow.records.run import Window

VERDICT = Verdict(
    outcome="promote",
    reason="better",
    metric="accuracy",
    against="version 1",
    champion_version=1,
    rows=100,
    disjoint=True,
    difference=0.02,
    low=0.001,
    high=0.04,
    alpha=0.05,
    min_gain=0.0,
    resamples=2000,
)


def open_ledger(url: str) -> Ledger:
    """Open the ledger with the keys of these tests."""
    return Ledger(url, KEYS)


def promote(ledger: Ledger, version: int, model: str = "flowers", **more: object) -> Decision:
    """Append a promotion behind the newest row."""
    given = {"kind": "promote", "version": version, "to_version": version, "reason": "better", "actor": "me"}
    after = more.pop("after", None) or ledger.head(model)
    return ledger.append(after, model=model, **{**given, **more})  # type: ignore[arg-type]


def test_a_new_ledger_is_empty(url: str) -> None:
    """Nobody has decided anything."""
    ledger = open_ledger(url)
    assert ledger.head("flowers") is None
    assert ledger.entries("flowers") == []
    assert ledger.find_decision("flowers", "r") is None


def test_a_row_comes_back_whole(url: str) -> None:
    """Verdict, window and times included, in another process too."""
    window = Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC))
    identity = {"model_id": "m-1", "model_digest": "ab" * 32, "effective_at": datetime(2026, 3, 1, tzinfo=UTC)}
    written = promote(
        open_ledger(url), 2, run_id="r", dag_run_id="manual__1", window=window, verdict=VERDICT, **identity
    )
    read = open_ledger(url)
    assert read.head("flowers") == written
    assert read.find_decision("flowers", "r") == written
    assert read.entries("flowers") == [written]


def test_each_model_counts_its_own_rows(url: str) -> None:
    """From one on, each row starting from the champion before it."""
    ledger = open_ledger(url)
    promote(ledger, 1)
    promote(ledger, 1, model="roses")
    promote(ledger, 2)
    assert [(row.sequence, row.from_version, row.to_version) for row in ledger.entries("flowers")] == [
        (1, None, 1),
        (2, 1, 2),
    ]
    assert [row.sequence for row in ledger.entries("roses")] == [1]


def test_a_row_behind_an_old_one_is_refused(url: str) -> None:
    """Who has not seen the newest decision decides nothing."""
    ledger = open_ledger(url)
    seen = promote(ledger, 1)
    promote(ledger, 2)
    given = {"model": "flowers", "kind": "promote", "version": 3, "to_version": 3, "reason": "", "actor": "me"}
    with pytest.raises(LedgerConflict, match="row 2 was written meanwhile"):
        ledger.append(seen, **given)  # type: ignore[arg-type]
    assert [row.to_version for row in ledger.entries("flowers")] == [1, 2]


def test_a_run_has_one_decision(url: str) -> None:
    """A retry cannot decide again."""
    ledger = open_ledger(url)
    promote(ledger, 1, run_id="r")
    with pytest.raises(LedgerConflict):
        promote(ledger, 2, run_id="r")


def test_a_canary_reports_on_a_run_as_often_as_it_needs(url: str) -> None:
    """The decision on the run is the other row."""
    ledger = open_ledger(url)
    for _ in range(2):
        ledger.append(
            ledger.head("flowers"),
            model="flowers",
            kind="canary",
            version=1,
            to_version=None,
            reason="no errors so far",
            actor="me",
            run_id="r",
        )
    assert ledger.find_decision("flowers", "r") is None
    decided = promote(ledger, 1, run_id="r")
    assert ledger.find_decision("flowers", "r") == decided


def look(sequence: int, evaluation_key: str = "e", model: str = "flowers") -> Look:
    """Return a look at ten rows."""
    return Look(
        model=model,
        sequence=sequence,
        evaluation_key=evaluation_key,
        run_id="r",
        rows=Blob(key="blobs/ab", digest="ab" * 32, size_bytes=80),
        row_count=10,
        number=2,
        alpha=0.025,
        looked_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def test_looks_come_back_in_order(url: str) -> None:
    """Of their model alone, which counts among the models even without a decision."""
    ledger = open_ledger(url)
    both = [look(1), look(2, "f")]
    for entry in (*both, look(1, model="roses")):
        ledger.append_look(entry)
    assert open_ledger(url).looks("flowers") == both
    assert ledger.models() == ["flowers", "roses"]


@pytest.mark.parametrize(("sequence", "evaluation_key"), [(1, "f"), (2, "e")])
def test_a_look_is_recorded_once(url: str, sequence: int, evaluation_key: str) -> None:
    """Neither its place in the order nor its evaluation is used again."""
    ledger = open_ledger(url)
    ledger.append_look(look(1))
    with pytest.raises(LedgerConflict):
        ledger.append_look(look(sequence, evaluation_key))


def test_rows_of_the_first_revision_survive_the_migration(url: str) -> None:
    """They stay as safe from changes as before, and count once a person vouches for them."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    with engine.connect() as connection:
        migrate.lock_tables(connection)
        migrate.upgrade(connection, "0001")
        values = {"model": "flowers", "sequence": 1, "kind": "promote", "version": 1, "to_version": 1}
        values |= {"reason": "better", "actor": "me", "decided_at": datetime(2026, 1, 1, tzinfo=UTC)}
        connection.execute(insert(decisions).values(**values))
        connection.commit()
    ledger = open_ledger(url)
    with pytest.raises(LedgerError, match="row 1 is not one of this ledger's: it is not signed"):
        ledger.entries("flowers")
    assert [(row.version, row.model_id) for row in ledger.unverified_entries("flowers")] == [(1, None)]
    with pytest.raises(DBAPIError, match="rows of the ledger are not changed"), engine.begin() as connection:
        connection.execute(text("DELETE FROM waterflow_ledger"))
    promote(ledger, 2, after=ledger.unverified_entries("flowers")[-1], accepts_unsigned=True)
    assert [row.version for row in ledger.entries("flowers")] == [1, 2]
    assert ledger.verify("flowers").notes == [
        "row 1 counts because row 2 vouches for it: it is from before rows were signed"
    ]


def test_two_threads_that_decide_at_once_leave_one_row(url: str) -> None:
    """Both have seen the same champion, and wait for one another before they write."""
    ledger = open_ledger(url)
    seen = promote(ledger, 1)
    together = threading.Barrier(2)

    def decide(version: int) -> str:
        together.wait()
        try:
            ledger.append(
                seen, model="flowers", kind="promote", version=version, to_version=version, reason="", actor="me"
            )
        except LedgerConflict:
            return "refused"
        return "written"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(decide, (2, 3))) == ["refused", "written"]
    assert len(ledger.entries("flowers")) == 2


def write_many(url: str, name: str, count: int) -> None:
    """Append rows, reading again after each conflict; runs in a process of its own."""
    ledger = open_ledger(url)
    for number in range(count):
        while True:
            try:
                promote(ledger, number, actor=name, run_id=f"{name}{number}")
                break
            except LedgerConflict:
                continue


def test_processes_that_start_at_once_share_tables_and_rows(url: str) -> None:
    """On an empty database all of them migrate, and none of their rows is lost or doubled."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=write_many, args=(url, name, 6)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    rows = open_ledger(url).entries("flowers")
    assert [row.sequence for row in rows] == list(range(1, 13))
    assert sorted(str(row.run_id) for row in rows) == sorted(f"{name}{number}" for name in "ab" for number in range(6))
    assert all(row.from_version == before.to_version for before, row in pairwise(rows))


@pytest.mark.parametrize("table", ["waterflow_ledger", "waterflow_ledger_projection", "waterflow_look"])
@pytest.mark.parametrize("change", ["UPDATE {} SET model = 'roses'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_a_row(url: str, table: str, change: str) -> None:
    """Not even SQL typed by hand does it."""
    ledger = open_ledger(url)
    ledger.mark_projected(promote(ledger, 1))
    ledger.append_look(look(1))
    engine = create_engine(url, poolclass=NullPool)
    with pytest.raises(DBAPIError, match="rows of the ledger are not changed or deleted"), engine.begin() as connection:
        connection.execute(text(change.format(table)))
    assert len(ledger.entries("flowers")) == 1


def test_time_never_runs_backwards(url: str) -> None:
    """A machine whose clock is slow writes the time of the row before it."""
    ledger = open_ledger(url)
    ahead = promote(ledger, 1).model_copy(update={"decided_at": datetime(2999, 1, 1, tzinfo=UTC)})
    late = ledger.append(ahead, model="flowers", kind="hold", version=2, to_version=1, reason="no better", actor="me")
    assert late.decided_at == ahead.decided_at


def test_a_projection_is_noted_once(url: str) -> None:
    """A row counts as followed when it, or a later one, was."""
    ledger = open_ledger(url)
    first = promote(ledger, 1)
    assert not ledger.is_projected(first)
    ledger.mark_projected(first)
    ledger.mark_projected(first)
    second = promote(ledger, 2)
    assert ledger.is_projected(first)
    assert not ledger.is_projected(second)
    ledger.mark_projected(second)
    assert ledger.is_projected(first)


def test_tables_of_the_newest_revision_are_left_alone(url: str) -> None:
    """One query tells; Alembic is not even asked."""
    promote(open_ledger(url), 1)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        assert migrate.revision_of(connection) == migrate.HEAD
    promote(open_ledger(url), 2)


def test_tables_of_a_newer_waterflow_are_refused(url: str) -> None:
    """The message says which revision was found, and which is known."""
    open_ledger(url)
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(LedgerError, match=r"'9999'.*'0004'"):
        open_ledger(url)
