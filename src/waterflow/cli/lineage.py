"""The shell's commands about where a version comes from: its lineage, and training it again."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from waterflow.cli.console import err, out

if TYPE_CHECKING:
    from waterflow.workflow import Compared, Link, Reproduction

Reference = Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="such as iris@3 or iris@champion")]
MARKS = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "[dim]–[/dim]"}
SHORT = 12


def lineage(
    reference: Reference,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tree as JSON.")] = False,
) -> None:
    """Print where a version comes from, link by link, and which links lead nowhere."""
    from waterflow import workflow

    found = workflow.trace_lineage(reference, workflow.open_resources())
    links = workflow.list_links(found)
    broken = [link for link in links if link.resolves is False]
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        out.print(tree_of(found), highlight=False)
        count = sum(link.resolves is True for link in links)
        out.print(f"\n{count} links resolve, {len(broken)} do not; – marks what nobody can be asked", highlight=False)
    for link in broken:
        err.print(f"[red]error:[/red] {escape(f'{link.kind}: {link.reason}')}", soft_wrap=True, highlight=False)
    if broken:
        raise typer.Exit(1)


def reproduce(
    reference: Reference,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Train a version again from what was recorded, in another process, and compare every prediction."""
    from waterflow import workflow

    report = (lambda text: None) if as_json else print_step
    outcome = workflow.reproduce_version(reference, workflow.open_resources(), report)
    if as_json:
        typer.echo(json.dumps(outcome.to_json(), indent=2, ensure_ascii=False))
    else:
        print_reproduction(outcome)
    if not outcome.reproduced:
        raise typer.Exit(1)


def tree_of(link: "Link") -> Tree:
    """Draw a lineage; digests are cut to what tells them apart."""
    tree = Tree(_label(link))
    for behind in link.links:
        tree.add(tree_of(behind))
    return tree


def print_step(text: str) -> None:
    """Print a line of progress."""
    out.print(f"[cyan]reproduce[/cyan]  {escape(text)}", highlight=False, soft_wrap=True)


def print_reproduction(outcome: "Reproduction") -> None:
    """Print what was compared: numbers each, what agrees to the letter as a count, what differs in full."""
    table = Table("", "compared", "recorded", "again", "difference", box=None, header_style="bold")
    for cells in _comparison_rows(outcome):
        table.add_row(*cells)
    out.print(table)
    if outcome.rows_differing:
        out.print(f"\n[red]{outcome.rows_differing} of {outcome.rows} held-out rows differ[/red], the first:")
        for row in outcome.first_rows:
            out.print(f"  row {row['row']}: {escape(differing(row))}", soft_wrap=True, highlight=False)
    granted = "exactly" if not outcome.tolerance else f"within {outcome.tolerance:g}"
    word = f"[green]reproduced[/green] {granted}" if outcome.reproduced else "[red]not reproduced[/red]"
    out.print(f"\n{outcome.model} version {outcome.version} ({outcome.candidate}): {word}", highlight=False)
    out.print(f"MLflow run  {outcome.run_id}, tagged waterflow.reproduced={str(outcome.reproduced).lower()}")


def differing(row: dict[str, Any]) -> str:
    """Name what differs in a row, as recorded and as it is now."""
    apart = []
    for name in (key.removesuffix("_recorded") for key in row if key.endswith("_recorded")):
        then, now = row[f"{name}_recorded"], row.get(f"{name}_again")
        if then != now:
            short = (f"{then:.6g}", f"{now:.6g}") if isinstance(then, float) and isinstance(now, float) else (then, now)
            told = short if short[0] != short[1] else (then, now)
            apart.append(f"{name} {told[0]} → {told[1]}")
    return ", ".join(apart) or "it is on one side alone"


def _comparison_rows(outcome: "Reproduction") -> Iterator[tuple[str, ...]]:
    """Yield the table's rows; equal parameters and scores of single classes are dozens, and counted only."""
    shown: list[Compared] = []
    summed = {"parameters": 0, "metrics of single classes": 0}
    for line in outcome.lines:
        if line.agrees and line.what.startswith("parameter "):
            summed["parameters"] += 1
        elif line.agrees and line.what.startswith("metric ") and "." in line.what:
            summed["metrics of single classes"] += 1
        else:
            shown.append(line)
    yield from ((MARKS[True], what, f"{count} values", "the same", "") for what, count in summed.items() if count)
    for line in shown:
        apart = "" if line.difference is None else f"{line.difference:.3g}"
        yield MARKS[line.agrees], escape(line.what), escape(_short(line.recorded)), escape(_short(line.again)), apart


def _label(link: "Link") -> str:
    facts = "  ".join(f"[dim]{key}[/dim] {escape(_short(value))}" for key, value in link.facts.items())
    reason = f"  [{'red' if link.resolves is False else 'dim'}]({escape(link.reason)})" if link.reason else ""
    return f"{MARKS[link.resolves]} [bold]{link.kind}[/bold]  {escape(_short(link.name))}  {facts}{reason}"


def _short(text: str) -> str:
    return text[:SHORT] if len(text) in (40, 64) and set(text) <= set("0123456789abcdef") else text
