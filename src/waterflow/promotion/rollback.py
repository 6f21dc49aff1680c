"""rollback: restore an earlier champion, after staging it again."""

import logging
from collections.abc import Sequence

from waterflow.errors import LedgerError, StoreError
from waterflow.ledger.replay import champion_rows, last_change, previous_champion
from waterflow.lineage.version_history import VersionHistory
from waterflow.promotion.champion_alias import digest_of_model, find_change_since, move_alias, reconcile_alias
from waterflow.promotion.rules import PromotionState, decide
from waterflow.promotion.staging import check_version, serving_process
from waterflow.records.promotion import Check, Decision
from waterflow.resources import Resources
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import DECISION

logger = logging.getLogger(__name__)


def rollback(model: str, to: int | None, reason: str, actor: str, resources: Resources) -> tuple[Decision, bool]:
    """Restore an earlier champion, by default the previous one.

    Returns the row of the ledger, and whether it is new: a repetition changes nothing, and going back further after a
    rollback takes `to`. Raises LedgerError when there is no such champion, when it fails a staging check, or when
    another decision is written meanwhile.
    """
    head = reconcile_alias(model, resources)
    entries = resources.ledger.entries(model)
    change = last_change(entries)
    if head is None or change is None:
        raise LedgerError(f"ledger of {model}: it names no champion yet, so there is nothing to go back to")
    if (change.kind == "rollback") if to is None else (change.to_version == to):
        move_alias(model, resources)
        return change, False
    target, row = find_target(model, to, entries, resources)
    altered = find_change_since(row, resources)
    checks = None if altered else stage_again(target, resources)
    outcome = decide(PromotionState(model, is_rollback=True, altered=altered, checks=checks))
    if outcome.kind != "rollback":
        raise LedgerError(f"version: {target.version} of {model} is not restored: {outcome.reason}")
    decision = resources.ledger.append(
        head,
        model=model,
        kind=outcome.kind,
        version=target.version,
        to_version=target.version,
        reason=reason,
        actor=actor,
        model_id=target.model_id,
        model_digest=digest_of_model(model, target.model_id, resources),
    )
    move_alias(model, resources)
    resources.registry.tag_version(model, target.version, {DECISION: f"rollback: {reason}"})
    logger.info("%s: champion is version %d again", model, target.version)
    return decision, True


def find_target(
    model: str, to: int | None, entries: Sequence[Decision], resources: Resources
) -> tuple[Version, Decision]:
    """Return the earlier champion to restore.

    Also returns the row that made it champion. Raises LedgerError without one.
    """
    rows = champion_rows(entries)
    past = {row.to_version: row for row in rows if row.to_version is not None and row.champion != rows[-1].champion}
    listed = ", ".join(map(str, sorted(past))) or "none"
    row = previous_champion(entries) if to is None else past.get(to)
    if row is None and to is None:
        raise LedgerError(f"ledger of {model}: nobody was champion before the present one; earlier champions: {listed}")
    if row is None or row.to_version is None:
        raise LedgerError(f"version: {to} never was champion of {model}; earlier champions: {listed}")
    version = resources.registry.get_version(model, row.to_version)
    if version is None:
        raise LedgerError(
            f"version: {row.to_version} of {model} is no longer in the registry; earlier champions: {listed}; "
            "name one by --to"
        )
    return version, row


def stage_again(version: Version, resources: Resources) -> tuple[Check, ...]:
    """Run the staging checks again. Uses the holdout of the version's own run."""
    history = VersionHistory(version, resources)
    try:
        prepared, evaluated, config = history.registration_prepared, history.evaluated, history.registration_config
    except StoreError as error:
        raise LedgerError(f"version: {version.version} of {version.model} cannot be checked: {error}") from error
    with serving_process() as process:
        return check_version(process, version.version, prepared, evaluated, config, resources)
