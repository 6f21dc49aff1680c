"""The champion's alias, which follows the ledger."""

import getpass
import logging
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from waterflow.errors import LedgerError, SignatureError, TrackingError
from waterflow.ledger.replay import champion_rows, find_inconsistencies, is_champion, last_change
from waterflow.promotion.rules import name_version
from waterflow.records.promotion import Decision
from waterflow.records.run import Origin
from waterflow.resources import Resources
from waterflow.tracking.registry import CHALLENGER, CHAMPION, Version

logger = logging.getLogger(__name__)

ATTEMPTS = 20
LATE_SECONDS = 5.0  # within which whoever has called late puts the alias right
RECENT = timedelta(minutes=10)


def reconcile_alias(model: str, resources: Resources) -> Decision | None:
    """Make ledger and alias agree, and return the newest row.

    An alias that does not follow the ledger yet, because a server was lost, is moved. One that something else moved,
    such as a person in MLflow's UI, stays, and a `manual` row records it; unless nothing vouches for the version that
    it was moved to, for then it is moved back. One that went back to an earlier champion just after a decision may be
    another process's late call, which that process is about to correct. Returns None for a model without rows.

    Raises LedgerConflict when another decision is written meanwhile.
    """
    # In this order: an alias read first could be older than the row, and look as if somebody had moved it.
    entries = resources.ledger.entries(model)
    alias = resources.registry.find_alias(model, CHAMPION)
    head, changes = (entries[-1] if entries else None), champion_rows(entries)
    change, before = (changes[-1] if changes else None), (changes[-2] if len(changes) > 1 else None)
    if alias is not None and alias.problem and not is_champion(change, *_identify(alias)):
        _restore_alias(alias, change, resources)
        return head
    if is_champion(change, *_identify(alias)):
        if change is not None:
            resources.ledger.mark_projected(change)
        return head
    if change is not None and not resources.ledger.is_projected(change) and is_champion(before, *_identify(alias)):
        move_alias(model, resources)
        return head
    if _may_be_late(changes, alias) and _has_moved_on(model, alias, resources):
        return reconcile_alias(model, resources)
    version, model_id = _identify(alias)
    served = f" with model {model_id}" if change and version is not None and version == change.to_version else ""
    row = resources.ledger.append(
        head,
        model=model,
        kind="manual",
        version=version,
        to_version=version,
        reason=f"the alias champion is on {name_version(version)}{served}, where no row of the ledger put it",
        actor="unknown",
        model_id=model_id,
        model_digest=digest_of_model(model, model_id, resources) if model_id else None,
    )
    logger.warning("%s: %s; recorded as row %d", model, row.reason, row.sequence)
    resources.ledger.mark_projected(row)
    return row


def _may_be_late(changes: Sequence[Decision], alias: Version | None) -> bool:
    """Return whether an alias may be late. It names an earlier champion, by a call that arrived after the next."""
    is_recent = bool(changes) and datetime.now(UTC) - changes[-1].decided_at < RECENT
    return is_recent and any(is_champion(row, *_identify(alias)) for row in changes[:-1])


def _has_moved_on(model: str, alias: Version | None, resources: Resources) -> bool:
    """Return whether the alias leaves its version within seconds."""
    ends = time.monotonic() + LATE_SECONDS
    while time.monotonic() < ends:
        time.sleep(LATE_SECONDS / 10)
        if _identify(resources.registry.find_alias(model, CHAMPION)) != _identify(alias):
            return True
    return False


def move_alias(model: str, resources: Resources) -> None:
    """Move the alias to the ledger's champion. Repeat until the newest row and the alias agree.

    MLflow's alias call has no compare-and-set, and may arrive late. So whoever has called reads both again, and calls
    again where they differ: of two processes, the one whose call arrives last leaves the newest champion. An alias that
    followed once and is elsewhere now, without a call from here, was moved by hand, and stays.

    Raises LedgerError when the registry has another model under the champion's number.
    """
    has_called = False
    for _ in range(ATTEMPTS):
        change = last_change(resources.ledger.entries(model))
        if change is None or change.to_version is None:
            return
        if is_champion(change, *_identify(resources.registry.find_alias(model, CHAMPION))):
            resources.ledger.mark_projected(change)
            return
        if resources.ledger.is_projected(change) and not has_called:
            return
        altered = find_change_since(change, resources)
        if altered:
            raise LedgerError(f"ledger of {model}: row {change.sequence} cannot be followed: {altered}")
        resources.registry.set_alias(model, CHAMPION, change.to_version)
        has_called = True
    raise LedgerError(f"ledger of {model}: the alias champion was moved {ATTEMPTS} times meanwhile; run promote again")


def _restore_alias(alias: Version, change: Decision | None, resources: Resources) -> None:
    """Move the alias to the ledger's champion. It is on a version that nothing vouches for."""
    logger.warning("%s: version %d is no champion: %s", alias.model, alias.version, alias.problem)
    if change is not None and change.to_version is not None and not find_change_since(change, resources):
        resources.registry.set_alias(alias.model, CHAMPION, change.to_version)


def find_alteration(
    version: Version | None, number: int | None, model_id: str | None, digest: str | None, resources: Resources
) -> str:
    """Return how a served version differs from the decided model.

    The text is a clause, empty if it does not differ. A model id or digest of None is not compared.
    """
    if version is None:
        return f"version {number} is no longer in the registry"
    if model_id is not None and version.model_id != model_id:
        return (
            f"version {number} is another model now: the registry serves {version.model_id}, decided on was {model_id}"
        )
    if version.problem:
        return f"version {number} is not what was registered: {version.problem}"
    if digest and digest_of_model(version.model, version.model_id, resources) != digest:
        return f"the files of version {number} are not those that were decided on"
    return ""


def find_change_since(row: Decision, resources: Resources) -> str:
    """Return how the registry's version differs from a row's champion. The text is a clause."""
    if row.to_version is None:
        return ""
    version = resources.registry.get_version(row.model, row.to_version)
    return find_alteration(version, row.to_version, row.model_id, row.model_digest, resources)


def digest_of_model(model: str, model_id: str, resources: Resources) -> str | None:
    """Return the signed sha256 of a model's files. None when it is gone, or nobody trusted signed it."""
    try:
        return resources.models.signed_digest(model_id, model)
    except SignatureError:
        return None


def find_vouched_champion(model: str, resources: Resources) -> Version | None:
    """Return the champion's version. It is the ledger's where nothing vouches for the alias's.

    Whoever may write to the registry can move an alias, and neither loads code here nor lowers what a challenger has to
    beat. A champion of the ledger that was altered is returned with its `problem`.
    """
    alias = resources.registry.find_alias(model, CHAMPION)
    if alias is None or not alias.problem:
        return alias
    row = last_change(resources.ledger.entries(model))
    known = None if row is None or row.to_version is None else resources.registry.get_version(model, row.to_version)
    name = name_version(known.version) if known else "nobody"
    logger.warning(
        "%s: the alias champion is on version %d, and %s; it is not loaded. By the ledger, %s is champion",
        model,
        alias.version,
        alias.problem,
        name,
    )
    return known


def verify(model: str, resources: Resources) -> list[str]:
    """Return each inconsistency of ledger and registry as a line."""
    entries = resources.ledger.entries(model)
    alias = resources.registry.find_alias(model, CHAMPION)
    try:
        models = {entry.version: entry.model_id for entry in resources.registry.list_versions(model)}
    except TrackingError:  # no version was ever registered
        models = {}
    change = last_change(entries)
    is_projected = change is not None and resources.ledger.is_projected(change)
    found = find_inconsistencies(entries, alias.version if alias else None, models, is_projected=is_projected)
    altered = find_change_since(change, resources) if change and not found else ""
    return [*found, altered] if altered else found


def _identify(version: Version | None) -> tuple[int | None, str | None]:
    return (version.version, version.model_id) if version else (None, None)


def remove_challenger(model: str, version: int, resources: Resources) -> None:
    """Remove the alias challenger from a rejected version."""
    challenger = resources.registry.find_alias(model, CHALLENGER)
    if challenger is not None and challenger.version == version:
        resources.registry.remove_alias(model, CHALLENGER)


def name_actor(origin: Origin) -> str:
    """Return the DAG, or the command and its user."""
    return f"airflow/{origin.dag_id}" if origin.runner == "airflow" else f"cli/{shell_user()}"


def shell_user() -> str:
    """Return the name of this process's user. In a container perhaps its id."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())
