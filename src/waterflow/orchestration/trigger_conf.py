"""The check of a trigger's conf.

The API server and `prepare` share it.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from waterflow.errors import ConfigError

MAX_CONF_BYTES = 64 * 1024
# `prepare` cuts rows at these moments; a year that pandas cannot hold would fail there with a traceback.
MOMENT = (
    r"^(19\d{2}|2[01]\d{2}|2200)-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|[12]\d))"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
)
WINDOW = ("window_start", "window_end")


def check_conf(conf: object, form: Any) -> None:
    """Raise ConfigError unless the form accepts a conf.

    `form` holds the DAG's params. Refused are what is no mapping, more than 64 kB as JSON, unknown keys, a window where
    nothing dates the rows, and values that do not fit a field.
    """
    if conf is None:
        return
    if not isinstance(conf, Mapping):
        raise ConfigError(f'conf: {_shorten(conf)} is no mapping; write it like {{"strategy": "quick"}}')
    size_bytes = len(json.dumps(conf))
    if size_bytes > MAX_CONF_BYTES:
        raise ConfigError(f"conf: {size_bytes:,} bytes are more than {MAX_CONF_BYTES:,}; send names and times only")
    for name, value in conf.items():
        if name in form:
            _check_value(name, value, form.get_param(name).schema)
        elif name not in WINDOW:
            raise ConfigError(f"conf: unknown key {_shorten(name)}; valid: {', '.join(sorted(form)) or 'none'}")
        elif value is not None:
            raise ConfigError(
                f"conf.{name}: {_shorten(value)} is not valid: the pipeline has no time_column, so nothing dates "
                "its rows; leave the window out, or declare time_column in the pipeline's YAML"
            )


def _check_value(name: str, value: object, schema: Mapping[str, Any]) -> None:
    from airflow.sdk import Param
    from airflow.sdk.exceptions import ParamValidationError

    try:
        Param(schema=dict(schema)).resolve(value)
        if "pattern" in schema and value is not None:
            datetime.fromisoformat(str(value))
    except (ParamValidationError, ValueError):
        raise ConfigError(f"conf.{name}: {_shorten(value)} is not valid; valid: {_describe(schema)}") from None


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _describe(schema: Mapping[str, Any]) -> str:
    if "items" in schema:
        return f"a list of one or more of {', '.join(schema['items']['enum'])}, each once"
    if "enum" in schema:
        return ", ".join("null" if option is None else str(option) for option in schema["enum"])
    if "pattern" in schema:
        return "a day or a moment from 1900 to 2200, such as 2026-01-31 or 2026-01-31T12:00:00Z"
    return "true or false"
