"""The source behind a path, an address or a query."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from waterflow.config.schema import Source
from waterflow.data.sources.files import ENDINGS
from waterflow.errors import ConfigError, DataError

QUERY = re.compile(r"\s*(?:select|with|from)\s", re.IGNORECASE)
FILES = ("s3://", "https://", "http://")
DUCKDB_ENDINGS = (".duckdb", ".ddb")
SQLITE_ENDINGS = (".sqlite", ".sqlite3", ".db")


def recognise_source(
    data: str, root: Path, here: Path, table: str | None, reading: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the section `dataset` for what a person named.

    `data` is a file, folder, pattern or `s3://` or `https://` address of files; a query of DuckDB over files; a
    DuckDB or SQLite database, SQL URL or `$VARIABLE` with a SQL URL, each with a `table`. Paths are relative to `here`
    and become relative to the project's `root` where they lie below it. Raises ConfigError for anything else. Whether a
    database has the table, and that one is named, is left to `check_table`.
    """
    if QUERY.match(data):
        section = {"kind": "duckdb", "query": " ".join(data.split())}
    elif data.endswith(DUCKDB_ENDINGS):
        query = _select(table)
        section = {"kind": "duckdb", "database": _relative(data, root, here), "query": query}
    elif data.endswith(SQLITE_ENDINGS) and "://" not in data:
        query = _select(table)
        path = _relative(str(Path(data).expanduser()), root, here)
        section = {"kind": "sql", "url": f"sqlite:///{path}", "query": query}
    elif data.startswith("$"):
        section = {"kind": "sql", "url_env": data[1:], "query": _select(table)}
    elif "://" in data and not data.startswith(FILES):
        section = {"kind": "sql", "url": data, "query": _select(table)}
    else:
        path = data if "://" in data else _relative(data, root, here)
        section = {"kind": _kind_of_files(data, here), "path": path}
    return section | dict(reading)


def parse_source(section: Mapping[str, Any]) -> Source:
    """Validate a section `dataset`. Raises ConfigError of one line."""
    try:
        source: Source = TypeAdapter(Source).validate_python(section)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"][1:])
        raise ConfigError(
            f"dataset.{place}: {problem['msg'].removeprefix('Value error, ')}".replace("dataset.:", "dataset:")
        ) from error
    return source


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Parse `KEY=VALUE` texts, each value as YAML. Raises ConfigError for another form."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, mark, value = setting.partition("=")
        if not mark or not name:
            raise ConfigError(f"--read: {setting!r} is not KEY=VALUE; write it like --read day_first=true")
        try:
            parsed[name] = yaml.safe_load(value) if value not in (",", ".", ";", "|") else value
        except yaml.YAMLError as error:
            raise ConfigError(f"--read: the value of {setting!r} is no YAML; quote it") from error
    return parsed


def _relative(data: str, root: Path, here: Path) -> str:
    if data.startswith("~"):
        return data
    path = (here / data).absolute()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _kind_of_files(data: str, here: Path) -> str:
    place = here / Path(data).expanduser() if "://" not in data else None
    names = [data.partition("?")[0]] if "://" in data else [data]
    if place is not None and place.is_dir():
        names = [path.name for path in place.rglob("*") if path.is_file() and not path.name.startswith((".", "_"))]
    found = Counter(kind for name in names for kind in [_kind_of_name(name)] if kind)
    if not found:
        endings = ", ".join(ending for known in ENDINGS.values() for ending in known)
        raise DataError(
            f"{data!r} is neither a data file, a folder of them, an SQL URL nor a query; files end in {endings}"
        )
    return found.most_common(1)[0][0]


def _kind_of_name(name: str) -> str | None:
    return next((kind for kind, endings in ENDINGS.items() if name.lower().endswith(endings)), None)


def _select(table: str | None) -> str:
    table = table or "TABLE"
    quoted = table if re.fullmatch(r"[\w.]+", table) else '"' + table.replace('"', '""') + '"'
    return f"select * from {quoted}"  # noqa: S608  # a person names a table of their own database
