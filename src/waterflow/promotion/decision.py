"""The decision on a registered version. A run makes one row of the ledger."""

import logging
from dataclasses import replace
from typing import cast

from waterflow.config.schema import PipelineConfig
from waterflow.errors import LedgerConflict, LedgerError
from waterflow.promotion.champion_alias import digest_of_model, find_alteration, name_actor, reconcile_alias
from waterflow.promotion.rules import decide, name_version
from waterflow.promotion.staging import stage_version
from waterflow.promotion.state import read_state
from waterflow.records.data import Prepared
from waterflow.records.promotion import Approval, Decision, DecisionKind, Registered
from waterflow.resources import Resources
from waterflow.tracking import tags as tag

logger = logging.getLogger(__name__)

ATTEMPTS = 5


def find_or_make_decision(
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
    raise LedgerError(f"ledger of {config.name}: other decisions came first {ATTEMPTS} times; run promote again")


def _decide(
    prepared: Prepared, registered: Registered, config: PipelineConfig, resources: Resources, approval: Approval | None
) -> Decision:
    head = reconcile_alias(config.name, resources)
    champion = resources.registry.get_version(config.name, head.to_version) if head and head.to_version else None
    state = read_state(prepared, registered.evaluated, config, champion, resources)
    version = resources.registry.get_version(config.name, registered.version)
    model_id, registered_id = (version.model_id, version.tags.get(tag.MODEL_ID)) if version else (None, None)
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
        # `register` had no reason for these checks.
        evaluated = registered.evaluated.model_copy(update={"verdict": state.verdict})
        checks = stage_version(registered.version, prepared, evaluated, config, resources)
        state = replace(state, checks=checks)
        outcome = decide(state)
    # Nobody can be asked any more; `compare` and `stage` are done by now.
    kind = cast("DecisionKind", "hold" if outcome.kind == "ask" else outcome.kind)
    stays = head.to_version if head else None
    return resources.ledger.append(
        head,
        model=config.name,
        kind=kind,
        version=registered.version,
        to_version=registered.version if kind in ("promote", "refresh") else stays,
        reason=outcome.reason,
        actor=approval.actor if approval else name_actor(prepared.origin),
        run_id=prepared.parent_run_id,
        dag_run_id=prepared.origin.run_id,
        window=prepared.window,
        verdict=state.verdict,
        model_id=model_id,
        model_digest=digest_of_model(config.name, model_id, resources) if model_id else None,
    )
