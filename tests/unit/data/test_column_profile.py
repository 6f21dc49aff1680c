"""What an unknown column holds, and what makes it a bad feature."""

from typing import Any

import pandas as pd
import pytest

from waterflow.data.column_profile import describe_concerns, profile_columns, summarise_values

ROWS = 120
COLUMNS: dict[str, tuple[Any, str]] = {
    "a constant": (["web"] * ROWS, "is constant: 'web'"),
    "nothing": ([None] * ROWS, "is empty"),
    "free text": ([f"left {number} parcels at door" for number in range(ROWS)], "useful as TF-IDF only"),
    "a code of each row": ([f"X{number:04d}" for number in range(ROWS)], "looks like an identifier"),
    "customer_id": ([number % 40 for number in range(ROWS)], "looks like an identifier (40 values"),
    "numbered": (range(ROWS), "looks like an identifier"),
    "population": ([number**2 for number in range(ROWS)], "perhaps by accident"),
    "numbers as text": (
        ["n/a", *(str(number % 30) for number in range(ROWS - 1))],
        "'n/a' is none; `na_values: [n/a]`",
    ),
    "paid at": ([f"{day % 28 + 1} Feb 2015" for day in range(ROWS)], "`dtype: {paid at: datetime}` in dataset"),
    "mostly null": ([1.5, 2.5, *[None] * (ROWS - 2)], "is null in 98% of the rows"),
}


def test_large_integers_keep_every_digit() -> None:
    """Among nulls too, where they are floats."""
    ids = [9000871234567891 + 10 * number for number in range(ROWS)]
    columns = profile_columns(
        pd.DataFrame({"id": ids, "with nulls": [None, *(float(i) for i in range(10**6, 10**6 + 119))]})
    )
    assert summarise_values(columns["id"]) == "9000871234567891 to 9000871234569081"
    assert summarise_values(columns["with nulls"]) == "1000000 to 1000118"


@pytest.mark.parametrize("name", COLUMNS)
def test_a_questionable_column_is_described(name: str) -> None:
    """In words that say what to do."""
    profile = profile_columns(pd.DataFrame({name: COLUMNS[name][0]}))[name]
    assert COLUMNS[name][1] in " | ".join(describe_concerns(profile))


@pytest.mark.parametrize(
    "values", [["a", "b"] * 60, [0.5 * number for number in range(ROWS)], [True, False] * 60, ["01069", "08003"] * 60]
)
def test_an_ordinary_column_is_not(values: list[Any]) -> None:
    """Words, measurements and answers are what models are made for; a code with zeros is only asked about."""
    profile = profile_columns(pd.DataFrame({"plain": values}))["plain"]
    assert [line for line in describe_concerns(profile) if "zeros before" not in line] == []
