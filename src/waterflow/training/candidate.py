"""One candidate, tuned, fitted and scored where its strategy lets selection look."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from waterflow.config.schema import PipelineConfig
from waterflow.records import Part
from waterflow.scoring.metrics import Predicted
from waterflow.training.cross_validation import divisions_of, judge_usual, predict_and_score
from waterflow.training.fitting import Division, Fitted, Rows, assemble, fit_candidate

if TYPE_CHECKING:
    from waterflow.training.tuning.tuner import Tuned


@dataclass(frozen=True)
class Judged:
    """A fitted candidate and what selection may know of it.

    `scores` are those of the rows that the strategy selects on; on folds they are means, with their `spread`, and
    there is no single prediction to show. `params` are what the fit took on top of the YAML's: with them, the same fit
    can be made again without tuning.
    """

    fitted: Fitted
    scores: dict[str, float]
    spread: dict[str, float] = field(default_factory=dict)
    predicted: Predicted | None = None
    tuned: "Tuned | None" = None
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What a fit takes beside the configuration: where studies are kept and under which name, and how many threads.

    `find_database` gives the address of the database, and is asked only when something is tuned.
    """

    find_database: Callable[[], str]
    study_name: str
    threads: int


def judge_candidate(config: PipelineConfig, candidate: str, rows: Mapping[Part, Rows], setting: Setting) -> Judged:
    """Tune a candidate where its YAML and the strategy say so, fit it and score it; raises FitError when it cannot be.

    `quick` fits and scores the holdout. `balanced` tunes and scores on the validation rows. `rigorous` does both on
    the folds and fits all their rows at the end.
    """
    match config.strategy.select_on:
        case "test":
            fitted = fit_candidate(config, candidate, rows["train"], threads=setting.threads)
            return _scored(config, candidate, fitted, rows["test"])
        case "validation":
            return _on_validation(config, candidate, rows["train"], rows["validation"], setting)
        case "folds":
            return _on_folds(config, candidate, rows["train"], setting)


def _on_validation(config: PipelineConfig, candidate: str, train: Rows, validation: Rows, setting: Setting) -> Judged:
    if config.search_of(candidate) is None:
        fitted = fit_candidate(config, candidate, train, validation, threads=setting.threads)
        return _scored(config, candidate, fitted, validation)
    divisions = divisions_of(config, candidate, train, validation)
    tuned = _tune(config, candidate, divisions, setting)
    if tuned.attempt.model is not None:
        fitted = assemble(divisions[0], tuned.attempt.model)
    else:  # an earlier try fitted the best
        fitted = fit_candidate(config, candidate, train, validation, tuned.params, setting.threads)
    return _scored(config, candidate, fitted, validation, tuned)


def _on_folds(config: PipelineConfig, candidate: str, rows: Rows, setting: Setting) -> Judged:
    divisions = divisions_of(config, candidate, rows, None)
    tuned = None
    if config.search_of(candidate) is None:
        attempt = judge_usual(config, candidate, divisions, setting.threads)
    else:
        tuned = _tune(config, candidate, divisions, setting)
        attempt = tuned.attempt
    stopped = {} if attempt.mean_rounds is None else {"n_estimators": attempt.mean_rounds}
    params = (tuned.params if tuned else {}) | stopped
    fitted = fit_candidate(config, candidate, rows, None, params, setting.threads)
    return Judged(fitted, attempt.means, attempt.spread, tuned=tuned, params=params)


def _tune(config: PipelineConfig, candidate: str, divisions: Sequence[Division], setting: Setting) -> "Tuned":
    from waterflow.training.tuning.tuner import tune_candidate

    return tune_candidate(
        config,
        candidate,
        divisions,
        database_uri=setting.find_database(),
        study_name=setting.study_name,
        threads=setting.threads,
    )


def _scored(config: PipelineConfig, candidate: str, fitted: Fitted, rows: Rows, tuned: "Tuned | None" = None) -> Judged:
    predicted, scores = predict_and_score(config, candidate, fitted.pipeline, rows.features, rows.target)
    return Judged(fitted, scores, predicted=predicted, tuned=tuned, params=tuned.params if tuned else {})
