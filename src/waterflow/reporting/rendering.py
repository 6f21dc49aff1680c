"""Jinja2 templates for people. HTML, Markdown and YAML are each escaped by their own rules."""

import html
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from waterflow.data.contract_inference import write_yaml
from waterflow.reporting.verdict_text import format_confidence, format_interval, format_number

FOLDER = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Return a filled template. Whatever comes from data or YAML is escaped."""
    return _environment(template.split(".")[-2]).get_template(template).render(**values)


def escape_markdown(content: object) -> Markup:
    """Return text that is safe inside Markdown. Markdown may contain HTML and tables."""
    if isinstance(content, Markup):
        return content
    return Markup(html.escape(str(content), quote=False).replace("|", "\\|").replace("`", "'"))  # noqa: S704


def write_comment(text: object) -> str:
    """Return text as one line, for a comment."""
    return " ".join(str(text).split())


@cache
def _environment(ending: str) -> Environment:
    is_markdown = ending == "md"
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=ending != "yaml",  # noqa: S701  # YAML has a filter of its own for values and comments
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=escape_markdown if is_markdown else None,
    )
    environment.filters |= {"number": format_number, "interval": format_interval, "confidence": format_confidence}
    environment.filters |= {"yaml": write_yaml, "comment": write_comment}
    return environment
