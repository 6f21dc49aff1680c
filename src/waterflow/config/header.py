"""The light reader of `conf/pipeline/*.yaml`, for DAG files: PyYAML and the standard library alone.

An Airflow DAG processor parses every DAG file again and again, so what it needs (names, choices for the
trigger form, the schedule) is read here without Hydra or pydantic. What stands here is what
`compose` finds too; a test holds the one against the other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from waterflow.errors import ConfigError

# The fields of `schema.PipelineConfig` except `name`, `scenario` and `strategy`, plus Hydra's own `defaults`.
TOP_LEVEL_KEYS = frozenset(
    [
        "defaults",
        "description",
        "owner",
        "tags",
        "schedule",
        "dataset",
        "target",
        "task",
        "features",
        "drop",
        "known_after",
        "key",
        "group",
        "time_column",
        "label_delay",
        "window",
        "sample",
        "split",
        "contract",
        "preprocessing",
        "candidates",
        "tuning",
        "metrics",
        "costs",
        "gate",
        "promotion",
        "intended_use",
        "seed",
    ]
)


DURATION = re.compile(r"(\d+) (minute|hour|day|week|month|year)s?")
# A time-out needs no calendar: a month is 30 days, a year 365.
MINUTES = {"minute": 1, "hour": 60, "day": 1440, "week": 10_080, "month": 43_200, "year": 525_600}


@dataclass(frozen=True)
class Schedule:
    """A cron line with its time zone, the day from which it counts, and the one after which nothing is scheduled."""

    cron: str
    start: date
    timezone: str
    end: date | None = None


@dataclass(frozen=True)
class Outline:
    """What a DAG shows of a pipeline before anything runs.

    `approval_timeout` says how long a person's answer is waited for; None where nobody is asked.
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

    @property
    def approval(self) -> Literal["auto", "human"]:
        """Whether a person is asked before the champion's place is taken."""
        return "auto" if self.approval_timeout is None else "human"


def pipeline_files(conf: Path) -> list[Path]:
    """List the pipelines' YAML files in the order of their names."""
    return sorted((conf / "pipeline").glob("*.yaml"))


def group_options(conf: Path, group: str) -> tuple[str, ...]:
    """Name the choices of a Hydra group, such as `strategy`."""
    return tuple(sorted(path.stem for path in (conf / group).glob("*.yaml")))


def read_scenarios(conf: Path) -> dict[str, list[str] | None]:
    """Give the scenarios of `conf/scenario/` with the pipelines that their key `for` lists; None fits all."""
    scenarios: dict[str, list[str] | None] = {}
    for path in sorted((conf / "scenario").glob("*.yaml")):
        try:
            fits = _load(path.read_text("utf-8"), f"conf/scenario/{path.name}")[0].get("for")
        except ConfigError:
            fits = None  # offered all the same: who chooses it is told what is wrong with it
        scenarios[path.stem] = fits if isinstance(fits, list) else None
    return scenarios


def scenarios_for(scenarios: Mapping[str, list[str] | None], pipeline: str) -> tuple[str, ...]:
    """Name those of `read_scenarios` that fit a pipeline."""
    return tuple(name for name, fits in scenarios.items() if fits is None or pipeline in fits)


def find_outline(conf: Path, pipeline: str) -> Path:
    """Find a pipeline's YAML by name; raises ConfigError with the names that there are."""
    names = [path.stem for path in pipeline_files(conf)]
    if pipeline not in names:
        raise ConfigError(
            f"pipeline: {pipeline!r} is unknown; valid: {', '.join(names)}; or add conf/pipeline/{pipeline}.yaml"
        )
    return conf / "pipeline" / f"{pipeline}.yaml"


def read_outline(path: Path) -> Outline:
    """Read one pipeline's YAML.

    Raises ConfigError, with file and line, on broken YAML, on a key that stands twice or is unknown, on a
    strategy or model that has no file, and on a candidate named twice.
    """
    place = f"conf/pipeline/{path.name}"
    conf = path.parent.parent
    if not re.fullmatch(r"[a-z][a-z0-9_]*", path.stem):
        raise ConfigError(f"{place}: {path.stem!r} is no name for a pipeline; use small letters, digits and _")
    source = path.read_text(encoding="utf-8")
    content, lines = _load(source, place)
    _check_keys(lines, place)
    strategy, models = _read_defaults(content.get("defaults"), f"{place}:{lines.get('defaults', 1)}")
    where = f"{place}:{lines.get('defaults', 1)}: defaults"
    _check_known(strategy, group_options(conf, "strategy"), f"{where}: strategy")
    options = group_options(conf, "model")
    for model in models:
        _check_known(model, options, f"{where}: model")
    inline = content.get("candidates") or {}
    if not isinstance(inline, dict):
        raise ConfigError(f"{place}:{lines['candidates']}: candidates: {inline!r} is no mapping of names to estimators")
    candidates = (*models, *(name for name in inline if name not in models))
    if not candidates:
        raise ConfigError(f"{where}: no candidate; add `- /model@candidates: [random_forest]` or a key candidates")
    return Outline(
        name=path.stem,
        description=str(content.get("description") or ""),
        owner=str(content.get("owner") or "waterflow"),
        tags=tuple(str(tag) for tag in content.get("tags") or ()),
        strategy=strategy,
        candidates=candidates,
        schedule=_read_schedule(content.get("schedule"), f"{place}:{lines.get('schedule', 1)}: schedule"),
        time_column=content.get("time_column"),
        source=source,
        approval_timeout=_read_approval(content.get("promotion"), f"{place}:{lines.get('promotion', 1)}: promotion"),
    )


def check_names_once(names: list[str], place: str) -> None:
    """Refuse a list in which a candidate stands twice; Hydra would merge the two in silence."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{place}: candidate {twice[0]!r} stands twice; each needs a name of its own")


def check_model_file(conf: Path, model: str) -> None:
    """Refuse a file of the group `model` that does not hold the candidate of its own name.

    Under another name, as when a file was copied, it would replace a candidate in silence.
    """
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


def _check_known(name: str, options: tuple[str, ...], place: str) -> None:
    if name not in options:
        raise ConfigError(f"{place}: {name!r} is unknown; valid: {', '.join(options)}")


def _read_defaults(defaults: Any, place: str) -> tuple[str, list[str]]:
    if not isinstance(defaults, list):
        raise ConfigError(f"{place}: defaults: a list is needed, such as `- /strategy: balanced`")
    entries = {key: value for entry in defaults if isinstance(entry, dict) for key, value in entry.items()}
    strategy = entries.get("/strategy")
    if not isinstance(strategy, str):
        raise ConfigError(f"{place}: defaults: no strategy; add `- /strategy: balanced`")
    models = entries.get("/model@candidates") or []
    models = [models] if isinstance(models, str) else [str(model) for model in models]
    check_names_once(models, f"{place}: defaults: /model@candidates")
    return strategy, models


def _read_approval(promotion: Any, place: str) -> timedelta | None:
    if promotion is None:
        return None
    if not isinstance(promotion, dict):
        raise ConfigError(f"{place}: {promotion!r} is no mapping; write `approval: human` below it")
    approval = promotion.get("approval", "auto")
    if approval not in ("auto", "human"):
        raise ConfigError(f"{place}.approval: {approval!r} is not valid; valid: 'auto' or 'human'")
    waiting = str(promotion.get("approval_timeout", "1 day"))
    found = DURATION.fullmatch(waiting)
    if not found:
        raise ConfigError(f"{place}.approval_timeout: {waiting!r} is no duration; write it like '36 hours' or '3 days'")
    return timedelta(minutes=int(found[1]) * MINUTES[found[2]]) if approval == "human" else None


def _read_schedule(schedule: Any, place: str) -> Schedule | None:
    if schedule is None:
        return None
    if not isinstance(schedule, dict) or not isinstance(schedule.get("cron"), str):
        raise ConfigError(
            f"{place}: {schedule!r} is no schedule; write `cron: '0 3 * * 1'` and `start: 2026-01-01` below it"
        )
    for name in ("start", "end"):
        if not isinstance(schedule.get(name), date) and (name == "start" or schedule.get(name) is not None):
            raise ConfigError(f"{place}.{name}: {schedule.get(name)!r} is no day; write it like 2026-01-01")
    timezone = str(schedule.get("timezone") or "UTC")
    return Schedule(schedule["cron"], schedule["start"], timezone, schedule.get("end"))
