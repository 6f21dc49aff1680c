"""The question to the person who approves a promotion."""

from waterflow.config.profile import Profile
from waterflow.links import run_link
from waterflow.records.promotion import Registered
from waterflow.reporting.verdict_text import verdict_table
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import PARENT_RUN_ID


def approval_subject(registered: Registered) -> str:
    """Return the question in one line."""
    return f"{registered.model}: may version {registered.version} become champion?"


def approval_body(registered: Registered, champion: Version | None, profile: Profile) -> str:
    """Return verdict, staging checks and links, as Markdown. The links lead to both MLflow runs."""
    verdict = registered.evaluated.verdict
    runs = [("challenger", run_link(registered.experiment_id, registered.parent_run_id, profile))]
    if champion is not None:
        theirs = champion.tags.get(PARENT_RUN_ID, champion.run_id)
        runs.append((f"champion version {champion.version}", run_link(registered.experiment_id, theirs, profile)))
    parts = [
        f"**{registered.model} version {registered.version}**: {registered.reason}",
        verdict_table(verdict) if verdict else "",
        "\n".join(f"- {check.name}: {check.actual} (expected: {check.expected})" for check in registered.checks),
        " · ".join(f"MLflow run of the {name}: {link}" for name, link in runs),
        "No answer in time counts as no.",
    ]
    return "\n\n".join(part for part in parts if part)
