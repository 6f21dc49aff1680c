"""Roles that unknown columns may have."""

import numpy as np
import pandas as pd
import pytest
from support.projects import message_of

from waterflow.config.metrics import Task
from waterflow.data.column_profile import profile_columns
from waterflow.data.proposed_roles import ProposedRoles, check_target, find_task, propose_roles, rank_targets
from waterflow.errors import ConfigError, DataError

CHANCE = np.random.default_rng(0)
N = 400
ROWS = pd.DataFrame(
    {
        "row_id": range(N),
        "patient_id": CHANCE.integers(0, 90, N),
        "born": pd.date_range("1950-01-01", periods=N, freq="D"),
        "visited": pd.date_range("2020-01-01", periods=N, freq="D"),
        "age": CHANCE.integers(20, 90, N),
        "ward": CHANCE.choice(["north", "south"], N),
        "site": "Leeds",
    }
)
ROWS["stayed"] = CHANCE.gamma(2, 3, N)
ROWS["readmitted"] = ROWS["stayed"] > 6


def roles_of(frame: pd.DataFrame, target: str, task: Task = "classification") -> ProposedRoles:
    """Propose for rows whose every column could be read."""
    return propose_roles(frame, profile_columns(frame), target, task, ())


def test_each_column_gets_a_role() -> None:
    """Identifiers, constants and what tells the target are no features; a birthday dates no row."""
    roles = roles_of(ROWS, "readmitted")
    assert (roles.key, roles.time_column, roles.group) == ("row_id", "visited", None)
    assert roles.group_candidates == ("patient_id",)
    assert list(roles.drop) == ["patient_id", "site"]
    assert list(roles.known_after) == ["stayed"]
    assert roles.features == ("born", "age", "ward")


def test_rows_of_one_thing_are_a_group_where_nothing_dates_them() -> None:
    """Otherwise a model is tested on patients that it knows."""
    roles = roles_of(ROWS.drop(columns="visited"), "readmitted")
    assert (roles.group, roles.time_column, roles.group_candidates) == ("patient_id", None, ())


def test_a_column_of_the_future_dates_no_row() -> None:
    """A window ends now, and would hold none of them."""
    later = ROWS.assign(visited=pd.date_range("2090-01-01", periods=N, freq="D"))
    assert roles_of(later, "readmitted").time_column is None


def test_likely_targets_come_first() -> None:
    """By their name, else by their place; what names rows is none."""
    assert rank_targets(profile_columns(ROWS))[0] == "readmitted"
    ranked = rank_targets(profile_columns(ROWS.rename(columns={"ward": "churn"})))
    assert ranked[:2] == ["churn", "readmitted"]
    assert not {"row_id", "patient_id", "site", "visited"} & set(ranked)


@pytest.mark.parametrize(
    ("values", "task"),
    [(["<=50K", ">50K"], "classification"), ([0, 1], "classification"), ([0.5, 1.5], "regression")],
)
def test_the_task_follows_the_values(values: list[object], task: str) -> None:
    """Few whole numbers are classes; fractions are a quantity unless a person says otherwise."""
    assert find_task(profile_columns(pd.DataFrame({"y": values * 30}))["y"]) == task


@pytest.mark.parametrize(
    ("target", "task", "kind", "words"),
    [
        ("nobody", None, ConfigError, "is no column; valid: row_id"),
        ("site", None, DataError, "has 1 different values"),
        ("visited", None, DataError, "likely targets: readmitted"),
        ("ward", "regression", DataError, "a regression needs numbers"),
    ],
)
def test_a_target_that_cannot_be_predicted_is_refused(
    target: str, task: Task | None, kind: type[Exception], words: str
) -> None:
    """With what could be."""
    assert words in message_of(lambda: check_target(target, profile_columns(ROWS), task), kind)


def test_rows_without_features_are_refused() -> None:
    """A series alone needs earlier values beside it."""
    assert "lag(value)" in message_of(lambda: roles_of(ROWS[["visited", "age"]], "age", "regression"), DataError)
