"""train: one candidate, fitted on the training rows, scored where selection may look, logged with its model."""

import logging

from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError
from waterflow.modeling.boosting import bare
from waterflow.modeling.fitting import Rows
from waterflow.modeling.metrics import confusion, headline
from waterflow.provenance import action_key, code_digest, environment_digest, model_requirements, user_code
from waterflow.records import Origin, Prepared, ScoredOn, Trained
from waterflow.steps.candidates import Judged, Setting, judge_candidate
from waterflow.steps.tools import (
    Tools,
    count_threads,
    lineage_tags,
    load_config,
    load_rows,
    origin_tags,
    scratch_folder,
    write_json,
)
from waterflow.steps.trials import write_trials
from waterflow.tracking.runs import RunIdentity, write_record

logger = logging.getLogger(__name__)

FIT_MODULES = ("waterflow.modeling.fitting", "waterflow.modeling.metrics")
EXAMPLE_ROWS = 5


def train(prepared: Prepared, candidate: str, origin: Origin, tools: Tools) -> Trained:
    """Fit one candidate in its nested MLflow run; `origin` tells the try.

    A finished run of the same action key is returned untouched. Raises FitError when the fit fails or the main
    metric is undefined for it; the run is then FAILED and says why.
    """
    config = load_config(prepared, tools)
    if candidate not in config.candidates:
        raise ConfigError(f"candidate: {candidate!r} was not prepared; valid: {', '.join(config.candidates)}")
    key = train_key(prepared, config, candidate, tools)
    opened = tools.runs.open_run(
        prepared.experiment_id,
        RunIdentity(prepared.pipeline, prepared.origin.run_id, candidate),
        key,
        name=candidate,
        tags=origin_tags(origin, prepared.pipeline, config, tools)
        | lineage_tags(prepared)
        | {"waterflow.candidate": candidate},
        parent_run_id=prepared.parent_run_id,
    )
    with tools.runs.closing(opened.run_id):
        if opened.record is not None:
            logger.info("%s was trained by an earlier try: run %s", candidate, opened.run_id)
            return Trained.from_json(opened.record)
        part: ScoredOn = config.strategy.select_on
        rows = load_rows(prepared, config, tools, ("train",) if part == "folds" else ("train", part))
        logger.info("fitting %s on %d rows", candidate, len(rows["train"].target))
        setting = Setting(tools.profile.find_database, key, count_threads())
        judged = judge_candidate(config, candidate, rows, setting)
        trained = _log_judged(prepared, config, candidate, opened.run_id, key, judged, rows["train"], tools)
        logger.info("%s: %s %.4f %s", candidate, config.metrics.main, judged.scores[config.metrics.main], trained.where)
    return trained


def train_key(prepared: Prepared, config: PipelineConfig, candidate: str, tools: Tools) -> str:
    """Name this fit by what decides it: rows, split, its own section of the configuration, code, environment."""
    modules = [*FIT_MODULES]
    if config.strategy.select_on == "folds":
        modules.append("waterflow.modeling.folds")
    if config.search_of(candidate) is not None:
        modules.append("waterflow.modeling.tuning")
    estimator = config.candidates[candidate].estimator
    code = "".join(code_digest(name) for name in modules) + user_code(estimator)
    inputs = {
        "data": prepared.data.digest,
        "split": prepared.split.digest,
        "config": config.train_section(candidate),
    }
    return action_key("train", inputs, code, environment_digest(tools.project.lock_file, estimator))


def _log_judged(
    prepared: Prepared,
    config: PipelineConfig,
    candidate: str,
    run_id: str,
    key: str,
    judged: Judged,
    train_rows: Rows,
    tools: Tools,
) -> Trained:
    fitted, part, chosen = judged.fitted, config.strategy.select_on, config.candidates[candidate]
    model = tools.models.log_model(
        fitted.pipeline,
        experiment_id=prepared.experiment_id,
        run_id=run_id,
        name=candidate,
        example=train_rows.features.head(EXAMPLE_ROWS),
        requirements=model_requirements(tools.project.lock_file, chosen.estimator),
        tags={"waterflow.pipeline": prepared.pipeline, "waterflow.data_digest": prepared.data.digest},
    )
    estimator = bare(fitted.pipeline.named_steps["model"])
    metrics = {f"{part}_{name}": value for name, value in judged.scores.items()}
    metrics |= {f"{part}_{name}_std": value for name, value in judged.spread.items()}
    tools.runs.log(
        run_id,
        params={"estimator": chosen.estimator, **estimator.get_params(deep=False)},
        metrics=metrics | {"fit_seconds": fitted.fit_seconds},
        tags={"waterflow.model_id": model.model_id, "waterflow.model_digest": model.digest} | _notes(judged, candidate),
        model_id=model.model_id,
    )
    tools.runs.log_dataset(
        run_id,
        name=prepared.pipeline,
        digest=prepared.data.digest,
        source=f"{tools.store.uri}/{prepared.data.key}",
        rows=len(train_rows.target),
        context="train",
    )
    trained = Trained(
        candidate=candidate,
        action_key=key,
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
        write_record(folder, trained.to_json())
        if judged.predicted is not None and config.task == "classification":
            write_json(folder / f"confusion_matrix_{part}.json", confusion(judged.predicted))
        if judged.tuned is not None:
            write_trials(folder / "tuning", judged.tuned, config.metrics.main)
        tools.runs.log_folder(run_id, folder)
    return trained


def _notes(judged: Judged, candidate: str) -> dict[str, str]:
    """Say as tags what a person should know of a fit, and warn of what may be wrong with it."""
    tags: dict[str, str] = {}
    if judged.fitted.warnings:
        tags["waterflow.fit_warnings"] = " | ".join(judged.fitted.warnings)[:4000]
        logger.warning("%s: %s", candidate, "; ".join(judged.fitted.warnings))
    if judged.fitted.unused_columns:
        tags["waterflow.unused_columns"] = ", ".join(judged.fitted.unused_columns)[:4000]
    if judged.tuned is not None:
        states = judged.tuned.trials["state"].value_counts()
        tags |= {f"waterflow.trials_{str(state).lower()}": str(count) for state, count in states.items()}
        if judged.tuned.note:
            tags["waterflow.tuning_note"] = judged.tuned.note
            logger.warning("%s: %s", candidate, judged.tuned.note)
    return tags
