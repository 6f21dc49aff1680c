"""Completion of names in a shell. It reads files alone, so that it answers at once."""

from waterflow.config.header import group_options, pipeline_files
from waterflow.config.project import Project, find_project
from waterflow.errors import WaterflowError

GROUPS = ("strategy", "scenario", "profile")
ALIASES = ("champion", "challenger")


def complete_pipelines(incomplete: str) -> list[str]:
    """Return the pipelines whose name begins so."""
    return _beginning(incomplete, _names())


def complete_references(incomplete: str) -> list[str]:
    """Return the models whose name begins so, with their aliases. A model has its pipeline's name."""
    return _beginning(
        incomplete, [name for model in _names() for name in (model, *(f"{model}@{alias}" for alias in ALIASES))]
    )


def complete_overrides(incomplete: str) -> list[str]:
    """Return the choices that begin so, such as `strategy=quick`."""
    project = _project()
    options = (
        []
        if project is None
        else [f"{group}={name}" for group in GROUPS for name in group_options(project.conf, group)]
    )
    return _beginning(incomplete, options)


def _names() -> list[str]:
    project = _project()
    return [] if project is None else [path.stem for path in pipeline_files(project.conf)]


def _project() -> Project | None:
    try:
        return find_project()
    except WaterflowError:
        return None


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
