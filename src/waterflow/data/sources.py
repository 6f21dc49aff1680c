"""Reading a pipeline's source: one function for each `kind` of data set."""

from pathlib import Path

import pandas as pd

from waterflow.config.schema import CsvSource, PackageSource, ParquetSource, Source
from waterflow.data.packaged import LOADERS
from waterflow.errors import ConfigError, DataError


def read_source(source: Source, root: Path) -> pd.DataFrame:
    """Read all rows of a source; relative paths start at `root`.

    Raises DataError when the file is missing, empty or not what its kind says, ConfigError for an unknown
    loader.
    """
    match source:
        case CsvSource():
            frame = _read_csv(_find_file(source.path, root), source)
        case ParquetSource():
            frame = _read_parquet(_find_file(source.path, root), source)
        case PackageSource():
            frame = _read_package(source)
    if frame.empty:
        raise DataError(f"dataset: {_name(source)!r} has no row; fill it or point to another")
    return frame


def describe_source(source: Source) -> str:
    """Name a source in one word: a path, or `package:loader`."""
    return f"package:{source.loader}" if isinstance(source, PackageSource) else source.path


def _name(source: Source) -> str:
    return source.loader if isinstance(source, PackageSource) else source.path


def _find_file(path: str, root: Path) -> Path:
    found = root / path
    if not found.is_file():
        raise DataError(f"dataset.path: {path!r} is no file (looked for {found}); mend the path or put the file there")
    if found.stat().st_size == 0:
        raise DataError(f"dataset.path: {path!r} is empty (0 bytes); fill it or point to another")
    return found


def _read_csv(path: Path, source: CsvSource) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep=source.separator)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"dataset.path: {source.path!r} is no CSV ({reason}); mend the file or change kind") from error


def _read_parquet(path: Path, source: ParquetSource) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"dataset.path: {source.path!r} is no Parquet ({reason}); mend the file or change kind"
        ) from error


def _read_package(source: PackageSource) -> pd.DataFrame:
    if source.loader not in LOADERS:
        raise ConfigError(f"dataset.loader: {source.loader!r} is unknown; valid: {', '.join(LOADERS)}")
    return LOADERS[source.loader]()
