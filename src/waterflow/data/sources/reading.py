"""Reading a pipeline's source: one function for each `kind` of data set."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from waterflow.config.project import Project
from waterflow.config.schema import CsvSource, DvcSource, PackageSource, ParquetSource, Source, SqlSource
from waterflow.data.sources.dvc import facts_of, fetch_dvc
from waterflow.data.sources.http import download, shown
from waterflow.data.sources.sql import read_sql
from waterflow.datasets.loaders import LOADERS
from waterflow.errors import ConfigError, DataError

CopyObject = Callable[[str, Path], None]


def read_source(source: Source, project: Project, copy_object: CopyObject) -> pd.DataFrame:
    """Read all rows of a source; relative paths start at the project's root.

    `copy_object` brings an `s3://…` object to a file, with the client that the object store has. Raises DataError
    when the source is missing, empty, refused or not what its kind says, UnreachableError when a server does
    not answer, ConfigError for an unknown loader.
    """
    match source:
        case CsvSource() | ParquetSource():
            frame = _read_path(source, project.root, copy_object)
        case SqlSource():
            frame = read_sql(source, project.root)
        case PackageSource():
            frame = _read_package(source, project.home)
        case DvcSource():
            frame = _read_dvc(source, project.root)
    if frame.empty:
        raise DataError(f"dataset: {describe_source(source)!r} has no row; fill it or point to another")
    return frame


def describe_source(source: Source) -> str:
    """Name a source in a word: a path, `package:loader`, `dvc:path@revision`, or `sql:` with an address or variable."""
    match source:
        case DvcSource():
            place = f"{shown(source.repo)}:" if source.repo else ""
            return f"dvc:{place}{source.path}@{source.rev or 'workspace'}"
        case PackageSource():
            return f"package:{source.loader}"
        case SqlSource():
            return f"sql:{shown(source.url)}" if source.url else f"sql:${source.url_env}"
    return shown(source.path)


def source_facts(source: Source) -> dict[str, str]:
    """Say for lineage what a source is: `kind` and `where`, the query of SQL, never a password.

    Of DVC also `revision` and `md5`, once it was read.
    """
    facts = {"kind": source.kind, "where": describe_source(source)}
    if isinstance(source, SqlSource):
        return facts | {"query": source.query}
    return facts | facts_of(source) if isinstance(source, DvcSource) else facts


def _read_dvc(source: DvcSource, root: Path) -> pd.DataFrame:
    with tempfile.TemporaryDirectory(prefix="waterflow-") as folder:
        path = Path(folder) / Path(source.path).name
        fetch_dvc(source, root, path)
        read = _read_parquet if path.suffix == ".parquet" else _read_csv
        return read(_check_size(path, source.path), source)


def _read_path(source: CsvSource | ParquetSource, root: Path, copy_object: CopyObject) -> pd.DataFrame:
    read = _read_csv if isinstance(source, CsvSource) else _read_parquet
    if "://" not in source.path:
        return read(_find_file(source.path, root), source)
    with tempfile.TemporaryDirectory(prefix="waterflow-") as folder:
        path = Path(folder) / (Path(shown(source.path)).name or "source")  # pandas unpacks by a name's ending
        if source.path.startswith("s3://"):
            copy_object(source.path, path)
        else:
            download(source.path, path)
        return read(_check_size(path, source.path), source)


def _find_file(path: str, root: Path) -> Path:
    found = root / path
    if not found.is_file():
        raise DataError(f"dataset.path: {path!r} is no file (looked for {found}); mend the path or put the file there")
    return _check_size(found, path)


def _check_size(found: Path, path: str) -> Path:
    if found.stat().st_size == 0:
        raise DataError(f"dataset.path: {shown(path)!r} is empty (0 bytes); fill it or point to another")
    return found


def _read_csv(path: Path, source: CsvSource | ParquetSource | DvcSource) -> pd.DataFrame:
    assert not isinstance(source, ParquetSource)
    try:
        return pd.read_csv(path, sep=source.separator)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise _wrong_kind(source, "CSV", reason) from error


def _read_parquet(path: Path, source: CsvSource | ParquetSource | DvcSource) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise _wrong_kind(source, "Parquet", reason) from error


def _wrong_kind(source: CsvSource | ParquetSource | DvcSource, kind: str, reason: str) -> DataError:
    return DataError(f"dataset.path: {shown(source.path)!r} is no {kind} ({reason}); mend the file or change kind")


def _read_package(source: PackageSource, home: Path) -> pd.DataFrame:
    if source.loader not in LOADERS:
        raise ConfigError(f"dataset.loader: {source.loader!r} is unknown; valid: {', '.join(LOADERS)}")
    return LOADERS[source.loader](home)
