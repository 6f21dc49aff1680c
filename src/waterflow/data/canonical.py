"""The canonical Parquet of a set of rows: the same rows give the same bytes, in whatever order they came."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def canonical_order(frame: pd.DataFrame, time_column: str | None) -> pd.DataFrame:
    """Sort rows by time, then by a hash of their values, and drop the index."""
    hashes = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    if time_column is None:
        positions = np.argsort(hashes, kind="stable")
    else:
        positions = np.lexsort((hashes, pd.DatetimeIndex(frame[time_column]).asi8))
    return frame.take(positions).reset_index(drop=True)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` without its index and without pandas' metadata, whose wording follows pandas' version."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(table, path, compression="zstd", compression_level=3, row_group_size=1 << 20)


def read_parquet(path: Path) -> pd.DataFrame:
    """Read what `write_parquet` wrote."""
    return pq.read_table(path).to_pandas()
