"""train: one candidate, fitted on the training rows, scored where selection may look, logged with its model."""

import logging
from typing import TYPE_CHECKING

from waterflow.caching.keys import fitting, key_of
from waterflow.caching.lookup import CacheHit, CacheLookup, find_trained, note_of
from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError
from waterflow.provenance.environment import model_requirements
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import Prepared
from waterflow.records.run import Origin
from waterflow.records.training import ScoredOn, Trained
from waterflow.reporting.step_log import log_reused_fit, log_trained
from waterflow.resources import Resources, count_threads, lineage_tags, load_config, origin_tags
from waterflow.snapshots import load_rows
from waterflow.tracking import tags as tag
from waterflow.tracking.runs import RunIdentity

if TYPE_CHECKING:  # scikit-learn takes a second to import, and where nothing is fitted nothing needs it
    from waterflow.training.candidate import ScoredCandidate
    from waterflow.training.fitting import LabelledRows

logger = logging.getLogger(__name__)

EXAMPLE_ROWS = 5


def train(prepared: Prepared, candidate: str, origin: Origin, resources: Resources) -> Trained:
    """Fit one candidate in its nested MLflow run; `origin` tells the attempt.

    What an earlier attempt of this run finished is returned untouched. What another run fitted from the same inputs is
    used again, once its record and model files are verified, unless the run is forced. Raises FitError when the fit
    fails or the main metric is undefined for it; the run is then FAILED and says why.
    """
    config = load_config(prepared, resources)
    if candidate not in config.candidates:
        raise ConfigError(f"candidate: {candidate!r} was not prepared; valid: {', '.join(config.candidates)}")
    action = fitting(prepared, config, candidate, resources)
    key = key_of(action)
    opened = resources.runs.open_run(
        prepared.experiment_id,
        RunIdentity(prepared.pipeline, prepared.origin.run_id, candidate, prepared.origin.clear_number),
        key,
        name=candidate,
        tags=origin_tags(origin, prepared.pipeline, config, resources)
        | lineage_tags(prepared)
        | {tag.CANDIDATE: candidate},
        parent_run_id=prepared.parent_run_id,
    )
    with resources.runs.closing(opened.run_id):
        if opened.record is not None:
            logger.info("%s was trained by an earlier attempt: run %s", candidate, opened.run_id)
            return Trained.from_json(opened.record)
        found = (
            CacheLookup[Trained]() if prepared.force else find_trained(prepared, key, config.metrics.main, resources)
        )
        executed = ExecutedAction(action=action, key=key, forced=prepared.force, misses=found.misses)
        if found.hit is not None:
            return _reuse(prepared, found.hit, opened.run_id, executed, resources)
        return _fit(prepared, config, opened.run_id, executed, resources)


def _fit(
    prepared: Prepared, config: PipelineConfig, run_id: str, executed: ExecutedAction, resources: Resources
) -> Trained:
    from waterflow.training.candidate import TrainingContext, train_candidate

    part: ScoredOn = config.strategy.select_on
    candidate = executed.action.subject
    rows = load_rows(prepared, config, resources, ("train",) if part == "folds" else ("train", part))
    logger.info("fitting %s on %d rows", candidate, len(rows["train"].target))
    # A retry continues the study of trials, and so does a later run; a forced run begins its own.
    study = f"{executed.key}-{prepared.parent_run_id}" if prepared.force else executed.key
    context = TrainingContext(resources.profile.find_database, study, count_threads())
    fit = train_candidate(config, candidate, rows, context)
    trained = _log_fit(prepared, config, run_id, executed, fit, rows["train"], resources)
    logger.info("%s: %s %.4f %s", candidate, config.metrics.main, fit.scores[config.metrics.main], trained.where)
    return trained


def _reuse(
    prepared: Prepared, hit: CacheHit[Trained], run_id: str, executed: ExecutedAction, resources: Resources
) -> Trained:
    candidate, source = executed.action.subject, hit.run
    logger.info("%s: cached, nothing is fitted; %s has this model", candidate, source)
    trained = hit.record.model_copy(update={"candidate": candidate, "run_id": run_id, "cached_from": source.run_id})
    executed = executed.model_copy(update={"cached_from": source.run_id, "cached_at": source.started_at})
    note = note_of(source, prepared.experiment_id, "it was fitted", resources)
    log_reused_fit(prepared, trained, source, note, executed, resources)
    return trained


def _log_fit(
    prepared: Prepared,
    config: PipelineConfig,
    run_id: str,
    executed: ExecutedAction,
    fit: "ScoredCandidate",
    rows: "LabelledRows",
    resources: Resources,
) -> Trained:
    from waterflow.scoring.metrics import headline

    candidate = executed.action.subject
    model = resources.models.log_model(
        fit.fitted.pipeline,
        experiment_id=prepared.experiment_id,
        run_id=run_id,
        name=candidate,
        example=rows.features.head(EXAMPLE_ROWS),
        requirements=model_requirements(resources.project.lock_file, config.candidates[candidate].estimator),
        tags={tag.PIPELINE: prepared.pipeline, tag.DATA_DIGEST: prepared.data.digest},
    )
    trained = Trained(
        candidate=candidate,
        action_key=executed.key,
        run_id=run_id,
        model_id=model.model_id,
        scored_on=config.strategy.select_on,
        metrics=headline(fit.scores),
        spread=headline(fit.spread),
        tuned=fit.tuned.params if fit.tuned else {},
        trials=int(fit.tuned.trials["seconds"].notna().sum()) if fit.tuned else 0,
        choices=fit.choices,
        threads=count_threads(),
        fit_seconds=fit.fitted.fit_seconds,
    )
    log_trained(prepared, config, trained, fit, model.digest, executed, resources)
    return trained
