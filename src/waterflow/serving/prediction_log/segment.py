"""Sealed files: one pipeline's answers of one day, as Parquet.

A row's columns are `id`, `at` (UTC), `arm`, `version`, `model_id`, `sequence`, `key`, `prediction`,
`probability.CLASS`, `latency_seconds`, `share`, `sample` and `feature.NAME`. A feature or prediction whose values have
no common type is stored as JSON text, and its field says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from waterflow.serving.prediction_log.frames import ServedRows

ENCODED = {b"waterflow": b"json"}
TIME = pa.timestamp("us", tz="UTC")
FEATURE, PROBABILITY = "feature.", "probability."


def write_segment(requests: Sequence[ServedRows], path: Path) -> None:
    """Write the rows of some requests. Equal requests become equal bytes."""
    columns: dict[str, pa.Array | Sequence[Any]] = {
        "id": [f"{entry.id}-{row}" for entry in requests for row in range(len(entry.labels))],
        "at": pa.array(_each(requests, [moment_of(entry) for entry in requests]), TIME),
        "arm": _each(requests, [entry.arm for entry in requests]),
        "version": _each(requests, [entry.version for entry in requests]),
        "model_id": _each(requests, [entry.model_id for entry in requests]),
        "sequence": pa.array(_each(requests, [entry.sequence for entry in requests]), pa.int64()),
        "key": pa.array(_joined(requests, [entry.keys for entry in requests]), pa.string()),
        "prediction": _joined(requests, [entry.labels for entry in requests]),
        **_probabilities(requests),
        "latency_seconds": _each(requests, [entry.latency_seconds for entry in requests]),
        "share": _each(requests, [entry.share for entry in requests]),
        "sample": _each(requests, [entry.sample for entry in requests]),
    }
    for name in dict.fromkeys(chain.from_iterable(entry.columns for entry in requests)):
        columns[FEATURE + name] = _joined(requests, [entry.columns.get(name) for entry in requests])
    pq.write_table(table_of(columns), path, compression="zstd")


def table_of(columns: Mapping[str, pa.Array | Sequence[Any]]) -> pa.Table:
    """Return columns of Python values as a table. Values that have no common type become JSON text."""
    fields = [_field_of(name, values) for name, values in columns.items()]
    return pa.Table.from_arrays([array for _, array in fields], schema=pa.schema([field for field, _ in fields]))


def read_segments(paths: Iterable[Path]) -> pd.DataFrame:
    """Return the rows of sealed files. Columns that some of them lack are null there."""
    tables = [pq.read_table(path) for path in paths]
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    return pd.DataFrame({name: _united(name, tables) for name in names})


def moment_of(entry: ServedRows) -> datetime:
    """Return when a request was answered."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(entry.at * 1e6))


def _probabilities(requests: Sequence[ServedRows]) -> dict[str, pa.Array]:
    names = dict.fromkeys(name for entry in requests if entry.probabilities is not None for name in entry.classes)
    return {f"{PROBABILITY}{name}": pa.array(list(_probabilities_of(name, requests)), pa.float64()) for name in names}


def _probabilities_of(name: Any, requests: Iterable[ServedRows]) -> Iterator[float | None]:
    for entry in requests:
        if entry.probabilities is None or name not in entry.classes:
            yield from [None] * len(entry.labels)
        else:
            place = list(entry.classes).index(name)
            yield from (row[place] for row in entry.probabilities)


def _each(requests: Iterable[ServedRows], values: Iterable[Any]) -> list[Any]:
    return [value for entry, value in zip(requests, values, strict=True) for _ in entry.labels]


def _joined(requests: Iterable[ServedRows], parts: Iterable[Sequence[Any] | None]) -> list[Any]:
    return [
        value
        for entry, part in zip(requests, parts, strict=True)
        for value in (part if part is not None else [None] * len(entry.labels))
    ]


def _field_of(name: str, values: pa.Array | Sequence[Any]) -> tuple[pa.Field, pa.Array]:
    try:
        array = values if isinstance(values, pa.Array) else pa.array(values)
        return pa.field(name, array.type), array
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        texts = [None if value is None else msgspec.json.encode(value).decode() for value in values]
        return pa.field(name, pa.string(), metadata=ENCODED), pa.array(texts, pa.string())


def _united(name: str, tables: Sequence[pa.Table]) -> pd.Series:
    """Return one column of all tables. It has Python objects where their types have nothing in common."""
    parts = [table.select([name]) if name in table.column_names else _nulls(name, table) for table in tables]
    try:
        if any(part.schema.field(name).metadata for part in parts):
            raise pa.ArrowTypeError("values of several types")
        return pa.concat_tables(parts, promote_options="permissive").column(name).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pd.Series(list(chain.from_iterable(_values(name, part) for part in parts)), dtype=object)


def _nulls(name: str, table: pa.Table) -> pa.Table:
    return pa.table({name: pa.nulls(len(table))})


def _values(name: str, part: pa.Table) -> Iterator[Any]:
    is_encoded = (part.schema.field(name).metadata or {}).items() >= ENCODED.items()
    for value in part.column(name).to_pylist():
        yield msgspec.json.decode(value) if is_encoded and value is not None else value
