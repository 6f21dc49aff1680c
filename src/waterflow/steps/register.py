"""register: exactly one version for each run, and for one with good evidence the staging checks."""

import logging
from dataclasses import replace

from waterflow.config.schema import PipelineConfig
from waterflow.lineage.graph import log_lineage
from waterflow.links import dag_run_url, run_link
from waterflow.promotion.duplicates import find_registered, is_settled, log_registration, report_nothing_new
from waterflow.promotion.rules import PromotionState, decide
from waterflow.promotion.staging import check_version, serving_process
from waterflow.promotion.state import read_state
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.promotion import Check, Registered
from waterflow.reporting.run_note import run_note
from waterflow.reporting.run_tags import lineage_tags
from waterflow.reporting.step_manifest import log_step
from waterflow.resources import Resources, load_config
from waterflow.stores.base import scratch_folder
from waterflow.tracking import tags as tag
from waterflow.tracking.registry import CHALLENGER, CHAMPION, fit_description

logger = logging.getLogger(__name__)


def register(prepared: Prepared, evaluated: Evaluated, resources: Resources) -> Registered:
    """Make the winner a version of the pipeline's registered model.

    One that may be promoted gets the alias challenger and is staged. A repetition changes nothing; the run stays open
    for `promote`. A registered model gets no second version; where nothing is left to decide, `new` is False.
    """
    with resources.runs.closing(prepared.parent_run_id, success=None):
        config = load_config(prepared, resources)
        known = None if prepared.force else find_registered(prepared, evaluated, config.name, resources)
        if known is not None and CHAMPION in known.aliases:  # it has nothing to win against, and most runs end here
            registered = report_nothing_new(prepared, evaluated, config, known, resources)
        else:
            state = _state_as_evaluated(prepared, evaluated, config, resources)
            if known is not None and is_settled(known, evaluated, config, decide(state), resources):
                registered = report_nothing_new(prepared, evaluated, config, known, resources)
            else:
                registered = _register(prepared, evaluated, config, state, resources)
        log_registration(prepared, registered, config, resources)
        return registered


def _state_as_evaluated(
    prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, resources: Resources
) -> PromotionState:
    """Return the state with the verdict as it is: a champion that changed since is left to `promote`."""
    champion = resources.registry.find_alias(config.name, CHAMPION)
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
        version, checks = register_and_stage(prepared, evaluated, config, resources)
        outcome = decide(replace(state, checks=checks))
    else:
        version = make_version(prepared, evaluated, config, resources)
    is_good = outcome.kind in ("promote", "ask")
    reason = evaluated.verdict.reason if is_good and evaluated.verdict else outcome.reason
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
    note = run_note(prepared, registered, config, dag_run_url(prepared.origin, resources.profile))
    tags = {tag.REGISTERED: f"{config.name}/{version}", tag.MLFLOW_NOTE: note}
    resources.runs.log(prepared.parent_run_id, tags=tags)
    return registered


def register_and_stage(
    prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, resources: Resources
) -> tuple[int, tuple[Check, ...]]:
    """Make the version, let it be challenger, and check it; a retry finds the checks of the first try."""
    logged = resources.runs.read_json(prepared.parent_run_id, tag.STAGING_FILE)
    if logged is not None:
        version = make_version(prepared, evaluated, config, resources)
        return version, tuple(Check.from_json(check) for check in logged["checks"])
    with serving_process() as process:  # it imports while the version is made
        version = make_version(prepared, evaluated, config, resources)
        resources.registry.set_alias(config.name, CHALLENGER, version)
        return version, check_version(process, version, prepared, evaluated, config, resources)


def make_version(prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, resources: Resources) -> int:
    """Register the winner with its card, and with the tags by which it can be traced; again, it finds the version."""
    from waterflow.reporting.model_card import model_card

    winner, served = evaluated.winner, evaluated.challenger
    existing = resources.registry.find_by_model(config.name, served.model_id)
    if existing is not None:
        return existing.version
    tags = lineage_tags(prepared) | {
        tag.PARENT_RUN_ID: prepared.parent_run_id,
        tag.DAG_RUN_ID: prepared.origin.run_id,
        tag.CANDIDATE: winner.candidate,
        tag.STRATEGY: config.strategy.name,
        tag.MODEL_ID: served.model_id,
        tag.SELECTED_MODEL_ID: winner.model_id,
        tag.COMPARED_MODELS: " ".join(fit.model_id for fit in evaluated.compared or (winner,)),
        tag.FITTED_ON: str(served.fitted_on),
        tag.ACTION_KEY: winner.action_key,
        tag.DATA_READ_AT: prepared.read_at.isoformat(),
        **{
            tag.METRIC_PREFIX + name: f"{evaluated.holdout_metrics[name]:.6g}"
            for name in config.shown_metrics
            if name in evaluated.holdout_metrics
        },
    }
    if evaluated.verdict is not None:
        tags |= {tag.VERDICT: evaluated.verdict.outcome, tag.VERDICT_REASON: evaluated.verdict.reason}
    links = {
        "Airflow run": dag_run_url(prepared.origin, resources.profile) or prepared.origin.run_id,
        "MLflow run": prepared.parent_run_id,
        "Run of the fit": served.run_id,
        "Data": prepared.data.digest,
        "Configuration": prepared.config.digest,
    }
    card = model_card(config, prepared, evaluated, links)
    with scratch_folder() as folder:
        (folder / tag.CARD_FILE).write_text(card, "utf-8")
        log_step("card", prepared.parent_run_id, folder, resources)
    place = run_link(prepared.experiment_id, prepared.parent_run_id, resources.profile)
    description = fit_description(card, f"The whole card is the artifact `{tag.CARD_FILE}` of run {place}.")
    return resources.registry.register(config.name, served.model_id, served.run_id, description, tags)
