"""Reading of YAML files.

Every refusal has file and line. What YAML would silently read as something else than was written, such as `NO` as
false, is refused with its remedy.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from waterflow.errors import ConfigError

MAX_SHOWN = 60
PLAIN_BOOLEANS = ("true", "false", "True", "False", "TRUE", "FALSE")
# What PyYAML says, and what it means for the line.
SYNTAX = {
    "mapping values are not allowed": "a value that contains `: ` needs quotes",
    "could not determine a constructor for the tag": "a value that begins with `!` or is `=` needs quotes",
    "did not find expected alphabetic or numeric": "a value that begins with `*` or `&` needs quotes",
    "found undefined alias": "a value that begins with `*` needs quotes",
    "did not find expected ',' or": "a `,` or the closing bracket is missing",
    "found unexpected end of stream": "the closing quote is missing",
    "did not find expected key": "check its indentation and quotes; within single quotes write '' for '",
    "unknown escape character": "within double quotes write two backslashes for one, or use single quotes",
}


def read_yaml(path: Path, place: str) -> tuple[dict[str, Any], dict[str, int], str]:
    """Return content, lines of the top-level keys, and text.

    Raises ConfigError with file and line on what is not UTF-8 or not YAML, a duplicate key, and a value that YAML reads
    as something else.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{place}:{line}: the byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from error
    content, lines = parse_yaml(source, place)
    return content, lines, source


def parse_yaml(source: str, place: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Return content, and lines of the top-level keys. Raises ConfigError as `read_yaml` does."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(source)
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{place}:1: a mapping of keys is needed, such as `target: species`")
        for scalar, key in iterate_scalars(node, place):
            _check_scalar(scalar, key, place)
        return loader.construct_document(node), {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        number = mark.line if mark else 0
        lines = source.splitlines() or [""]
        line = lines[min(number, len(lines) - 1)]
        shown = line.strip()[:MAX_SHOWN]
        raise ConfigError(f"{place}:{number + 1}: this is no YAML: {shown!r}: {_explain(error, line)}") from error
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise ConfigError(f"{place}: this is no YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()


def iterate_scalars(node: yaml.Node, place: str, key: str = "") -> Iterator[tuple[yaml.ScalarNode, str]]:
    """Yield each key and value with its dotted path. Raises ConfigError on a duplicate key."""
    if isinstance(node, yaml.ScalarNode):
        yield node, key
    elif isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from iterate_scalars(entry, place, key)
    else:
        seen: dict[str, int] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            if name.value in seen:
                first = seen[name.value]
                raise ConfigError(f"{place}:{line}: {name.value!r} stands twice, first in line {first}; keep one")
            seen[name.value] = line
            inner = f"{key}.{name.value}".lstrip(".") if isinstance(name, yaml.ScalarNode) else key
            yield from iterate_scalars(name, place, inner)
            yield from iterate_scalars(value, place, inner)


def _check_scalar(scalar: yaml.ScalarNode, key: str, place: str) -> None:
    """Raise ConfigError for what YAML reads otherwise."""
    text, tag = str(scalar.value), scalar.tag.rpartition(":")[2]
    if scalar.style:  # it has quotes
        return
    if tag == "bool" and text not in PLAIN_BOOLEANS:
        value = "true" if text.lower() in ("yes", "on", "y") else "false"
        read, remedy = f"as {value}", f"; if {value} is meant, write {value}"
    elif tag == "int" and re.fullmatch(r"[-+]?0[0-7_]+", text):
        read, remedy = (
            f"as an octal number, {int(text.replace('_', ''), 8)}",
            " to keep the zero, or leave the zero out",
        )
    elif tag in ("int", "float") and ":" in text:
        read, remedy = "as a number of base 60", ""
    else:
        return
    line = scalar.start_mark.line + 1
    raise ConfigError(f"{place}:{line}: {key}: YAML reads {text} {read}; write '{text}' with quotes{remedy}")


def _explain(error: yaml.MarkedYAMLError, line: str) -> str:
    problem = f"{error.problem or error.context}"
    if "cannot start any token" in problem:
        is_tab = "\t" in line[: len(line) - len(line.lstrip())]
        return "indent with spaces, not with tabs" if is_tab else "a value that begins with %, @ or ` needs quotes"
    return next((f"{words} ({problem})" for start, words in SYNTAX.items() if problem.startswith(start)), problem)
