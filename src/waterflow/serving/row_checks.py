"""Checks of rows, by signature and contract."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from waterflow.records.serving import FeatureColumn
from waterflow.serving.schema import describe

MAX_BREAKS = 20
MAX_SHOWN = 80  # characters of a value
LARGEST_INTEGER = 2**63
Rule = Callable[[Any], bool]


class Missing:
    """A value that a row does not have."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()


class RowBreak(NamedTuple):
    """A value that cannot be taken. `row` counts from 0; None stands for all rows."""

    row: int | None
    column: str
    value: str
    valid: str

    def __str__(self) -> str:
        place = "" if self.row is None else f"row {self.row}, "
        return f"{place}column {self.column!r}: {self.value}; valid: {self.valid}"


class BadRowsError(Exception):
    """Rows that are refused. `breaks` are the first of `count`."""

    def __init__(self, breaks: Sequence[RowBreak], count: int) -> None:
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(f"{breaks[0]}{more}")
        self.breaks, self.count = breaks, count


class CheckedRows(NamedTuple):
    """Rows as predictors take them, with accepted breaches."""

    columns: dict[str, list[Any]]
    warnings: list[RowBreak]


class RowChecks:
    """The checks of one version's rows."""

    def __init__(self, features: Sequence[FeatureColumn], contract: Literal["reject", "warn"]) -> None:
        self._columns = [_Column(feature) for feature in features]
        self._warns = contract == "warn"

    def check(self, given: Mapping[str, Sequence[Any]], rows: int) -> CheckedRows:
        """Convert and check columns of `rows` values each.

        A column that may be left out is filled with nulls. Raises BadRowsError for values that the model cannot take,
        and for those that break the contract unless it only warns.
        """
        columns: dict[str, list[Any]] = {}
        refused: list[RowBreak] = []
        breaches: list[RowBreak] = []
        for column in self._columns:
            name = column.feature.name
            values = given.get(name)
            if values is None:
                if column.feature.required:
                    refused.append(RowBreak(None, name, "it is missing", column.valid))
                    continue
                values = [None] * rows
            elif not column.feature.required:
                values = [None if value is MISSING else value for value in values]
            try:
                converted = columns[name] = column.convert(values)
            except _UnfitError:
                refused += column.find_unfit(values)
                continue
            if not column.holds(converted):
                breaches += column.find_breaches(values, converted)
        if refused or (breaches and not self._warns):
            found = [*refused, *([] if self._warns else breaches)]
            raise BadRowsError(found[:MAX_BREAKS], len(found))
        return CheckedRows(columns, breaches[:MAX_BREAKS])


class _Column:
    """One column. How its values are converted, and the rules on them."""

    def __init__(self, feature: FeatureColumn) -> None:
        self.feature, self.valid = feature, describe(feature)
        self._convert = CONVERTERS[feature.kind]
        # A signature of integers takes no null; elsewhere the contract decides.
        self._takes_null = feature.nullable or feature.kind != "integer"
        self._rules = _rules_of(feature)

    def convert(self, values: Sequence[Any]) -> list[Any]:
        converted = self._convert(values)
        if not self._takes_null and None in converted:
            raise _UnfitError
        return converted

    def holds(self, converted: list[Any]) -> bool:
        if not self.feature.nullable and None in converted:
            return False
        return all(rule(value) for rule in self._rules for value in converted if value is not None)

    def find_unfit(self, values: Sequence[Any]) -> list[RowBreak]:
        return [self._break(row, value) for row, value in enumerate(values) if not self._fits(value)]

    def find_breaches(self, values: Sequence[Any], converted: list[Any]) -> list[RowBreak]:
        pairs = enumerate(zip(values, converted, strict=True))
        return [self._break(row, value) for row, (value, fitting) in pairs if not self.holds([fitting])]

    def _fits(self, value: Any) -> bool:
        try:
            self.convert([value])
        except _UnfitError:
            return False
        return True

    def _break(self, row: int, value: Any) -> RowBreak:
        return RowBreak(row, self.feature.name, show_value(value), self.valid)


class _UnfitError(Exception):
    """A value that is of another type than its column."""


def show_value(value: Any) -> str:
    """Return a value for a message. Long ones are cut."""
    if value is MISSING:
        return "it is missing"
    if value is None:
        return "null"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= LARGEST_INTEGER:
        return "a number of too many digits"  # Python refuses to print the longest
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _numbers(values: Sequence[Any]) -> list[Any]:
    converted: list[Any] = []
    for value in values:
        kind = type(value)
        if value is None or (kind is float and math.isfinite(value)):
            converted.append(value)
        elif kind is int and abs(value) < LARGEST_INTEGER:
            converted.append(float(value))
        else:
            raise _UnfitError
    return converted


def _integers(values: Sequence[Any]) -> list[Any]:
    converted: list[Any] = []
    for value in values:
        kind = type(value)
        if value is None:
            converted.append(None)
        elif kind is int and abs(value) < LARGEST_INTEGER:
            converted.append(value)
        elif kind is float and value.is_integer() and abs(value) < LARGEST_INTEGER:
            converted.append(int(value))
        else:
            raise _UnfitError
    return converted


def _booleans(values: Sequence[Any]) -> list[Any]:
    converted: list[Any] = []
    for value in values:
        if value is None or type(value) is bool:
            converted.append(value)
        elif type(value) in (int, float) and value in (0, 1):
            converted.append(bool(value))
        else:
            raise _UnfitError
    return converted


def _of_type(wanted: type) -> Callable[[Sequence[Any]], list[Any]]:
    def convert(values: Sequence[Any]) -> list[Any]:
        for value in values:
            if value is not None and type(value) is not wanted:
                raise _UnfitError
        return list(values)

    return convert


def _times(values: Sequence[Any]) -> list[Any]:
    return [None if value is None else _time(value) for value in values]


def _time(value: Any) -> datetime:
    """Return a time in UTC. Without a zone it is taken for UTC, as the signature serves it."""
    if type(value) is not str:
        raise _UnfitError
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise _UnfitError from error


CONVERTERS: Mapping[str, Callable[[Sequence[Any]], list[Any]]] = {
    "number": _numbers,
    "integer": _integers,
    "boolean": _booleans,
    "text": _of_type(str),
    "category": _of_type(str),
    "time": _times,
}


def _rules_of(feature: FeatureColumn) -> list[Rule]:
    rules: list[Rule] = []
    low: Any = _parsed(feature.low)
    high: Any = _parsed(feature.high)
    if low is not None:
        rules.append(lambda value: value >= low)
    if high is not None:
        rules.append(lambda value: value <= high)
    if feature.values is not None:
        known = frozenset(feature.values)
        rules.append(lambda value: value in known)
    if feature.pattern is not None:
        matches = re.compile(feature.pattern).fullmatch
        rules.append(lambda value: isinstance(value, str) and matches(value) is not None)
    return rules


def _parsed(bound: float | str | None) -> float | datetime | None:
    return datetime.fromisoformat(bound) if isinstance(bound, str) else bound
