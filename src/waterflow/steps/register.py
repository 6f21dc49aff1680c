"""register: exactly one version for each run, staged if promising."""

import logging
from dataclasses import replace

from waterflow.config.schema import PipelineConfig
from waterflow.lineage.graph import log_lineage
from waterflow.promotion.champion_alias import find_vouched_champion
from waterflow.promotion.duplicates import find_registered, is_settled, log_registration, report_nothing_new
from waterflow.promotion.registration import make_version
from waterflow.promotion.rules import PromotionState, decide, describe_evidence
from waterflow.promotion.staging import check_version, find_staged, serving_process
from waterflow.promotion.state import read_state
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.promotion import Check, Registered
from waterflow.records.training import Trained
from waterflow.reporting.run_note import run_note
from waterflow.resources import Resources, load_config
from waterflow.tracking import tags as tag
from waterflow.tracking.registry import CHALLENGER, CHAMPION, Version

logger = logging.getLogger(__name__)


def register(prepared: Prepared, evaluated: Evaluated, resources: Resources) -> Registered:
    """Make the winner a version of the pipeline's registered model.

    One that may be promoted gets the alias challenger and is staged. A repetition changes nothing; the run stays open
    for `promote`. A registered model gets no second version; where nothing is left to decide, `new` is False.
    """
    with resources.runs.closing(prepared.parent_run_id, success=None):
        config = load_config(prepared, resources)
        champion = find_vouched_champion(config.name, resources)
        known = None if prepared.force else find_registered(prepared, evaluated, config.name, resources)
        if known is not None and CHAMPION in known.aliases:  # it has nothing to win against, and most runs end here
            registered = report_nothing_new(prepared, evaluated, config, known, resources)
        else:
            state = _state_as_evaluated(prepared, evaluated, config, champion, resources)
            if known is not None and is_settled(known, evaluated, config, decide(state), resources):
                registered = report_nothing_new(prepared, evaluated, config, known, resources)
            else:
                registered = _register(prepared, evaluated, config, state, resources)
        log_registration(prepared, registered, config, champion, resources)
        return registered


def _state_as_evaluated(
    prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, champion: Version | None, resources: Resources
) -> PromotionState:
    """Return the state with the verdict's champion. One that changed since is left to `promote`."""
    state = read_state(prepared, evaluated, config, champion, resources)
    return replace(
        state,
        champion_version=state.shown_champion,
        champion_model_id=evaluated.verdict.champion_model_id if evaluated.verdict else None,
    )


def _register(
    prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, state: PromotionState, resources: Resources
) -> Registered:
    outcome = decide(state)
    checks: tuple[Check, ...] = ()
    if outcome.kind == "stage":
        from waterflow.promotion.challenger import fit_served  # scikit-learn

        served = fit_served(prepared, config, evaluated, resources)
        version, checks = register_and_stage(prepared, evaluated, served, config, resources)
        outcome = decide(replace(state, checks=checks))
    else:
        version = make_version(prepared, evaluated, evaluated.challenger, config, resources)
    reason = describe_evidence(state) if outcome.kind == "ask" else outcome.reason
    logger.info("%s version %d: %s", config.name, version, reason)
    log_lineage(config.name, version, prepared.parent_run_id, resources)
    registered = Registered(
        model=config.name,
        version=version,
        aliases=resources.registry.aliases_of(config.name, version),
        reason=reason,
        evaluated=evaluated,
        shown_metrics=config.shown_metrics,
        parent_run_id=prepared.parent_run_id,
        experiment_id=prepared.experiment_id,
        checks=checks,
        awaits_approval=outcome.kind == "ask",
    )
    note = run_note(prepared, registered, config, resources.profile)
    tags = {tag.REGISTERED: f"{config.name}/{version}", tag.MLFLOW_NOTE: note}
    resources.runs.log(prepared.parent_run_id, tags=tags)
    return registered


def register_and_stage(
    prepared: Prepared, evaluated: Evaluated, served: Trained, config: PipelineConfig, resources: Resources
) -> tuple[int, tuple[Check, ...]]:
    """Make the version the challenger and stage it. A retry finds the checks of the first attempt."""
    staged = find_staged(prepared, resources)
    if staged is not None:
        return make_version(prepared, evaluated, served, config, resources), staged.checks
    with serving_process() as process:  # it imports while the version is made
        version = make_version(prepared, evaluated, served, config, resources)
        resources.registry.set_alias(config.name, CHALLENGER, version)
        return version, check_version(process, version, prepared, evaluated, config, resources)
