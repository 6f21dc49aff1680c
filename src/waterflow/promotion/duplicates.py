"""Runs without news: a registered model is not registered twice."""

import logging

from waterflow.caching.keys import registration
from waterflow.config.schema import PipelineConfig
from waterflow.promotion.rules import Outcome, is_waiting
from waterflow.promotion.staging import can_be_staged_again
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.promotion import Registered
from waterflow.reporting.run_note import run_note
from waterflow.reporting.step_log import write_action
from waterflow.reporting.step_manifest import log_step
from waterflow.resources import Resources
from waterflow.stores.base import scratch_folder
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import CACHED_FROM, MLFLOW_NOTE, NOTHING_NEW, PARENT_RUN_ID, REGISTERED, SELECTED_MODEL_ID

logger = logging.getLogger(__name__)


def find_registered(prepared: Prepared, evaluated: Evaluated, model: str, resources: Resources) -> Version | None:
    """Return the version of the winner's fit on these rows. None if this run registered it."""
    version = resources.registry.find_by_tag(model, SELECTED_MODEL_ID, evaluated.winner.model_id)
    if version is None or version.tags.get(PARENT_RUN_ID) == prepared.parent_run_id:
        return None
    return version


def is_settled(
    known: Version, evaluated: Evaluated, config: PipelineConfig, outcome: Outcome, resources: Resources
) -> bool:
    """Return whether nothing is left to decide about a version.

    It is decided again after a new verdict, without any decision so far, or when the last one is waiting.
    """
    if evaluated.cached_from is None:
        return False
    entries = resources.ledger.entries(known.model)
    rows = [row for row in entries if row.version == known.version and row.model_id in (None, known.model_id)]
    can_be_staged = can_be_staged_again(known, config)
    return bool(rows) and not is_waiting(rows[-1], outcome, can_be_staged_again=can_be_staged)


def report_nothing_new(
    prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, known: Version, resources: Resources
) -> Registered:
    """Tag this run with the one that registered its model. Registry and ledger stay unchanged."""
    source = known.tags.get(PARENT_RUN_ID, known.run_id)
    reason = f"nothing new: version {known.version} of run {source[:8]} has this model"
    registered = Registered(
        model=config.name,
        version=known.version,
        aliases=known.aliases,
        reason=reason,
        evaluated=evaluated,
        shown_metrics=config.shown_metrics,
        parent_run_id=prepared.parent_run_id,
        experiment_id=prepared.experiment_id,
        new=False,
    )
    tags = {
        REGISTERED: f"{config.name}/{known.version}",
        NOTHING_NEW: "true",
        CACHED_FROM: source,
        MLFLOW_NOTE: run_note(prepared, registered, config, resources.profile),
    }
    resources.runs.log(prepared.parent_run_id, tags=tags)
    logger.info("%s: cached, %s", config.name, reason)
    return registered


def log_registration(
    prepared: Prepared, registered: Registered, config: PipelineConfig, champion: Version | None, resources: Resources
) -> None:
    """Log the inputs of the step register, for `waterflow why`."""
    name = f"version {champion.version}" if champion else "nobody"
    evaluated = registered.evaluated
    executed = ExecutedAction(
        action=registration(config, evaluated.challenger.model_id, name, evaluated.action_key),
        key="",
        cached_from=None if registered.new else _run_of(registered, resources),
        forced=prepared.force,
        note=f"version {registered.version}" if registered.new else registered.reason,
    )
    with scratch_folder() as folder:
        write_action(folder, executed)
        log_step("registration", prepared.pipeline, prepared.parent_run_id, folder, resources)


def _run_of(registered: Registered, resources: Resources) -> str | None:
    version = resources.registry.get_version(registered.model, registered.version)
    return version.tags.get(PARENT_RUN_ID, version.run_id) if version else None
