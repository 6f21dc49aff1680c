"""What a fit logs to its nested MLflow run."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from waterflow.config.schema import PipelineConfig
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import Prepared
from waterflow.records.training import Trained
from waterflow.reporting.run_tags import lineage_tags
from waterflow.reporting.step_log import log_rows, write_action
from waterflow.reporting.step_manifest import log_step
from waterflow.resources import Resources
from waterflow.stores.base import scratch_folder
from waterflow.tracking import tags as tag
from waterflow.tracking.artifacts import write_json, write_record
from waterflow.tracking.run_queries import TrackedRun

if TYPE_CHECKING:  # scikit-learn takes a second to import, and where nothing is fitted nothing needs it
    from waterflow.training.candidate import ScoredCandidate
    from waterflow.training.fitting import FittedPipeline

logger = logging.getLogger(__name__)

# Tags of a fit that a run which uses it again repeats.
FIT_TAGS = (
    tag.MODEL_ID,
    tag.MODEL_DIGEST,
    tag.DECISION_RULE,
    tag.FIT_WARNINGS,
    tag.UNUSED_COLUMNS,
    tag.TRIALS_PREFIX,
    tag.TUNING_NOTE,
)
MAX_TAG_LENGTH = 4000


def log_fit(
    prepared: Prepared,
    config: PipelineConfig,
    trained: Trained,
    fitted: "FittedPipeline",
    rows: int,
    executed: ExecutedAction,
    resources: Resources,
    scored: "ScoredCandidate | None" = None,
) -> None:
    """Log a fit to its nested run. It has the estimator's parameters.

    Where it was `scored`, scores, trials, pictures and warnings go with them; a recipe fitted on other rows has none.
    """
    from waterflow.estimators.calibrated import unwrap_estimator

    estimator = unwrap_estimator(fitted.pipeline.named_steps["model"])
    with scratch_folder() as folder:
        tags = {tag.MODEL_ID: trained.model_id, tag.MODEL_DIGEST: trained.model_digest, **lineage_tags(prepared)}
        write_record(folder, trained.to_json())
        write_action(folder, executed)
        metrics = {"fit_seconds": trained.fit_seconds}
        if scored is not None:
            metrics |= _write_findings(folder, config, trained, scored)
            tags |= _fit_notes(scored, config, trained.candidate)
        log_rows(prepared, trained.run_id, rows, "train", resources)
        log_step(
            "train",
            prepared.pipeline,
            trained.run_id,
            folder,
            resources,
            params={"estimator": config.candidates[trained.candidate].estimator, **estimator.get_params(deep=False)},
            metrics=metrics,
            tags=tags,
            model_id=trained.model_id,
        )


def log_reused_fit(
    prepared: Prepared, trained: Trained, source: TrackedRun, note: str, executed: ExecutedAction, resources: Resources
) -> None:
    """Copy what compares runs in MLflow. It comes from the run that fitted the model; the model stays there."""
    copied = {name: value for name, value in source.tags.items() if name.startswith(FIT_TAGS)}
    with scratch_folder() as folder:
        own = {tag.CACHED: "true", tag.CACHED_FROM: source.run_id, tag.MLFLOW_NOTE: note}
        write_record(folder, trained.to_json())
        write_action(folder, executed)
        rows = next(share.rows for share in prepared.shares if share.part == "train")
        log_rows(prepared, trained.run_id, rows, "train", resources, trained.model_id)
        tags = copied | own | lineage_tags(prepared)
        log_step(
            "train",
            prepared.pipeline,
            trained.run_id,
            folder,
            resources,
            params=source.params,
            metrics=source.metrics,
            tags=tags,
        )


def _write_findings(
    folder: Path, config: PipelineConfig, trained: Trained, scored: "ScoredCandidate"
) -> dict[str, float]:
    """Write what the scored rows showed. Returns the scores by their names in MLflow."""
    from waterflow.reporting.candidate_plots import write_decision, write_trials
    from waterflow.reporting.confusion import count_classes

    part = trained.scored_on
    if scored.predicted is not None and config.task == "classification":
        write_json(folder / tag.CONFUSION_FILE.format(part=part), count_classes(scored.predicted).to_json())
    write_decision(folder / tag.PLOT_FOLDER, config, scored)
    if scored.tuned is not None:
        write_trials(folder / tag.TUNING_FOLDER, scored.tuned, config.metrics.main)
    spread = {f"{part}_{name}_std": value for name, value in scored.spread.items()}
    return {f"{part}_{name}": value for name, value in scored.scores.items()} | spread


def _fit_notes(fit: "ScoredCandidate", config: PipelineConfig, candidate: str) -> dict[str, str]:
    """Return as tags what to know of a fit. Warns of what may be wrong with it."""
    tags: dict[str, str] = {}
    if fit.fitted.warnings:
        tags[tag.FIT_WARNINGS] = " | ".join(fit.fitted.warnings)[:MAX_TAG_LENGTH]
        logger.warning("%s: %s", candidate, "; ".join(fit.fitted.warnings))
    if rule := fit.choices.decision:
        tags[tag.DECISION_RULE] = f"{rule.positive} from {rule.threshold:.4g} on, by {config.decision_in_words}"
    elif fit.decision_note:
        tags[tag.DECISION_RULE] = fit.decision_note
        logger.warning("%s: %s", candidate, fit.decision_note)
    if fit.fitted.unused_columns:
        tags[tag.UNUSED_COLUMNS] = ", ".join(fit.fitted.unused_columns)[:MAX_TAG_LENGTH]
    if fit.tuned is not None:
        states = fit.tuned.trials["state"].value_counts()
        tags |= {tag.TRIALS_PREFIX + str(state).lower(): str(count) for state, count in states.items()}
        if fit.tuned.note:
            tags[tag.TUNING_NOTE] = fit.tuned.note
            logger.warning("%s: %s", candidate, fit.tuned.note)
    return tags
