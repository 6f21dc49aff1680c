"""A file named on the command line as a source."""

from pydantic import TypeAdapter

from waterflow.config.schema import Source
from waterflow.data.sources.files import ENDINGS
from waterflow.errors import ConfigError


def source_of_path(path: str, dataset: Source) -> Source:
    """Return a path, glob or address as a source.

    Its ending says the kind. How values are written is taken from the pipeline's own data set where that is of the same
    kind. Raises ConfigError for an ending that none of the kinds has.
    """
    kind = next((kind for kind, endings in ENDINGS.items() if path.rstrip("/*").endswith(endings)), None)
    if kind is None:
        known = ", ".join(ending for endings in ENDINGS.values() for ending in endings)
        raise ConfigError(f"input: {path!r} ends in none of {known}; rename it, or state it as score.source")
    settings = dataset.model_dump(exclude_unset=True) if dataset.kind == kind else {}
    return TypeAdapter(Source).validate_python({**settings, "kind": kind, "path": path})
