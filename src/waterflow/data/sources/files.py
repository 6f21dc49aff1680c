"""Files of one kind as one table."""

import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq

from waterflow.config.schema import CsvSource, DvcSource, ExcelSource, FileSource, JsonLinesSource
from waterflow.data.sources.csv_files import read_csv_texts
from waterflow.data.sources.excel import read_excel
from waterflow.data.sources.facts import hide_credentials
from waterflow.data.sources.http import download
from waterflow.errors import ConfigError, DataError, first_line
from waterflow.provenance.hashing import digest_of, sha256_of

CopyObject = Callable[[str, Path], None]
ENDINGS = {
    "csv": (".csv", ".tsv", ".txt", ".gz", ".bz2", ".xz", ".zst", ".zip"),
    "parquet": (".parquet", ".pq"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "excel": (".xlsx", ".xlsm"),
}
NAMES = {"csv": "CSV", "parquet": "Parquet", "jsonl": "JSON lines", "excel": "Excel workbook"}
INDEX = "__index_level_"  # pandas' name for an index without a name
BLOCK_BYTES = 1 << 26
# The base classes of what pyarrow raises, and those of damaged archives; RuntimeError is for one with a password.
UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


class FileRows(NamedTuple):
    """The rows of files, before their columns are typed.

    Several files have a digest together; `partitions` are columns that come from the names of folders.
    """

    table: pa.Table
    settings: dict[str, str]
    notes: tuple[str, ...] = ()
    files: int = 1
    digest: str | None = None
    partitions: tuple[str, ...] = ()


def read_files(source: FileSource, root: Path, copy_object: CopyObject) -> FileRows:
    """Read the files of a source.

    A path is a file, a folder or a glob, relative to `root`; `~` is the home of the user. Behind `s3://…` and
    `https://…` lies one file. Several files are read in the order of their names; folders called `column=value` add a
    column. Raises DataError where the files' columns differ.
    """
    if "://" not in source.path:
        return _read_all(source, root)
    with tempfile.TemporaryDirectory(prefix="waterflow-") as folder:
        path, _ = download_file(source, Path(folder), copy_object)
        return parse_file(path, source)


def download_file(source: FileSource, folder: Path, copy_object: CopyObject) -> tuple[Path, str]:
    """Fetch the file behind `s3://…` or `https://…` into a folder. Also return its name for messages."""
    name = hide_credentials(source.path)
    path = folder / (Path(name).name or "source")  # a CSV is decompressed by its file's ending
    if source.path.startswith("s3://"):
        copy_object(source.path, path)
    else:
        download(source.path, path)
    return path, name


def parse_file(path: Path, source: FileSource | DvcSource, name: str | None = None) -> FileRows:
    """Parse a local file as its source declares it. Raises DataError when it is empty or of another kind."""
    name = name or hide_credentials(source.path)
    kind = source.kind if source.kind != "dvc" else "parquet" if path.suffix == ".parquet" else "csv"
    if path.stat().st_size == 0:
        raise DataError(f"dataset.path: {name!r} is empty (0 bytes); fill it or point to another")
    try:
        match source:
            case ExcelSource():
                return FileRows(*read_excel(path, source, name))
            case JsonLinesSource():
                options = pyarrow.json.ReadOptions(block_size=max(1 << 20, min(BLOCK_BYTES, path.stat().st_size + 1)))
                return FileRows(pyarrow.json.read_json(path, options), {})
            case CsvSource() | DvcSource() if kind == "csv":
                return FileRows(*read_csv_texts(path, source, name))
        return FileRows(_read_parquet(path), {})
    except UNREADABLE as error:
        raise DataError(
            f"dataset.path: {name!r} is no {NAMES[kind]} ({first_line(error)}); fix the file or change kind"
        ) from error


def _read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file. An index with a name is a column like others."""
    # Times of Spark and Hive would overflow as nanoseconds. Without partitioning, folders do not add columns.
    table = pq.read_table(path, coerce_int96_timestamp_unit="us", partitioning=None)
    return table.select([name for name in table.column_names if not name.startswith(INDEX)])


def _read_all(source: FileSource, root: Path) -> FileRows:
    paths = find_files(source, root)
    if len(paths) == 1 and partitions_of(paths[0], source, root) == {}:
        return parse_file(
            paths[0], source, None if paths[0] == resolve_path(source.path, root) else shown_path(paths[0], root)
        )
    parts = [(path, parse_file(path, source, shown_path(path, root))) for path in paths]
    names = parts[0][1].table.column_names
    for path, part in parts:
        if differing := set(names) ^ set(part.table.column_names):
            first = sorted(differing)[0]
            has, lacks = (shown_path(one, root) for one in ((paths[0], path) if first in names else (path, paths[0])))
            raise DataError(
                f"dataset.path: {has!r} has a column {first!r}, {lacks!r} has not; all files of a data set need the "
                "same columns"
            )
    tables = [with_partitions(part.table.select(names), partitions_of(path, source, root)) for path, part in parts]
    return FileRows(
        _concatenate(tables, paths, root),
        parts[0][1].settings,
        tuple(dict.fromkeys(note for _, part in parts for note in part.notes)),
        len(paths),
        digest_of({shown_path(path, root): sha256_of(path) for path in paths}),
        tuple(set(tables[0].column_names) - set(names)),
    )


def find_files(source: FileSource, root: Path) -> list[Path]:
    """Return the local files of a source, in order. Raises DataError where there is none."""
    place = resolve_path(source.path, root)
    endings = ENDINGS[source.kind]
    if place.is_file():
        return [place]
    if place.is_dir():
        found = _sorted(path for path in place.rglob("*") if path.name.endswith(endings))
        if found:
            return found
        raise DataError(
            f"dataset.path: folder {source.path!r} has no file that ends in {', '.join(endings)} (looked below "
            f"{place}); fix the path or put one there"
        )
    if any(mark in source.path for mark in "*?["):
        base = Path(*[part for part in place.parts if not any(mark in part for mark in "*?[")][: _depth(place)])
        found = _sorted(base.glob(str(place.relative_to(base))))
        if found:
            return found
        raise DataError(f"dataset.path: no file matches {source.path!r} (looked below {base}); fix the pattern")
    raise DataError(
        f"dataset.path: {source.path!r} is no file (looked for {place}); fix the path or put the file there"
    )


def _depth(pattern: Path) -> int:
    """Return the number of parts before a pattern's first wildcard."""
    return next(number for number, part in enumerate(pattern.parts) if any(mark in part for mark in "*?["))


def _sorted(paths: Iterator[Path]) -> list[Path]:
    """Return the data files among paths, in order. Hidden ones, and those of running jobs, are none."""
    return sorted(path for path in paths if path.is_file() and not path.name.startswith((".", "_")))


def resolve_path(path: str, root: Path) -> Path:
    """Return a path relative to `root`. Raises ConfigError where `~` names nobody's home."""
    try:
        return root / Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"dataset.path: {path!r} names no user's home ({error}); write the whole path") from error


def shown_path(path: Path, root: Path) -> str:
    """Return a path as messages show it."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def partitions_of(path: Path, source: FileSource, root: Path) -> dict[str, str]:
    """Return the columns that a file's folders stand for. They are called like `year=2024`, below the source's path."""
    base = resolve_path(source.path, root)
    parts = path.parent.parts[_depth(base) if any(mark in source.path for mark in "*?[") else len(base.parts) :]
    pairs = [part.split("=", 1) for part in parts if "=" in part]
    return {name: value for name, value in pairs if name}


def with_partitions(table: pa.Table, partitions: dict[str, str]) -> pa.Table:
    """Return a table with the columns of its folders."""
    for name, value in partitions.items():
        if name not in table.column_names:
            is_null = value == "__HIVE_DEFAULT_PARTITION__"
            scalar = pa.scalar(None if is_null else value, pa.string())
            table = table.append_column(name, pa.chunked_array([pa.repeat(scalar, len(table))]))
    return table


def _concatenate(tables: list[pa.Table], paths: list[Path], root: Path) -> pa.Table:
    for path, table in zip(paths, tables, strict=True):
        try:
            pa.concat_tables([tables[0].slice(0, 0), table.slice(0, 0)], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            name = next(
                name
                for name in table.column_names
                if not _can_join(tables[0].schema.field(name).type, table.schema.field(name).type)
            )
            kinds = [one.schema.field(name).type for one in (tables[0], table)]
            raise DataError(
                f"dataset.path: column {name!r} is {kinds[0]} in {shown_path(paths[0], root)!r} and {kinds[1]} in "
                f"{shown_path(path, root)!r}; write it alike in all files"
            ) from error
    return pa.concat_tables(tables, promote_options="permissive")


def _can_join(first: pa.DataType, second: pa.DataType) -> bool:
    try:
        pa.unify_schemas([pa.schema([("x", first)]), pa.schema([("x", second)])], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True
