"""One candidate, tuned, fitted and scored. Its strategy decides on which rows it is scored and selected."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from waterflow.config.schema import PipelineConfig
from waterflow.records.data import Part
from waterflow.records.training import FitChoices
from waterflow.scoring.metrics import Predicted
from waterflow.training.cross_validation import predict, preprocess_splits, score, score_configured
from waterflow.training.decision import apply_decision, choose_decision, explain_no_decision
from waterflow.training.fitting import (
    FittedPipeline,
    LabelledRows,
    PreprocessedSplit,
    assemble_pipeline,
    fit_candidate,
)

if TYPE_CHECKING:
    from waterflow.training.tuning.tuner import Tuned


@dataclass(frozen=True)
class ScoredCandidate:
    """A fitted candidate and what selection may know of it.

    `scores` are those of the rows that the strategy selects on; on folds they are means, with their `spread`.
    `choices` repeat the fit without tuning. `predicted` are the labels of a single split. `out_of_sample` are the
    predictions, per split, that the decision was chosen from; `decision_note` says why none was chosen.
    """

    fitted: FittedPipeline
    scores: dict[str, float]
    choices: FitChoices
    spread: dict[str, float] = field(default_factory=dict)
    predicted: Predicted | None = None
    out_of_sample: tuple[Predicted, ...] = ()
    tuned: "Tuned | None" = None
    decision_note: str = ""


@dataclass(frozen=True)
class TrainingContext:
    """What training takes beside the configuration. These are the database of studies, the study's name and threads.

    `find_database` returns the address of the database; it is called only for tuning. `report` is told of each trial:
    how many are done, of how many, and the best value so far.
    """

    find_database: Callable[[], str]
    study_name: str
    threads: int
    report: Callable[[int, int, float | None], None] = lambda done, planned, best: None


def train_candidate(
    config: PipelineConfig, candidate: str, rows: Mapping[Part, LabelledRows], context: TrainingContext
) -> ScoredCandidate:
    """Tune a candidate if configured, fit it and score it. Raises FitError when that fails.

    `quick` fits and scores the holdout. `balanced` tunes and scores on the validation rows. `rigorous` does both on
    the folds and then fits all their rows.
    """
    match config.strategy.select_on:
        case "test":
            fitted = fit_candidate(config, candidate, rows["train"], threads=context.threads)
            return _score_fit(config, candidate, fitted, rows["test"])
        case "validation":
            return _train_on_validation(config, candidate, rows["train"], rows["validation"], context)
        case "folds":
            return _train_on_folds(config, candidate, rows["train"], context)


def _train_on_validation(
    config: PipelineConfig, candidate: str, train: LabelledRows, validation: LabelledRows, context: TrainingContext
) -> ScoredCandidate:
    if config.search_of(candidate) is None:
        fitted = fit_candidate(config, candidate, train, validation, threads=context.threads)
        return _score_fit(config, candidate, fitted, validation)
    splits = preprocess_splits(config, candidate, train, validation)
    tuned = _tune(config, candidate, splits, context)
    if tuned.best.model is not None:
        fitted = assemble_pipeline(splits[0], tuned.best.model)
    else:  # the best was fitted in another process
        choices = FitChoices(params=tuned.params)
        fitted = fit_candidate(config, candidate, train, validation, choices, context.threads)
    return _score_fit(config, candidate, fitted, validation, tuned)


def _train_on_folds(
    config: PipelineConfig, candidate: str, rows: LabelledRows, context: TrainingContext
) -> ScoredCandidate:
    splits = preprocess_splits(config, candidate, rows, None)
    tuned = None if config.search_of(candidate) is None else _tune(config, candidate, splits, context)
    best = tuned.best if tuned else score_configured(config, candidate, splits, context.threads)
    choices = FitChoices(params=tuned.params if tuned else {}, rounds=best.mean_rounds, decision=best.decision)
    return ScoredCandidate(
        fitted=fit_candidate(config, candidate, rows, None, choices, context.threads),
        scores=best.means,
        choices=choices,
        spread=best.spread,
        out_of_sample=best.predictions,
        tuned=tuned,
        decision_note=explain_no_decision(config, best.decision),
    )


def _tune(
    config: PipelineConfig, candidate: str, splits: Sequence[PreprocessedSplit], context: TrainingContext
) -> "Tuned":
    from waterflow.training.tuning.tuner import tune_candidate

    database, study = context.find_database(), context.study_name
    return tune_candidate(
        config,
        candidate,
        splits,
        database_uri=database,
        study_name=study,
        threads=context.threads,
        report=context.report,
    )


def _score_fit(
    config: PipelineConfig, candidate: str, fitted: FittedPipeline, rows: LabelledRows, tuned: "Tuned | None" = None
) -> ScoredCandidate:
    """Choose the decision and score with it. It is chosen on rows outside the fit, unless they are the holdout."""
    raw = predict(config, candidate, fitted.pipeline, rows.features, rows.target, rows.weights)
    is_holdout = config.strategy.select_on == "test"
    decision = choose_decision(config, (raw,), (rows.groups,), may_learn=not is_holdout)
    predicted = apply_decision(raw, decision)
    return ScoredCandidate(
        fitted=fitted.with_decision(decision),
        scores=score(config, candidate, predicted),
        choices=FitChoices(params=tuned.params if tuned else {}, rounds=fitted.rounds, decision=decision),
        predicted=predicted,
        out_of_sample=() if is_holdout else (raw,),
        tuned=tuned,
        decision_note=explain_no_decision(config, decision),
    )
