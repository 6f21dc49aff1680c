"""Consoles, and the arguments and formats that several commands share."""

import os
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

out = Console()
err = Console(stderr=True)

MARKS = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[dim]–[/dim]"}
SHORT_DIGEST = 12
FORCE_HELP = "Fit and evaluate again, even what an earlier run did with the same inputs."

Overrides = Annotated[list[str] | None, typer.Argument(help="Hydra overrides, such as strategy=quick.")]
Reference = Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="Such as iris@3 or iris@champion.")]
Start = Annotated[str | None, typer.Option(help="First moment of the window, such as 2013-01-01.")]
End = Annotated[str | None, typer.Option(help="End of the window, exclusive; now by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Yes = Annotated[bool, typer.Option("--yes", help="Approve a promotion that needs a person's approval.")]


def widen() -> None:
    """Widen output that goes to a pipe.

    A pipe has no width, and at the 80 columns that Rich assumes, names are cut.
    """
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 160


def print_step(step: str, text: str, colour: str = "cyan") -> None:
    """Print one line of progress."""
    out.print(f"[{colour}]{step:>9}[/{colour}]  {escape(text)}", highlight=False, soft_wrap=True)


def short_digest(text: str) -> str:
    """Shorten a digest; return other text unchanged."""
    return text[:SHORT_DIGEST] if len(text) in (40, 64) and set(text) <= set("0123456789abcdef") else text
