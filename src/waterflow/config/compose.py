"""Composition of YAML by Hydra and its validation by pydantic. Every error is a ConfigError of the same form."""

import os
import re
from collections.abc import Sequence
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)
from yaml import YAMLError

from waterflow.config.code_paths import check_code
from waterflow.config.estimators import check_candidate, check_weighable
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
from waterflow.config.mlflow_variables import check_mlflow_variables, read_shell_variables
from waterflow.config.overrides import allow_new_key, check_overrides
from waterflow.config.own_code import add_own_folder
from waterflow.config.problems import validate
from waterflow.config.profile import Profile, escape_home
from waterflow.config.project import Project
from waterflow.config.references import UNRESOLVED, check_references
from waterflow.config.schema import PipelineConfig
from waterflow.config.suggestions import list_valid
from waterflow.errors import ConfigError
from waterflow.records.run import RunRequest


def compose_pipeline(
    project: Project, pipeline: str, overrides: Sequence[str] = (), *, checked: bool = True
) -> PipelineConfig:
    """Compose and validate a pipeline.

    `overrides` are Hydra's, such as `strategy=quick`. With `checked=False` the caller calls `check_estimators`, which
    imports the estimators. Raises ConfigError naming the path in the YAML, the value found and what is valid.
    """
    add_own_folder(project.root)
    outline = read_outline(find_outline(project.conf, pipeline))
    for name in outline.candidates:
        check_model_file(project.conf, name)
    check_overrides(overrides, project.conf, outline)
    scenario = _find_scenario(project, pipeline, overrides)
    place = _place(pipeline, scenario)
    check_references(outline.source, f"conf/pipeline/{pipeline}.yaml")
    composed = _compose(project, [f"pipeline@_global_={pipeline}", *overrides], place)
    for key in ("profile", "for"):
        composed.pop(key, None)
    content = composed | {"name": pipeline, "scenario": scenario}
    config = validate(PipelineConfig, content, place, overrides)
    if checked:
        check_estimators(config)
    return config


def check_estimators(config: PipelineConfig) -> None:
    """Import estimators and user code, and check their parameters. Raises ConfigError naming the place."""
    check_code(config, _place(config.name, config.scenario))
    for name, candidate in config.candidates.items():
        place = f"{_place(config.name, config.scenario)}: candidates.{name}"
        check_candidate(candidate, config.task, place)
        if config.weight:
            check_weighable(candidate, config.weight, place)


def compose_profile(project: Project, overrides: Sequence[str] = ()) -> Profile:
    """Compose the profile of a run. An override names it, else `WATERFLOW_PROFILE`, else the project."""
    profile_overrides = [override for override in overrides if override.lstrip("+").startswith("profile")]
    named = project.conf / "profile" / f"{os.environ.get('WATERFLOW_PROFILE') or _default_profile(project)}.yaml"
    if named.is_file() and not profile_overrides:
        # Every command and task opens its profile; reading the file directly saves the 70 ms of Hydra.
        place = f"conf/profile/{named.name}"
        content = escape_home(_resolved(OmegaConf.load(named), project, place), project.home)
        return _checked(validate(Profile, content, place))
    check_overrides(profile_overrides, project.conf)
    composed = _compose(project, ["~pipeline@_global_", *profile_overrides], "conf/profile")
    return _checked(validate(Profile, escape_home(composed["profile"], project.home), "conf/profile"))


def _checked(profile: Profile) -> Profile:
    check_mlflow_variables(profile, read_shell_variables())
    return profile


def choose_scenario(project: Project, pipeline: str, scenario: str | None) -> tuple[str, ...]:
    """Return the Hydra override for a scenario. Raises ConfigError when it does not fit the pipeline."""
    if scenario is None:
        return ()
    options = scenarios_for(read_scenarios(project.conf), pipeline)
    if scenario not in options:
        valid = list_valid(scenario, options) if options else "valid: none; add conf/scenario/NAME.yaml"
        raise ConfigError(f"scenario: {scenario!r} is none of {pipeline}; {valid}")
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


def _compose(project: Project, overrides: Sequence[str], place: str = "conf") -> dict[str, Any]:
    profile = os.environ.get("WATERFLOW_PROFILE")
    if profile and not any(override.startswith("profile=") for override in overrides):
        check_known(profile, group_options(project.conf, "profile"), "WATERFLOW_PROFILE")
        overrides = [f"profile={profile}", *overrides]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(project.conf), version_base="1.3"):
            composed = hydra_compose("config", overrides=[allow_new_key(entry, project.conf) for entry in overrides])
    except (HydraException, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"{place}: {_explain_hydra(error)}") from error
    return _resolved(composed, project, place)


def _resolved(composed: Any, project: Project, place: str) -> dict[str, Any]:
    """Resolve interpolations; `${waterflow_home:}` is the folder for everything written."""
    OmegaConf.register_new_resolver("waterflow_home", lambda: str(project.home), replace=True)
    try:
        return dict(OmegaConf.to_container(composed, resolve=True, throw_on_missing=True))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        key = str(error.full_key or "")
        value = OmegaConf.to_container(composed, resolve=False)
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else value
        raise ConfigError(f"{place}: {key}: {str(value)!r}: {_explain_hydra(error)}") from error


def _explain_hydra(error: Exception) -> str:
    """Return a refusal of Hydra or OmegaConf as one line."""
    if isinstance(error, InterpolationResolutionError | UnsupportedInterpolationType):
        return UNRESOLVED
    if deleted := re.match(r"Could not delete from config. '(.+)' does not exist", str(error)):
        return f"override '~{deleted[1]}': there is no such key to remove; leave the override out"
    kept = str(error).split("\nConfig search path")[0].replace("\n\t", " ")
    return " ".join(kept.split())


def compose_request(request: RunRequest, project: Project) -> PipelineConfig:
    """Compose the configuration of a request. The estimators are not checked. Raises ConfigError on an unknown name."""
    overrides = (*request.overrides, *choose_scenario(project, request.pipeline, request.scenario))
    config = compose_pipeline(project, request.pipeline, overrides, checked=False)
    choice = choose(config, project, request.strategy, request.candidates)
    return compose_pipeline(project, request.pipeline, (*overrides, *choice), checked=False) if choice else config
