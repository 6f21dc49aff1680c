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
    assert unseen_rows(rows([1, 2, 4]), seen, config, config).tolist() == [True, False, True]


def test_a_row_without_key_is_known_by_features_and_target() -> None:
    """In whatever order the columns stand, and whether whole numbers were read as integers or not."""
    config = config_of(split={"kind": "hash"})
    seen = rows([2, 3])[["species", "size", "id"]].astype({"id": "float64"})
    assert unseen_rows(rows([1, 2, 4]), seen, config, config).tolist() == [True, False, True]


def test_a_group_that_was_seen_is_seen_with_all_its_rows() -> None:
    """Other rows of the same patient tell a model about this one."""
    config = config_of(group="patient", split={"kind": "hash"})
    holdout, seen = rows([1, 2, 3], patient=["x", "x", "y"]), rows([7], patient=["x"])
    assert unseen_rows(holdout, seen, config, config).tolist() == [False, False, True]


def test_under_a_time_split_only_later_rows_are_unseen() -> None:
    """A row of the very last moment seen is not later than it, with or without a time zone."""
    config = config_of(time_column="day", split={"kind": "time"})
    holdout = rows([1, 2, 3], day=list(pd.to_datetime(["2013-01-30", "2013-02-01", "2013-02-02"], utc=True)))
    seen = rows([4, 5], day=list(pd.to_datetime(["2013-01-01", "2013-02-01"])))
    assert unseen_rows(holdout, seen, config, config).tolist() == [False, False, True]


def test_where_nothing_was_seen_all_rows_are_unseen() -> None:
    """A model fitted on no row is not a case, but must not crash."""
    assert unseen_rows(rows([1]), rows([]), config_of(key=["id"]), config_of()).tolist() == [True]


def test_a_key_read_as_text_is_the_same_key() -> None:
    """One letter in a later file turns the whole column into text."""
    config = config_of(key=["id"], split={"kind": "hash"})
    holdout = rows([1, 2, 4]).astype({"id": "str"})
    assert unseen_rows(holdout, rows([2, 3]), config, config).tolist() == [True, False, True]


def test_large_keys_are_told_apart() -> None:
    """As floats these two would be one."""
    config = config_of(key=["id"], split={"kind": "hash"})
    first = 1_582_218_195_625_938_000
    assert unseen_rows(rows([first + 1]), rows([first]), config, config).tolist() == [True]


def test_a_dropped_column_does_not_make_rows_unseen() -> None:
    """The day of an export says nothing about the row."""
    config = config_of(drop=["exported"], split={"kind": "hash"})
    holdout, seen = rows([1, 2], exported=["later"] * 2), rows([2, 3], exported=["earlier"] * 2)
    assert unseen_rows(holdout, seen, config, config).tolist() == [True, False]


@pytest.mark.parametrize("theirs", [{"drop": ["size"]}, {"known_after": ["size"]}, {"features": ["id"]}])
def test_other_features_without_a_key_cannot_tell(theirs: dict[str, list[str]]) -> None:
    """A column more or less changes the identity of every row, which proves nothing."""
    config, their_config = config_of(split={"kind": "hash"}), config_of(**theirs)
    message = message_of(lambda: unseen_rows(rows([1]), rows([1]), config, their_config), DataError)
    assert "those of the two models differ (size)" in message
    assert "declare key" in message


def test_other_features_with_a_key_can_tell() -> None:
    """The key identifies the row, whatever the models look at."""
    config, their_config = config_of(key=["id"], split={"kind": "hash"}), config_of(drop=["size"])
    assert unseen_rows(rows([1, 2]), rows([2]), config, their_config).tolist() == [True, False]


@pytest.mark.parametrize(
    "settings", [{"key": ["id"]}, {"group": "id"}, {"time_column": "id", "split": {"kind": "time"}}]
)
def test_a_lacking_column_cannot_tell(settings: dict[str, object]) -> None:
    """Data of before the key, the group or the time was declared may lack it."""
    config = config_of(**{"split": {"kind": "hash"}, **settings})
    message = message_of(lambda: unseen_rows(rows([1]), rows([1]).drop(columns="id"), config, config), DataError)
    assert "'id'" in message
