"""What a person is shown who is asked whether a version may become champion."""

from waterflow.config.profile import Profile
from waterflow.links import run_link
from waterflow.records import Registered, Verdict
from waterflow.tracking.model_store import Version
from waterflow.tracking.tags import PARENT_RUN_ID


def subject_of(registered: Registered) -> str:
    """Put the question into one line."""
    return f"{registered.model}: may version {registered.version} become champion?"


def body_of(registered: Registered, champion: Version | None, profile: Profile) -> str:
    """Show verdict, staging checks and the ways to both MLflow runs, as Markdown."""
    verdict = registered.evaluated.verdict
    parts = [f"**{registered.model} version {registered.version}**: {registered.reason}"]
    if verdict is not None:
        parts.append(table_of(verdict))
    parts.append("\n".join(f"- {check.name}: {check.found} (asked: {check.asked})" for check in registered.checks))
    runs = [("challenger", run_link(registered.experiment_id, registered.parent_run_id, profile))]
    if champion is not None:
        theirs = champion.tags.get(PARENT_RUN_ID, champion.run_id)
        runs.append((f"champion version {champion.version}", run_link(registered.experiment_id, theirs, profile)))
    parts.append(" · ".join(f"MLflow run of the {name}: {link}" for name, link in runs))
    parts.append("No answer in time counts as no.")
    return "\n\n".join(part for part in parts if part)


def table_of(verdict: Verdict) -> str:
    """Show a verdict's numbers as a Markdown table, slices below the whole."""
    heads = ("", "rows", "challenger", verdict.against, "difference", "interval")
    whole = (verdict.metric, verdict.rows, verdict.challenger, verdict.champion, verdict.difference)
    rows = [(*map(shown, whole), interval(verdict.low, verdict.high))]
    for part in verdict.slices:
        cells = (f"{part.column} = {part.value}", part.rows, part.challenger, part.champion, part.difference)
        rows.append((*map(shown, cells), interval(part.low, part.high)))
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows)]
    return "\n".join(lines)


def line_of(verdict: Verdict) -> str:
    """Say a verdict in one line: outcome, difference, interval, p-value, rows."""
    if verdict.difference is None:
        return f"{verdict.outcome} against {verdict.against}: {verdict.reason}"
    p_value = "" if verdict.p_value is None else f", p {verdict.p_value:.3g}"
    return (
        f"{verdict.outcome} against {verdict.against}: {verdict.metric} {verdict.difference:+.4f} "
        f"{interval(verdict.low, verdict.high)}{p_value}, {verdict.rows} rows"
    )


def shown(value: float | str | None) -> str:
    """Show a number of a verdict; `–` where there is none."""
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def interval(low: float | None, high: float | None) -> str:
    """Show the bounds of a difference."""
    return "–" if low is None or high is None else f"[{low:+.4f}, {high:+.4f}]"
