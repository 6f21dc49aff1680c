"""The parse-time view of `conf/pipeline/*.yaml`.

It needs PyYAML and the standard library alone. Airflow's DAG processor parses every DAG file again and again. Names,
choices for the trigger form and the schedule are therefore read here without Hydra or pydantic; a test compares them
with what `compose` reads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml

from waterflow.config.schedule import APPROVAL_TIMEOUT, Approval, Schedule, timedelta_of
from waterflow.errors import ConfigError

# The fields of `schema.PipelineConfig` except `name`, `scenario` and `strategy`, plus Hydra's own `defaults`.
TOP_LEVEL_KEYS = frozenset(
    """
    defaults description owner tags schedule dataset rows target target_nulls task features drop known_after key group
    time_column label_delay time_zone window sample split contract preprocessing candidates tuning metrics positive
    costs decision calibration gate promotion serving intended_use seed
    """.split()  # noqa: SIM905  # a list would take a line for each key
)


@dataclass(frozen=True)
class Outline:
    """What a DAG shows of a pipeline. `approval_timeout` is None where nobody is asked."""

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

    @property
    def approval(self) -> Approval:
        """Whether a person must approve a new champion."""
        return "auto" if self.approval_timeout is None else "human"


def pipeline_files(conf: Path) -> list[Path]:
    """Return the pipelines' YAML files, sorted by name."""
    return sorted((conf / "pipeline").glob("*.yaml"))


def group_options(conf: Path, group: str) -> tuple[str, ...]:
    """Return the options of a Hydra group, such as `strategy`."""
    return tuple(sorted(path.stem for path in (conf / group).glob("*.yaml")))


def read_scenarios(conf: Path) -> dict[str, list[str] | None]:
    """Read which pipelines each scenario fits. Its key `for` names them; None fits all."""
    scenarios: dict[str, list[str] | None] = {}
    for path in sorted((conf / "scenario").glob("*.yaml")):
        try:
            fits = _load(path.read_text("utf-8"), f"conf/scenario/{path.name}")[0].get("for")
        except ConfigError:
            fits = None  # offered nonetheless: choosing it says what is wrong with it
        scenarios[path.stem] = fits if isinstance(fits, list) else None
    return scenarios


def scenarios_for(scenarios: Mapping[str, list[str] | None], pipeline: str) -> tuple[str, ...]:
    """Return the names of the scenarios that fit a pipeline."""
    return tuple(name for name, fits in scenarios.items() if fits is None or pipeline in fits)


def find_outline(conf: Path, pipeline: str) -> Path:
    """Return the path of a pipeline's YAML. Raises ConfigError listing the valid names."""
    names = [path.stem for path in pipeline_files(conf)]
    if pipeline not in names:
        raise ConfigError(
            f"pipeline: {pipeline!r} is unknown; valid: {', '.join(names)}; or add conf/pipeline/{pipeline}.yaml"
        )
    return conf / "pipeline" / f"{pipeline}.yaml"


def read_outline(path: Path) -> Outline:
    """Read one pipeline's YAML.

    Raises ConfigError, with file and line, on broken YAML, a duplicate or unknown key, a strategy or model without a
    file, and a duplicate candidate.
    """
    place = f"conf/pipeline/{path.name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise ConfigError(f"{place}: {path.stem!r} is no name for a pipeline; use small letters, digits and _")
    source = path.read_text(encoding="utf-8")
    content, lines = _load(source, place)
    _check_keys(lines, place)
    strategy, models = _read_defaults(
        content.get("defaults"), f"{place}:{lines.get('defaults', 1)}", path.parent.parent
    )
    return Outline(
        name=path.stem,
        description=str(content.get("description") or ""),
        owner=str(content.get("owner") or "waterflow"),
        tags=tuple(str(tag) for tag in content.get("tags") or ()),
        strategy=strategy,
        candidates=_read_candidates(content.get("candidates"), models, lines, place),
        schedule=_read_schedule(content.get("schedule"), f"{place}:{lines.get('schedule', 1)}: schedule"),
        time_column=content.get("time_column"),
        source=source,
        approval_timeout=_read_approval(content.get("promotion"), f"{place}:{lines.get('promotion', 1)}: promotion"),
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
        _, lines = _load(path.read_text("utf-8"), place)
        if list(lines) != [model]:
            raise ConfigError(
                f"{place}:1: the one key must be {model!r}, as the file is named; found {', '.join(lines)}"
            )


def _load(source: str, place: str) -> tuple[dict[str, Any], dict[str, int]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(source)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{place}:1: a mapping of keys is needed, such as `target: species`")
        lines: dict[str, int] = {}
        _check_twice(node, place)
        for key, _ in node.value:
            lines[str(key.value)] = key.start_mark.line + 1
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{place}:{line}: this is no YAML: {error.problem or error.context}") from error
    finally:
        loader.dispose()


def _check_twice(node: Any, place: str) -> None:
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise ConfigError(f"{place}:{line}: {key.value!r} stands twice, first in line {seen[key.value]}; keep one")
        seen[key.value] = line
        if isinstance(value, yaml.MappingNode):
            _check_twice(value, place)


def _check_keys(lines: dict[str, int], place: str) -> None:
    for key, line in lines.items():
        if key not in TOP_LEVEL_KEYS:
            near = get_close_matches(key, TOP_LEVEL_KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"valid: {', '.join(sorted(TOP_LEVEL_KEYS))}"
            raise ConfigError(f"{place}:{line}: unknown key {key!r}; {hint}")


def check_known(name: str, options: tuple[str, ...], place: str) -> None:
    """Raise ConfigError unless a name is one of the options."""
    if name not in options:
        raise ConfigError(f"{place}: {name!r} is unknown; valid: {', '.join(options)}")


def _read_defaults(defaults: Any, place: str, conf: Path) -> tuple[str, list[str]]:
    if not isinstance(defaults, list):
        raise ConfigError(f"{place}: defaults: a list is needed, such as `- /strategy: balanced`")
    entries = {key: value for entry in defaults if isinstance(entry, dict) for key, value in entry.items()}
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


def _read_approval(promotion: Any, place: str) -> timedelta | None:
    if promotion is None:
        return None
    if not isinstance(promotion, dict):
        raise ConfigError(f"{place}: {promotion!r} is no mapping; write `approval: human` below it")
    approval = promotion.get("approval", "auto")
    if approval not in get_args(Approval):
        raise ConfigError(f"{place}.approval: {approval!r} is not valid; valid: 'auto' or 'human'")
    try:
        timeout = timedelta_of(str(promotion.get("approval_timeout", APPROVAL_TIMEOUT)))
    except ValueError as error:
        raise ConfigError(f"{place}.approval_timeout: {error}") from error
    return timeout if approval == "human" else None


def _read_schedule(schedule: Any, place: str) -> Schedule | None:
    if schedule is None:
        return None
    if not isinstance(schedule, dict) or not isinstance(schedule.get("cron"), str):
        raise ConfigError(
            f"{place}: {schedule!r} is no schedule; write `cron: '0 3 * * 1'` and `start: 2026-01-01` below it"
        )
    valid = [field.name for field in fields(Schedule)]
    for name, value in schedule.items():
        if name not in valid:
            raise ConfigError(f"{place}.{name}: unknown key; valid: {', '.join(sorted(valid))}")
        if name in ("start", "end") and value is not None and not isinstance(value, date):
            raise ConfigError(f"{place}.{name}: {value!r} is no day; write it like 2026-01-01")
    if schedule.get("start") is None:
        raise ConfigError(f"{place}.start: missing; write it like 2026-01-01")
    try:
        return Schedule(**{name: value for name, value in schedule.items() if value is not None})
    except ValueError as error:
        raise ConfigError(f"{place}.{error}") from error
