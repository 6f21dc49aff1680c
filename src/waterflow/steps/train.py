"""train: fit, score and log one candidate."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from waterflow.caching.keys import fitting
from waterflow.caching.lookup import find_trained
from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError
from waterflow.nested_fits import log_model, run_fit
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import Prepared
from waterflow.records.run import Origin
from waterflow.records.training import ScoredOn, Trained
from waterflow.reporting.fit_log import log_fit
from waterflow.resources import Resources, load_config
from waterflow.snapshots import load_rows
from waterflow.training.parallelism import count_threads

if TYPE_CHECKING:  # scikit-learn takes a second to import, and where nothing is fitted nothing needs it
    from waterflow.training.candidate import ScoredCandidate
    from waterflow.training.fitting import LabelledRows

logger = logging.getLogger(__name__)
ReportTrial = Callable[[int, int, str, float | None], None]


def ignore_trial(done: int, planned: int, metric: str, best: float | None) -> None:
    """Do nothing."""


def train(
    prepared: Prepared, candidate: str, origin: Origin, resources: Resources, report: ReportTrial = ignore_trial
) -> Trained:
    """Fit one candidate in its nested MLflow run. `origin` names the attempt.

    `report` is told of each trial of a search: how many are done, of how many, the metric, and the best value so far.
    What an earlier attempt of this run finished is returned untouched. What another run fitted from the same inputs is
    used again, once its record and model files are verified, unless the run is forced. Raises FitError when the fit
    fails or the main metric is undefined for it; the run is then FAILED and says why.
    """
    config = load_config(prepared, resources)
    if candidate not in config.candidates:
        raise ConfigError(f"candidate: {candidate!r} was not prepared; valid: {', '.join(config.candidates)}")
    return run_fit(
        prepared,
        config,
        fitting(prepared, config, candidate, resources),
        origin,
        resources,
        find=lambda key: find_trained(prepared, key, config.metrics.main, resources),
        fit=lambda run_id, executed: _fit(prepared, config, run_id, executed, resources, report),
        name=candidate,
    )


def _fit(
    prepared: Prepared,
    config: PipelineConfig,
    run_id: str,
    executed: ExecutedAction,
    resources: Resources,
    report: ReportTrial,
) -> Trained:
    from waterflow.training.candidate import TrainingContext, train_candidate

    part: ScoredOn = config.strategy.select_on
    candidate = executed.action.subject
    rows = load_rows(prepared, config, resources, ("train",) if part == "folds" else ("train", part))
    logger.info("fitting %s on %d rows", candidate, len(rows["train"].target))
    # A retry continues the study of trials, and so does a later run; a forced run begins its own.
    study = f"{executed.key}-{prepared.parent_run_id}" if prepared.force else executed.key
    context = TrainingContext(
        resources.profile.find_database,
        study,
        count_threads(),
        report=lambda done, planned, best: report(done, planned, config.metrics.main, best),
    )
    fit = train_candidate(config, candidate, rows, context)
    trained = _log_fit(prepared, config, run_id, executed, fit, rows["train"], resources)
    logger.info("%s: %s %.4f %s", candidate, config.metrics.main, fit.scores[config.metrics.main], trained.where)
    return trained


def _log_fit(
    prepared: Prepared,
    config: PipelineConfig,
    run_id: str,
    executed: ExecutedAction,
    fit: "ScoredCandidate",
    rows: "LabelledRows",
    resources: Resources,
) -> Trained:
    from waterflow.scoring.metrics import headline

    candidate = executed.action.subject
    model = log_model(prepared, config, candidate, fit.fitted.pipeline, rows, run_id, resources)
    trained = Trained(
        candidate=candidate,
        action_key=executed.key,
        run_id=run_id,
        model_id=model.model_id,
        model_digest=model.files_digest,
        scored_on=config.strategy.select_on,
        metrics=headline(fit.scores),
        spread=headline(fit.spread),
        tuned=fit.tuned.params if fit.tuned else {},
        **(fit.tuned.counts if fit.tuned else {}),
        choices=fit.choices,
        threads=count_threads(),
        fit_seconds=fit.fitted.fit_seconds,
    )
    log_fit(prepared, config, trained, fit.fitted, len(rows.target), executed, resources, fit)
    return trained
