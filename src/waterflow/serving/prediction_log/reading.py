"""Reads the prediction log as a table. Known outcomes join it."""

import os
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from waterflow.errors import ConfigError
from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.records.data import Blob
from waterflow.records.prediction_log import Outcome, SealedSegment
from waterflow.serving.prediction_log.segment import read_segments, table_of
from waterflow.stores.base import ObjectStore, blob_key, get_file, scratch_folder

DOWNLOADS = 8


def read_predictions(
    pipeline: str, since: datetime, until: datetime, *, index: PredictionIndex, store: ObjectStore
) -> pd.DataFrame:
    """Return the rows answered in `[since, until)`, oldest first.

    The columns are those of `segment`, then `outcome` and `outcome_known_at`: null where none is known. Without rows
    the table is empty and has no columns. What is not sealed yet, some minutes, is missing. Raises StoreError where a
    file is gone or altered.
    """
    today = datetime.now(UTC).date()
    found = index.find_segments(pipeline, since.astimezone(UTC).date(), until.astimezone(UTC).date(), today)
    wanted = [segment for segment in found if segment.last_at >= since and segment.first_at < until]
    if not wanted:
        return pd.DataFrame()
    with scratch_folder() as scratch, ThreadPoolExecutor(DOWNLOADS) as pool:
        rows = read_segments(pool.map(lambda segment: _fetch(segment, store, scratch), wanted))
    rows = rows[(rows["at"] >= since) & (rows["at"] < until)].sort_values("at", kind="stable", ignore_index=True)
    return join_outcomes(rows, index.find_outcomes(pipeline, since, today))


class ServedSummary(NamedTuple):
    """The recorded rows of one version in one arm. Latencies are in milliseconds."""

    version: int
    arm: str
    rows: int
    with_outcome: int
    median_ms: float
    p95_ms: float


def summarize_predictions(rows: pd.DataFrame) -> list[ServedSummary]:
    """Return rows and latencies by version and arm."""
    if rows.empty:
        return []
    groups: Any = rows.groupby(["version", "arm"], sort=True)
    return [
        ServedSummary(
            int(version),
            str(arm),
            len(group),
            int(group["outcome_known_at"].notna().sum()),
            float(group["latency_seconds"].median() * 1e3),
            float(group["latency_seconds"].quantile(0.95) * 1e3),
        )
        for (version, arm), group in groups
    ]


def write_predictions(rows: pd.DataFrame, path: Path) -> None:
    """Write rows as Parquet or CSV. The file is whole or not there; raises ConfigError for another ending."""
    if path.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"--out: {str(path)!r} ends in neither .parquet nor .csv; name one of these")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    if path.suffix == ".csv":
        rows.to_csv(unfinished, index=False)
    else:
        pq.write_table(table_of({str(name): _values_of(column) for name, column in rows.items()}), unfinished)
    unfinished.replace(path)


def join_outcomes(rows: pd.DataFrame, known: Iterable[Outcome]) -> pd.DataFrame:
    """Return predictions with their outcomes.

    One by id is that prediction's. One by key is that of the key's predictions since its last outcome, but for those
    that have one by id.
    """
    by_id: dict[str | None, Outcome] = {}
    by_key: dict[str, list[Outcome]] = {}
    for entry in known:
        if entry.key is None:
            by_id[entry.prediction_id] = entry
        else:
            by_key.setdefault(entry.key, []).append(entry)  # in the order in which they were known
    joined = [
        by_id.get(name) or _first_since(by_key.get(key, ()), at)
        for name, key, at in zip(rows["id"], rows["key"], rows["at"], strict=True)
    ]
    outcomes = [None if entry is None else msgspec.json.decode(entry.outcome) for entry in joined]
    times = [None if entry is None else entry.known_at for entry in joined]
    return rows.assign(
        outcome=pd.Series(outcomes, rows.index, dtype=object).infer_objects(),
        outcome_known_at=pd.to_datetime(pd.Series(times, rows.index, dtype=object), utc=True),
    )


def _values_of(column: pd.Series) -> Any:
    return list(column) if column.dtype == object else pa.array(column, from_pandas=True)


def _first_since(known: Sequence[Outcome], at: datetime) -> Outcome | None:
    place = bisect_left(known, at, key=lambda entry: entry.known_at)
    return known[place] if place < len(known) else None


def _fetch(segment: SealedSegment, store: ObjectStore, scratch: Path) -> Path:
    blob = Blob(key=blob_key(segment.digest), digest=segment.digest, size_bytes=segment.size_bytes)
    return get_file(store, blob, scratch / segment.digest)
