"""The user's own modules behind a pipeline."""

import sys
from collections.abc import Iterable
from pathlib import Path

from waterflow.config.code_paths import all_code
from waterflow.config.schema import PipelineConfig
from waterflow.provenance.code import ImportClosure, is_own_root, trace_estimator


def trace_paths(paths: Iterable[str]) -> ImportClosure:
    """Follow the imports of the modules of some dotted paths."""
    closure = ImportClosure({}, frozenset())
    for path in paths:
        closure |= trace_estimator(path)
    return closure


def own_modules(paths: Iterable[str]) -> list[str]:
    """List the user's modules that some dotted paths reach."""
    return [name for name in trace_paths(paths).files if name.partition(".")[0] != "waterflow"]


def own_files(config: PipelineConfig) -> list[Path]:
    """List the files of a pipeline's own modules."""
    closure = trace_paths(all_code(config))
    return [path for name, path in closure.files.items() if name.partition(".")[0] != "waterflow"]


def paths_without_own_code() -> list[str]:
    """Return `sys.path` without the user's folders."""
    return [entry for entry in filter(None, sys.path) if not is_own_root(Path(entry).resolve())]
