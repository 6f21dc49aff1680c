"""Consoles, and the arguments and formats that several commands share."""

import json
import os
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from waterflow.cli.completion import complete_overrides, complete_pipelines, complete_references

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

MARKS = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[dim]–[/dim]"}
SHORT_DIGEST = 12
FORCE_HELP = "Fit and evaluate again, even what an earlier run did with the same inputs."

Pipeline = Annotated[
    str,
    typer.Argument(
        metavar="PIPELINE", help="A file of conf/pipeline/, such as iris.", autocompletion=complete_pipelines
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Hydra overrides, such as strategy=quick.", autocompletion=complete_overrides),
]
Reference = Annotated[
    str,
    typer.Argument(
        metavar="MODEL@VERSION",
        help="Such as iris@3 or iris@champion; iris alone is its champion.",
        autocompletion=complete_references,
    ),
]
Start = Annotated[str | None, typer.Option(help="First moment of the window, such as 2013-01-01.")]
End = Annotated[str | None, typer.Option(help="End of the window, exclusive; now by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", help="Approve a promotion that needs a person's approval.")]


def widen() -> None:
    """Widen output to a pipe. It has no width, and at the 80 columns that Rich assumes, names are cut."""
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 160


def say(text: str) -> None:
    """Print a line, unbroken however long it is."""
    out.print(text, soft_wrap=True)


def warn(label: str, text: str, colour: str = "red") -> None:
    """Print a labelled line to the error stream."""
    err.print(f"[{colour}]{label}:[/{colour}] {escape(text)}", soft_wrap=True)


def print_json(content: Any) -> None:
    """Print plain JSON, neither wrapped nor coloured."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_table(header: Iterable[str], rows: Iterable[Iterable[Any]], title: str = "", console: Console = out) -> None:
    """Print a table of texts without lines between its cells."""
    table = Table(*header, title=f"\n{title}" if title else None, title_justify="left", title_style="bold", box=None)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_step(step: str, text: str, colour: str = "cyan") -> None:
    """Print one line of progress."""
    say(f"[{colour}]{step:>9}[/{colour}]  {escape(text)}")


def short_digest(text: str) -> str:
    """Shorten a digest; return other text unchanged."""
    return text[:SHORT_DIGEST] if len(text) in (40, 64) and set(text) <= set("0123456789abcdef") else text
