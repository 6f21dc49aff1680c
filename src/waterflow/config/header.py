"""The parse-time view of `conf/pipeline/*.yaml`.

It needs PyYAML and the standard library alone. Airflow's DAG processor parses every DAG file again and again. Names,
choices for the trigger form and the schedule are therefore read here without Hydra or pydantic; a test compares them
with what `compose` reads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from waterflow.config.schedule import (
    APPROVAL_TIMEOUT,
    Approval,
    Schedule,
    check_approval_timeout,
    check_day,
    check_owner,
    check_tag,
)
from waterflow.config.suggestions import find_near, list_valid
from waterflow.config.yaml_reader import read_yaml
from waterflow.errors import ConfigError

# The fields of `schema.PipelineConfig` except `name`, `scenario` and `strategy`, plus Hydra's own `defaults`.
TOP_LEVEL_KEYS = frozenset(
    """
    defaults description owner tags schedule dataset rows target target_nulls task features drop known_after key group
    weight time_column label_delay time_zone window sample split contract preprocessing candidates tuning metrics
    positive costs decision calibration gate promotion serving score intended_use seed
    """.split()  # noqa: SIM905  # a list would take a line for each key
)


@dataclass(frozen=True)
class Outline:
    """What DAGs show of a pipeline. `approval_timeout` is None where nobody is asked.

    Where the pipeline `is_scored`, a second DAG predicts the rows of each interval.
    """

    name: str
    description: str
    owner: str
    tags: tuple[str, ...]
    strategy: str
    candidates: tuple[str, ...]
    schedule: Schedule | None
    time_column: str | None
    source: str
    approval_timeout: timedelta | None = None
    is_scored: bool = False
    score_schedule: Schedule | None = None

    @property
    def approval(self) -> Approval:
        """Whether a person must approve a new champion."""
        return "auto" if self.approval_timeout is None else "human"


def pipeline_files(conf: Path) -> list[Path]:
    """Return the pipelines' YAML files, sorted by name. `.yml` is among them, so that reading it can refuse it."""
    return sorted([*(conf / "pipeline").glob("*.yaml"), *(conf / "pipeline").glob("*.yml")])


def group_options(conf: Path, group: str) -> tuple[str, ...]:
    """Return the options of a Hydra group, such as `strategy`."""
    return tuple(sorted(path.stem for path in (conf / group).glob("*.yaml")))


def read_scenarios(conf: Path) -> dict[str, list[str] | None]:
    """Read which pipelines each scenario fits. Its key `for` names them; None fits all."""
    scenarios: dict[str, list[str] | None] = {}
    for path in sorted((conf / "scenario").glob("*.yaml")):
        try:
            fits = read_yaml(path, f"conf/scenario/{path.name}")[0].get("for")
        except ConfigError:
            fits = None  # offered nonetheless: choosing it says what is wrong with it
        scenarios[path.stem] = fits if isinstance(fits, list) else None
    return scenarios


def scenarios_for(scenarios: Mapping[str, list[str] | None], pipeline: str) -> tuple[str, ...]:
    """Return the names of the scenarios that fit a pipeline."""
    return tuple(name for name, fits in scenarios.items() if fits is None or pipeline in fits)


def find_outline(conf: Path, pipeline: str) -> Path:
    """Return the path of a pipeline's YAML. Raises ConfigError listing the valid names."""
    files = {path.stem: path for path in pipeline_files(conf)}
    if pipeline not in files:
        name = Path(pipeline).stem  # a path is completed by a shell more often than a name
        add = f"; or add conf/pipeline/{name}.yaml" if name == pipeline else ""
        raise ConfigError(f"pipeline: {pipeline!r} is unknown; {list_valid(name, files)}{add}")
    return files[pipeline]


def read_outline(path: Path) -> Outline:
    """Read one pipeline's YAML.

    Raises ConfigError, with file and line, on broken YAML, a duplicate or unknown key, a strategy or model without a
    file, and a duplicate candidate.
    """
    place = f"conf/pipeline/{path.name}"
    if path.suffix != ".yaml":
        raise ConfigError(f"{place}: only files that end in .yaml are read; rename it to {path.stem}.yaml")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise ConfigError(f"{place}: {path.stem!r} is no name for a pipeline; use small letters, digits and _")
    content, lines, source = read_yaml(path, place)
    _check_keys(lines, place)
    strategy, models = _read_defaults(
        content.get("defaults"), f"{place}:{lines.get('defaults', 1)}", path.parent.parent
    )
    return Outline(
        name=path.stem,
        description=str(content.get("description") or ""),
        owner=_read_owner(content.get("owner", "waterflow"), f"{place}:{lines.get('owner', 1)}: owner"),
        tags=_read_tags(content.get("tags") or [], f"{place}:{lines.get('tags', 1)}: tags"),
        strategy=strategy,
        candidates=_read_candidates(content.get("candidates"), models, lines, place),
        schedule=_read_schedule(content.get("schedule"), f"{place}:{lines.get('schedule', 1)}: schedule"),
        time_column=content.get("time_column"),
        source=source,
        approval_timeout=_read_approval(content.get("promotion"), f"{place}:{lines.get('promotion', 1)}: promotion"),
        is_scored=content.get("score") is not None,
        score_schedule=_read_score(content.get("score"), f"{place}:{lines.get('score', 1)}: score"),
    )


def check_names_once(names: list[str], place: str) -> None:
    """Raise ConfigError on a duplicate candidate. Hydra would merge it silently."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{place}: candidate {twice[0]!r} stands twice; each needs a name of its own")


def check_model_file(conf: Path, model: str) -> None:
    """Raise ConfigError unless a file's candidate has its name. Another would silently replace one."""
    path = conf / "model" / f"{model}.yaml"
    place = f"conf/model/{path.name}"
    if path.is_file():
        _, lines, _ = read_yaml(path, place)
        if list(lines) != [model]:
            raise ConfigError(
                f"{place}:1: the one key must be {model!r}, as the file is named; found {', '.join(lines)}"
            )


def _check_keys(lines: dict[str, int], place: str) -> None:
    for key, line in lines.items():
        if key not in TOP_LEVEL_KEYS:
            near = find_near(key, TOP_LEVEL_KEYS)
            hint = f"did you mean {near!r}?" if near else f"valid: {', '.join(sorted(TOP_LEVEL_KEYS))}"
            raise ConfigError(f"{place}:{line}: unknown key {key!r}; {hint}")


def check_known(name: str, options: tuple[str, ...], place: str) -> None:
    """Raise ConfigError unless a name is one of the options."""
    if name not in options:
        raise ConfigError(f"{place}: {name!r} is unknown; {list_valid(name, options)}")


def _read_defaults(defaults: Any, place: str, conf: Path) -> tuple[str, list[str]]:
    if not isinstance(defaults, list):
        raise ConfigError(f"{place}: defaults: a list is needed, such as `- /strategy: balanced`")
    entries = {key: value for entry in defaults if isinstance(entry, dict) for key, value in entry.items()}
    for key in (str(key) for key in entries):
        if key not in ("/strategy", "/model@candidates"):
            near = f"/{key}" if key in ("strategy", "model@candidates") else key
            raise ConfigError(
                f"{place}: defaults: {key!r} is not valid; {list_valid(near, ('/strategy', '/model@candidates'))}"
            )
    strategy = entries.get("/strategy")
    if not isinstance(strategy, str):
        raise ConfigError(f"{place}: defaults: no strategy; add `- /strategy: balanced`")
    models = entries.get("/model@candidates") or []
    models = [models] if isinstance(models, str) else [str(model) for model in models]
    check_names_once(models, f"{place}: defaults: /model@candidates")
    check_known(strategy, group_options(conf, "strategy"), f"{place}: defaults: strategy")
    options = group_options(conf, "model")
    for model in models:
        check_known(model, options, f"{place}: defaults: model")
    return strategy, models


def _read_candidates(inline: Any, models: list[str], lines: Mapping[str, int], place: str) -> tuple[str, ...]:
    if not isinstance(inline or {}, dict):
        raise ConfigError(f"{place}:{lines['candidates']}: candidates: {inline!r} is no mapping of names to estimators")
    candidates = (*models, *(name for name in inline or () if name not in models))
    if not candidates:
        raise ConfigError(
            f"{place}:{lines.get('defaults', 1)}: defaults: no candidate; add `- /model@candidates: [random_forest]` "
            "or a key candidates"
        )
    return candidates


def _read_owner(owner: Any, place: str) -> str:
    try:
        return check_owner(owner)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


def _read_tags(tags: Any, place: str) -> tuple[str, ...]:
    if not isinstance(tags, list):
        raise ConfigError(f"{place}: {tags!r} is no list; write [{tags}]")
    try:
        return tuple(check_tag(tag) for tag in tags)
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


def _read_approval(promotion: Any, place: str) -> timedelta | None:
    if promotion is None:
        return None
    if not isinstance(promotion, dict):
        raise ConfigError(f"{place}: {promotion!r} is no mapping; write `approval: human` below it")
    approval = promotion.get("approval", "auto")
    if approval not in get_args(Approval):
        raise ConfigError(f"{place}.approval: {approval!r} is not valid; valid: 'auto' or 'human'")
    try:
        timeout = check_approval_timeout(str(promotion.get("approval_timeout", APPROVAL_TIMEOUT)))
    except ValueError as error:
        raise ConfigError(f"{place}.approval_timeout: {error}") from error
    return timeout if approval == "human" else None


def _read_score(score: Any, place: str) -> Schedule | None:
    if score is None:
        return None
    if not isinstance(score, dict) or not isinstance(score.get("sink"), str):
        raise ConfigError(f"{place}: {score!r} has no sink; write `sink: predictions/NAME` below it")
    return _read_schedule(score.get("schedule"), f"{place}.schedule")


def _read_schedule(schedule: Any, place: str) -> Schedule | None:
    if schedule is None:
        return None
    if not isinstance(schedule, dict) or "cron" not in schedule:
        raise ConfigError(
            f"{place}: {schedule!r} is no schedule; write `cron: '0 3 * * 1'` and `start: 2026-01-01` below it"
        )
    valid = [field.name for field in fields(Schedule)]
    for name in schedule:
        if name not in valid:
            raise ConfigError(f"{place}.{name}: unknown key; {list_valid(name, sorted(valid))}")
    if schedule.get("start") is None:
        raise ConfigError(f"{place}.start: missing; write it like 2026-01-01")
    days = {name: schedule[name] for name in ("start", "end") if schedule.get(name) is not None}
    try:
        days = {name: check_day(value, name) for name, value in days.items()}
        return Schedule(**{name: value for name, value in schedule.items() if value is not None} | days)
    except ValueError as error:
        raise ConfigError(f"{place}.{error}") from error
