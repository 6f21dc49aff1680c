"""The question to the person who approves a promotion."""

from waterflow.links import run_link
from waterflow.records.promotion import Registered
from waterflow.reporting.verdict_text import verdict_table
from waterflow.resources import Resources
from waterflow.tracking.registry import CHAMPION
from waterflow.tracking.tags import PARENT_RUN_ID


def question_of(registered: Registered, resources: Resources) -> dict[str, str]:
    """Return the question of an approval, as Markdown.

    `subject` is one line; `body` has verdict, staging checks, and links to both MLflow runs.
    """
    verdict, profile = registered.evaluated.verdict, resources.profile
    champion = resources.registry.find_alias(registered.model, CHAMPION)
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
    subject = f"{registered.model}: may version {registered.version} become champion?"
    return {"subject": subject, "body": "\n\n".join(part for part in parts if part)}
