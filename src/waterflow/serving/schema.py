"""Columns of a champion, from signature and contract."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any

from waterflow.config.schema import ColumnContract, ContractConfig
from waterflow.errors import StoreError
from waterflow.records.serving import FeatureColumn, FeatureKind
from waterflow.tracking.model_files import InputColumn

KINDS: dict[str, FeatureKind] = {
    "double": "number",
    "float": "number",
    "long": "integer",
    "integer": "integer",
    "boolean": "boolean",
    "string": "text",
    "datetime": "time",
}
DECLARED = {"integer": "long", "number": "double", "text": "string", "boolean": "boolean", "datetime": "datetime"}


def build_features(inputs: Iterable[InputColumn], contract: ContractConfig | None) -> tuple[FeatureColumn, ...]:
    """Return the columns of a model, with the contract's rules.

    Raises StoreError for a column that no row of JSON can hold.
    """
    rules = contract.columns if contract else {}
    return tuple(_feature(column, rules.get(column.name, ColumnContract())) for column in inputs)


def describe(feature: FeatureColumn) -> str:
    """Return what is valid in words. An example is `number from 0 to 100, or null`."""
    words = {"time": "time in ISO 8601", "text": "text"}.get(feature.kind, feature.kind)
    if feature.values is not None:
        listed = ", ".join(map(repr, feature.values[:10]))
        words = f"one of {listed}{', …' if len(feature.values) > 10 else ''}"
    if feature.low is not None:
        words += f" from {_short(feature.low)}"
    if feature.high is not None:
        words += f" to {_short(feature.high)}"
    if feature.pattern is not None:
        words += f" that matches {feature.pattern}"
    return f"{words}, or null" if feature.nullable else words


def _feature(column: InputColumn, rule: ColumnContract) -> FeatureColumn:
    kind = KINDS.get(DECLARED.get(rule.type or "", column.type))
    if kind is None:
        raise StoreError(f"column {column.name!r} is of type {column.type}; only {', '.join(KINDS)} are served")
    is_whole = kind == "integer"
    if is_whole and not column.strict and rule.type is None:
        kind = "number"  # that training saw whole numbers does not forbid others
    return FeatureColumn(
        name=column.name,
        kind=kind,
        whole=is_whole,
        nullable=rule.nullable and not (is_whole and column.strict),
        required=column.required,
        low=_bound(rule.min, kind, time.min),
        high=_bound(rule.max, kind, time.max),
        values=rule.values,
        pattern=rule.pattern,
    )


def _bound(bound: float | date | None, kind: FeatureKind, end_of_day: time) -> float | str | None:
    """Return a bound where it fits the column. A day counts to its last microsecond."""
    if isinstance(bound, date):
        return datetime.combine(bound, end_of_day, UTC).isoformat() if kind == "time" else None
    return bound if kind in ("number", "integer", "boolean") else None


def _short(bound: Any) -> str:
    if isinstance(bound, float) and bound.is_integer():
        return str(int(bound))
    return str(bound)
