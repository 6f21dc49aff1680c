"""register: exactly one version for each run, and the aliases that it has earned."""

import logging

from waterflow.config.schema import PipelineConfig
from waterflow.records import Evaluated, Prepared, Registered
from waterflow.steps.tools import Tools, airflow_url, lineage_tags, load_config
from waterflow.tracking.models import CHALLENGER, CHAMPION

logger = logging.getLogger(__name__)


def register(prepared: Prepared, evaluated: Evaluated, tools: Tools) -> Registered:
    """Make the winner a version of the pipeline's registered model and give it the aliases it has earned.

    Repeating it changes nothing. The champion's alias moves last. The run is closed as FINISHED.
    """
    with tools.runs.closing(prepared.parent_run_id):
        config = load_config(prepared, tools)
        earned, reason = decide(prepared, evaluated, config, tools)
        winner = evaluated.winner
        tags = lineage_tags(prepared) | {
            "waterflow.parent_run_id": prepared.parent_run_id,
            "waterflow.dag_run_id": prepared.origin.run_id,
            "waterflow.candidate": winner.candidate,
            "waterflow.strategy": config.strategy.name,
            "waterflow.model_id": winner.model_id,
            "waterflow.decision": reason,
            **{f"metric.{name}": f"{evaluated.holdout_metrics[name]:.6g}" for name in _shown(evaluated, config)},
        }
        version = tools.models.register(
            config.name,
            winner.model_id,
            winner.run_id,
            description=_describe(evaluated, config, reason),
            tags=tags,
        )
        if earned:
            for alias in (CHALLENGER, CHAMPION):
                tools.models.set_alias(config.name, alias, version)
        logger.info("%s version %d: %s", config.name, version, reason)
        tools.runs.log(
            prepared.parent_run_id,
            tags={
                "waterflow.registered": f"{config.name}/{version}",
                "waterflow.decision": reason,
                "mlflow.note.content": _note(
                    prepared, evaluated, config, version, reason, airflow_url(prepared.origin, tools)
                ),
            },
        )
        return Registered(
            model=config.name,
            version=version,
            aliases=tools.models.aliases_of(config.name, version),
            reason=reason,
            evaluated=evaluated,
            shown_metrics=config.shown_metrics,
            parent_run_id=prepared.parent_run_id,
            experiment_id=prepared.experiment_id,
        )


def decide(prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, tools: Tools) -> tuple[bool, str]:
    """Say whether the winner becomes champion, and why, in words that a table can show."""
    if not config.strategy.promotable:
        return (
            False,
            f"exploratory: strategy {config.strategy.name!r} selects on the holdout, so it never promotes",
        )
    if evaluated.gate is None:
        return False, "no gate in the pipeline's YAML, so nothing says that this model is good enough"
    if not evaluated.gate.passed:
        return False, evaluated.gate.reason
    if config.time_column is not None and prepared.window is not None and prepared.window.end is not None:
        champion = tools.models.find_alias(config.name, CHAMPION)
        champion_end = champion.tags.get("waterflow.window_end", "") if champion else ""
        if champion is not None and prepared.window.end.isoformat() < champion_end:
            return False, (
                f"its window ends {prepared.window.end.isoformat()}, before that of champion version "
                f"{champion.version} ({champion_end}); an older window never takes its place"
            )
    return True, evaluated.gate.reason


def _shown(evaluated: Evaluated, config: PipelineConfig) -> list[str]:
    return [name for name in config.shown_metrics if name in evaluated.holdout_metrics]


def _describe(evaluated: Evaluated, config: PipelineConfig, reason: str) -> str:
    shown = ", ".join(f"{name} {evaluated.holdout_metrics[name]:.4f}" for name in _shown(evaluated, config))
    return (
        f"{evaluated.winner.candidate}, best of {len(evaluated.ranked)} candidates for {config.target}; "
        f"on {evaluated.holdout_rows} held-out rows: {shown}. Decision: {reason}."
    )


def _note(
    prepared: Prepared,
    evaluated: Evaluated,
    config: PipelineConfig,
    version: int,
    reason: str,
    url: str | None,
) -> str:
    lines = [
        f"**{config.name} version {version}**: {_describe(evaluated, config, reason)}",
        f"Window {prepared.window}, data `{prepared.data.digest[:12]}`.",
    ]
    if evaluated.missing:
        lines.append(f"Not trained: {', '.join(evaluated.missing)}.")
    if url:
        lines.append(f"[Open the Airflow run]({url})")
    return "\n\n".join(lines)
