"""The shell's commands about the object store: what nothing needs any more."""

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from waterflow.cli.console import err, out
from waterflow.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waterflow.workflow import Entry, Survey

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def gc(
    older_than: Annotated[
        str, typer.Option("--older-than", help="keep what was stored within this time: 12h, 30d, 8w")
    ] = "30d",
    delete: Annotated[bool, typer.Option("--delete", help="Remove the objects; without it they are listed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the objects and sums as JSON.")] = False,
) -> None:
    """List the store's objects that no version, kept run or ledger row reaches; with --delete, remove them."""
    from waterflow import workflow

    age = _age(older_than)
    resources = workflow.open_resources()
    found = workflow.survey_objects(age, resources)
    if delete:
        workflow.remove_objects(found, resources)
    if as_json:
        typer.echo(json.dumps(_to_json(found, resources.store.uri, older_than, deleted=delete), indent=2))
    else:
        _print(found, resources.store.uri, older_than, deleted=delete)


def _print(found: "Survey", uri: str, older_than: str, *, deleted: bool) -> None:
    table = Table("object", "bytes", "stored", "why", box=None, header_style="bold")
    table.columns[1].justify = "right"
    for column in table.columns[:3]:
        column.no_wrap = True
    for entry, why in ((unreached.entry, unreached.why) for unreached in found.unreached):
        table.add_row(
            escape(_short(entry.key)), f"{entry.size_bytes:,}", f"{entry.modified:%Y-%m-%d %H:%M}", escape(why)
        )
    if found.unreached:
        out.print(table)
        out.print()
    did = "removed" if deleted else "would go"
    lines = {
        did: [unreached.entry for unreached in found.unreached],
        "needed": found.reached,
        "younger": found.young,
        "not ours": found.foreign,
    }
    out.print(f"store       {uri}", highlight=False, soft_wrap=True)
    for label, entries in lines.items():
        note = f"  than {older_than}, and kept for that" if label == "younger" and entries else ""
        if entries or label in (did, "needed"):
            out.print(f"{label:<11} {_sum(entries)}{note}", highlight=False)
    for doubt in found.doubts:
        err.print(
            f"[yellow]warning:[/yellow] --delete would be refused: {escape(doubt)}", soft_wrap=True, highlight=False
        )
    if found.unreached and not deleted and not found.doubts:
        out.print("next        [bold]waterflow gc --delete[/bold] removes them", highlight=False)


def _to_json(found: "Survey", uri: str, older_than: str, *, deleted: bool) -> dict[str, object]:
    objects = [
        {
            "key": unreached.entry.key,
            "size_bytes": unreached.entry.size_bytes,
            "modified": unreached.entry.modified.isoformat(),
            "why": unreached.why,
        }
        for unreached in found.unreached
    ]
    sums = {
        name: {"objects": len(entries), "size_bytes": sum(entry.size_bytes for entry in entries)}
        for name, entries in {
            "unreached": [unreached.entry for unreached in found.unreached],
            "reached": found.reached,
            "young": found.young,
            "foreign": found.foreign,
        }.items()
    }
    return {
        "store": uri,
        "older_than": older_than,
        "deleted": deleted,
        "objects": objects,
        **sums,
        "doubts": list(found.doubts),
    }


def _short(key: str) -> str:
    folder, _, name = key.rpartition("/")
    return f"{folder}/{name[:12]}…" if len(name) > 24 else key


def _sum(entries: "Sequence[Entry]") -> str:
    count = f"{len(entries):,} object{'' if len(entries) == 1 else 's'}"
    return f"{count}, {sum(entry.size_bytes for entry in entries):,} bytes"


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)([hdw])", text)
    age = timedelta(**{UNITS[found[2]]: int(found[1])}) if found and len(found[1]) < 6 else timedelta()
    if age < timedelta(hours=1):
        raise ConfigError(
            f"--older-than: {text!r} is no age of an hour or more; write it like 12h, 30d or 8w, "
            "and longer than your longest run takes"
        )
    return age
