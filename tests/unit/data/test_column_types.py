"""The one conversion of columns, whatever source they come from."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support.projects import message_of

from waterflow.config.schema import ReadingSection
from waterflow.data.canonical import frame_of
from waterflow.data.column_types import array_of, describe_type, type_columns
from waterflow.data.reading_rules import ReadingRules
from waterflow.errors import DataError

NOON = datetime(2024, 6, 1, 12)
BERLIN = pa.timestamp("us", tz="Europe/Berlin")


def converted(array: pa.Array, rules: ReadingRules | None = None) -> pd.Series:
    """Return a column as rows have it."""
    return frame_of(type_columns(pa.table({"x": array}), rules or ReadingRules()).table)["x"]


@pytest.mark.parametrize(
    ("array", "kind", "values"),
    [
        (pa.array([Decimal("1.10"), Decimal("2.35")]), "number", [1.1, 2.35]),
        (pa.array([Decimal(3), Decimal(2**60)], pa.decimal128(38, 0)), "integer", [3, 2**60]),
        (pa.array([1.5, 2.5], pa.float32()), "number", [1.5, 2.5]),
        (pa.array(np.array([0.5, 2], "float16")), "number", [0.5, 2]),
        (pa.array([1, 2], pa.uint64()), "integer", [1, 2]),
        (pa.array([1, 2], pa.int8()), "integer", [1, 2]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), "text", ["a", "b", "a"]),
        (pa.array([7, 8, 7]).dictionary_encode(), "integer", [7, 8, 7]),
        (pa.array(["a"], pa.large_string()), "text", ["a"]),
        (pa.array(["a"], pa.string_view()), "text", ["a"]),
        (pa.array([date(2024, 6, 1)]), "datetime", [pd.Timestamp("2024-06-01")]),
        (pa.array([datetime(9999, 12, 31)], pa.timestamp("us")), "datetime", [datetime(9999, 12, 31)]),
        (pa.array([NOON]).cast(BERLIN), "datetime", [pd.Timestamp(NOON, tz="UTC")]),
        (pa.array([timedelta(hours=1)]), "number", [3600.0]),
        (pa.array([time(1, 0, 30)]), "number", [3630.0]),
        (pa.array([True, False]), "boolean", [True, False]),
    ],
)
def test_every_storage_becomes_one_of_five_types(array: pa.Array, kind: str, values: list[Any]) -> None:
    """Text, booleans, integers, numbers and times."""
    typed = type_columns(pa.table({"x": array}), ReadingRules())
    assert describe_type(typed.table.column("x")) == kind
    assert frame_of(typed.table)["x"].tolist() == values


def test_decimals_become_the_nearest_floats() -> None:
    """Exactly as Python reads their digits."""
    digits = [f"{value:.9f}" for value in np.random.default_rng(0).normal(100, 2000, 500)]
    column = converted(pa.array([Decimal(text) for text in digits], pa.decimal128(30, 9)))
    assert column.tolist() == [float(text) for text in digits]


def test_large_decimals_that_floats_would_round_need_a_declared_type() -> None:
    """One such value among exact ones is named; a small fraction is rounded."""
    array = pa.array([Decimal("0.10"), Decimal(2**53 + 1), Decimal(2**60), None], pa.decimal128(30, 2))
    message = message_of(lambda: converted(array), DataError)
    assert message == (
        "column 'x' holds decimals beyond 2**53 that float64 rounds, such as 9007199254740993.00; state its dtype in "
        "dataset: text keeps every digit, number rounds them"
    )
    assert converted(array, ReadingRules(dtype={"x": "text"}))[1] == "9007199254740993.00"
    assert converted(array, ReadingRules(dtype={"x": "number"}))[1] == 2**53


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1.0], [2.0]]),
        pa.array([{"a": 1}]),
        pa.array([b"x"]),
        pa.array([2**63], pa.uint64()),
        pa.array([Decimal(2**70)], pa.decimal128(38, 0)),
    ],
)
def test_a_column_without_such_a_type_is_refused_by_name_unless_unused(array: pa.Array) -> None:
    """The drop comes first."""
    table = pa.table({"x": array, "y": pa.array([1] * len(array))})
    assert message_of(lambda: type_columns(table, ReadingRules()), DataError).startswith("column 'x' holds")
    typed = type_columns(table, ReadingRules(unused=frozenset(["x"])))
    assert (typed.table.column_names, typed.left_out) == (["y"], ("x",))


def test_columns_beside_the_declared_features_may_have_any_type() -> None:
    """Nothing looks at them."""
    table = pa.table({"x": pa.array([[1.0]]), "y": pa.array([1])})
    assert type_columns(table, ReadingRules(only=frozenset(["y"]))).left_out == ("x",)


@pytest.mark.parametrize("array", [pa.array([2**53 + 1, None]), array_of([2**53 + 1, None])])
def test_large_integers_keep_every_digit_beside_nulls(array: pa.Array) -> None:
    """From files and from Python's values."""
    assert converted(array).tolist()[0] == 2**53 + 1


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, "a"], pa.string()),
        ([2**64, None], pa.string()),
        ([1, 2.5], pa.float64()),
        ([date(2024, 1, 1), NOON], pa.timestamp("us")),
        ([None, None], pa.null()),
    ],
)
def test_values_of_several_types_have_one(values: list[Any], kind: pa.DataType) -> None:
    """What a query or a sheet returns; no time of day is lost."""
    array = array_of(values)
    assert array.type == kind
    assert values[-1] in (array[-1].as_py(), None)


def test_the_contract_makes_times_of_text_and_booleans_of_bits() -> None:
    """Databases and JSON have no better types for them."""
    rules = ReadingRules(contract={"x": "datetime"})
    assert converted(pa.array(["2024-06-01"]), rules).tolist() == [pd.Timestamp("2024-06-01")]
    assert converted(pa.array([0, 1]), ReadingRules(contract={"x": "boolean"})).tolist() == [False, True]


def test_the_contract_makes_no_text_of_numbers() -> None:
    """Their zeros may be gone, and the check of the contract has to say so; `dtype` is a person's word."""
    assert converted(pa.array([8003]), ReadingRules(contract={"x": "text"})).tolist() == [8003]
    assert converted(pa.array([8003]), ReadingRules(dtype={"x": "text"})).tolist() == ["8003"]


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (pa.array([1.5, np.inf]), "inf"),
        (pa.array([1, -999]), "-999"),
        (pa.array(["a", "?"]), "?"),
        (pa.array([NOON, datetime(9999, 12, 31)], pa.timestamp("us")), "9999-12-31"),
    ],
)
def test_sentinels_of_typed_columns_can_count_as_null(array: pa.Array, word: str) -> None:
    """A key of all sources, not of CSV alone."""
    rules = ReadingRules(source=ReadingSection(na_values=(word,)))
    assert converted(array, rules).isna().tolist() == [False, True]
