"""`waterflow ledger`, `champion` and `rollback`; asking for approval."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markdown import Markdown
from rich.markup import escape

from waterflow.cli.console import AsJson, Pipeline, out, print_json, say, warn
from waterflow.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from waterflow.records.evaluation import Verdict
    from waterflow.records.promotion import Approval, Decision, Registered
    from waterflow.workflow import Resources


def ledger(
    pipeline: Pipeline,
    verify: Annotated[
        bool, typer.Option("--verify", help="Verify its rows, the registry and the files that rows name.")
    ] = False,
    accept: Annotated[
        str | None, typer.Option(metavar="REASON", help="Vouch for rows that no trusted key signed, after a review.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every decision on the champion of PIPELINE, oldest first."""
    from waterflow.resources import open_for  # of `workflow`, which imports MLflow

    resources = open_for(pipeline)
    if accept is not None:
        from waterflow import workflow

        for line in workflow.accept_rows(pipeline, accept, workflow.shell_user(), resources):
            out.print(f"accepted    {line}", highlight=False)
        return
    if verify:
        verify_ledger(pipeline, resources, as_json=as_json)
        return
    rows = resources.ledger.entries(pipeline)
    if as_json:
        print_json([row.to_json() for row in rows])
        return
    for row in rows:
        print_row(row)
    if not rows:
        say(f"no decision on {pipeline} yet")


def print_row(row: "Decision") -> None:
    """Print a row of the ledger with its reason."""
    colour = {"promote": "green", "refresh": "green", "rollback": "yellow", "manual": "yellow"}.get(row.kind, "cyan")
    moved = _version(row.to_version)
    champion = moved if row.from_version == row.to_version else f"{_version(row.from_version)} → {moved}"
    say(
        f"{row.sequence:>4}  {row.decided_at:%Y-%m-%d %H:%M:%S}  [{colour}]{row.kind:<8}[/{colour}]  "
        f"version {_version(row.version):<4}  champion {champion:<9}  by {escape(row.actor)}"
    )
    model = f"  (model {escape(row.model_id)})" if row.model_id else ""
    say(f"      [dim]{escape(row.reason)}{model}[/dim]")


def verify_ledger(pipeline: str, resources: "Resources", *, as_json: bool) -> None:
    """Verify the ledger. Exit with code 1 if anything is wrong."""
    from waterflow import workflow

    found, notes = workflow.verify_ledger(pipeline, resources)
    rows = [] if found else resources.ledger.entries(pipeline)
    champion = rows[-1].to_version if rows else None
    if as_json:
        content = {"model": pipeline, "consistent": not found, "rows": len(rows), "champion": champion}
        print_json(content | {"problems": list(found), "notes": list(notes)})
    else:
        for note in notes:
            warn("note", note)
        for problem in found:
            warn("error", problem)
        if not found:
            say(f"ledger of {pipeline}: {counted(len(rows), 'row')}, consistent; champion is {_version(champion)}")
    if found:
        raise typer.Exit(1)


def champion(
    pipeline: Pipeline,
    at: Annotated[str | None, typer.Option("--at", help="Such as 2026-04-01 or 2026-04-01T12:00+02:00.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the champion of PIPELINE, now or at a moment."""
    from waterflow import workflow
    from waterflow.errors import LedgerError

    moment = _moment(at)
    resources = workflow.open_for(pipeline)
    row = workflow.last_change(resources.ledger.entries(pipeline), moment)
    if row is None or row.to_version is None:
        when = "" if moment is None else f" at {moment.isoformat()}"
        raise LedgerError(f"ledger of {pipeline}: it names no champion{when}; see `waterflow ledger {pipeline}`")
    altered = workflow.find_change_since(row, resources)
    if as_json:
        print_json(describe_champion(row) | {"problem": altered})
        return
    say(f"{pipeline} version {row.to_version}")
    if row.model_id:
        say(f"model       {row.model_id}, files {(row.model_digest or '–')[:12]}")
    if altered:
        warn("warning", altered, "yellow")
    say(f"since       {row.champion_since:%Y-%m-%d %H:%M:%S} UTC, row {row.sequence} of the ledger")
    say(f"because     {row.kind} by {escape(row.actor)}: {escape(row.reason)}")


def describe_champion(row: "Decision") -> dict[str, Any]:
    """Return the champion of a ledger's row, for JSON."""
    return {
        "model": row.model,
        "version": row.to_version,
        "model_id": row.model_id,
        "model_digest": row.model_digest,
        "since": row.champion_since.isoformat(),
        "sequence": row.sequence,
        "kind": row.kind,
        "actor": row.actor,
        "reason": row.reason,
    }


def rollback(
    pipeline: Pipeline,
    to: Annotated[
        int | None, typer.Option("--to", help="The version to restore; the previous champion by default.")
    ] = None,
    reason: Annotated[str, typer.Option(help="The reason, for the ledger.")] = "no reason given",
) -> None:
    """Restore the previous champion of PIPELINE. Safe to repeat."""
    from waterflow import workflow

    decision, is_new = workflow.rollback(pipeline, to, reason, workflow.shell_user(), workflow.open_for(pipeline))
    if is_new:
        was = _version(decision.from_version)
        say(f"champion    [bold]{pipeline}[/bold] version {decision.to_version} again, replacing {was}")
        say(f"ledger      row {decision.sequence}, by {escape(decision.actor)}: {escape(decision.reason)}")
        return
    say(
        f"nothing to do: {pipeline} version {decision.to_version} is champion by row {decision.sequence} "
        f"({decision.kind} by {escape(decision.actor)}); to go further back name a version by --to"
    )


def asker(yes: bool, resources: "Resources") -> "Callable[[Registered], Approval | None]":
    """Return a function that asks for approval. `--yes` is an answer; without a terminal nobody is asked."""

    def ask(registered: "Registered") -> "Approval | None":
        from waterflow import workflow
        from waterflow.records.promotion import Approval

        if yes:
            return Approval(approved=True, actor=f"{workflow.shell_user()} (--yes)")
        if not sys.stdin.isatty():
            text = f"{registered.model} needs a person's approval, and this is not a terminal; add --yes to approve"
            warn("not promoted", text, "yellow")
            return None
        question = workflow.question_of(registered, resources)
        out.print(Markdown(question["body"]))
        return Approval(approved=typer.confirm(question["subject"], default=False), actor=workflow.shell_user())

    return ask


def print_decision(registered: "Registered") -> None:
    """Print the verdict and the decision of a run."""
    from waterflow import workflow

    if registered.evaluated.verdict is not None:
        say(f"verdict     {escape(workflow.verdict_line(registered.evaluated.verdict))}")
        if remedy := suggest_remedy(registered.evaluated.verdict):
            say(f"to decide   {escape(remedy)}")
    if registered.decision is not None:
        say(f"decision    {describe(registered.decision)}")
    say(f"because     {escape(registered.reason)}")


def suggest_remedy(verdict: "Verdict") -> str:
    """Return what would let a verdict be reached. Empty if rows were compared."""
    if verdict.outcome != "insufficient evidence" or verdict.difference is not None:
        return ""
    if verdict.excluded_rows:
        return (
            f"it takes rows that {verdict.against} was not fitted on: run again once there are new ones; declare key, "
            "if columns identify a row; the share held out is split.test_fraction, the least number promotion.min_rows"
        )
    if "rarest class" in verdict.reason:
        return (
            "it takes more held-out rows of the rarest class: a longer window or a larger split.test_fraction; or "
            "merge it with another class in the source, or drop its rows by rows.where"
        )
    return "it takes more held-out rows: a longer window, a larger split.test_fraction, or a smaller promotion.min_rows"


def describe(decision: "Decision") -> str:
    """Describe a decision in one line."""
    place = f"row {decision.sequence} of the ledger, by {escape(decision.actor)}"
    if decision.kind in ("promote", "refresh"):
        before = "" if decision.from_version is None else f" in the place of version {decision.from_version}"
        return f"[green]{decision.kind}[/green]: version {decision.version} is champion{before} ({place})"
    stays = "nobody is champion" if decision.to_version is None else f"version {decision.to_version} stays champion"
    return f"{decision.kind}: {stays} ({place})"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    from waterflow.errors import ConfigError

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"--at: {text!r} is not a time; write it like 2026-04-01 or 2026-04-01T12:00+02:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _version(version: int | None) -> str:
    return "–" if version is None else str(version)
