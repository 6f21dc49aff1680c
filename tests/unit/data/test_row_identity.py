import io
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.projects import config_of

from waterflow.data.row_identity import hash_column, hash_fractions, hash_rows, identity_columns

settings.register_profile("waterflow", database=None, deadline=None, max_examples=60)
settings.load_profile("waterflow")

BIGGEST, SMALLEST = 2**63 - 1, -(2**63)
INTEGERS = st.integers(SMALLEST, BIGGEST)
FLOATS = st.floats(allow_nan=False)
TIMES = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
WORDS = st.text(max_size=8)


def values_hash(values: list[Any], dtype: Any = None) -> list[int]:
    """Hash a column of a type."""
    return hash_column(pd.Series(values, dtype=dtype)).tolist()


# Numbers


@given(st.lists(INTEGERS, min_size=1))
def test_integers_are_one_value_in_every_type(values: list[int]) -> None:
    """As integers, beside nulls, as objects, decimals, categories and text."""
    expected = values_hash(values, "int64")
    assert values_hash(values, "Int64") == expected
    assert values_hash(values, object) == expected
    assert values_hash([Decimal(value) for value in values], object) == expected
    assert values_hash([str(value) for value in values], "str") == expected
    assert hash_column(pd.Series(values, dtype="int64").astype("category")).tolist() == expected
    assert values_hash([*values, None], "Int64")[:-1] == expected


@given(st.lists(INTEGERS, min_size=2, unique=True))
def test_integers_keep_every_digit(values: list[int]) -> None:
    """Two ids are two rows, however large they are."""
    for dtype in ("int64", "Int64", object):
        assert len(set(values_hash(values, dtype))) == len(values)


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_whole_floats_are_integers(values: list[int]) -> None:
    """A null in a column makes floats of its integers."""
    expected = values_hash(values, "int64")
    assert values_hash([float(value) for value in values], "float64") == expected
    assert values_hash([f"{value}.0" for value in values], "str") == expected


@given(st.lists(FLOATS, min_size=1))
def test_floats_are_one_value_in_every_type(values: list[float]) -> None:
    """As floats, objects, and as Python and CSV files write them."""
    expected = values_hash(values, "float64")
    assert values_hash(values, "Float64") == expected
    assert values_hash(values, object) == expected
    assert [code for code, value in zip(expected, values, strict=True) if math.isfinite(value)] == values_hash(
        [repr(value) for value in values if math.isfinite(value)], "str"
    )


@given(st.lists(FLOATS, min_size=2, unique=True))
def test_floats_are_told_apart(values: list[float]) -> None:
    """Fractions and numbers beyond 64 bits too."""
    assert len(set(values_hash(values, "float64"))) == len(values)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, unique=True))
def test_unsigned_integers_are_told_apart(values: list[int]) -> None:
    """Also above the largest signed one, whose bits are those of a negative number."""
    hashes = values_hash(values, "uint64")
    assert hashes == values_hash(values, object) == values_hash([str(value) for value in values], "str")
    assert len(set(hashes)) == len(values)
    assert not set(hashes) & set(values_hash([value - 2**64 for value in values if value > BIGGEST], "int64"))


@pytest.mark.parametrize(
    "same",
    [
        [3, 3.0, "3", "3.0", "+3", "3.", "30e-1", Decimal("3.00"), np.int8(3), np.float32(3)],
        [0.5, "0.5", ".5", "5e-1", Decimal("0.50")],
        [0, -0.0, "0", "-0", False, "false", "FALSE"],
        [True, 1, "true", "True", "1"],
        [10**30, "1" + "0" * 30, Decimal(10**30)],
        [2**70, float(2**70), str(2**70)],
        [math.inf, Decimal("Infinity")],
    ],
)
def test_a_number_is_one_value_however_it_is_written(same: list[Any]) -> None:
    """Each of them alone in a column, as objects."""
    assert len({values_hash([value], object)[0] for value in same}) == 1


@pytest.mark.parametrize(
    "different",
    [
        ["7", "07", "007", " 7", "7a", "7,0", "", "-7"],
        [10**30, 10**30 + 1],
        [0.1, 0.2, np.nextafter(0.1, 1)],
        ["2026-02-28", "2026-02-30", "2026-03-01"],
        ["1", "true?", "TrUe", None],
    ],
)
def test_what_is_not_written_alike_is_told_apart(different: list[Any]) -> None:
    """Zeros before a number make it a text of its own, as in a ZIP code."""
    assert len(set(values_hash(different, object))) == len(different)


# Times


@given(st.lists(TIMES, min_size=1), ZONES)
def test_times_are_one_moment_in_every_type(values: list[datetime], zone: timezone) -> None:
    """Naive ones count as UTC; zones, units, Python's objects and ISO 8601 make no difference."""
    expected = values_hash(values, "datetime64[us]")
    zoned = [value.replace(tzinfo=UTC).astimezone(zone) for value in values]
    assert values_hash(values, "datetime64[ns]") == expected
    assert hash_column(pd.Series(pd.to_datetime(zoned, utc=True))).tolist() == expected
    assert values_hash(values, object) == expected
    assert values_hash([value.isoformat() for value in values], "str") == expected
    assert values_hash([value.isoformat(sep=" ") for value in zoned], "str") == expected


@given(st.lists(st.dates(date(1, 1, 1), date(9999, 12, 31)), min_size=1, unique=True))
def test_a_date_is_its_midnight(values: list[date]) -> None:
    """Whether a file holds dates, times or text."""
    expected = values_hash([datetime(value.year, value.month, value.day) for value in values], "datetime64[us]")
    assert values_hash(values, object) == expected
    assert values_hash([value.isoformat() for value in values], "str") == expected
    assert len(set(expected)) == len(values)


def test_nanoseconds_are_told_apart() -> None:
    """Two times within a microsecond are two."""
    first = pd.Timestamp("2026-01-01T00:00:00.000000001")
    assert len(set(values_hash([first, first + pd.Timedelta(1, "ns"), first.floor("us")], "datetime64[ns]"))) == 3


# Words, nulls and others


@given(st.lists(st.one_of(WORDS, st.none()), min_size=1))
def test_words_are_one_value_in_every_type(values: list[str | None]) -> None:
    """As text, objects and categories, with nulls among them."""
    expected = values_hash(values, "str")
    assert values_hash(values, object) == expected
    assert hash_column(pd.Series(values, dtype="str").astype("category")).tolist() == expected


@pytest.mark.parametrize("dtype", [object, "float64", "Int64", "boolean", "str", "category", "datetime64[ns, UTC]"])
def test_nulls_of_every_kind_are_one_value(dtype: str) -> None:
    """And none of them is the empty text or zero."""
    assert values_hash([None], dtype) == values_hash([None], object)
    assert values_hash([None], dtype)[0] not in values_hash(["", 0], object)


def test_values_that_cannot_be_hashed_are_told_apart() -> None:
    """A Parquet file may hold lists."""
    assert len(set(values_hash([[1, 2], [2, 1], None], object))) == 3


# Rows


@given(st.lists(st.tuples(st.integers(0, 99), st.one_of(WORDS, st.none())), min_size=1))
def test_a_letter_in_a_later_file_changes_no_earlier_row(rows: list[tuple[int, str | None]]) -> None:
    """A CSV file is read as integers one day, and as text when one more row has a letter."""
    frame = pd.DataFrame(rows, columns=["id", "word"])
    later = pd.concat([frame, pd.DataFrame({"id": ["A7"], "word": ["x"]})])
    first, second = (pd.read_csv(io.StringIO(entry.to_csv(index=False))) for entry in (frame, later))
    assert (hash_rows(first, ["id"]) == hash_rows(second, ["id"])[:-1]).all()


def test_the_order_of_columns_tells_rows_apart() -> None:
    """(1, 2) is another row than (2, 1)."""
    hashes = hash_rows(pd.DataFrame({"a": [1, 2], "b": [2, 1]}), ["a", "b"])
    assert hashes[0] != hashes[1]


ROWS = pd.DataFrame({"b": [1], "a": [2], "house": [3], "id": [4], "species": ["x"], "exported": ["today"]})


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        ({"drop": ["exported"]}, ["a", "b", "house", "id", "species"]),
        ({"features": ["b", "a"], "known_after": ["b"]}, ["a", "species"]),
        ({"key": ["id", "b"]}, ["b", "id"]),
        ({"key": ["id"], "group": "house", "split": {"kind": "hash"}}, ["house"]),
    ],
)
def test_a_row_is_identified_by_group_key_or_features_and_target(declared: dict[str, Any], names: list[str]) -> None:
    """Sorted by name, so that the order of columns or of the YAML does not matter."""
    assert identity_columns(ROWS, config_of(**declared)) == names


def test_the_salt_draws_other_places() -> None:
    """A sample and folds are independent of the holdout."""
    frame = pd.DataFrame({"id": range(5000)})
    places = [hash_fractions(frame, config_of(key=["id"]), salt) for salt in (0, 1)]
    assert abs(np.corrcoef(places)[0, 1]) < 0.05
