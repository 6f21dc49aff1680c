"""Rows that a pipeline asks for."""

import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.data.filtering import filter_rows
from waterflow.errors import ConfigError, DataError
from waterflow.plurals import counted

ROWS = pd.DataFrame(
    {"amount": [5.0, -1.0, None], "unit price": [1, 2, 3], "country": ["DE", "FR", "DE"], "species": ["a", "b", None]}
)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("amount > 0", [0]),
        ('country == "DE"', [0, 2]),
        ("`unit price` >= 2 and amount < 0", [1]),
        ("country in ['FR']", [1]),
    ],
)
def test_an_expression_keeps_the_rows_that_it_accepts(where: str, kept: list[int]) -> None:
    """A comparison with null accepts nothing; the number of dropped rows is noted."""
    frame, notes = filter_rows(ROWS, config_of(rows={"where": where}))
    assert frame["unit price"].tolist() == ROWS["unit price"].iloc[kept].tolist()
    assert notes == (f"rows.where dropped {counted(3 - len(kept), 'row')}",)


@pytest.mark.parametrize(
    "where", ["amount +", "colour > 1", "amount + 1", "__import__('os').getcwd() == 1", "@pd.isna(amount)"]
)
def test_an_expression_that_is_none_is_named(where: str) -> None:
    """Columns are all that it may see."""
    assert repr(where) in message_of(lambda: filter_rows(ROWS, config_of(rows={"where": where})), ConfigError)


def test_no_row_left_is_refused() -> None:
    """With the key that took them."""
    message = message_of(lambda: filter_rows(ROWS, config_of(rows={"where": "amount > 99"})), DataError)
    assert message.startswith("rows.where: none of 3 rows is left")


def test_rows_without_a_target_are_dropped_on_request() -> None:
    """And counted."""
    frame, notes = filter_rows(ROWS, config_of(target_nulls="drop"))
    assert (len(frame), notes) == (2, ("target_nulls dropped 1 row",))
    assert len(filter_rows(ROWS, config_of())[0]) == 3
