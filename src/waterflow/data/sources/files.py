"""CSV and Parquet files, here or behind an address."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from waterflow.config.schema import CsvSource, DvcSource, ParquetSource
from waterflow.data.canonical import EXACT_FLOATS, read_parquet
from waterflow.data.sources.facts import hide_credentials
from waterflow.data.sources.http import download
from waterflow.errors import DataError

CopyObject = Callable[[str, Path], None]


def read_file(source: CsvSource | ParquetSource, root: Path, copy_object: CopyObject) -> pd.DataFrame:
    """Read a file below `root`, or from a remote address. It is first downloaded from `s3://…` or `https://…`."""
    if "://" not in source.path:
        return parse_file(_find_file(source.path, root), source)
    with tempfile.TemporaryDirectory(prefix="waterflow-") as folder:
        # pandas decompresses by the file's extension
        path = Path(folder) / (Path(hide_credentials(source.path)).name or "source")
        if source.path.startswith("s3://"):
            copy_object(source.path, path)
        else:
            download(source.path, path)
        return parse_file(path, source)


def parse_file(path: Path, source: CsvSource | ParquetSource | DvcSource) -> pd.DataFrame:
    """Parse a local file as its source declares it. Raises DataError when it is empty or of another kind."""
    name = hide_credentials(source.path)
    if path.stat().st_size == 0:
        raise DataError(f"dataset.path: {name!r} is empty (0 bytes); fill it or point to another")
    is_parquet = isinstance(source, ParquetSource) or (isinstance(source, DvcSource) and path.suffix == ".parquet")
    try:
        return read_parquet(path) if is_parquet else _read_csv(path, getattr(source, "separator", ","))
    except (ValueError, OSError) as error:  # the base classes of what pandas and pyarrow raise
        reason = str(error).strip().splitlines()[0 if is_parquet else -1]
        kind = "Parquet" if is_parquet else "CSV"
        raise DataError(f"dataset.path: {name!r} is no {kind} ({reason}); fix the file or change kind") from error


def _find_file(path: str, root: Path) -> Path:
    found = root / path
    if not found.is_file():
        raise DataError(f"dataset.path: {path!r} is no file (looked for {found}); fix the path or put the file there")
    return found


def _read_csv(path: Path, separator: str) -> pd.DataFrame:
    """Read a CSV file; integers beside nulls keep every digit."""
    frame = pd.read_csv(path, sep=separator)
    for position, (_, column) in enumerate(frame.items()):
        if column.dtype == np.float64 and (column.abs() > EXACT_FLOATS).any() and (column.dropna() % 1 == 0).all():
            frame.isetitem(position, _read_integers(path, separator, position, column).array)
    return frame


def _read_integers(path: Path, separator: str, position: int, floats: pd.Series) -> pd.Series:
    """Read one column again as nullable integers. Returns `floats` where it has other values."""
    texts = pd.read_csv(path, sep=separator, usecols=[position], dtype="str").iloc[:, 0]
    if not texts.dropna().str.fullmatch(r"-?\d{1,19}").all():
        return floats
    try:
        return pd.Series([None if pd.isna(text) else int(text) for text in texts], dtype="Int64")
    except OverflowError:
        return floats
