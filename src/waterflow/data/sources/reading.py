"""Reading a pipeline's source, whatever its kind."""

from dataclasses import dataclass

import pandas as pd

from waterflow.config.project import Project
from waterflow.config.schema import CsvSource, DvcSource, PackageSource, ParquetSource, Source, SqlSource
from waterflow.data.sources.dvc import read_dvc
from waterflow.data.sources.facts import SourceFacts, describe_source
from waterflow.data.sources.files import CopyObject, read_file
from waterflow.data.sources.package import read_package
from waterflow.data.sources.sql import read_sql
from waterflow.errors import DataError


@dataclass(frozen=True)
class LoadedSource:
    """All rows of a source, and their origin. The origin says where they were read from."""

    frame: pd.DataFrame
    facts: SourceFacts


def read_source(source: Source, project: Project, copy_object: CopyObject) -> LoadedSource:
    """Read all rows of a source.

    Relative paths start at the project's root. `copy_object` downloads an `s3://…` object to a file. Raises DataError
    when the source is missing, empty, refused or not of its kind, UnreachableError when a server does not answer,
    ConfigError for an unknown loader.
    """
    facts = SourceFacts(kind=source.kind, where=describe_source(source))
    match source:
        case CsvSource() | ParquetSource():
            frame = read_file(source, project.root, copy_object)
        case SqlSource():
            frame, facts = read_sql(source, project.root), facts.model_copy(update={"query": source.query})
        case PackageSource():
            frame = read_package(source, project.home)
        case DvcSource():
            frame, version = read_dvc(source, project.root)
            facts = facts.model_copy(update=version._asdict())
    if frame.empty:
        raise DataError(f"dataset: {facts.where!r} has no rows; fill it or point to another")
    return LoadedSource(frame, facts)
