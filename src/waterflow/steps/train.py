"""train: one candidate, fitted on the training rows, scored where selection may look, logged with its model."""

import logging
from typing import TYPE_CHECKING

from waterflow.caching.keys import fitting, key_of, write_done
from waterflow.caching.lookup import Hit, Lookup, find_trained, note_of
from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError
from waterflow.provenance.code import model_requirements
from waterflow.records import Done, Origin, Prepared, ScoredOn, Trained
from waterflow.resources import (
    Resources,
    count_threads,
    lineage_tags,
    load_config,
    origin_tags,
    scratch_folder,
    write_json,
)
from waterflow.snapshots import load_rows
from waterflow.tracking import tags as tag
from waterflow.tracking.runs import RunIdentity, write_record

if TYPE_CHECKING:  # scikit-learn takes a second to import, and where nothing is fitted nothing needs it
    from waterflow.training.candidate import Judged
    from waterflow.training.fitting import Rows

logger = logging.getLogger(__name__)

EXAMPLE_ROWS = 5
COPIED = (
    tag.MODEL_ID,
    tag.MODEL_DIGEST,
    tag.FIT_WARNINGS,
    tag.UNUSED_COLUMNS,
    tag.TRIALS_PREFIX,
    tag.TUNING_NOTE,
)


def train(prepared: Prepared, candidate: str, origin: Origin, resources: Resources) -> Trained:
    """Fit one candidate in its nested MLflow run; `origin` tells the try.

    What an earlier try of this run has finished is returned untouched. What another run has made of the same inputs is
    used again, once its record and its model's files were verified, unless the run is forced. Raises FitError when
    the fit fails or the main metric is undefined for it; the run is then FAILED and says why.
    """
    config = load_config(prepared, resources)
    if candidate not in config.candidates:
        raise ConfigError(f"candidate: {candidate!r} was not prepared; valid: {', '.join(config.candidates)}")
    action = fitting(prepared, config, candidate, resources)
    key = key_of(action)
    opened = resources.runs.open_run(
        prepared.experiment_id,
        RunIdentity(prepared.pipeline, prepared.origin.run_id, candidate),
        key,
        name=candidate,
        tags=origin_tags(origin, prepared.pipeline, config, resources)
        | lineage_tags(prepared)
        | {tag.CANDIDATE: candidate},
        parent_run_id=prepared.parent_run_id,
    )
    with resources.runs.closing(opened.run_id):
        if opened.record is not None:
            logger.info("%s was trained by an earlier try: run %s", candidate, opened.run_id)
            return Trained.from_json(opened.record)
        found = Lookup[Trained](None) if prepared.force else find_trained(prepared, key, config.metrics.main, resources)
        done = Done(action=action, key=key, forced=prepared.force, misses=found.misses)
        if found.hit is not None:
            logger.info("%s: cached, nothing is fitted; %s has this model", candidate, found.hit.run)
            return _log_cached(prepared, found.hit, opened.run_id, done, resources)
        return _fit(prepared, config, opened.run_id, done, resources)


def _fit(prepared: Prepared, config: PipelineConfig, run_id: str, done: Done, resources: Resources) -> Trained:
    from waterflow.training.candidate import Setting, judge_candidate

    part: ScoredOn = config.strategy.select_on
    candidate = done.action.subject
    rows = load_rows(prepared, config, resources, ("train",) if part == "folds" else ("train", part))
    logger.info("fitting %s on %d rows", candidate, len(rows["train"].target))
    setting = Setting(resources.profile.find_database, _study_of(prepared, done), count_threads())
    judged = judge_candidate(config, candidate, rows, setting)
    trained = _log_judged(prepared, config, run_id, done, judged, rows["train"], resources)
    logger.info("%s: %s %.4f %s", candidate, config.metrics.main, judged.scores[config.metrics.main], trained.where)
    return trained


def _log_cached(prepared: Prepared, hit: Hit[Trained], run_id: str, done: Done, resources: Resources) -> Trained:
    """Copy what compares runs in MLflow; the model stays with the run that fitted it."""
    source = hit.run
    trained = hit.record.model_copy(
        update={"candidate": done.action.subject, "run_id": run_id, "cached_from": source.run_id}
    )
    copied = {name: source.tags[name] for name in source.tags if name.startswith(COPIED)}
    with scratch_folder() as folder:
        digest = write_record(folder, trained.to_json())
        write_done(folder, done.model_copy(update={"cached_from": source.run_id, "cached_at": source.started_at}))
        resources.runs.log(
            run_id,
            params=source.params,
            metrics=source.metrics,
            tags=copied
            | {
                tag.CACHED: "true",
                tag.CACHED_FROM: source.run_id,
                tag.RECORD_DIGEST: digest,
                tag.MLFLOW_NOTE: note_of(source, prepared.experiment_id, "it was fitted", resources),
            },
        )
        rows = next(share.rows for share in prepared.shares if share.part == "train")
        _log_dataset(prepared, run_id, rows, resources, trained.model_id)
        resources.runs.log_folder(run_id, folder)
    return trained


def _log_dataset(prepared: Prepared, run_id: str, rows: int, resources: Resources, model_id: str | None = None) -> None:
    resources.runs.log_dataset(
        run_id,
        name=prepared.pipeline,
        digest=prepared.data.digest,
        source=f"{resources.store.uri}/{prepared.data.key}",
        rows=rows,
        context="train",
        model_id=model_id,
    )


def _study_of(prepared: Prepared, done: Done) -> str:
    """Name the search: a retry goes on with its trials, and so does a later run, but a forced one tries anew."""
    return f"{done.key}-{prepared.parent_run_id}" if prepared.force else done.key


def _log_judged(
    prepared: Prepared,
    config: PipelineConfig,
    run_id: str,
    done: Done,
    judged: "Judged",
    train_rows: "Rows",
    resources: Resources,
) -> Trained:
    from waterflow.estimators.label_encoded import bare
    from waterflow.reporting.tuning_report import write_trials
    from waterflow.scoring.metrics import confusion, headline

    candidate = done.action.subject
    fitted, part, chosen = judged.fitted, config.strategy.select_on, config.candidates[candidate]
    model = resources.models.log_model(
        fitted.pipeline,
        experiment_id=prepared.experiment_id,
        run_id=run_id,
        name=candidate,
        example=train_rows.features.head(EXAMPLE_ROWS),
        requirements=model_requirements(resources.project.lock_file, chosen.estimator),
        tags={tag.PIPELINE: prepared.pipeline, tag.DATA_DIGEST: prepared.data.digest},
    )
    estimator = bare(fitted.pipeline.named_steps["model"])
    metrics = {f"{part}_{name}": value for name, value in judged.scores.items()}
    metrics |= {f"{part}_{name}_std": value for name, value in judged.spread.items()}
    tags = {tag.MODEL_ID: model.model_id, tag.MODEL_DIGEST: model.digest}
    trained = Trained(
        candidate=candidate,
        action_key=done.key,
        run_id=run_id,
        model_id=model.model_id,
        scored_on=part,
        metrics=headline(judged.scores),
        spread=headline(judged.spread),
        tuned=judged.tuned.params if judged.tuned else {},
        trials=int(judged.tuned.trials["seconds"].notna().sum()) if judged.tuned else 0,
        fit_params=dict(judged.params),
        threads=count_threads(),
        fit_seconds=fitted.fit_seconds,
    )
    with scratch_folder() as folder:
        digest = write_record(folder, trained.to_json())
        write_done(folder, done)
        if judged.predicted is not None and config.task == "classification":
            write_json(folder / tag.CONFUSION_FILE.format(part=part), confusion(judged.predicted))
        if judged.tuned is not None:
            write_trials(folder / tag.TUNING_FOLDER, judged.tuned, config.metrics.main)
        resources.runs.log(
            run_id,
            params={"estimator": chosen.estimator, **estimator.get_params(deep=False)},
            metrics=metrics | {"fit_seconds": fitted.fit_seconds},
            tags=tags | {tag.RECORD_DIGEST: digest} | _notes(judged, candidate),
            model_id=model.model_id,
        )
        _log_dataset(prepared, run_id, len(train_rows.target), resources)
        resources.runs.log_folder(run_id, folder)
    return trained


def _notes(judged: "Judged", candidate: str) -> dict[str, str]:
    """Say as tags what a person should know of a fit, and warn of what may be wrong with it."""
    tags: dict[str, str] = {}
    if judged.fitted.warnings:
        tags[tag.FIT_WARNINGS] = " | ".join(judged.fitted.warnings)[:4000]
        logger.warning("%s: %s", candidate, "; ".join(judged.fitted.warnings))
    if judged.fitted.unused_columns:
        tags[tag.UNUSED_COLUMNS] = ", ".join(judged.fitted.unused_columns)[:4000]
    if judged.tuned is not None:
        states = judged.tuned.trials["state"].value_counts()
        tags |= {tag.TRIALS_PREFIX + str(state).lower(): str(count) for state, count in states.items()}
        if judged.tuned.note:
            tags[tag.TUNING_NOTE] = judged.tuned.note
            logger.warning("%s: %s", candidate, judged.tuned.note)
    return tags
