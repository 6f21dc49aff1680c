"""Whether a run has anything to register or to decide: a model that is a version already is not registered twice."""

import logging

from waterflow.caching.keys import registration, write_done
from waterflow.config.schema import PipelineConfig
from waterflow.links import dag_run_url
from waterflow.records import Done, Evaluated, Prepared, Registered
from waterflow.resources import Resources, scratch_folder
from waterflow.tracking.model_store import CHAMPION, Version
from waterflow.tracking.tags import CACHED_FROM, EVALUATED_KEY, MLFLOW_NOTE, NOTHING_NEW, PARENT_RUN_ID, REGISTERED

logger = logging.getLogger(__name__)


def find_known(prepared: Prepared, evaluated: Evaluated, model: str, resources: Resources) -> Version | None:
    """Give the version that has the winner's model, unless this very run registered it."""
    version = resources.models.find_by_model(model, evaluated.winner.model_id)
    if version is None or version.tags.get(PARENT_RUN_ID) == prepared.parent_run_id:
        return None
    return version


def is_settled(known: Version, evaluated: Evaluated, obstacle: str | None, resources: Resources) -> bool:
    """Say whether all has been said of a version that exists, so that nothing is left to decide.

    The champion's own model has nobody to win against. Of any other, a verdict that was reached anew is something new;
    so is a decision that was never made, or that only waited, for a person or for what stands in its way no more.
    """
    if CHAMPION in known.aliases:
        return True
    if evaluated.cached_from is None:
        return False
    rows = [row for row in resources.ledger.entries(known.model) if row.version == known.version]
    if not rows:
        return False
    waited = rows[-1].kind == "hold" and rows[-1].verdict is not None and rows[-1].verdict.outcome == "promote"
    return not (waited and obstacle is None)


def say_nothing_new(
    prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, known: Version, resources: Resources
) -> Registered:
    """Lead from this run to the one whose version has its model; registry and ledger stay as they are."""
    source = known.tags.get(PARENT_RUN_ID, known.run_id)
    reason = f"nothing new: version {known.version} of run {source[:8]} has this model"
    lines = [f"**{config.name}**: {reason}.", f"Window {prepared.window}, data `{prepared.data.digest[:12]}`."]
    url = dag_run_url(prepared.origin, resources.profile)
    if url:
        lines.append(f"[Open the Airflow run]({url})")
    tags = {
        REGISTERED: f"{config.name}/{known.version}",
        NOTHING_NEW: "true",
        CACHED_FROM: source,
        MLFLOW_NOTE: "\n\n".join(lines),
    }
    resources.runs.log(prepared.parent_run_id, tags=tags)
    logger.info("%s: cached, %s", config.name, reason)
    return Registered(
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


def log_registration(prepared: Prepared, registered: Registered, config: PipelineConfig, resources: Resources) -> None:
    """Log what the step register looked at, for `waterflow why`."""
    champion = resources.models.find_alias(config.name, CHAMPION)
    tags = resources.runs.tags_of(prepared.parent_run_id)
    shown = f"version {champion.version}" if champion else "nobody"
    model_id = registered.evaluated.winner.model_id
    action = registration(config, model_id, shown, tags.get(EVALUATED_KEY, ""))
    done = Done(
        action=action,
        key="",
        cached_from=None if registered.new else tags.get(CACHED_FROM),
        forced=prepared.force,
        note=f"version {registered.version}" if registered.new else registered.reason,
    )
    with scratch_folder() as folder:
        write_done(folder, done)
        resources.runs.log_folder(prepared.parent_run_id, folder)
