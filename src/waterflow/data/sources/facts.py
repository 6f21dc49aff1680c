"""What lineage records of a source, never a password."""

import re

from pydantic import Field

from waterflow.config.schema import DuckdbSource, DvcSource, PackageSource, PythonSource, Source, SqlSource
from waterflow.records.base import Record


class SourceFacts(Record):
    """The source that rows were read from.

    `where` names it in one word; `query` is SQL's; `revision` (a commit, ending in `-dirty` for other data than the
    commit's) and `md5` are DVC's. `files` and `digest` are of several files together. `reading` has the settings that
    the reader used, stated or detected, `types` each column's type, and `notes` what was decided on single columns.
    """

    kind: str
    where: str
    query: str | None = None
    revision: str | None = None
    md5: str | None = None
    files: int | None = None
    digest: str | None = None
    reading: dict[str, str] = Field(default_factory=dict)
    types: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def reading_lines(self) -> tuple[str, ...]:
        """How the source was read, one decision a line."""
        settings = ", ".join(f"{name} {value!r}" for name, value in self.reading.items())
        return (*([settings] if settings else []), *self.notes)

    def to_tags(self) -> dict[str, str]:
        """Return what is worth a tag. The others are in the run's provenance."""
        own = self.model_dump(exclude_none=True, exclude={"reading", "types", "notes"})
        return {name: str(value) for name, value in own.items()} | (
            {"reading": "; ".join(self.reading_lines)[:4000]} if self.reading_lines else {}
        )


def describe_source(source: Source) -> str:
    """Return a source's description for lineage.

    It is a path, `package:loader`, `python:function`, `dvc:path@revision`, or `sql:` with address or variable.
    """
    match source:
        case DvcSource():
            repo = f"{hide_credentials(source.repo)}:" if source.repo else ""
            return f"dvc:{repo}{source.path}@{source.rev or 'workspace'}"
        case PackageSource():
            return f"package:{source.loader}"
        case PythonSource():
            return f"python:{source.function}"
        case DuckdbSource():
            return "duckdb"
        case SqlSource():
            return f"sql:{hide_credentials(source.url)}" if source.url else f"sql:${source.url_env}"
    return hide_credentials(source.path)


def hide_credentials(address: str) -> str:
    """Return a path or URL without password and query. A query may be a signature."""
    if "://" not in address:
        return address
    # A password may contain an unencoded / or @: better to hide too much than too little.
    return re.sub(r"://([^/@]*:.*|[^/]*)@", "://", address).partition("?")[0]
