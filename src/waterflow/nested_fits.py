"""Fits as cached actions, each in a nested MLflow run.

A fit is of a candidate in training, or of its recipe on other rows.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from waterflow.caching.keys import key_of, refitting
from waterflow.caching.lookup import CacheHit, CacheLookup, find_refitted, note_of
from waterflow.config.code_paths import model_code
from waterflow.config.schema import PipelineConfig
from waterflow.provenance.environment import model_requirements
from waterflow.provenance.own_code import own_modules, trace_paths
from waterflow.records.caching import Action, ExecutedAction
from waterflow.records.data import Prepared
from waterflow.records.run import Origin
from waterflow.records.training import FitRows, Trained
from waterflow.reporting.fit_log import log_fit, log_reused_fit
from waterflow.reporting.run_tags import lineage_tags, origin_tags
from waterflow.resources import Resources
from waterflow.snapshots import load_fit_rows
from waterflow.tracking import tags as tag
from waterflow.tracking.model_store import LoggedModel
from waterflow.tracking.runs import RunIdentity
from waterflow.training.parallelism import count_threads

if TYPE_CHECKING:
    from waterflow.training.fitting import LabelledRows

logger = logging.getLogger(__name__)

EXAMPLE_ROWS = 5
Find = Callable[[str], CacheLookup[Trained]]
Fit = Callable[[str, ExecutedAction], Trained]


def refit(
    prepared: Prepared, config: PipelineConfig, recipe: Trained, rows: FitRows, role: str, resources: Resources
) -> Trained:
    """Fit a trained candidate's recipe on other rows.

    The parameters and rounds are those that training settled on. `role` tells the fit from others of the same run.
    Raises FitError when the fit fails.
    """

    def fit(run_id: str, executed: ExecutedAction) -> Trained:
        from waterflow.training.fitting import fit_candidate

        chosen, until = load_fit_rows(prepared, config, rows, resources)
        logger.info("fitting %s again on %d rows: %s", recipe.candidate, len(chosen.target), rows)
        fitted = fit_candidate(config, recipe.candidate, chosen, None, recipe.choices, count_threads())
        model = log_model(prepared, config, recipe.candidate, fitted.pipeline, chosen, run_id, resources)
        own = {
            "action_key": executed.key,
            "run_id": run_id,
            "model_id": model.model_id,
            "model_digest": model.files_digest,
            "metrics": {},
            "spread": {},
            "trials": 0,
            "threads": count_threads(),
            "fitted_on": rows,
            "rows_until": until,
            "fit_seconds": fitted.fit_seconds,
            "cached_from": None,
        }
        trained = recipe.model_copy(update=own)
        log_fit(prepared, config, trained, fitted, len(chosen.target), executed, resources)
        return trained

    return run_fit(
        prepared,
        config,
        refitting(prepared, config, recipe, rows, resources),
        prepared.origin,
        resources,
        find=lambda key: find_refitted(prepared, key, resources),
        fit=fit,
        name=f"{recipe.candidate} {role}",
        tags={tag.FITTED_ON: str(rows)},
    )


def run_fit(
    prepared: Prepared,
    config: PipelineConfig,
    action: Action,
    origin: Origin,
    resources: Resources,
    *,
    find: Find,
    fit: Fit,
    name: str,
    tags: dict[str, str] | None = None,
) -> Trained:
    """Return the record of a fit.

    It was finished by an earlier attempt, is found in the cache, or is made now by `fit`.
    """
    key = key_of(action)
    opened = resources.runs.open_run(
        prepared.experiment_id,
        RunIdentity(prepared.pipeline, prepared.origin.run_id, name, prepared.origin.clear_number),
        key,
        name=name,
        tags=origin_tags(origin, prepared.pipeline, config, resources)
        | lineage_tags(prepared)
        | {tag.CANDIDATE: action.subject, **(tags or {})},
        parent_run_id=prepared.parent_run_id,
    )
    with resources.runs.closing(opened.run_id):
        if opened.record is not None:
            logger.info("%s was trained by an earlier attempt: run %s", name, opened.run_id)
            return Trained.from_json(opened.record)
        found = CacheLookup[Trained]() if prepared.force else find(key)
        executed = ExecutedAction(action=action, key=key, forced=prepared.force, misses=found.misses)
        if found.hit is None:
            return fit(opened.run_id, executed)
        return _reuse(prepared, found.hit, opened.run_id, name, executed, resources)


def log_model(
    prepared: Prepared,
    config: PipelineConfig,
    candidate: str,
    pipeline: Any,
    rows: "LabelledRows",
    run_id: str,
    resources: Resources,
) -> LoggedModel:
    """Log a fitted pipeline to its run. The first rows are its example."""
    example: pd.DataFrame = rows.features.head(EXAMPLE_ROWS)
    contract = config.contract.columns if config.contract else {}
    paths = model_code(config, candidate)
    estimator_path, packages = config.candidates[candidate].estimator, trace_paths(paths[1:]).packages
    return resources.models.log_model(
        pipeline,
        experiment_id=prepared.experiment_id,
        run_id=run_id,
        name=candidate,
        example=example,
        requirements=model_requirements(resources.project.lock_file, estimator_path, packages),
        pipeline_name=prepared.pipeline,
        tags={tag.DATA_DIGEST: prepared.data.digest},
        modules=own_modules(paths),
        whole=[name for name, rules in contract.items() if rules.type == "integer" and not rules.nullable],
    )


def _reuse(
    prepared: Prepared, hit: CacheHit[Trained], run_id: str, name: str, executed: ExecutedAction, resources: Resources
) -> Trained:
    source = hit.run
    logger.info("%s: cached, nothing is fitted; %s has this model", name, source)
    own = {"candidate": executed.action.subject, "run_id": run_id, "cached_from": source.run_id}
    trained = hit.record.model_copy(update=own)
    executed = executed.model_copy(update={"cached_from": source.run_id, "cached_at": source.started_at})
    note = note_of(source, prepared.experiment_id, "it was fitted", resources)
    log_reused_fit(prepared, trained, source, note, executed, resources)
    return trained
