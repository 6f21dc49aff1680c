from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from support.keys import KEYS, OTHER_KEYS

from waterflow.ledger.chain import Breaks, Chain, find_breaks, link_rows
from waterflow.provenance.signing import Keyring

CHAIN = Chain("a" * 32, "waterflow_ledger", "flowers")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Row = dict[str, Any]


def write_rows(count: int = 5, chain: Chain = CHAIN, keys: Keyring = KEYS) -> list[Row]:
    """Write signed rows."""
    rows: list[Row] = []
    for _ in range(count):
        rows.append(next_row(rows, chain, keys))
    return rows


def next_row(rows: list[Row], chain: Chain = CHAIN, keys: Keyring = KEYS, **changes: Any) -> Row:
    """Write the signed row after some rows."""
    links = link_rows(rows, chain, keys)
    row: Row = {"model": chain.model, "sequence": len(rows) + 1, "kind": "promote", "decided_at": NOON, "alpha": 0.05}
    row |= {
        "verdict": {"reason": "better", "low": 1.0},
        "previous_digest": links[-1].digest if links else chain.genesis,
    }
    row |= changes
    return sign(row, chain, keys)


def sign(row: Row, chain: Chain = CHAIN, keys: Keyring = KEYS) -> Row:
    """Sign a row."""
    statement = chain.statement(row["sequence"], chain.digest(row, row["previous_digest"]))
    return row | {"signature": keys.sign(statement)}


def verify(rows: list[Row], keys: Keyring = KEYS) -> Breaks:
    """Return what is wrong."""
    return find_breaks(link_rows(rows, CHAIN, keys))


def test_rows_as_they_were_written_verify() -> None:
    """None of them, one or several."""
    assert [verify(write_rows(count)) for count in (0, 1, 5)] == [Breaks([], [])] * 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "hold"),
        ("decided_at", NOON + timedelta(microseconds=1)),
        ("alpha", 0.05000000000000001),
        ("verdict", {"reason": "better", "low": 1.1}),
        ("verdict", None),
        ("signature", None),
    ],
)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_an_edit_of_any_column_is_found(column: str, value: object, number: int) -> None:
    """In the first row, the last, and in between."""
    rows = write_rows()
    rows[number - 1][column] = value
    assert any(line.startswith(f"row {number} ") for line in [*verify(rows).problems, *verify(rows).notes])
    assert verify(rows).problems or column == "signature"


def test_the_same_moment_in_another_zone_is_no_edit() -> None:
    """A database may return times in its own zone."""
    rows = write_rows()
    rows[2]["decided_at"] = NOON.astimezone(timezone(timedelta(hours=5)))
    assert verify(rows).problems == []


def test_a_whole_number_is_not_the_same_as_a_float() -> None:
    """Nor is a text that looks like another value."""
    digests = {CHAIN.digest({"alpha": value}, "") for value in (1, 1.0, "1", "1.0", None, "null", True)}
    assert len(digests) == 7


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda rows: [row for row in rows if row["sequence"] != 3], "row 3 is missing: the next one has number 4"),
        (lambda rows: rows[1:], "row 1 is missing: the next one has number 2"),
        (lambda rows: swap(rows, 1, 2), "row 2 is not one of this ledger's: it was altered"),
        (lambda rows: renumber([*rows[:2], *rows[3:]]), "row 3 is not one of this ledger's: it was altered"),
        (lambda rows: [*rows[:2], sign(rows[2] | {"kind": "hold"}), *rows[3:]], "row 4 was signed after another row"),
        (lambda rows: [*rows, {**next_row(rows), "signature": None}], "row 6 is not one of this ledger's: it is not"),
        (lambda rows: [*rows, {**next_row(rows), "signature": rows[4]["signature"]}], "row 6 is not one of this"),
        (lambda rows: [*rows, {**next_row(rows), "signature": "x:y"}], "row 6 is not one of this ledger's: it is sig"),
        (lambda rows: [*rows, next_row(rows, keys=OTHER_KEYS)], "row 6 is not one of this ledger's: it is signed with"),
        (lambda rows: [*rows, next_row(rows, previous_digest="0" * 64)], "row 6 was signed after another row"),
        (lambda rows: [*rows, next_row(rows, previous_digest=rows[3]["previous_digest"])], "row 6 was signed after an"),
    ],
    ids=[
        "deleted in the middle",
        "deleted at the beginning",
        "two rows change places",
        "deleted, and the later rows renumbered",
        "another row signed by the same key in its place",
        "the right digest without a signature",
        "the signature of another row",
        "no signature at all",
        "a stranger's key",
        "a link that leads nowhere",
        "a link to an older row",
    ],
)
def test_a_change_of_rows_is_found(change: Callable[[list[Row]], list[Row]], line: str) -> None:
    """Whatever is done to them, and the first line says where."""
    assert verify(change(write_rows())).problems[0].startswith(line)


def swap(rows: list[Row], first: int, second: int) -> list[Row]:
    """Let two rows change places, numbers apart."""
    rows[first], rows[second] = (
        rows[second] | {"sequence": first + 1},
        rows[first] | {"sequence": second + 1},
    )
    return rows


def renumber(rows: list[Row]) -> list[Row]:
    """Number rows from one."""
    return [row | {"sequence": number} for number, row in enumerate(rows, start=1)]


@pytest.mark.parametrize(
    "other",
    [
        Chain(CHAIN.ledger, CHAIN.table, "roses"),
        Chain("b" * 32, CHAIN.table, CHAIN.model),
        Chain(CHAIN.ledger, "waterflow_look", CHAIN.model),
    ],
    ids=["pipeline", "ledger", "table"],
)
def test_rows_signed_for_elsewhere_are_found(other: Chain) -> None:
    """The same key signed them, for another pipeline, ledger or table."""
    rows = [row | {"model": CHAIN.model} for row in write_rows(chain=other)]
    assert len(verify(rows).problems) >= 5
    replayed = write_rows(2)
    replayed.append({**next_row(replayed), "signature": write_rows(3, chain=other)[2]["signature"]})
    assert verify(replayed).problems[0].startswith("row 3 is not one of this ledger's")


def test_a_signed_row_vouches_for_unsigned_ones_before_it() -> None:
    """So rows from before signatures count once a person accepted them; an edit of theirs is found all the same."""
    old = [row | {"previous_digest": None, "signature": None} for row in write_rows(3)]
    assert len(verify(old).problems) == 3
    rows = [*old, next_row(old)]
    assert verify(rows).problems == []
    assert len(verify(rows).notes) == 3
    rows[0]["kind"] = "hold"
    assert verify(rows).problems[-1].startswith("row 4 was signed after another row")


def test_a_signed_row_vouches_for_a_forged_one_that_was_accepted() -> None:
    """A forged row with a wrong link does not end a pipeline: a person accounts for it by the next row."""
    rows = write_rows(2)
    rows.append({**next_row(rows), "previous_digest": "f" * 64, "signature": "none"})
    assert verify(rows).problems
    rows.append(next_row(rows))
    assert verify(rows).problems == []
    assert verify(rows).notes[0].startswith("row 3 counts because row 4 vouches for it: it is signed with 'none'")


def test_a_revoked_key_vouches_for_nothing() -> None:
    """Its rows wait for a person's acceptance."""
    assert KEYS.signing_key is not None
    keys = Keyring(OTHER_KEYS.public_keys, KEYS.public_keys, OTHER_KEYS.signing_key)
    rows = write_rows(2)
    assert len(verify(rows, keys).problems) == 2
    assert verify([*rows, next_row(rows, keys=OTHER_KEYS)], keys).problems == []
