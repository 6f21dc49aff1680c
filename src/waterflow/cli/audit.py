"""The shell's command `audit`: a table, JSON, a report in Markdown."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from waterflow.cli.console import err, out

if TYPE_CHECKING:
    from waterflow.workflow import Audit

Rows = Iterator[tuple[str, ...]]


def audit(
    pipeline: Annotated[str | None, typer.Argument(help="one pipeline; all if left out")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write them as Markdown, too.")] = None,
    reproduced: Annotated[
        int, typer.Option("--reproduce", min=0, help="how many of each pipeline's newest versions to train again")
    ] = 1,
) -> None:
    """Audit the tracking store: bytes, access times, integrity, lineage, and whether versions can be had again."""
    from waterflow import workflow

    resources = workflow.open_resources()
    quiet = (lambda text: None) if as_json else print_step
    found = workflow.audit_store(pipeline, resources, reproduced=reproduced, report=quiet)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        print_audit(found)
    if report is not None:
        report.write_text(to_markdown(found), "utf-8")
        if not as_json:
            out.print(f"\nwrote {report}", highlight=False)
    if found.findings:
        raise typer.Exit(1)


def print_step(text: str) -> None:
    """Print a line of progress."""
    out.print(f"[cyan]audit[/cyan]  {escape(text)}", highlight=False, soft_wrap=True)


def print_audit(found: "Audit") -> None:
    """Print all tables, and each finding in a line."""
    for title, header, rows in sections(found):
        table = Table(*header, title=f"\n{title}", title_justify="left", title_style="bold", box=None)
        for row in rows:
            table.add_row(*row)
        out.print(table)
    for entry in found.findings:
        line = f"{entry.check}: {entry.subject}: {entry.problem}"
        err.print(f"[red]found:[/red] {escape(line)}", soft_wrap=True, highlight=False)


def to_markdown(found: "Audit") -> str:
    """Write the same tables in Markdown."""
    lines = ["# Audit", "", f"Pipelines: {', '.join(found.pipelines) or 'none'}. Tracking store: `{found.store}`."]
    for title, header, rows in sections(found):
        lines += ["", f"## {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", "## Findings", ""]
    lines += [f"- {entry.check}: {entry.subject}: {entry.problem}" for entry in found.findings] or ["None."]
    return "\n".join(lines) + "\n"


def sections(found: "Audit") -> Iterator[tuple[str, tuple[str, ...], Rows]]:
    """Give each table: its title, its header, its rows."""
    total = sum(entry.size_bytes for entry in found.held)
    yield (
        "What holds the bytes",
        ("kind", "count", "bytes", "share"),
        (
            (entry.kind, str(entry.count), _bytes(entry.size_bytes), _share(entry.size_bytes, total))
            for entry in found.held
        ),
    )
    yield (
        "Bytes per run, and per version with its two runs",
        ("of", "count", "median", "largest"),
        (
            (name, str(size.count), _bytes(size.median_bytes), _bytes(size.largest_bytes))
            for name, size in (("run", found.per_run), ("version", found.per_version))
        ),
    )
    yield (
        "Access times",
        ("access", "samples", "median", "p95"),
        (
            (entry.what, str(entry.samples), f"{entry.median_ms:.1f} ms", f"{entry.p95_ms:.1f} ms")
            for entry in found.access
        ),
    )
    yield (
        "Integrity, traceability, reproducibility",
        ("check", "good", "of", "share"),
        ((entry.check, str(entry.good), str(entry.total), _share(entry.good, entry.total)) for entry in found.rates),
    )


def _bytes(size: int) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.3g} {unit}"
    return f"{size} B"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"
