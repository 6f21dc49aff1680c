"""evaluate: the survivors compared, one winner, judged once on the holdout."""

import logging
from collections.abc import Sequence

from waterflow.config.catalog import METRICS
from waterflow.config.schema import GateConfig, PipelineConfig
from waterflow.errors import FitError
from waterflow.modeling.metrics import Predicted, confusion, headline, predict_rows, score_rows
from waterflow.records import Evaluated, GateResult, Prepared, Rule, Trained
from waterflow.steps.tools import Tools, load_config, load_rows, scratch_folder, write_json

logger = logging.getLogger(__name__)


def evaluate(prepared: Prepared, trained: Sequence[Trained], tools: Tools) -> Evaluated:
    """Choose the winner among the candidates that were fitted and judge it on the holdout.

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
        rows = load_rows(prepared, config, tools, ("test",))["test"]
        predicted = predict_rows(tools.models.load_model(winner.model_id), rows.features, rows.target, config.task)
        scores = score_rows(predicted, config.task, config.costs)
        evaluated = Evaluated(
            ranked=ranked,
            missing=missing,
            main_metric=config.metrics.main,
            exploratory=not config.strategy.promotable,
            holdout_rows=len(rows.target),
            holdout_metrics=headline(scores),
            gate=judge(config.gate, scores) if config.gate else None,
        )
        _log_evaluated(prepared, evaluated, scores, predicted, config, tools)
        logger.info(
            "winner %s: %s %.4f on %d held-out rows",
            winner.candidate,
            config.metrics.main,
            scores.get(config.metrics.main, float("nan")),
            len(rows.target),
        )
    return evaluated


def rank(trained: Sequence[Trained], planned: Sequence[str], main_metric: str) -> tuple[Trained, ...]:
    """Order candidates by the main metric, best first; equals stay in the order in which they were planned."""
    metric = METRICS[main_metric]
    sign = -1 if metric.greater_is_better else 1
    return tuple(sorted(trained, key=lambda entry: (sign * entry.metrics[metric.name], planned.index(entry.candidate))))


def judge(gate: GateConfig, scores: dict[str, float]) -> GateResult:
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


def _log_evaluated(
    prepared: Prepared,
    evaluated: Evaluated,
    scores: dict[str, float],
    predicted: Predicted,
    config: PipelineConfig,
    tools: Tools,
) -> None:
    from waterflow.modeling.plots import plot_candidates, plot_winner  # matplotlib, needed here alone

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
        metrics={f"test_{name}": value for name, value in scores.items()},
        tags=tags,
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
        write_json(folder / "waterflow" / "evaluated.json", evaluated.to_json())
        tools.runs.log_folder(prepared.parent_run_id, folder)
