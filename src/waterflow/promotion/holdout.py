"""Comparing the winner with its opponent on the run's holdout."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import write_parquet
from waterflow.evaluation.comparison import ACCURACY_LIKE, Comparison, compare_models, mcnemar_p_value
from waterflow.evaluation.dependence import declare_dependence, describe_suspect
from waterflow.evaluation.paired_metrics import Pair, UndefinedError
from waterflow.evaluation.slices import compare_slices
from waterflow.evaluation.verdict import decide
from waterflow.promotion.challenger import predict_challenger
from waterflow.promotion.opponents import Holdout, Opponent, find_baseline, find_champion, load_holdout
from waterflow.records.data import Blob, Prepared
from waterflow.records.evaluation import Evaluated, MetricResult, SliceResult, Verdict
from waterflow.records.training import Trained
from waterflow.reporting.verdict_report import VerdictReport
from waterflow.resources import Resources, scratch_folder, write_json
from waterflow.scoring.metrics import Predicted
from waterflow.stores.base import put_file
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import PREDICTIONS, VERDICT, VERDICT_FOLDER, VERDICT_METRIC, VERDICT_REASON

logger = logging.getLogger(__name__)

SHOWN_RESAMPLES = 500


@dataclass(frozen=True)
class ComparedModels:
    """A verdict, the challenger's predictions, and the report."""

    verdict: Verdict
    predicted: Predicted
    report: VerdictReport

    def metrics(self) -> dict[str, float]:
        """Return the verdict's numbers as metrics of a run."""
        return {VERDICT_METRIC + name: value for name, value in self.verdict.numbers().items()}

    def tags(self, resources: Resources) -> dict[str, str]:
        """Return verdict, reason and address of the predictions as tags."""
        tags = {VERDICT: self.verdict.outcome, VERDICT_REASON: self.verdict.reason}
        if self.verdict.predictions is not None:
            tags[PREDICTIONS] = f"{resources.store.uri}/{self.verdict.predictions.key}"
        return tags

    def write(self, folder: Path) -> None:
        """Write the report for people and the record for programs."""
        write_json(folder / "verdict.json", self.verdict.to_json())
        (folder / "report.html").write_text(self.report.to_html(), "utf-8")
        (folder / "report.md").write_text(self.report.to_markdown(), "utf-8")


def compare_and_log(
    prepared: Prepared,
    config: PipelineConfig,
    evaluated: Evaluated,
    champion: Version | None,
    resources: Resources,
    place: str = VERDICT_FOLDER,
) -> Verdict:
    """Compare as `compare_on_holdout` does, and log the report below `place`."""
    holdout = load_holdout(prepared, resources)
    compared = compare_on_holdout(config, evaluated.ranked, evaluated.compared, champion, holdout, resources)
    resources.runs.log(prepared.parent_run_id, metrics=compared.metrics(), tags=compared.tags(resources))
    with scratch_folder() as folder:
        compared.write(folder / place)
        resources.runs.log_folder(prepared.parent_run_id, folder)
    return compared.verdict


def compare_on_holdout(
    config: PipelineConfig,
    ranked: Sequence[Trained],
    fits: Sequence[Trained],
    champion: Version | None,
    holdout: Holdout,
    resources: Resources,
) -> ComparedModels:
    """Compare `fits` of the winner's recipe, or the first of `ranked` itself, with the champion or baseline.

    The predictions of both models are stored. A champion that cannot be compared is no error but a verdict. Raises
    UnreachableError when a server does not answer, StoreError when the challenger's own files are gone.
    """
    challenger = predict_challenger(fits or ranked[:1], config, holdout, resources)
    opponent = (
        find_baseline(config, ranked, holdout, resources)
        if champion is None
        else find_champion(champion, config, holdout, resources)
    )
    verdict, pair = reach_verdict(config, challenger, opponent, holdout.rows)
    stored = _put_predictions(config, challenger, opponent, holdout, resources)
    verdict = verdict.model_copy(update={"predictions": stored})
    logger.info("verdict against %s: %s, %s", opponent.name, verdict.outcome, verdict.reason)
    for warning in verdict.warnings:
        logger.warning("verdict: %s", warning)
    return ComparedModels(
        verdict, challenger, VerdictReport(config.name, ranked[0].candidate, config.task, verdict, pair)
    )


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
    pair = Pair(config.task, challenger, opponent.predicted, dependence, config.costs, config.declared_positive)
    pair = pair.take(opponent.unseen)
    if verdict.rows < evidence.min_rows:
        excluded = f" and {opponent.name} may have seen {verdict.excluded_rows} more" if verdict.excluded_rows else ""
        reason = f"{verdict.rows} rows are fewer than min_rows {evidence.min_rows}{excluded}"
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
    independent = main.metric in ACCURACY_LIKE and not main.clusters
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


def _put_predictions(
    config: PipelineConfig, challenger: Predicted, opponent: Opponent, holdout: Holdout, resources: Resources
) -> Blob:
    """Store both models' predictions of every held-out row, with its key, group, time and slices."""
    rows = holdout.rows
    promotion = config.promotion
    names = [*config.key, config.group, config.time_column, *(promotion.dependence.by if promotion.dependence else ())]
    names += [asked.column for asked in promotion.not_worse_on]
    columns: dict[str, Any] = {"row": np.flatnonzero(holdout.part == "test"), "compared": opponent.unseen}
    columns |= {"truth": rows[config.target], **_columns_of("challenger", challenger)}
    if opponent.predicted is not None:
        columns |= _columns_of("champion", opponent.predicted)
    columns |= {f"{name}_" if name in columns else name: rows[name] for name in names if name is not None}
    with scratch_folder() as folder:
        write_parquet(pd.DataFrame(columns), folder / "predictions.parquet")
        return put_file(resources.store, folder / "predictions.parquet")


def _columns_of(model: str, predicted: Predicted) -> Mapping[str, Any]:
    columns: dict[str, Any] = {model: predicted.prediction}
    if predicted.probabilities is not None:
        for position, name in enumerate(predicted.classes):
            columns[f"{model}_probability_{name}"] = predicted.probabilities[:, position]
    return columns
