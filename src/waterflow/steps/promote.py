"""promote: decide on a run's version.

The decision goes into the ledger; the champion's alias moves last.
"""

import logging
from dataclasses import replace
from typing import cast

from waterflow.config.schema import PipelineConfig
from waterflow.errors import LedgerConflict, LedgerError
from waterflow.promotion.champion_alias import (
    digest_of_model,
    find_alteration,
    move_alias,
    name_actor,
    reconcile_alias,
    remove_challenger,
)
from waterflow.promotion.rules import PromotionState, decide, name_version
from waterflow.promotion.staging import check_version, serving_process
from waterflow.promotion.state import read_state
from waterflow.records.data import Prepared
from waterflow.records.promotion import Approval, Check, Decision, DecisionKind, Registered
from waterflow.reporting.step_log import log_decision
from waterflow.resources import Resources, load_config
from waterflow.tracking import tags as tag
from waterflow.tracking.registry import CHALLENGER

logger = logging.getLogger(__name__)

ATTEMPTS = 5


def promote(
    prepared: Prepared, registered: Registered, resources: Resources, approval: Approval | None = None
) -> Registered:
    """Decide on the version that a run registered.

    The decision is written to the ledger first and the alias follows: a retry finds the row, and moves the alias unless
    that was done. When the champion is another one than in the verdict, the version is compared again. The run is
    closed as FINISHED; that is all there is to do where `register` found nothing new.

    Raises UnreachableError when a server does not answer; the same call finishes the job later.
    """
    with resources.runs.closing(prepared.parent_run_id):
        if not registered.new:
            logger.info("%s: cached, %s", registered.model, registered.reason)
            return registered
        config = load_config(prepared, resources)
        decision = find_or_make(prepared, registered, config, resources, approval)
        move_alias(config.name, resources)
        if decision.kind == "reject":
            remove_challenger(config.name, registered.version, resources)
        logger.info("%s version %d: %s, %s", config.name, registered.version, decision.kind, decision.reason)
        aliases = resources.registry.aliases_of(config.name, registered.version)
        decided = {"aliases": aliases, "reason": decision.reason, "decision": decision, "awaits_approval": False}
        registered = registered.model_copy(update=decided)
        log_decision(prepared, registered, decision, config, resources)
        return registered


def find_or_make(
    prepared: Prepared, registered: Registered, config: PipelineConfig, resources: Resources, approval: Approval | None
) -> Decision:
    """Return the run's ledger row, writing it if needed.

    When another run's decision comes first, the ledger's sequence refuses this one, and all is looked at again.
    """
    for _ in range(ATTEMPTS):
        earlier = resources.ledger.find_decision(config.name, prepared.parent_run_id)
        if earlier is not None:
            return earlier
        try:
            return _decide(prepared, registered, config, resources, approval)
        except LedgerConflict as conflict:
            logger.info("%s", conflict)
    raise LedgerError(
        f"ledger of {config.name}: other decisions came first {ATTEMPTS} times; run the step promote again"
    )


def _decide(
    prepared: Prepared, registered: Registered, config: PipelineConfig, resources: Resources, approval: Approval | None
) -> Decision:
    head = reconcile_alias(config.name, resources)
    champion = resources.registry.get_version(config.name, head.to_version) if head and head.to_version else None
    state = read_state(prepared, registered.evaluated, config, champion, resources)
    version = resources.registry.get_version(config.name, registered.version)
    model_id = version.model_id if version else None
    registered_id = version.tags.get(tag.MODEL_ID) if version else None
    altered = find_alteration(version, registered.version, registered_id, None, resources)
    is_compared_fit = model_id in {fit.model_id for fit in registered.evaluated.compared}
    state = replace(
        state,
        checks=registered.checks or None,
        approval=approval,
        altered=altered,
        lacks_new_rows=config.serves == "all" and is_compared_fit,
    )
    outcome = decide(state)
    if outcome.kind == "compare":
        from waterflow.promotion.champion_comparison import compare_again  # scikit-learn

        logger.info("champion is now %s: comparing again", name_version(state.champion_version))
        verdict = compare_again(prepared, config, registered.evaluated, champion, resources)
        state = replace(state, verdict=verdict)
        outcome = decide(state)
    if outcome.kind == "stage":
        state = replace(state, checks=stage_late(prepared, registered, state, config, resources))
        outcome = decide(state)
    # Nobody can be asked any more; `compare` and `stage` are done by now.
    kind = cast("DecisionKind", "hold" if outcome.kind == "ask" else outcome.kind)
    before = head.to_version if head else None
    return resources.ledger.append(
        head,
        model=config.name,
        kind=kind,
        version=registered.version,
        to_version=registered.version if kind in ("promote", "refresh") else before,
        reason=outcome.reason,
        actor=approval.actor if approval else name_actor(prepared.origin),
        run_id=prepared.parent_run_id,
        dag_run_id=prepared.origin.run_id,
        window=prepared.window,
        verdict=state.verdict,
        model_id=model_id,
        model_digest=digest_of_model(config.name, model_id, resources) if model_id else None,
    )


def stage_late(
    prepared: Prepared, registered: Registered, state: PromotionState, config: PipelineConfig, resources: Resources
) -> tuple[Check, ...]:
    """Run the staging checks that `register` had no reason for."""
    resources.registry.set_alias(config.name, CHALLENGER, registered.version)
    evaluated = registered.evaluated.model_copy(update={"verdict": state.verdict})
    with serving_process() as process:
        return check_version(process, registered.version, prepared, evaluated, config, resources)
