"""The fits whose predictions are compared, and the model that is registered for them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.projects import candidates, request_of
from support.tracing import version_of

from waterflow import snapshots, workflow
from waterflow.promotion.opponents import load_holdout
from waterflow.promotion.predictions import predict_holdout
from waterflow.records.promotion import Registered
from waterflow.records.training import FitRows
from waterflow.reproduction.reproduce import reproduce
from waterflow.resources import Resources, load_config
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.train import train
from waterflow.training.fitting import fit_candidate

Writer = Callable[..., str]
BOOSTED: dict[str, Any] = {
    "estimator": "xgboost.XGBClassifier",
    "params": {"n_estimators": 300, "learning_rate": 1.0},
    "early_stopping_rounds": 3,
}
REFIT = FitRows(parts=("train", "validation"))


def evaluated(name: str, resources: Resources, run_id: str = "run_1", **request: Any) -> Any:
    """Run the first three steps."""
    prepared = prepare(request_of(name, run_id, **request), resources)
    trained = [train(prepared, candidate, prepared.origin, resources) for candidate in prepared.candidates]
    return prepared, evaluate(prepared, trained, resources)


def test_the_winner_is_fitted_again_with_the_validation_rows(resources: Resources, pipeline: Writer) -> None:
    """Its rounds stay those at which the validation rows stopped it; the holdout never trains."""
    name = pipeline(**candidates(boosted=BOOSTED))
    prepared, found = evaluated(name, resources)
    (fit,) = found.compared
    assert (fit.fitted_on, fit.choices, fit.candidate) == (REFIT, found.winner.choices, "boosted")
    assert fit.choices.rounds is not None
    assert fit.choices.rounds < 300
    params = resources.runs.client.get_run(fit.run_id).data.params
    assert params["n_estimators"] == str(fit.choices.rounds)
    config = load_config(prepared, resources)
    rows, _ = snapshots.load_fit_rows(prepared, config, REFIT, resources)
    shares = {share.part: share.rows for share in prepared.shares}
    assert len(rows.target) == shares["train"] + shares["validation"]
    again = fit_candidate(config, "boosted", rows, None, fit.choices, 1).pipeline
    holdout = load_holdout(prepared, resources).rows
    logged, expected = (
        predict_holdout(model, holdout, config)
        for model in (resources.models.load_model(fit.model_id, config.name), again)
    )
    np.testing.assert_allclose(logged.probabilities, expected.probabilities)


@pytest.mark.parametrize("strategy", ["rigorous", "quick"])
def test_a_fit_that_has_all_rows_is_not_repeated(resources: Resources, pipeline: Writer, strategy: str) -> None:
    """Folds end with a fit of all rows outside the holdout; what only explores is not promoted."""
    listed = candidates(nb="sklearn.naive_bayes.GaussianNB") | {"defaults": [{"/strategy": strategy}]}
    _, found = evaluated(pipeline(**listed), resources)
    assert found.compared == ()
    assert found.challenger == found.winner


def test_the_model_that_was_compared_is_registered(resources: Resources, pipeline: Writer) -> None:
    """The version names it, the fit that selection chose, and the rows; both fits are nested runs."""
    name = pipeline(**candidates(nb="sklearn.naive_bayes.GaussianNB"))
    registered: Registered = workflow.run_all(request_of(name), resources)
    version = resources.registry.get_version(name, registered.version)
    assert version is not None
    found = registered.evaluated
    assert version.tags["waterflow.model_id"] == found.challenger.model_id != found.winner.model_id
    assert version.tags["waterflow.selected_model_id"] == found.winner.model_id
    assert version.tags["waterflow.fitted_on"] == "train + validation"
    assert version.run_id == found.challenger.run_id
    names = {
        run.info.run_name: run.info.status for run in resources.runs.client.search_runs([registered.experiment_id])
    }
    assert names == {"run_1": "FINISHED", "nb": "FINISHED", "nb refit": "FINISHED"}


def test_an_unchanged_run_fits_nothing_again_and_has_nothing_new(resources: Resources, pipeline: Writer) -> None:
    """A forced one does."""
    name = pipeline(**candidates(nb="sklearn.naive_bayes.GaussianNB"))
    first = workflow.run_all(request_of(name, "run_1"), resources)
    second = workflow.run_all(request_of(name, "run_2"), resources)
    assert (second.new, second.version) == (False, first.version)
    _, other = evaluated(pipeline(**candidates(nb="sklearn.naive_bayes.GaussianNB"), gate=None), resources, "run_3")
    assert other.cached_from is None
    assert other.challenger.cached_from == first.evaluated.challenger.run_id
    forced = workflow.run_all(request_of(name, "run_4", force=True), resources)
    assert forced.version != first.version
    assert not forced.evaluated.is_refresh, "no row is new"


def test_a_retry_of_evaluate_finds_its_refit(resources: Resources, pipeline: Writer, monkeypatch: Any) -> None:
    """The attempt that died after the fit leaves a run that the next one returns."""
    name = pipeline(**candidates(nb="sklearn.naive_bayes.GaussianNB"))
    with monkeypatch.context() as patch:
        patch.setattr("waterflow.promotion.champion_comparison.reach_verdict", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluated(name, resources)
    _, found = evaluated(name, resources)
    runs = resources.runs.client.search_runs([resources.runs.ensure_experiment(name)])
    assert sorted(run.info.run_name for run in runs) == ["nb", "nb refit", "run_1"]
    assert found.challenger.cached_from is None


def test_a_refit_is_reproduced(resources: Resources, pipeline: Writer) -> None:
    """On its own rows, with the rounds that were fixed."""
    listed = candidates(boosted=BOOSTED) | {"promotion": {"resamples": 200}}
    outcome = reproduce(version_of(pipeline(**listed), resources, full=True), resources, report=lambda text: None)
    assert outcome.reproduced, [line for line in outcome.lines if not line.agrees]
    assert outcome.rows_differing == 0
