"""`waterflow audit` and `waterflow gc`."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from waterflow.cli.console import AsJson, out, print_json, print_step, print_table, say, warn
from waterflow.errors import ConfigError
from waterflow.plurals import counted

if TYPE_CHECKING:
    from waterflow.workflow import Audit, Survey

UNITS = {"h": "hours", "d": "days", "w": "weeks"}
TableRows = Iterator[tuple[str, ...]]


def audit(
    pipeline: Annotated[str | None, typer.Argument(help="One pipeline; all by default.")] = None,
    as_json: AsJson = False,
    report: Annotated[Path | None, typer.Option("--report", help="A file for the report, as Markdown.")] = None,
    reproduced: Annotated[
        int, typer.Option("--reproduce", min=0, help="How many of each pipeline's newest versions to train again.")
    ] = 1,
) -> None:
    """Audit the stores: disk usage, access times, integrity, lineage, reproducibility."""
    from waterflow import workflow

    resources = workflow.open_resources()
    progress = (lambda text: None) if as_json else partial(print_step, "audit")
    found = workflow.audit_store(pipeline, resources, reproduced=reproduced, report=progress)
    if as_json:
        print_json(found.to_json())
    else:
        print_audit(found)
    if report is not None:
        report.write_text(to_markdown(found), "utf-8")
        if not as_json:
            say(f"\nwrote {report}")
    if found.findings:
        raise typer.Exit(1)


def gc(
    older_than: Annotated[str, typer.Option("--older-than", help="Keep what is younger: 12h, 30d, 8w.")] = "30d",
    delete: Annotated[bool, typer.Option("--delete", help="Remove the objects instead of listing them.")] = False,
    as_json: AsJson = False,
) -> None:
    """List stored objects that nothing refers to. Remove them with --delete."""
    from waterflow import workflow

    age = _age(older_than)
    resources = workflow.open_resources()
    found = workflow.survey_objects(resources, age, datetime.now(UTC))
    if delete:
        workflow.remove_objects(found, resources)
    if as_json:
        print_json(survey_json(found, resources.store.uri, older_than, deleted=delete))
    else:
        print_survey(found, resources.store.uri, older_than, deleted=delete)


def print_audit(found: "Audit") -> None:
    """Print the tables, and one line per finding."""
    for title, header, rows in sections(found):
        print_table(header, rows, title)
    for entry in found.findings:
        warn("found", f"{entry.check}: {entry.subject}: {entry.problem}")


def to_markdown(found: "Audit") -> str:
    """Return the tables as Markdown."""
    lines = ["# Audit", "", f"Pipelines: {', '.join(found.pipelines) or 'none'}. Tracking store: `{found.store}`."]
    for title, header, rows in sections(found):
        lines += ["", f"## {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", "## Findings", ""]
    lines += [f"- {entry.check}: {entry.subject}: {entry.problem}" for entry in found.findings] or ["None."]
    return "\n".join(lines) + "\n"


def sections(found: "Audit") -> Iterator[tuple[str, tuple[str, ...], TableRows]]:
    """Yield each table: title, header and rows."""
    total = sum(entry.size_bytes for entry in found.held)
    yield (
        "Disk usage",
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


def print_survey(found: "Survey", uri: str, older_than: str, *, deleted: bool) -> None:
    """Print the unreferenced objects and the sums of the others."""
    table = Table("object", "bytes", "stored", "why", box=None)
    table.columns[1].justify = "right"
    for column in table.columns[:3]:
        column.no_wrap = True
    for unused in found.unreachable:
        size, stored = f"{unused.entry.size_bytes:,}", f"{unused.entry.modified:%Y-%m-%d %H:%M}"
        folder, _, name = unused.entry.key.rpartition("/")
        key = f"{folder}/{name[:12]}…" if len(name) > 24 else unused.entry.key
        table.add_row(escape(key), size, stored, escape(unused.why))
    if found.unreachable:
        out.print(table)
        out.print()
    did = "removed" if deleted else "unused"
    lines = {
        did: [unused.entry for unused in found.unreachable],
        "needed": found.reachable,
        "younger": found.young,
        "not ours": found.foreign,
    }
    say(f"store       {uri}")
    for label, entries in lines.items():
        note = f"  than {older_than}, kept" if label == "younger" and entries else ""
        if entries or label in (did, "needed"):
            size_bytes = sum(entry.size_bytes for entry in entries)
            say(f"{label:<11} {counted(len(entries), 'object')}, {size_bytes:,} bytes{note}")
    for obstacle in found.obstacles:
        warn("warning", f"--delete would be refused: {obstacle}", "yellow")
    if found.unreachable and not deleted and not found.obstacles:
        say("next        [bold]waterflow gc --delete[/bold] removes them")


def survey_json(found: "Survey", uri: str, older_than: str, *, deleted: bool) -> dict[str, object]:
    """Return what `print_survey` prints, for JSON."""
    unreachable = [unused.entry for unused in found.unreachable]
    kinds = {"unreachable": unreachable} | {name: getattr(found, name) for name in ("reachable", "young", "foreign")}
    sums = {
        name: {"objects": len(entries), "size_bytes": sum(entry.size_bytes for entry in entries)}
        for name, entries in kinds.items()
    }
    objects = [
        {"key": entry.key, "size_bytes": entry.size_bytes, "modified": entry.modified.isoformat(), "why": unused.why}
        for entry, unused in zip(unreachable, found.unreachable, strict=True)
    ]
    head = {"store": uri, "older_than": older_than, "deleted": deleted, "objects": objects}
    return head | sums | {"obstacles": list(found.obstacles)}


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)([hdw])", text)
    age = timedelta(**{UNITS[found[2]]: int(found[1])}) if found and len(found[1]) < 6 else timedelta()
    if age < timedelta(hours=1):
        raise ConfigError(
            f"--older-than: {text!r} is not an age of an hour or more; write it like 12h, 30d or 8w, "
            "and longer than your longest run"
        )
    return age


def _bytes(size: int) -> str:
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= one:
            return f"{size / one:.3g} {unit}"
    return f"{size} B"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"
