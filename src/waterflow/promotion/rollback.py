"""rollback: an earlier champion put back in its place, after the same checks as any version."""

import logging
from collections.abc import Sequence

from waterflow.errors import LedgerError
from waterflow.ledger.replay import champion_before, reigning
from waterflow.promotion.champion_alias import project, settle
from waterflow.promotion.staging import check_version, first_failure, serving_process
from waterflow.records import Decision, Evaluated, Prepared
from waterflow.resources import Resources, load_config
from waterflow.tracking.model_store import Version
from waterflow.tracking.tags import DECISION, EVALUATED_FILE, PARENT_RUN_ID, RECORD_FILE

logger = logging.getLogger(__name__)


def rollback(model: str, to: int | None, reason: str, actor: str, resources: Resources) -> tuple[Decision, bool]:
    """Make an earlier champion, by default the last one, champion again; gives its row, and whether that is new.

    A repetition changes nothing: after a rollback the way further back has to be named by `to`.

    Raises LedgerError when there is no such champion, when its checks fail, or when another decision comes in between.
    """
    head = settle(model, resources)
    entries = resources.ledger.entries(model)
    change = reigning(entries)
    if head is None or change is None:
        raise LedgerError(f"ledger of {model}: it names no champion yet, so there is nothing to go back to")
    if change.to_version == to or (to is None and change.kind == "rollback"):
        project(model, resources)
        return change, False
    target = find_target(model, to, entries, resources)
    check_target(target, resources)
    decision = resources.ledger.append(
        head,
        model=model,
        kind="rollback",
        version=target.version,
        to_version=target.version,
        reason=reason,
        actor=actor,
    )
    project(model, resources)
    resources.models.tag_version(model, target.version, {DECISION: f"rollback: {reason}"})
    logger.info("%s: champion is version %d again", model, target.version)
    return decision, True


def find_target(model: str, to: int | None, entries: Sequence[Decision], resources: Resources) -> Version:
    """Find the version to go back to among those that were champion, and that the registry still has."""
    past = [row.to_version for row in entries if row.to_version is not None]
    present = entries[-1].to_version
    known = sorted({number for number in past if number != present})
    listed = ", ".join(map(str, known)) or "none"
    number = champion_before(entries) if to is None else to
    if number is None:
        raise LedgerError(f"ledger of {model}: nobody was champion before the present one; earlier champions: {listed}")
    if number not in past:
        raise LedgerError(f"version: {number} never was champion of {model}; earlier champions: {listed}")
    version = resources.models.get_version(model, number)
    if version is None:
        raise LedgerError(
            f"version: {number} of {model} is no longer in the registry; earlier champions: {listed}; name one by --to"
        )
    return version


def check_target(version: Version, resources: Resources) -> None:
    """Check a version as it would be served, with the holdout of its own run; raises LedgerError on a failure."""
    run_id = version.tags.get(PARENT_RUN_ID, "")
    records = [resources.runs.read_json(run_id, name) if run_id else None for name in (RECORD_FILE, EVALUATED_FILE)]
    if records[0] is None or records[1] is None:
        raise LedgerError(
            f"version: {version.version} of {version.model} cannot be checked: its run, or a record of it, is gone"
        )
    prepared, evaluated = Prepared.from_json(records[0]), Evaluated.from_json(records[1])
    config = load_config(prepared, resources)
    with serving_process() as process:
        checks = check_version(process, version.version, prepared, evaluated, config, resources)
    failure = first_failure(checks)
    if failure is not None:
        raise LedgerError(f"version: {version.version} of {version.model} stays where it is: {failure}")
