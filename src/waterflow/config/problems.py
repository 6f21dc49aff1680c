"""Pydantic's problems in our words.

Each has the key, the value found, what is valid and what to do.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from waterflow.config.schema import SOURCE_KINDS
from waterflow.config.suggestions import find_near, list_valid
from waterflow.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
MAX_SHOWN = 80
NO_MAPPING = ("model_type", "model_attributes_type", "dataclass_type", "dict_type")
NEEDED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "date_type": "a day such as 2026-01-01",
    "date_parsing": "a day such as 2026-01-01",
    "date_from_datetime_parsing": "a day such as 2026-01-01",
    "date_from_datetime_inexact": "a day without a time, such as 2026-01-01",
    "float_parsing": "a number such as 0.2",
    "float_type": "a number such as 0.2",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "string_too_long": "at most {max_length} character",
    "string_too_short": "at least {min_length} character",
    "too_short": "at least {min_length}",
}


def validate(model: type[Model], content: Mapping[str, Any], place: str, overrides: Sequence[str] = ()) -> Model:
    """Validate `content` by a pydantic model.

    Raises ConfigError of one line. Its place is the override that set the value, if one did, else `place`.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(
            f"{_find_override(problems[0], overrides) or place}: {explain(model, problems[0])}{more}"
        ) from error


def explain(model: type[BaseModel], problem: Any) -> str:
    """Describe one of pydantic's problems: path, value, what is valid."""
    kind, value = problem["type"], problem["input"]
    place = ".".join(_path_of(problem))
    match kind:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"{place}: unknown key; {list_valid(_path_of(problem)[-1], keys_at(model, problem['loc'][:-1]))}"
        case "missing":
            return f"{place}: missing; add it"
        case "value_error":
            return f"{place + ': ' if place else ''}{problem['ctx']['error']}"
        case "union_tag_not_found":
            return f"{place}.kind: missing; valid: {', '.join(SOURCE_KINDS)}"
        case "union_tag_invalid":
            return (
                f"{place}.kind: {problem['ctx']['tag']!r} is unknown; {list_valid(problem['ctx']['tag'], SOURCE_KINDS)}"
            )
    if value is None:
        return f"{place}: None is not valid: the key is empty; write a value after it, or remove it"
    if kind in NO_MAPPING:
        keys = keys_at(model, problem["loc"])
        return f"{place}: {_shorten(value)} is no mapping of keys; valid: {', '.join(keys) or 'NAME: value'}"
    if kind == "tuple_type":
        entries = value if isinstance(value, str) and " " not in value else "first, second"
        return f"{place}: {_shorten(value)} is no list; write [{entries}]"
    if kind == "string_type":
        remedy = "write one text" if isinstance(value, list | tuple | dict) else f"write '{value}' with quotes"
        return f"{place}: {_shorten(value)} is no text; {remedy}"
    if kind == "literal_error":
        near = find_near(value, re.findall("'([^']*)'", problem["ctx"]["expected"]))
        meant = f"did you mean {near!r}? " if near else ""
        return f"{place}: {value!r} is not valid; {meant}valid: {problem['ctx']['expected']}"
    needed = NEEDED.get(kind, "").format(**problem.get("ctx", {}))
    reason = f"; valid: {needed}" if needed else f": {problem['msg']}"
    return f"{place}: {_shorten(value)} is not valid{reason}"


def keys_at(model: Any, path: Sequence[str | int]) -> list[str]:
    """Return the keys valid at `path`. Walks through lists, mappings and unions."""
    sections = [model]
    for part in path:
        of_kind = [section for section in sections if _kind_of(section) == part]
        annotations = [_annotations_of(section).get(str(part)) for section in sections]
        sections = of_kind or [inner for annotation in annotations for inner in _sections_in(annotation)] or sections
    return sorted({name for section in sections for name in _annotations_of(section)})


def _path_of(problem: Any) -> list[str]:
    """Return the keys of a problem's place. Names of a union's members are left out."""
    return [
        str(part)
        for part in problem["loc"]
        if part not in SOURCE_KINDS and "[" not in str(part) and part not in ("str", "float", "date")
    ]


def _find_override(problem: Any, overrides: Sequence[str]) -> str | None:
    # A rule about several keys has no place of its own, but its message begins with the key.
    path = ".".join(_path_of(problem)) or str(problem.get("ctx", {}).get("error", "")).partition(":")[0]
    for override in reversed(overrides):
        key = override.partition("=")[0].lstrip("+")
        if path == key or path.startswith(f"{key}.") or (key.startswith(f"{path}.") and path):
            return f"override {override!r}"
    return None


def _kind_of(section: Any) -> str | None:
    kind = _annotations_of(section).get("kind")
    return next(iter(get_args(kind)), None)


def _annotations_of(section: Any) -> dict[str, Any]:
    if is_dataclass(section):
        return {field.name: field.type for field in fields(section)}
    return {name: field.annotation for name, field in section.model_fields.items()}


def _sections_in(annotation: Any) -> list[Any]:
    return list(_iterate_sections(annotation))


def _iterate_sections(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _iterate_sections(inner)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
