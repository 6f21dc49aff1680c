"""Reading a pipeline's source, whatever its kind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from waterflow.config.project import Project
from waterflow.config.schema import (
    DuckdbSource,
    DvcSource,
    PackageSource,
    PipelineConfig,
    PythonSource,
    Source,
    SqlSource,
)
from waterflow.data.canonical import frame_of
from waterflow.data.column_types import describe_type, type_columns
from waterflow.data.reading_rules import ReadingRules
from waterflow.data.sources.duckdb_query import read_duckdb
from waterflow.data.sources.dvc import read_dvc
from waterflow.data.sources.facts import SourceFacts, describe_source
from waterflow.data.sources.files import FileRows, read_files
from waterflow.data.sources.package import read_package
from waterflow.data.sources.python import read_python
from waterflow.data.sources.sql import read_sql
from waterflow.errors import DataError
from waterflow.records.run import Window

CopyObject = Callable[[str, Path], None]


@dataclass(frozen=True)
class LoadedSource:
    """All rows of a source, and their origin. Unused columns of types that rows cannot have are left out."""

    frame: pd.DataFrame
    facts: SourceFacts
    left_out: tuple[str, ...] = ()


def load_source(
    config: PipelineConfig, project: Project, copy_object: CopyObject, window: Window | None = None
) -> LoadedSource:
    """Read all rows of a pipeline's source. They have the types that the pipeline declares.

    The window is for a function of the user's own, which may read no more than it; other sources are read whole.
    """
    return read_source(config.dataset, project, copy_object, ReadingRules.of_pipeline(config), window)


def read_source(
    source: Source,
    project: Project,
    copy_object: CopyObject,
    rules: ReadingRules | None = None,
    window: Window | None = None,
) -> LoadedSource:
    """Read all rows of a source.

    Relative paths start at the project's root. `copy_object` downloads an `s3://…` object to a file. Raises DataError
    when the source is missing, empty, refused, not of its kind, or has columns of types that rows cannot have,
    UnreachableError when a server does not answer, ConfigError for an unknown loader.
    """
    facts = SourceFacts(kind=source.kind, where=describe_source(source), query=getattr(source, "query", None))
    rules = rules or ReadingRules.of_source(source)
    match source:
        case PackageSource():
            return _checked(LoadedSource(read_package(source, project.home), facts))
        case SqlSource():
            rows = FileRows(read_sql(source, project.root), {})
        case DuckdbSource():
            rows = FileRows(read_duckdb(source, project.root), {})
        case PythonSource():
            rows = FileRows(read_python(source, window), {})
        case DvcSource():
            rows, version = read_dvc(source, project.root)
            facts = facts.model_copy(update=version._asdict())
        case _:
            rows = read_files(source, project.root, copy_object)
    is_text = "separator" in rows.settings  # as in CSV, where every value is one
    typed = type_columns(rows.table, rules, detect=rows.table.column_names if is_text else rows.partitions)
    rows = rows._replace(table=None)  # the texts of a CSV file take as much memory as its values
    several = {"files": rows.files, "digest": rows.digest} if rows.digest else {}
    types = {name: describe_type(typed.table.column(name)) for name in typed.table.column_names}
    reading = {"reading": rows.settings, "types": types, "notes": (*rows.notes, *typed.notes), **several}
    pa.default_memory_pool().release_unused()
    return _checked(LoadedSource(frame_of(typed.table), facts.model_copy(update=reading), typed.left_out))


def _checked(loaded: LoadedSource) -> LoadedSource:
    if loaded.frame.empty:
        raise DataError(f"dataset: {loaded.facts.where!r} has no rows; fill it or point to another")
    return loaded
