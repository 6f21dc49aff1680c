"""What prepare, evaluate and promote log to the parent run."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waterflow.config.schema import PipelineConfig
from waterflow.data.sources.facts import SourceFacts
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import DividedBlob, Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.promotion import Decision, Registered
from waterflow.reporting.run_note import run_note
from waterflow.reporting.run_tags import lineage_tags
from waterflow.reporting.step_manifest import log_step
from waterflow.resources import Resources
from waterflow.stores.base import scratch_folder
from waterflow.tracking import tags as tag
from waterflow.tracking.artifacts import write_json, write_record
from waterflow.tracking.run_queries import TrackedRun

if TYPE_CHECKING:  # scikit-learn takes a second to import, and where nothing is fitted nothing needs it
    from waterflow.scoring.metrics import Predicted

logger = logging.getLogger(__name__)


def log_prepared(
    prepared: Prepared,
    config: PipelineConfig,
    source: SourceFacts,
    divided: DividedBlob,
    actions: Sequence[ExecutedAction],
    folder: Path,
    resources: Resources,
) -> None:
    """Log the parent run. The record goes last, because a retry that finds it does nothing more."""
    division = actions[-1]
    keyed = divided.model_copy(update={"key": division.key})
    log_rows(prepared, prepared.parent_run_id, prepared.rows, "all", resources)
    for executed in actions:
        write_action(folder, executed)
    write_json(folder / tag.CONFIG_FILE, config.model_dump(mode="json"))
    write_record(folder, keyed.to_json(), tag.DIVISION_FILE)
    write_record(folder, prepared.to_json())
    tags = {
        tag.DIVISION_KEY: division.key,
        **({tag.LEAK_WARNING: divided.leak} if divided.leak else {}),
        **{tag.SOURCE_PREFIX + name: value for name, value in source.to_tags().items()},
    }
    params = describe_run(config, prepared)
    own = tags | lineage_tags(prepared)
    log_step("prepare", prepared.pipeline, prepared.parent_run_id, folder, resources, params=params, tags=own)


def describe_run(config: PipelineConfig, prepared: Prepared) -> dict[str, Any]:
    """Return what compares whole runs in MLflow, as parameters."""
    return {
        "strategy": config.strategy.name,
        "scenario": config.scenario or "–",
        "candidates": ", ".join(prepared.candidates),
        "main_metric": config.metrics.main,
        "target": config.target,
        "split": config.split_kind,
        "rows": prepared.rows,
        **{f"rows_{share.part}": share.rows for share in prepared.shares},
    }


def log_evaluated(
    prepared: Prepared,
    config: PipelineConfig,
    evaluated: Evaluated,
    scores: Mapping[str, float],
    predicted: "Predicted",
    folder: Path,
    executed: ExecutedAction,
    resources: Resources,
) -> None:
    """Log an evaluation to the parent run. The winner's pictures go with it; `folder` holds the report already.

    Without scores, which the pipeline may hide, nothing of the held-out rows is drawn.
    """
    from waterflow.reporting.confusion import count_classes
    from waterflow.reporting.plots import plot_candidates, plot_winner  # matplotlib, needed here alone

    winner = evaluated.winner
    by_candidate = {entry.candidate: entry.metrics for entry in evaluated.ranked}
    figures = (plot_winner(predicted, config.task) if scores else {}) | {
        "candidates": plot_candidates(by_candidate, config.shown_metrics, winner.candidate, winner.where)
    }
    (folder / tag.PLOT_FOLDER).mkdir()
    for name, figure in figures.items():
        figure.savefig(folder / tag.PLOT_FOLDER / f"{name}.png", dpi=110)
    if scores and config.task == "classification":
        write_json(folder / tag.CONFUSION_FILE.format(part="test"), count_classes(predicted).to_json())
    metrics = {tag.TEST_METRIC + name: value for name, value in scores.items()}
    main = config.metrics.main
    value = evaluated.holdout_metrics.get(main, float("nan"))
    logger.info("winner %s: %s %.4f on %d held-out rows", winner.candidate, main, value, evaluated.holdout_rows)
    _log_evaluation(prepared, evaluated, metrics, {}, folder, executed, resources)


def log_reused_evaluation(
    prepared: Prepared, evaluated: Evaluated, source: TrackedRun, executed: ExecutedAction, resources: Resources
) -> None:
    """Log an earlier run's evaluation again. Its report and pictures stay with that run."""
    metrics = {name: value for name, value in source.metrics.items() if name.startswith(tag.TEST_METRIC)}
    with scratch_folder() as folder:
        _log_evaluation(prepared, evaluated, metrics, {tag.EVALUATED_FROM: source.run_id}, folder, executed, resources)


def log_decision(
    prepared: Prepared, registered: Registered, decision: Decision, config: PipelineConfig, resources: Resources
) -> None:
    """Tag run and version with the decision. The run's note is rendered again."""
    tags = {tag.DECISION: f"{decision.kind}: {decision.reason}", tag.LEDGER_SEQUENCE: str(decision.sequence)}
    verdict = decision.verdict
    compared = {tag.VERDICT: verdict.outcome, tag.VERDICT_REASON: verdict.reason} if verdict else {}
    resources.registry.tag_version(registered.model, registered.version, tags | compared)
    note = run_note(prepared, registered, config, resources.profile)
    resources.runs.log(prepared.parent_run_id, tags=tags | {tag.MLFLOW_NOTE: note})


def _log_evaluation(
    prepared: Prepared,
    evaluated: Evaluated,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    folder: Path,
    executed: ExecutedAction,
    resources: Resources,
) -> None:
    verdict, model_id = evaluated.verdict, evaluated.challenger.model_id
    write_action(folder, executed)
    write_record(folder, evaluated.to_json(), tag.EVALUATED_FILE)
    numbers = {tag.VERDICT_METRIC + name: value for name, value in verdict.numbers().items()} if verdict else {}
    log_step(
        "evaluate",
        prepared.pipeline,
        prepared.parent_run_id,
        folder,
        resources,
        metrics={**metrics, **numbers},
        tags={**tags, **_evaluation_tags(evaluated, resources)},
        model_id=None if tag.EVALUATED_FROM in tags else model_id,
    )


def _evaluation_tags(evaluated: Evaluated, resources: Resources) -> dict[str, str]:
    verdict = evaluated.verdict
    tags = {
        tag.EVALUATED_KEY: evaluated.action_key,
        tag.WINNER: evaluated.winner.candidate,
        tag.MODEL_ID: evaluated.challenger.model_id,
        tag.MISSING_CANDIDATES: ", ".join(evaluated.missing),
        tag.EXPLORATORY: "true" if evaluated.exploratory else "",
        tag.GATE: evaluated.gate.reason if evaluated.gate else "",
        tag.VERDICT: verdict.outcome if verdict else "",
        tag.VERDICT_REASON: verdict.reason if verdict else "",
        tag.PREDICTIONS: f"{resources.store.uri}/{verdict.predictions.key}" if verdict and verdict.predictions else "",
    }
    return {name: value for name, value in tags.items() if value}


def log_rows(
    prepared: Prepared, run_id: str, rows: int, context: str, resources: Resources, model_id: str | None = None
) -> None:
    """Attach the prepared rows as a run's data set input. With them goes a model of another run, if it uses one."""
    resources.runs.log_dataset(
        run_id,
        name=prepared.pipeline,
        digest=prepared.data.digest,
        source=f"{resources.store.uri}/{prepared.data.key}",
        rows=rows,
        context=context,
        model_id=model_id,
    )


def write_action(folder: Path, executed: ExecutedAction) -> None:
    """Write an executed action among the artifacts to be logged. `waterflow why` reads it."""
    write_record(folder, executed.to_json(), tag.ACTION_FILE.format(step=executed.action.step))
