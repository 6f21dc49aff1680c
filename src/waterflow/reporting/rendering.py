"""Jinja2 templates for people. HTML and Markdown are each escaped by their own rules."""

import html
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from waterflow.reporting.verdict_text import format_confidence, format_interval, format_number

FOLDER = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Return a filled template. Whatever comes from data or YAML is escaped."""
    return _environment(template.endswith(".md.j2")).get_template(template).render(**values)


def escape_markdown(content: object) -> Markup:
    """Return text that is safe inside Markdown. Markdown may contain HTML and tables."""
    if isinstance(content, Markup):
        return content
    return Markup(html.escape(str(content), quote=False).replace("|", "\\|").replace("`", "'"))  # noqa: S704


@cache
def _environment(is_markdown: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=escape_markdown if is_markdown else None,
    )
    environment.filters |= {"number": format_number, "interval": format_interval, "confidence": format_confidence}
    return environment
