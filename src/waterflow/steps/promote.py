"""promote: one decision on each run's version, written into the ledger, and the champion's alias moved last."""

import logging

from waterflow.config.schema import PipelineConfig
from waterflow.errors import LedgerConflict, LedgerError
from waterflow.ledger.replay import rolled_back
from waterflow.promotion.champion_alias import actor_of, dethrone_challenger, project, settle
from waterflow.promotion.rules import exclude, weigh
from waterflow.promotion.staging import check_version, serving_process
from waterflow.records import Approval, Check, Decision, Prepared, Registered, Verdict
from waterflow.resources import Resources, load_config
from waterflow.tracking import tags as tag
from waterflow.tracking.model_store import CHALLENGER, Version

logger = logging.getLogger(__name__)

ATTEMPTS = 5


def promote(
    prepared: Prepared, registered: Registered, resources: Resources, approval: Approval | None = None
) -> Registered:
    """Decide on the version that a run registered, write that down, and move the champion's alias if it won.

    The row comes first, the alias follows: a retry finds the row, and moves the alias unless that was done. When the
    champion is another one than the verdict was about, the version is judged again. The run is closed as FINISHED; that
    is all there is to do where `register` found nothing new.

    Raises UnreachableError when a server does not answer; the same call finishes the job later.
    """
    with resources.runs.closing(prepared.parent_run_id):
        if not registered.new:
            logger.info("%s: cached, %s", registered.model, registered.reason)
            return registered
        config = load_config(prepared, resources)
        decision = find_or_make(prepared, registered, config, resources, approval)
        project(config.name, resources)
        if decision.kind == "reject":
            dethrone_challenger(config.name, registered.version, resources)
        _tell(prepared, registered, decision, resources)
        logger.info("%s version %d: %s, %s", config.name, registered.version, decision.kind, decision.reason)
        return registered.model_copy(
            update={
                "aliases": resources.models.aliases_of(config.name, registered.version),
                "reason": decision.reason,
                "decision": decision,
                "awaits_approval": False,
            }
        )


def find_or_make(
    prepared: Prepared, registered: Registered, config: PipelineConfig, resources: Resources, approval: Approval | None
) -> Decision:
    """Give the run's row of the ledger, written now unless an earlier try did.

    When another run's decision comes first, the ledger's sequence refuses this one, and all is looked at again.
    """
    for _ in range(ATTEMPTS):
        earlier = resources.ledger.of_run(config.name, prepared.parent_run_id)
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
    head = settle(config.name, resources)
    champion = resources.models.get_version(config.name, head.to_version) if head and head.to_version else None
    evaluated, verdict = registered.evaluated, registered.evaluated.verdict
    shown_champion = verdict.champion_version if verdict else None
    past = rolled_back(resources.ledger.entries(config.name))
    outcome = exclude(prepared, evaluated, config, champion, past, resources)
    if outcome is None:
        verdict = fresh_verdict(prepared, registered, config, champion, resources)
        checks = registered.checks or late_checks(prepared, registered, verdict, config, resources)
        outcome = weigh(config, verdict, checks, shown_champion, approval)
    kind, reason = outcome
    before = head.to_version if head else None
    return resources.ledger.append(
        head,
        model=config.name,
        kind=kind,
        version=registered.version,
        to_version=registered.version if kind == "promote" else before,
        reason=reason,
        actor=approval.actor if approval else actor_of(prepared.origin),
        run_id=prepared.parent_run_id,
        dag_run_id=prepared.origin.run_id,
        window=prepared.window,
        verdict=verdict,
    )


def fresh_verdict(
    prepared: Prepared, registered: Registered, config: PipelineConfig, champion: Version | None, resources: Resources
) -> Verdict:
    """Give the run's verdict, reached again if the champion is another one than it was about."""
    verdict, present = registered.evaluated.verdict, champion.version if champion else None
    if verdict is not None and verdict.champion_version == present:
        return verdict
    from waterflow.promotion.holdout import judge  # scikit-learn

    place = tag.VERDICT_AGAINST_FOLDER.format(champion="baseline" if present is None else present)
    logger.info("champion is %s by now: judging again", "nobody" if present is None else f"version {present}")
    return judge(prepared, config, registered.evaluated.ranked, champion, resources, place=place)


def late_checks(
    prepared: Prepared, registered: Registered, verdict: Verdict, config: PipelineConfig, resources: Resources
) -> tuple[Check, ...]:
    """Check a version that had no reason to be checked before its verdict was reached again."""
    if verdict.outcome != "promote":
        return ()
    resources.models.set_alias(config.name, CHALLENGER, registered.version)
    evaluated = registered.evaluated.model_copy(update={"verdict": verdict})
    with serving_process() as process:
        return check_version(process, registered.version, prepared, evaluated, config, resources)


def _tell(prepared: Prepared, registered: Registered, decision: Decision, resources: Resources) -> None:
    """Say the decision where people look: tags of run and version, and the run's note."""
    words = f"{decision.kind}: {decision.reason}"
    tags = {tag.DECISION: words, tag.LEDGER_SEQUENCE: str(decision.sequence)}
    verdict = decision.verdict
    judged = {tag.VERDICT: verdict.outcome, tag.VERDICT_REASON: verdict.reason} if verdict else {}
    resources.models.tag_version(registered.model, registered.version, tags | judged)
    note = resources.runs.tags_of(prepared.parent_run_id).get(tag.MLFLOW_NOTE, "").partition("\n\nDecision")[0]
    told = f"{note}\n\nDecision {decision.sequence} of the ledger, by {decision.actor}: {words}."
    resources.runs.log(prepared.parent_run_id, tags={**tags, tag.MLFLOW_NOTE: told})
