"""promote: decide on a run's version. The ledger records it first, the champion's alias moves last."""

import logging

from waterflow.promotion.champion_alias import move_alias, remove_challenger
from waterflow.promotion.decision import find_or_make_decision
from waterflow.records.data import Prepared
from waterflow.records.promotion import Approval, Registered
from waterflow.reporting.step_log import log_decision
from waterflow.resources import Resources, load_config

logger = logging.getLogger(__name__)


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
        decision = find_or_make_decision(prepared, registered, config, resources, approval)
        move_alias(config.name, resources)
        if decision.kind == "reject":
            remove_challenger(config.name, registered.version, resources)
        logger.info("%s version %d: %s, %s", config.name, registered.version, decision.kind, decision.reason)
        aliases = resources.registry.aliases_of(config.name, registered.version)
        decided = {"aliases": aliases, "reason": decision.reason, "decision": decision, "awaits_approval": False}
        registered = registered.model_copy(update=decided)
        log_decision(prepared, registered, decision, config, resources)
        return registered
