"""`waterflow init`: write a pipeline for unknown data."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from waterflow.cli.console import print_table, say, warn
from waterflow.config.project import find_project
from waterflow.errors import ConfigError

if TYPE_CHECKING:
    from waterflow.workflow import ExaminedData


def init(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A file, folder, pattern or s3:// address; a query over files; a DuckDB or SQLite file, SQL URL or "
            "$VARIABLE.",
        ),
    ],
    target: Annotated[str | None, typer.Option(help="The column to predict; asked for in a terminal.")] = None,
    task: Annotated[
        Literal["classification", "regression"] | None, typer.Option(help="What the target is, if it is not plain.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The pipeline's name; by default that of the data.")] = None,
    table: Annotated[str | None, typer.Option(help="The table of a database.")] = None,
    read: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="How to read it, such as day_first=true.")
    ] = None,
) -> None:
    """Write a commented pipeline YAML for DATA. It runs as it is."""
    from waterflow import workflow

    project = find_project()
    examined = workflow.examine(data, table, read or [], project, Path.cwd())
    for line in examined.reading:
        say(f"read        {line}")
    rows = [
        (entry.name, entry.kind or "–", f"{entry.nulls:,}", f"{entry.distinct:,}", workflow.summarise_values(entry))
        for entry in examined.profiles.values()
    ]
    print_table(("column", "type", "nulls", "different", "values"), rows, title=f"{len(examined.frame):,} rows")
    chosen = target or _ask_target(examined)
    path, roles = workflow.write_pipeline(examined, chosen, task, name or workflow.suggest_name(data), project)
    for line in roles.warnings:
        warn("warning", line, "yellow")
    say(f"\nwritten     {path}")
    say(f"target      {roles.target} ({roles.task}), from {len(roles.features)} columns")
    say(f"next        [bold]waterflow run {path.stem}[/bold]")


def _ask_target(examined: "ExaminedData") -> str:
    from waterflow import workflow

    likely = workflow.rank_targets(examined.profiles)
    if not sys.stdin.isatty():
        raise ConfigError(f"--target: name the column to predict; likely: {', '.join(likely[:5]) or 'none'}")
    return str(typer.prompt("target", default=likely[0] if likely else None))
