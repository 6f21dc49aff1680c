"""A first pipeline for data that nobody has described."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from waterflow.config.compose import compose_pipeline
from waterflow.config.header import group_options
from waterflow.config.metrics import Task
from waterflow.config.project import Project
from waterflow.config.schema import ReadingSection
from waterflow.data.column_profile import ColumnProfile, profile_columns
from waterflow.data.preparation import divide_rows, read_rows, window_for
from waterflow.data.proposed_roles import ProposedRoles, check_target, propose_roles
from waterflow.data.reading_rules import ReadingRules
from waterflow.data.sources.facts import describe_source
from waterflow.data.sources.reading import LoadedSource, read_source
from waterflow.data.sources.recognition import parse_source
from waterflow.data.sources.tables import check_table
from waterflow.errors import ConfigError, DataError, WaterflowError
from waterflow.records.run import Window
from waterflow.reporting.pipeline_yaml import PipelineDraft
from waterflow.stores.open import copy_object

NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class ExaminedData:
    """Rows of an undescribed source, and their profiles. `dataset` is their section in a pipeline."""

    dataset: Mapping[str, Any]
    frame: pd.DataFrame
    profiles: Mapping[str, ColumnProfile]
    reading: tuple[str, ...]
    left_out: tuple[str, ...]
    where: str


def examine_data(dataset: Mapping[str, Any], table: str | None, project: Project) -> ExaminedData:
    """Read all rows of a section `dataset`. Unusable columns are left out.

    Raises ConfigError with the tables of a database that has no `table`, and what `read_source` raises.
    """
    source = parse_source(dataset)
    check_table(source, table, project.root)
    loaded, notes = _read_usable(dataset, project)
    return ExaminedData(
        dataset, loaded.frame, profile_columns(loaded.frame), notes, loaded.left_out, describe_source(source)
    )


def suggest_name(data: str) -> str:
    """Return a name for a file, folder, address or query."""
    words = re.findall(r"from\s+'?([\w./*-]+)", data, re.IGNORECASE) or [data]
    stem = Path(words[0].partition("?")[0].rstrip("/")).name.partition(".")[0]
    plain = unicodedata.normalize("NFKD", stem.casefold()).encode("ascii", "ignore").decode()  # ä without its dots
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return name if NAME.fullmatch(name) else f"data_{name}".rstrip("_")


def write_pipeline(
    examined: ExaminedData, target: str, task: Task | None, name: str, project: Project
) -> tuple[Path, ProposedRoles]:
    """Write a pipeline's YAML and try it.

    It is composed, and its rows are read, checked and split. What does not pass is removed again. Raises ConfigError
    for a name that is taken or not valid, and what the checks raise.
    """
    path = project.conf / "pipeline" / f"{name}.yaml"
    if not NAME.fullmatch(name):
        raise ConfigError(f"--name: {name!r} is no name for a pipeline; use small letters, digits and _")
    if path.exists():
        raise ConfigError(f"--name: conf/pipeline/{path.name} exists; choose another name, or remove it")
    chosen = check_target(target, examined.profiles, task)
    known = examined.frame[examined.frame[target].notna()].reset_index(drop=True)
    roles = propose_roles(known, profile_columns(known), target, chosen, examined.left_out)
    draft = PipelineDraft(
        name=name,
        origin=examined.where,
        dataset=examined.dataset,
        reading=examined.reading,
        roles=roles,
        profiles={**profile_columns(known), target: examined.profiles[target]},
        models=group_options(project.conf, "model"),
    )
    path.write_text(draft.to_yaml(known), "utf-8")
    try:
        _try_out(name, project)
    except WaterflowError as error:
        path.unlink()
        raise type(error)(f"{error} (so nothing was written)") from error
    return path, roles


def _try_out(name: str, project: Project) -> None:
    config = compose_pipeline(project, name)
    frame, _ = read_rows(config, window_for(Window(), config), project, copy_object)
    divide_rows(frame, config)


def _read_usable(dataset: Mapping[str, Any], project: Project) -> tuple[LoadedSource, tuple[str, ...]]:
    """Read rows. Where a column cannot be one of theirs, they are read again without it."""
    source = parse_source(dataset)
    rules = ReadingRules.of_source(source)
    try:
        loaded = read_source(source, project, copy_object, rules)
    except DataError:
        if not isinstance(source, ReadingSection):
            raise
        left_out = read_source(source, project, copy_object, replace(rules, only=frozenset())).left_out
        if not left_out:
            raise
        loaded = read_source(source, project, copy_object, replace(rules, unused=frozenset(left_out)))
    return loaded, loaded.facts.reading_lines
