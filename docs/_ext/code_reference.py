"""Directives that write the reference from the code: the commands, and the keys of the configuration."""

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import typer
from docutils import nodes
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from waterflow.cli.app import app as command_line
from waterflow.config import schema

NAMES = {str: "text", int: "integer", float: "number", bool: "boolean", Any: "any value", type(None): ""}
BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


class Commands(SphinxDirective):
    """Write a section for each command of `waterflow`, in alphabetical order."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        group = typer.main.get_command(command_line)
        lines = [line for path, command in _commands(group, "waterflow") for line in _describe(path, command)]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name in sorted(group.commands):
        command = group.commands[name]
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _describe(path: str, command: Any) -> Iterator[str]:
    params = [param for param in command.params if param.name != "help"]
    usage = " ".join([path, *(_usage(param) for param in params)])
    yield from (f"## {path}", "", re.sub(r"\[/?\w+\]", "", command.help or ""), "", "```text", usage, "```", "")
    examples = [line for line in (command.epilog or "").split("\n\n") if not line.startswith("Example")]
    yield from ("```bash", *examples, "```", "") if examples else ()
    rows = [f"| `{_name(param)}` | {_sentence(param.help)} |" for param in params if param.help]
    if rows:
        yield from ("| | meaning |", "|---|---|", *rows, "")


def _name(param: Any) -> str:
    return param.name.upper() if param.param_type_name == "argument" else ", ".join(param.opts)


def _usage(param: Any) -> str:
    name = _name(param)
    if param.param_type_name == "option" and not param.is_flag:
        name += f" {param.name.upper()}"
    if param.nargs == -1:
        name += "…"
    return name if param.required else f"[{name}]"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".").replace("|", r"\|")


class Keys(SphinxDirective):
    """Write the table of a section of the schema.

    The body says what each key means, one list item `- key: meaning` each. A key that is missing, or that the schema
    does not have, fails the build.
    """

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        keys = _keys(getattr(schema, self.arguments[0]))
        meanings = dict(re.findall(r"^- (\w+): (.+?)$(?=\n- |\Z)", "\n".join(self.content), re.MULTILINE | re.DOTALL))
        if set(meanings) != set(keys):
            missing, unknown = sorted(set(keys) - set(meanings)), sorted(set(meanings) - set(keys))
            raise self.error(f"{self.arguments[0]}: keys without a meaning {missing}, keys not in the schema {unknown}")
        rows = [
            f"| `{key}` | {kind} | {default} | {' '.join(meanings[key].split())} |"
            for key, kind, default in ((key, *keys[key]) for key in keys)
        ]
        return self.parse_text_to_nodes("\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]))


def _keys(section: Any) -> dict[str, tuple[str, str]]:
    """Return type and default of each key, as Markdown. Keys of a parent section are described there."""
    if issubclass(section, BaseModel):
        fields = {
            key: (field.rebuild_annotation(), field.default if field.default_factory is None else None)
            for key, field in section.model_fields.items()
            if key in section.__annotations__
        }
    else:
        fields = {
            key: (field.type, getattr(section, key, PydanticUndefined))
            for key, field in section.__dataclass_fields__.items()
            if get_origin(field.type) is not ClassVar and field.type is not ClassVar
        }
    return {key: (_type_name(annotation), _default(default)) for key, (annotation, default) in fields.items()}


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), "") or isinstance(value, BaseModel):
        return "–"
    if isinstance(value, tuple):
        return "–" if isinstance(value[0], BaseModel) else f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type_name(annotation: Any) -> str:
    if annotation == schema.Duration:
        return "duration"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return ", ".join([_type_name(arguments[0]), *_bounds(arguments[1:])])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(filter(None, map(_type_name, arguments))))
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {_type_name(arguments[1])}"
    if annotation in NAMES:
        return NAMES[annotation]
    return str(annotation.__name__).removesuffix("Config").removesuffix("Source").lower()


def _bounds(metadata: tuple[Any, ...]) -> Iterator[str]:
    for entry in metadata:
        for bound in getattr(entry, "metadata", [entry]):
            for name, sign in BOUNDS.items():
                if getattr(bound, name, None) is not None:
                    yield f"{sign} {getattr(bound, name)}"


def _as_literals(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn Markdown's code spans, which docstrings have, into those of reStructuredText."""
    lines[:] = [re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("commands", Commands)
    app.add_directive("keys", Keys)
    app.connect("autodoc-process-docstring", _as_literals)
    return {"parallel_read_safe": True}
