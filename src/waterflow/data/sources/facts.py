"""What lineage records of a source, never a password."""

import re

from waterflow.config.schema import DvcSource, PackageSource, Source, SqlSource
from waterflow.records.base import Record


class SourceFacts(Record):
    """The source that rows were read from.

    `where` names it in one word; `query` is SQL's; `revision` (a commit, ending in `-dirty` for other data than the
    commit's) and `md5` are DVC's.
    """

    kind: str
    where: str
    query: str | None = None
    revision: str | None = None
    md5: str | None = None


def describe_source(source: Source) -> str:
    """Return a source's description for lineage.

    It is a path, `package:loader`, `dvc:path@revision`, or `sql:` with address or variable.
    """
    match source:
        case DvcSource():
            repo = f"{hide_credentials(source.repo)}:" if source.repo else ""
            return f"dvc:{repo}{source.path}@{source.rev or 'workspace'}"
        case PackageSource():
            return f"package:{source.loader}"
        case SqlSource():
            return f"sql:{hide_credentials(source.url)}" if source.url else f"sql:${source.url_env}"
    return hide_credentials(source.path)


def hide_credentials(address: str) -> str:
    """Return a path or URL without password and query. A query may be a signature."""
    if "://" not in address:
        return address
    # A password may contain an unencoded / or @: better to hide too much than too little.
    return re.sub(r"://([^/@]*:.*|[^/]*)@", "://", address).partition("?")[0]
