import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.data.overlap import unseen_rows
from waterflow.errors import DataError


def rows(numbers: list[int], **columns: list[object]) -> pd.DataFrame:
    """Write rows with an id and a label."""
    return pd.DataFrame({"id": numbers, "size": [n * 1.5 for n in numbers], "species": ["a"] * len(numbers), **columns})


def test_a_row_is_known_by_its_key() -> None:
    """Its other values may have changed meanwhile."""
    config = config_of(key=["id"], split={"kind": "hash"})
    seen = rows([2, 3]).assign(size=99.0)
    assert unseen_rows(rows([1, 2, 4]), seen, config).tolist() == [True, False, True]


def test_a_row_without_key_is_known_by_all_its_values() -> None:
    """In whatever order the columns stand, and whether whole numbers were read as integers or not."""
    config = config_of(split={"kind": "hash"})
    seen = rows([2, 3])[["species", "size", "id"]].astype({"id": float})
    assert unseen_rows(rows([1, 2, 4]), seen, config).tolist() == [True, False, True]


def test_a_group_that_was_seen_is_seen_with_all_its_rows() -> None:
    """Other rows of the same patient tell a model about this one."""
    config = config_of(group="patient", split={"kind": "hash"})
    holdout, seen = rows([1, 2, 3], patient=["x", "x", "y"]), rows([7], patient=["x"])
    assert unseen_rows(holdout, seen, config).tolist() == [False, False, True]


def test_under_a_time_split_only_later_rows_are_unseen() -> None:
    """A row of the very last moment seen is not later than it, with or without a time zone."""
    config = config_of(time_column="day", split={"kind": "time"})
    holdout = rows([1, 2, 3], day=list(pd.to_datetime(["2013-01-30", "2013-02-01", "2013-02-02"], utc=True)))
    seen = rows([4, 5], day=list(pd.to_datetime(["2013-01-01", "2013-02-01"])))
    assert unseen_rows(holdout, seen, config).tolist() == [False, False, True]


def test_where_nothing_was_seen_all_rows_are_unseen() -> None:
    """A model fitted on no row is not a case, but must not crash."""
    assert unseen_rows(rows([1]), rows([]), config_of(key=["id"])).tolist() == [True]


def test_other_columns_without_a_key_cannot_tell() -> None:
    """A new column changes the hash of every row, which proves nothing."""
    config = config_of(split={"kind": "hash"})
    message = message_of(lambda: unseen_rows(rows([1], colour=["red"]), rows([1]), config), DataError)
    assert "colour" in message
    assert "declare key" in message


@pytest.mark.parametrize(
    "settings", [{"key": ["id"]}, {"group": "id"}, {"time_column": "id", "split": {"kind": "time"}}]
)
def test_a_lacking_column_cannot_tell(settings: dict[str, object]) -> None:
    """Data of before the key, the group or the time was declared may lack it."""
    config = config_of(**{"split": {"kind": "hash"}, **settings})
    message = message_of(lambda: unseen_rows(rows([1]), rows([1]).drop(columns="id"), config), DataError)
    assert "'id'" in message
