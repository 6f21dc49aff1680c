"""evaluate: the survivors compared, one winner, compared once on the holdout, beside the champion."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from waterflow.caching.keys import judgement, key_of, write_done
from waterflow.caching.lookup import Hit, find_evaluated
from waterflow.config.metrics import METRICS
from waterflow.config.schema import GateConfig, PipelineConfig
from waterflow.errors import FitError
from waterflow.records import Done, Evaluated, GateResult, Prepared, Rule, Trained
from waterflow.resources import Resources, load_config, scratch_folder, write_json
from waterflow.tracking import tags as tag
from waterflow.tracking.model_store import CHAMPION, Version
from waterflow.tracking.runs import write_record

if TYPE_CHECKING:  # scikit-learn takes a second to import, and where nothing is compared nothing needs it
    from waterflow.promotion.holdout import ComparedModels

logger = logging.getLogger(__name__)

COPIED = (
    tag.WINNER,
    tag.MODEL_ID,
    tag.MISSING_CANDIDATES,
    tag.EXPLORATORY,
    tag.GATE,
    tag.PREDICTIONS,
)


def evaluate(prepared: Prepared, trained: Sequence[Trained], resources: Resources) -> Evaluated:
    """Choose the winner among the candidates that were fitted and judge it on the holdout against the champion.

    All training tasks are over by now, so a nested run that is still RUNNING belongs to a dead one and is
    closed. What an earlier run has said of the same models, rows, opponent and rules is said again, unless this run is
    forced. Raises FitError when no candidate is left.
    """
    with resources.runs.closing(prepared.parent_run_id, success=None):
        resources.runs.close_unfinished_children(prepared.experiment_id, prepared.parent_run_id)
        config = load_config(prepared, resources)
        missing = tuple(name for name in prepared.candidates if name not in {entry.candidate for entry in trained})
        if not trained:
            raise FitError(
                f"no candidate of {prepared.pipeline} could be trained ({', '.join(missing)}); "
                "the runs of the candidates say why; nothing is registered"
            )
        if missing:
            logger.warning("not trained, and out of the comparison: %s", ", ".join(missing))
        ranked = rank(trained, prepared.candidates, config.metrics.main)
        champion = find_opponent(config.name, ranked[0], resources)
        action = judgement(prepared, config, ranked, champion, resources)
        key = key_of(action)
        found = find_evaluated(prepared, key, resources, only_own=prepared.force)
        done = Done(action=action, key=key, forced=prepared.force, misses=found.misses)
        if found.hit is not None:
            return _take_over(prepared, found.hit, ranked, done, resources)
        evaluated = _judge(prepared, config, ranked, missing, champion, done, resources)
        logger.info(
            "winner %s: %s %.4f on %d held-out rows",
            ranked[0].candidate,
            config.metrics.main,
            evaluated.holdout_metrics.get(config.metrics.main, float("nan")),
            evaluated.holdout_rows,
        )
    return evaluated


def _judge(
    prepared: Prepared,
    config: PipelineConfig,
    ranked: tuple[Trained, ...],
    missing: tuple[str, ...],
    champion: Version | None,
    done: Done,
    resources: Resources,
) -> Evaluated:
    from waterflow.promotion.holdout import compare_on_holdout
    from waterflow.promotion.opponents import load_holdout
    from waterflow.scoring.metrics import headline, score_rows

    compared = compare_on_holdout(config, ranked, champion, load_holdout(prepared, resources), resources)
    scores = score_rows(compared.predicted, config.task, config.costs)
    evaluated = Evaluated(
        ranked=ranked,
        missing=missing,
        main_metric=config.metrics.main,
        exploratory=not config.strategy.promotable,
        holdout_rows=len(compared.predicted.truth),
        holdout_metrics=headline(scores),
        gate=check_gate(config.gate, scores) if config.gate else None,
        verdict=compared.verdict,
    )
    _log_evaluated(prepared, evaluated, scores, compared, config, done, resources)
    return evaluated


def _take_over(
    prepared: Prepared, hit: Hit[Evaluated], ranked: tuple[Trained, ...], done: Done, resources: Resources
) -> Evaluated:
    """Say again what was said of the same models; the pictures stay with the run that drew them."""
    source = hit.run
    if source.run_id == prepared.parent_run_id:
        logger.info("the models were compared by an earlier try")
        return hit.record
    logger.info("cached, nothing is compared; %s has this verdict", source)
    evaluated = hit.record.model_copy(update={"ranked": ranked, "cached_from": source.run_id})
    metrics = {name: value for name, value in source.metrics.items() if name.startswith(tag.TEST_METRIC)}
    tags = {name: source.tags[name] for name in COPIED if name in source.tags}
    verdict = evaluated.verdict
    if verdict is not None:
        metrics |= {tag.VERDICT_METRIC + name: value for name, value in verdict.numbers().items()}
        tags |= {tag.VERDICT: verdict.outcome, tag.VERDICT_REASON: verdict.reason}
    with scratch_folder() as folder:
        digest = write_record(folder, evaluated.to_json(), tag.EVALUATED_FILE)
        write_done(folder, done.model_copy(update={"cached_from": source.run_id, "cached_at": source.started_at}))
        own = {tag.EVALUATED_KEY: done.key, tag.EVALUATED_DIGEST: digest, tag.EVALUATED_FROM: source.run_id}
        resources.runs.log(prepared.parent_run_id, metrics=metrics, tags=tags | own)
        resources.runs.log_folder(prepared.parent_run_id, folder)
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


def find_opponent(model: str, winner: Trained, resources: Resources) -> Version | None:
    """Give the champion; where that is the winner's own model, the one that it was compared against to get there."""
    champion = resources.models.find_alias(model, CHAMPION)
    if champion is None or champion.tags.get(tag.MODEL_ID) != winner.model_id:
        return champion
    parent = champion.tags.get(tag.PARENT_RUN_ID)
    logged = resources.runs.read_json(parent, tag.EVALUATED_FILE) if parent else None
    verdict = Evaluated.from_json(logged).verdict if logged else None
    before = verdict.champion_version if verdict else None
    return next((entry for entry in resources.models.list_versions(model) if entry.version == before), None)


def _log_evaluated(
    prepared: Prepared,
    evaluated: Evaluated,
    scores: dict[str, float],
    compared: "ComparedModels",
    config: PipelineConfig,
    done: Done,
    resources: Resources,
) -> None:
    from waterflow.reporting.plots import plot_candidates, plot_winner  # matplotlib, needed here alone
    from waterflow.scoring.metrics import confusion

    predicted = compared.predicted
    winner = evaluated.winner
    tags = {tag.WINNER: winner.candidate, tag.MODEL_ID: winner.model_id}
    if evaluated.missing:
        tags[tag.MISSING_CANDIDATES] = ", ".join(evaluated.missing)
    if evaluated.exploratory:
        tags[tag.EXPLORATORY] = "true"
    if evaluated.gate is not None:
        tags[tag.GATE] = evaluated.gate.reason
    by_candidate = {entry.candidate: entry.metrics for entry in evaluated.ranked}
    figures = plot_winner(predicted, config.task) | {
        "candidates": plot_candidates(by_candidate, config.shown_metrics, winner.candidate, winner.where)
    }
    with scratch_folder() as folder:
        (folder / tag.PLOT_FOLDER).mkdir()
        for name, figure in figures.items():
            figure.savefig(folder / tag.PLOT_FOLDER / f"{name}.png", dpi=110)
        if config.task == "classification":
            write_json(folder / tag.CONFUSION_FILE.format(part="test"), confusion(predicted))
        compared.write(folder / tag.VERDICT_FOLDER)
        write_done(folder, done)
        digest = write_record(folder, evaluated.to_json(), tag.EVALUATED_FILE)
        resources.runs.log(
            prepared.parent_run_id,
            metrics={tag.TEST_METRIC + name: value for name, value in scores.items()} | compared.metrics(),
            tags=tags | compared.tags(resources) | {tag.EVALUATED_KEY: done.key, tag.EVALUATED_DIGEST: digest},
            model_id=winner.model_id,
        )
        resources.runs.log_folder(prepared.parent_run_id, folder)
