"""Files of predictions, there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from waterflow.errors import ConfigError, DataError, first_line
from waterflow.stores.base import scratch_folder
from waterflow.stores.open import open_store

ENDINGS = (".parquet", ".csv")


class TableWriter(Protocol):
    """What writes tables of one schema."""

    def write_table(self, table: pa.Table) -> None:
        """Write a table."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class BatchWriter:
    """A file of tables. The first table decides the types of all."""

    def __init__(self, path: Path, ending: str) -> None:
        """Keep the path of a file to be made."""
        self._path, self._ending = path, ending
        self._writer: TableWriter | None = None
        self._schema: pa.Schema | None = None

    def write(self, table: pa.Table) -> None:
        """Append a table. Raises DataError where its types differ from the first."""
        if self._writer is None:
            self._schema = table.schema
            make = pacsv.CSVWriter if self._ending == ".csv" else pq.ParquetWriter
            options = {} if self._ending == ".csv" else {"compression": "zstd"}
            self._writer = make(str(self._path), table.schema, **options)
        try:
            self._writer.write_table(table.cast(self._schema))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"output: a column changes its type between rows ({first_line(error)})") from error

    def close(self) -> None:
        """Finish the file, if anything was written."""
        if self._writer is not None:
            self._writer.close()


def check_output(output: str) -> str:
    """Return the ending of an output. Raises ConfigError for one that cannot be written."""
    ending = next((entry for entry in ENDINGS if output.endswith(entry)), None)
    if ending is None:
        raise ConfigError(f"out: {output!r} ends neither in .parquet nor in .csv; name such a file")
    if "://" in output and not output.startswith("s3://"):
        raise ConfigError(f"out: {output!r} cannot be written; valid: a file or s3://bucket/folder/file{ending}")
    if output.startswith("s3://") and not output.removeprefix("s3://").partition("/")[2]:
        raise ConfigError(f"out: {output!r} names no object; write it like s3://bucket/folder/file{ending}")
    return ending


@contextmanager
def open_output(output: str, root: Path) -> Iterator[BatchWriter]:
    """Yield a writer whose file appears when all is written.

    An error leaves what was there. On S3 an object appears when its last part is there.
    """
    ending = check_output(output)
    if output.startswith("s3://"):
        bucket, _, key = output.removeprefix("s3://").partition("/")
        with scratch_folder() as folder:
            path = folder / f"predictions{ending}"
            yield from _written(path, ending)
            if path.exists():
                open_store(f"s3://{bucket}").upload(key, path, replace=True)
        return
    final = root / Path(output).expanduser()
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
    try:
        yield from _written(partial, ending)
        if partial.exists():
            partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def _written(path: Path, ending: str) -> Iterator[BatchWriter]:
    writer = BatchWriter(path, ending)
    try:
        yield writer
    finally:
        writer.close()
    if path.exists():
        with path.open("rb") as file:
            os.fsync(file.fileno())
