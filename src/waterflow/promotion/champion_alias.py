"""The champion's alias, which follows the ledger."""

import getpass
import logging
import os

from waterflow.errors import TrackingError
from waterflow.ledger.replay import find_inconsistencies, last_change
from waterflow.promotion.rules import name_version
from waterflow.records.promotion import Decision
from waterflow.records.run import Origin
from waterflow.resources import Resources
from waterflow.tracking.registry import CHALLENGER, CHAMPION

logger = logging.getLogger(__name__)


def reconcile_alias(model: str, resources: Resources) -> Decision | None:
    """Make ledger and alias agree, and return the newest row.

    An alias that does not follow the ledger yet, because a server was lost, is moved. One that something else moved,
    such as a person in MLflow's UI, stays, and a `manual` row records it. Returns None for a model without rows.

    Raises LedgerConflict when another decision is written meanwhile.
    """
    # In this order: an alias read first could be older than the row, and look as if somebody had moved it.
    entries = resources.ledger.entries(model)
    alias = resources.registry.find_alias(model, CHAMPION)
    actual = alias.version if alias else None
    head, change = (entries[-1], last_change(entries)) if entries else (None, None)
    expected = head.to_version if head else None
    if change is not None and not resources.ledger.is_projected(change):
        if actual == change.from_version:
            move_alias(model, resources)
            return head
        if actual == expected:
            resources.ledger.mark_projected(change)
    if actual == expected:
        return head
    row = resources.ledger.append(
        head,
        model=model,
        kind="manual",
        version=actual,
        to_version=actual,
        reason=f"the alias champion is on {name_version(actual)}, where no row of the ledger put it",
        actor="unknown",
    )
    logger.warning("%s: %s; recorded as row %d", model, row.reason, row.sequence)
    resources.ledger.mark_projected(row)
    return row


def move_alias(model: str, resources: Resources) -> None:
    """Move the alias to the ledger's champion, once per change.

    MLflow's alias call has no compare-and-set, so the ledger is read again after each call: of two processes here at
    once, the one that moves the alias last moves it to the newest champion.
    """
    change = last_change(resources.ledger.entries(model))
    while change is not None and not resources.ledger.is_projected(change):
        if change.to_version is not None:
            resources.registry.set_alias(model, CHAMPION, change.to_version)
        newest = last_change(resources.ledger.entries(model))
        if newest == change:
            resources.ledger.mark_projected(change)
        change = newest


def verify(model: str, resources: Resources) -> list[str]:
    """Return each inconsistency of ledger and registry as a line."""
    entries = resources.ledger.entries(model)
    alias = resources.registry.find_alias(model, CHAMPION)
    try:
        versions = {entry.version for entry in resources.registry.list_versions(model)}
    except TrackingError:  # no version was ever registered
        versions = set()
    change = last_change(entries)
    is_projected = change is not None and resources.ledger.is_projected(change)
    return find_inconsistencies(entries, alias.version if alias else None, versions, is_projected=is_projected)


def remove_challenger(model: str, version: int, resources: Resources) -> None:
    """Remove the alias challenger from a rejected version."""
    challenger = resources.registry.find_alias(model, CHALLENGER)
    if challenger is not None and challenger.version == version:
        resources.registry.remove_alias(model, CHALLENGER)


def name_actor(origin: Origin) -> str:
    """Return the DAG, or the command and its user."""
    return f"airflow/{origin.dag_id}" if origin.runner == "airflow" else f"cli/{shell_user()}"


def shell_user() -> str:
    """Return the name of this process's user, in a container perhaps its id."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
