"""Roles that columns of unknown rows may have. Proposals, with the reason for each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from waterflow.config.metrics import Task
from waterflow.data.column_profile import ColumnProfile, describe_concerns
from waterflow.data.leakage import find_leaks
from waterflow.errors import ConfigError, DataError

TARGET_NAME = re.compile(
    r"(?i)^(?:y|target|label|labels|class|outcome|response)$|(?:^|_)(?:target|label|class|outcome|churn(?:ed)?|default|"
    r"survived|species|quality|income|price|progression|fraud)$"
)
BIRTH_NAME = re.compile(r"(?i)birth|dob|born")
MOST_CLASSES = 20  # of whole numbers; more are a quantity
FEW_ROWS_PER_CLASS = 8  # as a verdict needs of each class
FEWEST_GROUPS = 20
FEWEST_TIMES = 20
Profiles = Mapping[str, ColumnProfile]


@dataclass(frozen=True)
class ProposedRoles:
    """The proposed role of columns. Each reason is by column; `warnings` are whole sentences.

    `key_candidates`, `group_candidates` and `time_candidates` were not chosen and are left to a person.
    """

    target: str
    task: Task
    key: str | None
    group: str | None
    time_column: str | None
    drop: dict[str, str]
    known_after: dict[str, str]
    features: tuple[str, ...]
    key_candidates: tuple[str, ...]
    group_candidates: tuple[str, ...]
    time_candidates: tuple[str, ...]
    warnings: tuple[str, ...]


def rank_targets(profiles: Profiles) -> list[str]:
    """Return the possible targets, likely ones first. The last column often is."""
    possible = [name for name, column in profiles.items() if _can_be_target(column)]
    return sorted(possible, key=lambda name: (TARGET_NAME.search(name) is None, name != [*profiles][-1]))


def find_task(target: ColumnProfile) -> Task:
    """Return the task that a target's values stand for. Few whole numbers are classes."""
    if target.kind in ("text", "boolean"):
        return "classification"
    return "classification" if target.kind == "integer" and target.distinct <= MOST_CLASSES else "regression"


def check_target(name: str, profiles: Profiles, task: Task | None) -> Task:
    """Return the task of a chosen target. Raises ConfigError where it cannot be predicted."""
    if name not in profiles:
        raise ConfigError(f"--target: {name!r} is no column; valid: {', '.join(profiles)}")
    column = profiles[name]
    chosen = task or find_task(column)
    if column.distinct < 2:
        raise DataError(f"--target: {name!r} has {column.distinct} different values; choose a column that varies")
    if column.kind == "datetime" or column.is_near_unique:
        what = "times" if column.kind == "datetime" else "a different text in nearly each row"
        likely = ", ".join(rank_targets(profiles)[:5])
        raise DataError(f"--target: {name!r} holds {what}, which no estimator predicts; likely targets: {likely}")
    if chosen == "regression" and column.kind == "text":
        raise DataError(f"--task: {name!r} holds text, such as {column.common[0][0]!r}; a regression needs numbers")
    return chosen


def propose_roles(
    frame: pd.DataFrame, profiles: Profiles, target: str, task: Task, left_out: tuple[str, ...]
) -> ProposedRoles:
    """Return a role for each column, given the target. Raises DataError where no feature is left."""
    others = {name: column for name, column in profiles.items() if name != target}
    keys = [name for name, column in others.items() if column.is_unique and column.is_identifier]
    keys.sort(key=lambda name: (not profiles[name].has_id_name, not profiles[name].is_sequence))
    times = [name for name, column in others.items() if _can_date(column)]
    time_column = times[0] if len(times) == 1 else None
    groups = [name for name, column in others.items() if _can_group(column)]
    group = groups[0] if len(groups) == 1 and time_column is None else None
    key = keys[0] if keys else None
    roles = {target, key, group, time_column}
    drop = dict.fromkeys(left_out, "of a type that rows cannot have")
    drop |= {
        name: next(describe_concerns(column))
        for name, column in others.items()
        if name not in roles and _is_useless(column)
    }
    features = [name for name in others if name not in {*roles, *drop}]
    known_after = _find_revealing(frame, target, task, features)
    kept = known_after if len(known_after) == len(features) else {}
    known_after = {} if kept else known_after
    features = [name for name in features if name not in known_after]
    if not features:
        raise DataError(
            f"no column is left to predict {target!r} from; add some, such as earlier values, which a query selects by "
            "`lag(value) over (order by time)`"
        )
    return ProposedRoles(
        target=target,
        task=task,
        key=key,
        group=group,
        time_column=time_column,
        drop=drop,
        known_after=known_after,
        features=tuple(features),
        key_candidates=tuple(name for name in keys if name != key),
        group_candidates=tuple(name for name in groups if name != group),
        time_candidates=tuple(name for name in times if name != time_column),
        warnings=(
            *_warn_of_target(profiles[target], task),
            *_warn_of_columns(others, roles),
            *_warn_of_leaks(known_after, kept),
        ),
    )


def _can_be_target(column: ColumnProfile) -> bool:
    return (
        column.distinct > 1
        and column.kind not in (None, "datetime")
        and not column.is_identifier
        and not column.is_free_text
    )


def _can_date(column: ColumnProfile) -> bool:
    if column.kind != "datetime" or column.nulls or column.distinct < FEWEST_TIMES or BIRTH_NAME.search(column.name):
        return False
    latest = pd.Timestamp(column.high)
    return (latest.tz_localize("UTC") if latest.tzinfo is None else latest) < datetime.now(UTC)


def _can_group(column: ColumnProfile) -> bool:
    repeats = FEWEST_GROUPS <= column.distinct <= column.rows / 2
    return repeats and column.nulls == 0 and column.has_id_name and column.kind in ("integer", "text")


def _is_useless(column: ColumnProfile) -> bool:
    return column.is_constant or column.is_identifier


def _find_revealing(frame: pd.DataFrame, target: str, task: Task, features: list[str]) -> dict[str, str]:
    rows = frame[frame[target].notna()]
    truth = rows[target].astype("float64") if task == "regression" else rows[target]
    leaks = find_leaks(rows[features], truth, task)
    return {leak.column: f"tells the target by itself (score {leak.score:.4f} of 1)" for leak in leaks}


def _warn_of_target(column: ColumnProfile, task: Task) -> list[str]:
    if task == "regression":
        return []
    warnings = []
    if column.distinct > MOST_CLASSES:
        warnings.append(f"{column.name!r} has {column.distinct} classes; pictures and verdicts show the most frequent")
    rarest = min((count, str(value)) for value, count in column.common)
    if column.distinct <= len(column.common) and rarest[0] < FEW_ROWS_PER_CLASS * 5:
        warnings.append(
            f"class {rarest[1]!r} of {column.name!r} has {rarest[0]} rows; a verdict needs 8 held out of each: "
            "merge it with another, or drop it by rows.where"
        )
    return warnings


def _warn_of_columns(columns: Profiles, roles: set[str | None]) -> list[str]:
    return [
        f"{name!r} {concern}"
        for name, column in columns.items()
        if name not in roles
        for concern in describe_concerns(column)
    ]


def _warn_of_leaks(known_after: Mapping[str, str], kept: Mapping[str, str]) -> list[str]:
    why = "it stays a feature, for no other is left; put it into known_after unless it is known before the outcome"
    return [f"{name!r} {reason}: {why}" for name, reason in kept.items()] + [
        f"{name!r} {reason}: it is in known_after; take it out if it is known before the outcome"
        for name, reason in known_after.items()
    ]
