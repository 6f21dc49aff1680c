"""The types of columns, and the one conversion to them.

Rows hold text, booleans, integers (of at most 64 bits, every digit kept), numbers (float64) and times (naive or UTC).
Readers of all sources convert here. What has none of these types is refused by name, unless nothing uses it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from waterflow.data.canonical import EXACT_FLOATS, frame_of
from waterflow.data.reading_rules import ReadingRules
from waterflow.data.text_values import type_texts
from waterflow.data.time_formats import times_from_numbers
from waterflow.errors import DataError

KINDS = {"string": "text", "bool": "boolean", "double": "number", "float": "number"}
SECONDS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class TypedRows:
    """Rows with known types. Also what was decided in reading them, and the unusable columns that were left out."""

    table: pa.Table
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


class UnusableColumn(Exception):  # noqa: N818  # caught here, column by column
    """A column whose type no model can use. Its message says what it holds and what to do."""


def type_columns(table: pa.Table, rules: ReadingRules, *, detect: Collection[str] = ()) -> TypedRows:
    """Convert a table's columns to the types of rows.

    Text in the columns of `detect` may turn out as numbers, booleans or times; in others only where the pipeline says
    so. Raises DataError naming the used columns that cannot be converted.
    """
    columns, notes, refused, left_out = {}, [], [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns[name], note = _plain(column, rules.type_of(name))
            notes += [f"{name!r} {note}"] if note else []
        except UnusableColumn as error:
            if rules.uses(name):
                refused.append(f"column {name!r} {error}")
            else:
                left_out.append(name)
    if refused:
        raise DataError("; ".join(refused[:3]) + (f"; and {len(refused) - 3} more" if len(refused) > 3 else ""))
    texts = {name: column for name, column in columns.items() if _is_text(column.type)}
    typed, findings = type_texts(texts, rules, detect=detect)
    columns |= typed
    for name, column in columns.items():
        columns[name] = _declared(name, _without_null_words(column, rules), rules)
    notes += [f"{name!r} left out: unused, and of a type that rows cannot have" for name in left_out]
    return TypedRows(pa.table(columns), (*findings, *notes), tuple(left_out))


def array_of(values: Sequence[Any]) -> pa.Array:
    """Return Python values as an array. Values of several types become text."""
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    if pa.types.is_date(array.type) and any(isinstance(value, datetime) for value in values):
        # Arrow would take the time of day away.
        return pa.array([_midnight(value) for value in values], from_pandas=True)
    return array


def describe_type(column: pa.ChunkedArray) -> str:
    """Return the name of a column's type in a contract."""
    if pa.types.is_integer(column.type):
        return "integer"
    return "datetime" if pa.types.is_timestamp(column.type) else KINDS.get(str(column.type), "text")


def _plain(column: pa.ChunkedArray, declared: str | None) -> tuple[pa.ChunkedArray, str]:
    """Return a column in a type of rows. The note says where its values changed their form."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(_without_extension(column), declared)
    if pa.types.is_dictionary(kind):
        values, note = _plain(column.cast(kind.value_type), declared)
        return values, note or ("" if _is_text(values.type) else "is a category of numbers, read as numbers")
    if pa.types.is_null(kind):
        return column.cast(pa.string()), ""
    if _is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return column, ""
    if pa.types.is_integer(kind):
        return (_to_integers(column) if kind == pa.uint64() else column), ""
    if pa.types.is_float16(kind):
        return column.cast(pa.float64()), ""
    if pa.types.is_decimal(kind):
        return _from_decimals(column, declared), ""
    if pa.types.is_temporal(kind):
        return _from_temporal(column)
    if pa.types.is_string_view(kind):
        return column.cast(pa.string()), ""
    raise UnusableColumn(f"holds {kind}, which is no single value; add it to drop, or select parts of it by a query")


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _without_extension(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if str(column.type) == "extension<arrow.uuid>":
        return pa.chunked_array([[value and str(value) for value in column.to_pylist()]], pa.string())
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


def _to_integers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise UnusableColumn(
            f"holds integers beyond 64 bits with a sign, such as {pc.max(column).as_py()}; add it to drop, or "
            "read it as text by a query"
        ) from error


def _from_decimals(column: pa.ChunkedArray, declared: str | None) -> pa.ChunkedArray:
    """Convert decimals to text, integers or floats.

    Text has to be declared; integers have no fraction. Raises UnusableColumn where a float beyond 2**53 would be
    rounded, unless the column is declared to hold numbers.
    """
    if declared == "text":
        return column.cast(pa.string())
    if column.type.scale <= 0 and declared != "number":
        return _to_integers(column)
    # Arrow's own cast to float64 is off by a bit for every other value.
    floats = column.cast(pa.string()).cast(pa.float64())
    if declared != "number":
        large = column.filter(pc.greater_equal(pc.abs(floats), EXACT_FLOATS))
        rounded = next((value for value in large.to_pylist() if value != float(value)), None)
        if rounded is not None:
            raise UnusableColumn(
                f"holds decimals beyond 2**53 that float64 rounds, such as {rounded}; state its dtype in dataset: "
                "text keeps every digit, number rounds them"
            )
    return floats


def _from_temporal(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray, str]:
    kind = column.type
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("us")), ""
    if pa.types.is_timestamp(kind):
        return (column.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz else column), ""
    if pa.types.is_duration(kind):
        return pc.divide(column.cast(pa.int64()).cast(pa.float64()), SECONDS[kind.unit]), "is a duration, in seconds"
    if pa.types.is_time(kind):
        whole = column.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64())
        return pc.divide(whole.cast(pa.float64()), SECONDS[kind.unit]), "is a time of day, in seconds after midnight"
    raise UnusableColumn(
        f"holds {kind}, whose length depends on the calendar; add it to drop, or convert it by a query"
    )


def _without_null_words(column: pa.ChunkedArray, rules: ReadingRules) -> pa.ChunkedArray:
    """Replace the values of `na_values` by null. The column has its type already."""
    if not (words := rules.source.na_values):
        return column
    listed: pa.Array = pa.array([], column.type)
    for word in words:
        try:
            listed = pa.concat_arrays([listed, pa.array([word], pa.string()).cast(column.type)])
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue  # no value of this type
    return pc.if_else(pc.is_in(column, value_set=listed), pa.scalar(None, column.type), column)


def _declared(name: str, column: pa.ChunkedArray, rules: ReadingRules) -> pa.ChunkedArray:
    """Convert numbers and booleans to the declared type.

    A contract makes no text of numbers: their zeros may be gone, and its check says so.
    """
    declared, kind = rules.type_of(name), describe_type(column)
    if declared == "datetime" and kind in ("integer", "number"):
        place = f"time_column: {name!r}" if name == rules.time_column else f"column {name!r}"
        unit, time_format = rules.time_unit(name), rules.time_format(name)
        if name == rules.time_column or unit or time_format:
            return pa.chunked_array(
                [pa.array(times_from_numbers(frame_of(pa.table({name: column}))[name], place, unit, time_format))]
            )
    if declared == "boolean" and kind == "integer" and _is_within(column, 0, 1):
        return column.cast(pa.bool_())
    if rules.dtype.get(name) == "text" and kind != "text":
        return column.cast(pa.string())
    if rules.dtype.get(name) == "number" and kind == "integer":
        return column.cast(pa.float64())
    return column


def _is_within(column: pa.ChunkedArray, low: int, high: int) -> bool:
    bounds = pc.min_max(column).as_py()
    return bounds["min"] is not None and bounds["min"] >= low and bounds["max"] <= high


def _midnight(value: Any) -> Any:
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    return datetime(value.year, value.month, value.day) if is_day else value
