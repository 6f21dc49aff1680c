"""train: one candidate, fitted on the training rows, scored where selection may look, logged with its model."""

import logging

from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError, FitError
from waterflow.modeling.fitting import Fitted, fit_candidate
from waterflow.modeling.metrics import Predicted, confusion, headline, predict_rows, score_rows
from waterflow.provenance import action_key, code_digest, environment_digest, model_requirements, user_code
from waterflow.records import Origin, Part, Prepared, Trained
from waterflow.steps.tools import (
    Rows,
    Tools,
    lineage_tags,
    load_config,
    load_rows,
    origin_tags,
    scratch_folder,
    write_json,
)
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
        part = config.strategy.select_on
        rows = load_rows(prepared, config, tools, ("train", part))
        logger.info("fitting %s on %d rows", candidate, len(rows["train"].target))
        fitted = fit_candidate(config, candidate, rows["train"].features, rows["train"].target)
        predicted, scores = _score(fitted, rows[part], config, candidate)
        _check_main_metric(config, candidate, scores)
        trained = _log_fitted(prepared, config, candidate, opened.run_id, key, fitted, scores, predicted, rows, tools)
        logger.info("%s: %s %.4f on the %s rows", candidate, config.metrics.main, scores[config.metrics.main], part)
    return trained


def train_key(prepared: Prepared, config: PipelineConfig, candidate: str, tools: Tools) -> str:
    """Name this fit by what decides it: rows, split, its own section of the configuration, code, environment."""
    code = "".join(code_digest(name) for name in FIT_MODULES) + user_code(config.candidates[candidate].estimator)
    inputs = {
        "data": prepared.data.digest,
        "split": prepared.split.digest,
        "config": config.train_section(candidate),
    }
    return action_key("train", inputs, code, environment_digest(tools.project.lock_file))


def _score(fitted: Fitted, rows: Rows, config: PipelineConfig, candidate: str) -> tuple[Predicted, dict[str, float]]:
    """Score a candidate; one that was fitted but cannot predict, or predicts no numbers, has failed as well."""
    try:
        predicted = predict_rows(fitted.pipeline, rows.features, rows.target, config.task)
        return predicted, score_rows(predicted, config.task)
    except Exception as error:  # an estimator of the user's choice may raise anything
        reason = (str(error).strip().splitlines() or [""])[0]
        raise FitError(
            f"candidates.{candidate}: {type(error).__name__} while predicting: {reason}; "
            "mend its params or drop the candidate"
        ) from error


def _check_main_metric(config: PipelineConfig, candidate: str, scores: dict[str, float]) -> None:
    if config.metrics.main not in scores:
        raise FitError(
            f"candidates.{candidate}: metrics.main {config.metrics.main!r} is undefined for it "
            f"(defined: {', '.join(headline(scores))}); "
            "choose another main metric, or an estimator that gives probabilities"
        )


def _log_fitted(
    prepared: Prepared,
    config: PipelineConfig,
    candidate: str,
    run_id: str,
    key: str,
    fitted: Fitted,
    scores: dict[str, float],
    predicted: Predicted,
    rows: dict[Part, Rows],
    tools: Tools,
) -> Trained:
    part = config.strategy.select_on
    chosen = config.candidates[candidate]
    model = tools.models.log_model(
        fitted.pipeline,
        experiment_id=prepared.experiment_id,
        run_id=run_id,
        name=candidate,
        example=rows["train"].features.head(EXAMPLE_ROWS),
        requirements=model_requirements(tools.project.lock_file, chosen.estimator),
        tags={"waterflow.pipeline": prepared.pipeline, "waterflow.data_digest": prepared.data.digest},
    )
    metrics = {f"{part}_{name}": value for name, value in scores.items()} | {"fit_seconds": fitted.fit_seconds}
    tags = {"waterflow.model_id": model.model_id, "waterflow.model_digest": model.digest}
    if fitted.warnings:
        tags["waterflow.fit_warnings"] = " | ".join(fitted.warnings)[:4000]
        logger.warning("%s: %s", candidate, "; ".join(fitted.warnings))
    if fitted.unused_columns:
        tags["waterflow.unused_columns"] = ", ".join(fitted.unused_columns)[:4000]
    estimator = fitted.pipeline.named_steps["model"]
    params = {"estimator": chosen.estimator, **estimator.get_params(deep=False)}
    tools.runs.log(run_id, params=params, metrics=metrics, tags=tags, model_id=model.model_id)
    tools.runs.log_dataset(
        run_id,
        name=prepared.pipeline,
        digest=prepared.data.digest,
        source=f"{tools.store.uri}/{prepared.data.key}",
        rows=len(rows["train"].target),
        context="train",
    )
    trained = Trained(
        candidate=candidate,
        action_key=key,
        run_id=run_id,
        model_id=model.model_id,
        scored_on=part,
        metrics=headline(scores),
        fit_seconds=fitted.fit_seconds,
    )
    with scratch_folder() as folder:
        write_record(folder, trained.to_json())
        if config.task == "classification":
            write_json(folder / f"confusion_matrix_{part}.json", confusion(predicted))
        tools.runs.log_folder(run_id, folder)
    return trained
