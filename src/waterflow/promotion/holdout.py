"""The verdict on a pair of models on held-out rows."""

import logging

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.evaluation.comparison import ACCURACY_LIKE, Comparison, compare_models, mcnemar_p_value
from waterflow.evaluation.dependence import declare_dependence, describe_suspect
from waterflow.evaluation.paired_metrics import Pair, UndefinedError
from waterflow.evaluation.slices import compare_slices
from waterflow.evaluation.verdict import decide
from waterflow.promotion.opponents import Opponent
from waterflow.records.evaluation import MetricResult, SliceResult, Verdict
from waterflow.scoring.metrics import Predicted

logger = logging.getLogger(__name__)

SHOWN_RESAMPLES = 500


def reach_verdict(
    config: PipelineConfig, challenger: Predicted, opponent: Opponent, rows: pd.DataFrame
) -> tuple[Verdict, Pair | None]:
    """Compare on the rows that the opponent cannot have seen.

    The pair is None where nothing could be compared.
    """
    evidence = config.evidence
    verdict = Verdict(
        outcome="insufficient evidence",
        reason=opponent.problem,
        metric=config.metrics.main,
        against=opponent.name,
        champion_version=opponent.version,
        rows=int(opponent.unseen.sum()),
        excluded_rows=int((~opponent.unseen).sum()),
        disjoint=not (opponent.problem or opponent.doubt),
        alpha=evidence.alpha,
        min_gain=evidence.min_gain,
        resamples=evidence.resamples,
    )
    if opponent.predicted is None:
        return verdict, None
    dependence = declare_dependence(rows, config)
    judged = (config.task, challenger, opponent.predicted, dependence, config.costs, config.declared_positive)
    pair = Pair(*judged, own=config.metrics.own)
    pair = pair.take(opponent.unseen)
    if verdict.rows < evidence.min_rows:
        reason = f"{verdict.rows} rows are fewer than min_rows {evidence.min_rows}"
        if verdict.excluded_rows:
            seen = f"{opponent.name} may have seen {verdict.excluded_rows} of {len(rows)} held-out rows"
            reason = f"{seen}; the other {reason}"
        return verdict.model_copy(update={"reason": reason}), pair
    warnings = _warn_of_classes(pair)
    try:
        main = _compare(config, pair, config.metrics.main, evidence.resamples)
    except UndefinedError as error:
        return verdict.model_copy(update={"reason": str(error), "warnings": warnings}), pair
    slices = _compare_slices(config, pair, rows[opponent.unseen])
    outcome, reason = decide(main, evidence, slices, identical=pair.identical)
    if opponent.doubt or config.strategy.select_on == "test":
        looked = f"strategy {config.strategy.name!r} selected the model on these very rows"
        outcome, reason = "insufficient evidence", f"{opponent.doubt or looked}; {reason}"
    independent = main.metric in ACCURACY_LIKE and not main.clusters and pair.weights is None
    numbers = {
        "outcome": outcome,
        "reason": reason,
        "effective_rows": main.effective_rows,
        "clusters": main.clusters,
        "warnings": warnings + tuple(describe_suspect(name) for name in main.suspects),
        "challenger": main.challenger.value,
        "champion": main.champion.value,
        "difference": main.difference.value,
        "low": main.difference.low,
        "high": main.difference.high,
        "p_value": main.p_value,
        "mcnemar_p_value": mcnemar_p_value(pair) if independent else None,
        "smallest_detectable": main.smallest_detectable,
        "metrics": (_to_record(main), *_compare_others(config, pair)),
        "slices": tuple(slices),
    }
    return verdict.model_copy(update=numbers), pair


def _compare(config: PipelineConfig, pair: Pair, metric: str, resamples: int) -> Comparison:
    return compare_models(pair, metric, alpha=config.evidence.alpha, resamples=resamples, seed=config.seed)


def _warn_of_classes(pair: Pair) -> tuple[str, ...]:
    missing = [name for name in pair.challenger.classes if name not in set(pair.truth)]
    if not missing:
        return ()
    names = ", ".join(repr(getattr(name, "item", lambda name=name: name)()) for name in missing[:10])
    return (f"no row of class {names} is held out; the metrics say nothing about it",)


def _compare_slices(config: PipelineConfig, pair: Pair, rows: pd.DataFrame) -> list[SliceResult]:
    return [
        result
        for asked in config.promotion.not_worse_on
        for result in compare_slices(pair, rows[asked.column], asked, config.metrics.main, config.evidence, config.seed)
    ]


def _compare_others(config: PipelineConfig, pair: Pair) -> list[MetricResult]:
    """Compare on the other metrics of tables, with fewer resamples.

    They decide nothing; one that is undefined is left out.
    """
    results = []
    for metric in config.shown_metrics[1:]:
        try:
            results.append(_to_record(_compare(config, pair, metric, min(config.evidence.resamples, SHOWN_RESAMPLES))))
        except UndefinedError as error:
            logger.info("left out of the comparison: %s", error)
    return results


def _to_record(comparison: Comparison) -> MetricResult:
    return MetricResult(
        metric=comparison.metric,
        challenger=comparison.challenger.value,
        challenger_low=comparison.challenger.low,
        challenger_high=comparison.challenger.high,
        champion=comparison.champion.value,
        champion_low=comparison.champion.low,
        champion_high=comparison.champion.high,
        difference=comparison.difference.value,
        low=comparison.difference.low,
        high=comparison.difference.high,
    )
