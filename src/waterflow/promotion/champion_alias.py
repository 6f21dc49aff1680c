"""The champion's alias and the ledger: what was moved by hand is noted, and what the ledger says is projected."""

import getpass
import logging
import os

from waterflow.errors import TrackingError
from waterflow.ledger.replay import problems, reigning
from waterflow.records import Decision, Origin
from waterflow.resources import Resources
from waterflow.tracking.model_store import CHALLENGER, CHAMPION

logger = logging.getLogger(__name__)


def settle(model: str, resources: Resources) -> Decision | None:
    """Bring ledger and alias together and give the ledger's newest row; None for a model without any.

    An alias that has not followed the ledger yet, because a server was lost, is moved now. One that was moved by
    something else gets a `manual` row: who looks after models in MLflow's UI may do that, and it is not undone.

    Raises LedgerConflict when another decision came in between.
    """
    # In this order: an alias read first could be of a time before the row, and look as if it were moved by hand.
    entries = resources.ledger.entries(model)
    alias = resources.models.find_alias(model, CHAMPION)
    found = alias.version if alias else None
    head, change = (entries[-1], reigning(entries)) if entries else (None, None)
    expected = head.to_version if head else None
    if change is not None and not resources.ledger.is_projected(change):
        if found == change.from_version:
            project(model, resources)
            return head
        if found == expected:
            resources.ledger.mark_projected(change)
    if found == expected:
        return head
    row = resources.ledger.append(
        head,
        model=model,
        kind="manual",
        version=found,
        to_version=found,
        reason=f"the alias champion was found on {_version(found)}, where no row of the ledger had put it",
        actor="unknown",
    )
    logger.warning("%s: %s; noted as row %d", model, row.reason, row.sequence)
    resources.ledger.mark_projected(row)
    return row


def project(model: str, resources: Resources) -> None:
    """Move the alias to the ledger's champion, once for each row that changes it; a repetition finishes the job.

    The alias call knows no condition, so the ledger is read again afterwards: should two processes come here at once,
    whoever moves the alias last moves it to the newest champion.
    """
    change = reigning(resources.ledger.entries(model))
    while change is not None and not resources.ledger.is_projected(change):
        if change.to_version is not None:
            resources.models.set_alias(model, CHAMPION, change.to_version)
        newest = reigning(resources.ledger.entries(model))
        if newest == change:
            resources.ledger.mark_projected(change)
        change = newest


def verify(model: str, resources: Resources) -> list[str]:
    """Replay the ledger and hold the registry against it; each thing that does not follow is one line."""
    entries = resources.ledger.entries(model)
    alias = resources.models.find_alias(model, CHAMPION)
    try:
        versions = {entry.version for entry in resources.models.list_versions(model)}
    except TrackingError:  # no version was ever registered
        versions = set()
    change = reigning(entries)
    projected = change is not None and resources.ledger.is_projected(change)
    return problems(entries, alias.version if alias else None, versions, projected=projected)


def dethrone_challenger(model: str, version: int, resources: Resources) -> None:
    """Take the alias challenger from a version that was rejected."""
    challenger = resources.models.find_alias(model, CHALLENGER)
    if challenger is not None and challenger.version == version:
        resources.models.remove_alias(model, CHALLENGER)


def actor_of(origin: Origin) -> str:
    """Name what decides when no person does: the DAG, or the command and its user."""
    return f"airflow/{origin.dag_id}" if origin.runner == "airflow" else f"cli/{shell_user()}"


def shell_user() -> str:
    """Name the user of this process; a container may have none by name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _version(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
