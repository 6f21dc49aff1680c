"""evaluate: the survivors compared, one winner, judged once on the holdout, beside the champion."""

import logging
from collections.abc import Sequence

from waterflow.config.catalog import METRICS
from waterflow.config.schema import GateConfig, PipelineConfig
from waterflow.errors import FitError
from waterflow.modeling.metrics import confusion, headline, score_rows
from waterflow.records import Evaluated, GateResult, Prepared, Rule, Trained
from waterflow.steps.judge import Judged, judge_holdout
from waterflow.steps.opponent import load_holdout
from waterflow.steps.tools import Tools, load_config, scratch_folder, write_json
from waterflow.tracking.models import CHAMPION, Version

logger = logging.getLogger(__name__)

EVALUATED_FILE = "waterflow/evaluated.json"


def evaluate(prepared: Prepared, trained: Sequence[Trained], tools: Tools) -> Evaluated:
    """Choose the winner among the candidates that were fitted and judge it on the holdout against the champion.

    All training tasks are over by now, so a nested run that is still RUNNING belongs to a dead one and is
    closed. Raises FitError when no candidate is left.
    """
    with tools.runs.closing(prepared.parent_run_id, success=None):
        tools.runs.close_unfinished_children(prepared.experiment_id, prepared.parent_run_id)
        config = load_config(prepared, tools)
        missing = tuple(name for name in prepared.candidates if name not in {entry.candidate for entry in trained})
        if not trained:
            raise FitError(
                f"no candidate of {prepared.pipeline} could be trained ({', '.join(missing)}); "
                "the runs of the candidates say why; nothing is registered"
            )
        if missing:
            logger.warning("not trained, and out of the comparison: %s", ", ".join(missing))
        ranked = rank(trained, prepared.candidates, config.metrics.main)
        winner = ranked[0]
        champion = _find_champion(prepared, config.name, tools)
        judged = judge_holdout(config, ranked, champion, load_holdout(prepared, tools), tools)
        scores = score_rows(judged.predicted, config.task, config.costs)
        evaluated = Evaluated(
            ranked=ranked,
            missing=missing,
            main_metric=config.metrics.main,
            exploratory=not config.strategy.promotable,
            holdout_rows=len(judged.predicted.truth),
            holdout_metrics=headline(scores),
            gate=check_gate(config.gate, scores) if config.gate else None,
            verdict=judged.verdict,
        )
        _log_evaluated(prepared, evaluated, scores, judged, config, tools)
        logger.info(
            "winner %s: %s %.4f on %d held-out rows",
            winner.candidate,
            config.metrics.main,
            scores.get(config.metrics.main, float("nan")),
            evaluated.holdout_rows,
        )
    return evaluated


def rank(trained: Sequence[Trained], planned: Sequence[str], main_metric: str) -> tuple[Trained, ...]:
    """Order candidates by the main metric, best first; equals stay in the order in which they were planned."""
    metric = METRICS[main_metric]
    sign = -1 if metric.greater_is_better else 1
    return tuple(sorted(trained, key=lambda entry: (sign * entry.metrics[metric.name], planned.index(entry.candidate))))


def check_gate(gate: GateConfig, scores: dict[str, float]) -> GateResult:
    """Hold one metric on the holdout against the gate's bound; an undefined metric does not pass."""
    value = scores.get(gate.metric)
    if gate.at_least is not None:
        rule: Rule = "at_least"
        bound, passed = gate.at_least, value is not None and value >= gate.at_least
    else:
        assert gate.at_most is not None  # the configuration has exactly one of the two
        rule = "at_most"
        bound, passed = gate.at_most, value is not None and value <= gate.at_most
    found = "is undefined on these rows and" if value is None else f"{value:.4f}"
    reason = f"{gate.metric} {found} {'reaches' if passed else 'misses'} the gate: {rule.replace('_', ' ')} {bound}"
    return GateResult(metric=gate.metric, value=value, threshold=bound, rule=rule, passed=passed, reason=reason)


def _find_champion(prepared: Prepared, model: str, tools: Tools) -> Version | None:
    """Give the champion; when a later try asks and it is this run's own winner, the one that it was judged against."""
    champion = tools.models.find_alias(model, CHAMPION)
    if champion is None or champion.tags.get("waterflow.parent_run_id") != prepared.parent_run_id:
        return champion
    logged = tools.runs.read_json(prepared.parent_run_id, EVALUATED_FILE)
    verdict = Evaluated.from_json(logged).verdict if logged else None
    before = verdict.champion_version if verdict else None
    return next((entry for entry in tools.models.list_versions(model) if entry.version == before), None)


def _log_evaluated(
    prepared: Prepared,
    evaluated: Evaluated,
    scores: dict[str, float],
    judged: Judged,
    config: PipelineConfig,
    tools: Tools,
) -> None:
    from waterflow.modeling.plots import plot_candidates, plot_winner  # matplotlib, needed here alone

    predicted = judged.predicted
    winner = evaluated.winner
    tags = {"waterflow.winner": winner.candidate, "waterflow.model_id": winner.model_id}
    if evaluated.missing:
        tags["waterflow.missing_candidates"] = ", ".join(evaluated.missing)
    if evaluated.exploratory:
        tags["waterflow.exploratory"] = "true"
    if evaluated.gate is not None:
        tags["waterflow.gate"] = evaluated.gate.reason
    tools.runs.log(
        prepared.parent_run_id,
        metrics={f"test_{name}": value for name, value in scores.items()} | judged.metrics(),
        tags=tags | judged.tags(tools),
        model_id=winner.model_id,
    )
    by_candidate = {entry.candidate: entry.metrics for entry in evaluated.ranked}
    figures = plot_winner(predicted, config.task) | {
        "candidates": plot_candidates(by_candidate, config.shown_metrics, winner.candidate, winner.where)
    }
    with scratch_folder() as folder:
        (folder / "plots").mkdir()
        for name, figure in figures.items():
            figure.savefig(folder / "plots" / f"{name}.png", dpi=110)
        if config.task == "classification":
            write_json(folder / "confusion_matrix_test.json", confusion(predicted))
        judged.write(folder / "verdict")
        write_json(folder / EVALUATED_FILE, evaluated.to_json())
        tools.runs.log_folder(prepared.parent_run_id, folder)
