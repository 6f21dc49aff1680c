"""The canonical Parquet of a set of rows. It has the same bytes in whatever order the rows came."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from waterflow.data.row_identity import Hashes, hash_rows

EXACT_FLOATS = 2**53  # up to here float64 represents every integer


def canonical_order(frame: pd.DataFrame, time_column: str | None, identity: Sequence[str]) -> pd.DataFrame:
    """Sort rows by their values, and drop the index.

    Rows are sorted by time, then by the columns that identify them, then by the others. So an order of its own follows
    from the values of the rows, however they were read and whatever else they carry.
    """
    hashes = hash_rows(frame, identity)
    if time_column is None:
        times = np.zeros(len(frame), dtype=np.int64)
        positions = np.argsort(hashes, kind="stable")
    else:
        times = pd.DatetimeIndex(frame[time_column]).asi8
        positions = by_time_then_hash(times, hashes)
    _order_ties(positions, times, hashes, frame.drop(columns=list(identity)))
    return frame.take(positions).reset_index(drop=True)


def by_time_then_hash(times: NDArray[np.int64], hashes: Hashes) -> NDArray[np.intp]:
    """Sort as `np.lexsort((hashes, times))` does.

    This is much faster where rows come in order of time. One number holds a row's rank in time and, in the bits below,
    as much of its hash as fits; where that does not separate two hashes of one moment, lexsort does.
    """
    by_time = np.argsort(times, kind="stable")
    ordered = times[by_time]
    moments = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])]).astype(np.uint64)
    bits = np.uint64(max(1, int(moments[-1]).bit_length()))
    keys = (moments << (np.uint64(64) - bits)) | (hashes[by_time] >> bits)
    positions = by_time[order := np.argsort(keys, kind="stable")]
    keys, sorted_hashes = keys[order], hashes[positions]
    if ((keys[1:] == keys[:-1]) & (sorted_hashes[1:] != sorted_hashes[:-1])).any():
        return np.lexsort((hashes, times))
    return positions


def _order_ties(positions: NDArray[np.intp], times: NDArray[np.int64], hashes: Hashes, others: pd.DataFrame) -> None:
    """Sort rows of equal time and identity, in place. The order is that of their other columns."""
    times, hashes = times[positions], hashes[positions]
    repeats = np.concatenate([[False], (times[1:] == times[:-1]) & (hashes[1:] == hashes[:-1])])
    if not repeats.any():
        return
    tied = np.flatnonzero(repeats | np.append(repeats[1:], False))
    chosen = positions[tied]
    rest = hash_rows(others.take(chosen), sorted(others.columns, key=str))
    positions[tied] = chosen[np.lexsort((rest, np.cumsum(~repeats)[tied]))]


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` without index and without pandas' metadata. The metadata varies between pandas' versions."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=1 << 20)


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file of `write_parquet`."""
    return frame_of(pq.read_table(path))


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return a table as a frame. Integers beside nulls keep every digit.

    They become float64 where that is exact, else pandas' nullable Int64.
    """
    frame = table.to_pandas()
    for position, column in enumerate(table.columns):
        if pa.types.is_integer(column.type) and column.null_count and _exceeds_floats(column):
            frame.isetitem(position, column.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get))
    return frame


def _exceeds_floats(column: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(column).as_py()
    return bounds["min"] is not None and max(-bounds["min"], bounds["max"]) > EXACT_FLOATS
