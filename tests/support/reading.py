"""Sources of a project, read and refused."""

from typing import Any

from support.projects import message_of
from waterflow.config.project import Project
from waterflow.config.schema import CsvSource, Source
from waterflow.data.reading_rules import ReadingRules
from waterflow.data.sources.reading import LoadedSource, read_source
from waterflow.errors import DataError
from waterflow.stores.open import copy_object


def csv_source(project: Project, content: str | bytes, name: str = "rows.csv", **keys: Any) -> CsvSource:
    """Write a CSV file and return its source."""
    (project.root / "data" / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return CsvSource(kind="csv", path=f"data/{name}", **keys)


def load(project: Project, source: Source, **rules: Any) -> LoadedSource:
    """Read a source under some rules of a pipeline."""
    own = ReadingRules.of_source(source)
    return read_source(source, project, copy_object, ReadingRules(**{"dtype": own.dtype, "source": own.source} | rules))


def columns(project: Project, source: Source, **rules: Any) -> dict[str, list[Any]]:
    """Return what a source holds, by column."""
    return load(project, source, **rules).frame.to_dict("list")


def refusal(project: Project, source: Source, **rules: Any) -> str:
    """Return the line with which a source is refused."""
    return message_of(lambda: load(project, source, **rules), DataError)
