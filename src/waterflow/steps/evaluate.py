"""evaluate: rank the candidates. The winner is compared once, with its opponent, on the holdout."""

import logging
from collections.abc import Sequence

from waterflow.caching.keys import evaluation, key_of, recipe_of
from waterflow.caching.lookup import CacheHit, find_evaluated
from waterflow.config.schema import PipelineConfig
from waterflow.errors import FitError
from waterflow.evaluation.selection import check_gate, rank_candidates
from waterflow.promotion.state import find_opponent, is_refresh
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.training import Trained
from waterflow.reporting.step_log import log_evaluated, log_reused_evaluation
from waterflow.resources import Resources, load_config
from waterflow.stores.base import scratch_folder
from waterflow.tracking import tags as tag
from waterflow.tracking.registry import Version

logger = logging.getLogger(__name__)


def evaluate(prepared: Prepared, trained: Sequence[Trained], resources: Resources) -> Evaluated:
    """Choose the winner and compare it with the champion.

    All training tasks are over by now, so a nested run that is still RUNNING belongs to a dead one and is closed. An
    earlier evaluation of the same models, rows, opponent and rules is used again, unless this run is forced. Raises
    FitError when no candidate is left.
    """
    with resources.runs.closing(prepared.parent_run_id, success=None):
        resources.runs.close_unfinished_children(prepared.experiment_id, prepared.parent_run_id)
        config = load_config(prepared, resources)
        missing = _find_missing(prepared, trained)
        ranked = rank_candidates(trained, prepared.candidates, config.main_metric)
        opponent = find_opponent(config.name, ranked[0], resources)
        action = evaluation(prepared, config, ranked, opponent)
        key = key_of(action)
        found = find_evaluated(prepared, key, resources, only_own=prepared.force)
        executed = ExecutedAction(action=action, key=key, forced=prepared.force, misses=found.misses)
        if found.hit is not None:
            return _reuse(prepared, found.hit, ranked, executed, resources)
        return _evaluate(prepared, config, ranked, missing, opponent, executed, resources)


def _find_missing(prepared: Prepared, trained: Sequence[Trained]) -> tuple[str, ...]:
    present = {entry.candidate for entry in trained}
    missing = tuple(name for name in prepared.candidates if name not in present)
    if not trained:
        raise FitError(
            f"no candidate of {prepared.pipeline} could be trained ({', '.join(missing)}); "
            "the runs of the candidates say why; nothing is registered"
        )
    if missing:
        logger.warning("not trained, and out of the comparison: %s", ", ".join(missing))
    return missing


def _reuse(
    prepared: Prepared,
    hit: CacheHit[Evaluated],
    ranked: tuple[Trained, ...],
    executed: ExecutedAction,
    resources: Resources,
) -> Evaluated:
    source = hit.run
    if source.run_id == prepared.parent_run_id:
        logger.info("the models were compared by an earlier attempt")
        return hit.record
    logger.info("cached, nothing is compared; %s has this verdict", source)
    order = [entry.candidate for entry in hit.record.ranked]  # the best may have been no winner
    ranked = tuple(sorted(ranked, key=lambda entry: order.index(entry.candidate)))
    evaluated = hit.record.model_copy(update={"ranked": ranked, "cached_from": source.run_id})
    executed = executed.model_copy(update={"cached_from": source.run_id, "cached_at": source.started_at})
    log_reused_evaluation(prepared, evaluated, source, executed, resources)
    return evaluated


def _evaluate(
    prepared: Prepared,
    config: PipelineConfig,
    ranked: tuple[Trained, ...],
    missing: tuple[str, ...],
    opponent: Version | None,
    executed: ExecutedAction,
    resources: Resources,
) -> Evaluated:
    # scikit-learn, not needed where nothing is compared
    from waterflow.promotion.champion_comparison import compare_on_holdout, hide_value
    from waterflow.scoring.metrics import headline
    from waterflow.scoring.own_metrics import score_predictions

    compared = compare_on_holdout(prepared, config, ranked, opponent, executed.key, resources)
    recipe = recipe_of(config, compared.ranked[0].candidate)
    scores = score_predictions(compared.predicted, config)
    gate = check_gate(config.gate, scores) if config.gate else None
    if config.promotion.show == "verdict":
        scores, gate = {}, gate and hide_value(gate)
    evaluated = Evaluated(
        ranked=compared.ranked,
        compared=compared.fits,
        missing=missing,
        main_metric=config.metrics.main,
        exploratory=not config.strategy.promotable,
        holdout_rows=len(compared.predicted.truth),
        holdout_metrics=headline(scores),
        gate=gate,
        verdict=compared.verdict,
        recipe=recipe,
        is_refresh=is_refresh(prepared, recipe, opponent),
        action_key=executed.key,
    )
    with scratch_folder() as folder:
        compared.write(folder / tag.VERDICT_FOLDER)
        log_evaluated(prepared, config, evaluated, scores, compared.predicted, folder, executed, resources)
    return evaluated
