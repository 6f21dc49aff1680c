"""Composition of YAML by Hydra and its validation by pydantic. Every error is a ConfigError of the same form."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from waterflow.config.estimators import check_candidate
from waterflow.config.header import (
    check_known,
    check_model_file,
    check_names_once,
    find_outline,
    group_options,
    read_outline,
    read_scenarios,
    scenarios_for,
)
from waterflow.config.profile import Profile
from waterflow.config.project import Project
from waterflow.config.schema import SOURCE_KINDS, PipelineConfig
from waterflow.errors import ConfigError
from waterflow.records.run import RunRequest

Model = TypeVar("Model", bound=BaseModel)


def compose_pipeline(
    project: Project, pipeline: str, overrides: Sequence[str] = (), *, checked: bool = True
) -> PipelineConfig:
    """Compose and validate a pipeline.

    `overrides` are Hydra's, such as `strategy=quick`. With `checked=False` the caller calls `check_estimators`, which
    imports the estimators. Raises ConfigError naming the path in the YAML, the value found and what is valid.
    """
    for name in read_outline(find_outline(project.conf, pipeline)).candidates:
        check_model_file(project.conf, name)
    scenario = _find_scenario(project, pipeline, overrides)
    composed = _compose(project, [f"pipeline@_global_={pipeline}", *overrides])
    for key in ("profile", "for"):
        composed.pop(key, None)
    content = composed | {"name": pipeline, "scenario": scenario}
    config = validate(PipelineConfig, content, _place(pipeline, scenario))
    if checked:
        check_estimators(config)
    return config


def check_estimators(config: PipelineConfig) -> None:
    """Import the estimators and check their parameters. Raises ConfigError naming the place."""
    for name, candidate in config.candidates.items():
        check_candidate(candidate, config.task, f"{_place(config.name, config.scenario)}: candidates.{name}")


def compose_profile(project: Project, overrides: Sequence[str] = ()) -> Profile:
    """Compose the profile of a run. An override names it, else `WATERFLOW_PROFILE`, else the project."""
    profile_overrides = [override for override in overrides if override.lstrip("+").startswith("profile")]
    named = project.conf / "profile" / f"{os.environ.get('WATERFLOW_PROFILE') or _default_profile(project)}.yaml"
    if named.is_file() and not profile_overrides:
        # Every command and task opens its profile; reading the file directly saves the 70 ms of Hydra.
        return validate(Profile, _resolved(OmegaConf.load(named), project), f"conf/profile/{named.name}")
    composed = _compose(project, ["~pipeline@_global_", *profile_overrides])
    return validate(Profile, composed["profile"], "conf/profile")


def choose_scenario(project: Project, pipeline: str, scenario: str | None) -> tuple[str, ...]:
    """Return the Hydra override for a scenario. Raises ConfigError when it does not fit the pipeline."""
    if scenario is None:
        return ()
    options = scenarios_for(read_scenarios(project.conf), pipeline)
    if scenario not in options:
        valid = ", ".join(options) or "none; add conf/scenario/NAME.yaml"
        raise ConfigError(f"scenario: {scenario!r} is none of {pipeline}; valid: {valid}")
    return (f"scenario={scenario}",)


def choose(
    config: PipelineConfig, project: Project, strategy: str | None, candidates: Sequence[str] | None
) -> tuple[str, ...]:
    """Return Hydra overrides for the choices of a trigger form.

    The choices are a strategy and candidates. Only strategies with a file and listed candidates pass; anything else,
    such as a dotted path, raises ConfigError before Hydra sees it.
    """
    overrides: list[str] = []
    if strategy is not None:
        check_known(strategy, group_options(project.conf, "strategy"), "strategy")
        overrides.append(f"strategy={strategy}")
    if candidates is not None:
        known = tuple(config.candidates)
        check_names_once(list(candidates), "candidates")
        for name in candidates:
            check_known(name, known, "candidates")
        if not candidates:
            raise ConfigError(f"candidates: none chosen; valid: {', '.join(known)}")
        overrides += [f"~candidates.{name}" for name in known if name not in candidates]
    return tuple(overrides)


def validate(model: type[Model], content: Mapping[str, Any], place: str) -> Model:
    """Validate `content` by a pydantic model. Raises ConfigError of one line."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(f"{place}: {_explain(model, problems[0])}{more}") from error


def _place(pipeline: str, scenario: str | None) -> str:
    return f"conf/pipeline/{pipeline}.yaml" + (f" with conf/scenario/{scenario}.yaml" if scenario else "")


def _default_profile(project: Project) -> str | None:
    """Return the profile chosen in `conf/config.yaml`."""
    try:
        root: Any = OmegaConf.load(project.conf / "config.yaml")
    except (OSError, YAMLError, OmegaConfBaseException):
        return None  # Hydra reports what is wrong
    named = [
        entry["profile"] for entry in root.get("defaults", ()) if "profile" in entry and not isinstance(entry, str)
    ]
    return str(named[0]) if named and "profile" not in root else None


def _find_scenario(project: Project, pipeline: str, overrides: Sequence[str]) -> str | None:
    """Return the scenario named last in the overrides. None without one."""
    named = [entry.partition("=")[2] for entry in overrides if entry.partition("=")[0].lstrip("+") == "scenario"]
    if not named or named[-1] in ("", "null"):
        return None
    choose_scenario(project, pipeline, named[-1])
    path = project.conf / "scenario" / f"{named[-1]}.yaml"
    if not path.read_text("utf-8").startswith("# @package _global_"):
        raise ConfigError(f"conf/scenario/{path.name}: its first line must be `# @package _global_`; add it")
    return named[-1]


def _compose(project: Project, overrides: Sequence[str]) -> dict[str, Any]:
    for override in overrides:
        group, _, chosen = override.partition("=")
        if group.startswith("model@candidates"):
            models = [name.strip() for name in chosen.strip("[]").split(",")]
            check_names_once(models, override)
            for model in models:
                check_model_file(project.conf, model)
    profile = os.environ.get("WATERFLOW_PROFILE")
    if profile and not any(override.startswith("profile=") for override in overrides):
        overrides = [f"profile={profile}", *overrides]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(project.conf), version_base="1.3"):
            composed = hydra_compose("config", overrides=[_allow_new_key(entry, project) for entry in overrides])
    except (HydraException, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"conf: {_one_line(str(error))}") from error
    return _resolved(composed, project)


def _allow_new_key(override: str, project: Project) -> str:
    """Prefix an override with `++`. The YAML then need not have its key.

    The choice of a group's file, such as `strategy=quick`, stays as it is. The schema refuses unknown keys.
    """
    key = override.partition("=")[0]
    plain = key[:1].isalnum() and "@" not in key and not (project.conf / key).is_dir()
    return f"++{override}" if plain else override


def _resolved(composed: Any, project: Project) -> dict[str, Any]:
    """Resolve interpolations; `${waterflow_home:}` is the folder for everything written."""
    OmegaConf.register_new_resolver("waterflow_home", lambda: str(project.home), replace=True)
    try:
        return dict(OmegaConf.to_container(composed, resolve=True, throw_on_missing=True))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise ConfigError(f"conf: {_one_line(str(error))}") from error


def _one_line(text: str) -> str:
    kept = text.split("\nConfig search path")[0].replace("\n\t", " ")
    return " ".join(kept.split())


def _explain(model: type[BaseModel], problem: Any) -> str:
    """Describe one of pydantic's problems: path, value, what is valid."""
    path = [part for part in problem["loc"] if part not in SOURCE_KINDS]
    place = ".".join(str(part) for part in path)
    value, kind = problem["input"], problem["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{place}: unknown key; valid: {', '.join(_keys_at(model, problem['loc'][:-1]))}"
    if kind == "missing":
        return f"{place}: missing; add it"
    if kind == "value_error":
        return f"{place + ': ' if place else ''}{problem['ctx']['error']}"
    if kind == "union_tag_not_found":
        return f"{place}.kind: missing; valid: {', '.join(SOURCE_KINDS)}"
    if kind == "union_tag_invalid":
        return f"{place}.kind: {problem['ctx']['tag']!r} is unknown; valid: {problem['ctx']['expected_tags']}"
    if kind == "literal_error":
        return f"{place}: {value!r} is not valid; valid: {problem['ctx']['expected']}"
    return f"{place}: {value!r} is not valid: {problem['msg']}"


def _keys_at(model: Any, path: Sequence[str | int]) -> list[str]:
    """Return the keys valid at `path`. Walks through lists, mappings and unions."""
    sections = [model]
    for part in path:
        annotations = [_annotations_of(section).get(str(part)) for section in sections]
        sections = [inner for annotation in annotations for inner in _sections_in(annotation)] or sections
    return sorted({name for section in sections for name in _annotations_of(section)})


def _annotations_of(section: Any) -> dict[str, Any]:
    if is_dataclass(section):
        return {field.name: field.type for field in fields(section)}
    return {name: field.annotation for name, field in section.model_fields.items()}


def _sections_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _sections_in(inner)]


def compose_request(request: RunRequest, project: Project) -> PipelineConfig:
    """Compose the configuration of a request. The estimators are not checked. Raises ConfigError on an unknown name."""
    overrides = (*request.overrides, *choose_scenario(project, request.pipeline, request.scenario))
    config = compose_pipeline(project, request.pipeline, overrides, checked=False)
    choice = choose(config, project, request.strategy, request.candidates)
    return compose_pipeline(project, request.pipeline, (*overrides, *choice), checked=False) if choice else config
