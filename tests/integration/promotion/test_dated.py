"""Dated pipelines: what is held out, what is compared, and what serves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.projects import candidates, message_of, request_of, write_rows

from waterflow import workflow
from waterflow.config.compose import compose_pipeline
from waterflow.data.canonical import read_parquet
from waterflow.errors import ConfigError
from waterflow.promotion.opponents import load_holdout
from waterflow.promotion.predictions import predict_holdout
from waterflow.records.promotion import Registered
from waterflow.records.run import Window
from waterflow.reproduction.reproduce import reproduce
from waterflow.resources import Resources, load_config
from waterflow.snapshots import load_fit_rows
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.promote import promote
from waterflow.steps.register import register
from waterflow.steps.train import train
from waterflow.stores.base import get_file, scratch_folder
from waterflow.tracking.registry import CHAMPION

Writer = Callable[..., str]
NB, TREE = "sklearn.naive_bayes.GaussianNB", "sklearn.tree.DecisionTreeClassifier"
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DELAY = timedelta(hours=36)


def daily_rows(days: int = 200, per_day: int = 8) -> pd.DataFrame:
    """Make rows of which a model can learn something, a few on each day."""
    generator = np.random.default_rng(5)
    target = generator.integers(0, 2, days * per_day)
    return pd.DataFrame(
        {
            "id": np.arange(days * per_day),
            "day": [FIRST + timedelta(days=number // per_day, hours=number % per_day) for number in range(len(target))],
            "x": target + generator.normal(0, 0.8, len(target)),
            "z": generator.normal(0, 1, len(target)),
            "late": target,
        }
    )


@pytest.fixture
def dated(resources: Resources, pipeline: Writer) -> Writer:
    """Write a pipeline over daily rows; `days` of them are there."""

    def write(days: int = 200, **changes: Any) -> str:
        listed = candidates(nb=NB) if "candidates" not in changes else {}
        promotion = {"resamples": 200, **changes.pop("promotion", {})}
        settings = {"metrics": {"main": "accuracy"}, "gate": None, "promotion": promotion, "key": ["id"], **changes}
        name = pipeline(
            dataset={"kind": "csv", "path": "data/daily.csv"},
            target="late",
            time_column="day",
            label_delay="36 hours",
            split={"kind": "time"},
            **{**listed, **settings},
        )
        write_rows(resources.project, daily_rows(days), "daily.csv")
        return name

    return write


def run(name: str, resources: Resources, run_id: str, day: int, **request: Any) -> Registered:
    """Run the five steps on the rows before a day, counted from the first."""
    window = Window(end=FIRST + timedelta(days=day))
    return workflow.run_all(request_of(name, run_id, window=window, **request), resources)


def prepared_of(registered: Registered, resources: Resources) -> Any:
    """Read the record of a run's first step."""
    from waterflow.records.data import Prepared

    return Prepared.from_json(resources.runs.read_json(registered.parent_run_id, "waterflow/record.json") or {})


def predictions_of(registered: Registered, resources: Resources) -> pd.DataFrame:
    """Read the predictions that a verdict is based on."""
    verdict = registered.evaluated.verdict
    assert verdict is not None
    assert verdict.predictions is not None
    with scratch_folder() as folder:
        return read_parquet(get_file(resources.store, verdict.predictions, folder / "predictions.parquet"))


def test_a_first_recipe_is_compared_by_rolling_origins(dated: Writer, resources: Resources) -> None:
    """Each block of the latest slice is predicted by a fit on all rows whose outcome was known before it."""
    registered = run(dated(), resources, "one", 150)
    prepared, evaluated = prepared_of(registered, resources), registered.evaluated
    config = load_config(prepared, resources)
    assert prepared.cut.kind == "latest"
    assert evaluated.verdict is not None
    assert evaluated.verdict.against.startswith("baseline")
    holdout = load_holdout(prepared, resources).rows
    starts = [fit.fitted_on.before for fit in evaluated.compared]
    assert len(starts) == 4
    assert starts[0] == holdout["day"].min()
    for fit in evaluated.compared:
        rows, until = load_fit_rows(prepared, config, fit.fitted_on, resources)
        assert until is not None
        assert until == fit.rows_until
        assert until + DELAY < fit.fitted_on.before <= until + DELAY + timedelta(days=1)
        assert len(rows.target) > prepared.shares[0].rows
    stored = predictions_of(registered, resources)
    last = (holdout["day"] >= starts[-1]).to_numpy()
    model = resources.models.load_model(evaluated.compared[-1].model_id, prepared.pipeline)
    expected = predict_holdout(model, holdout[last], config)
    assert expected.probabilities is not None
    np.testing.assert_allclose(stored["challenger_probability_1"][last], expected.probabilities[:, 1])
    assert len(stored) == len(holdout)


def test_what_serves_has_seen_every_row_of_the_window(dated: Writer, resources: Resources) -> None:
    """The version names the fits that were compared; staging checks that it behaves like the last of them."""
    registered = run(dated(), resources, "one", 150)
    version = resources.registry.get_version(registered.model, registered.version)
    assert registered.decision is not None
    assert (registered.decision.kind, version is not None) == ("promote", True)
    assert version is not None
    fits = registered.evaluated.compared
    assert version.tags["waterflow.fitted_on"] == "all"
    assert version.tags["waterflow.compared_models"].split() == [fit.model_id for fit in fits]
    assert version.model_id not in [fit.model_id for fit in fits]
    prepared = prepared_of(registered, resources)
    frame = load_holdout(prepared, resources).frame
    assert datetime.fromisoformat(version.tags["waterflow.rows_until"]) == frame["day"].max()
    names = {check.name for check in registered.checks}
    assert {"predictions", "varies", "rank_correlation", "equal_decisions"} <= names
    runs = {entry.info.run_name for entry in resources.runs.client.search_runs([registered.experiment_id])}
    assert {"nb", "nb origin 1", "nb origin 4", "nb serving"} <= runs


def test_a_model_that_remembers_its_rows_agrees_with_its_earlier_fit(dated: Writer, resources: Resources) -> None:
    """They are compared on rows that both were fitted on: on the others, memory is no agreement."""
    registered = run(dated(**candidates(tree=TREE), promotion={"origins": 1}), resources, "one", 150)
    checks = {check.name: check for check in registered.checks}
    assert float(checks["rank_correlation"].actual) > 0.9
    assert checks["equal_decisions"].passed


def test_the_same_window_again_has_nothing_new(dated: Writer, resources: Resources) -> None:
    """The cut is the champion's own, so rows, split, fits and verdict are those that there are."""
    name = dated()
    first, second = (run(name, resources, run_id, 150) for run_id in ("one", "two"))
    cut = prepared_of(second, resources).cut
    assert (cut.kind, cut.champion_version) == ("recorded", first.version)
    assert prepared_of(second, resources).split == prepared_of(first, resources).split
    assert (second.new, second.version) == (False, first.version)
    fitted = [entry for entry in second.evaluated.ranked if entry.cached_from is None]
    assert fitted == []


def test_another_recipe_meets_the_recorded_predictions_of_the_champion(dated: Writer, resources: Resources) -> None:
    """On the same window both recipes knew the same past, row by row."""
    first = run(dated(), resources, "one", 150)
    second = run(dated(**candidates(tree=TREE)), resources, "two", 150)
    verdict = second.evaluated.verdict
    assert verdict is not None
    assert (verdict.champion_version, verdict.excluded_rows, verdict.disjoint) == (first.version, 0, True)
    mine, theirs = predictions_of(second, resources), predictions_of(first, resources)
    np.testing.assert_array_equal(mine["champion"], theirs["challenger"])
    assert len(second.evaluated.compared) == 4


def test_new_rows_are_held_out_from_the_champions_end(dated: Writer, resources: Resources) -> None:
    """Selection sees rows before them only, and the opponent is the model that serves."""
    name = dated()
    first = run(name, resources, "one", 150)
    second = run(name, resources, "two", 180)
    prepared = prepared_of(second, resources)
    until = load_holdout(prepared_of(first, resources), resources).frame["day"].max()
    holdout = load_holdout(prepared, resources)
    assert prepared.cut.kind == "new"
    assert holdout.rows["day"].min() == prepared.cut.start > until
    assert holdout.frame["day"][holdout.part != "test"].max() <= until
    verdict = second.evaluated.verdict
    assert verdict is not None
    assert (verdict.champion_version, verdict.rows, verdict.excluded_rows) == (first.version, len(holdout.rows), 0)
    assert second.evaluated.is_refresh
    stored = predictions_of(second, resources)
    version = resources.registry.get_version(name, first.version)
    assert version is not None
    said = predict_holdout(
        resources.models.load_model(version.model_id, version.model), holdout.rows, load_config(prepared, resources)
    )
    np.testing.assert_array_equal(stored["champion"], said.prediction)


def test_a_few_new_days_leave_the_champions_cut(dated: Writer, resources: Resources) -> None:
    """They are too few to decide anything, so the comparison is on the recorded rows."""
    name = dated()
    first = run(name, resources, "one", 150)
    second = run(name, resources, "two", 154)
    assert prepared_of(second, resources).cut.kind == "recorded"
    verdict = second.evaluated.verdict
    assert verdict is not None
    assert verdict.rows == len(predictions_of(first, resources))
    assert verdict.excluded_rows > 0
    assert not second.evaluated.is_refresh, "the champion's recipe meets its own predictions"


def test_an_older_window_holds(dated: Writer, resources: Resources) -> None:
    """Whatever its latest slice shows."""
    name = dated()
    first = run(name, resources, "one", 180)
    older = run(name, resources, "two", 150)
    assert prepared_of(older, resources).cut.kind == "latest"
    assert older.decision is not None
    assert older.decision.kind == "hold"
    assert "window ends" in older.decision.reason
    champion = resources.registry.find_alias(name, "champion")
    assert champion is not None
    assert champion.version == first.version


def test_what_wins_only_later_is_not_served_without_the_newest_rows(dated: Writer, resources: Resources) -> None:
    """It was registered as it was compared; the next run fits and registers the model that serves."""
    each_look = {"promotion": {"reuse": "ignore"}}
    name = dated(**each_look)
    run(name, resources, "one", 110)
    weak = run(dated(**candidates(guess="sklearn.dummy.DummyClassifier"), **each_look), resources, "two", 120)
    dated(**candidates(linear="sklearn.linear_model.LogisticRegression"), **each_look)
    third = request_of(name, "three", window=Window(end=FIRST + timedelta(days=150)))
    prepared = prepare(third, resources)
    evaluated = evaluate(prepared, [train(prepared, "linear", third.origin, resources)], resources)
    registered = register(prepared, evaluated, resources)
    resources.registry.set_alias(name, CHAMPION, weak.version)
    decision = promote(prepared, registered, resources).decision
    assert decision is not None
    assert decision.verdict is not None
    assert (decision.verdict.champion_version, decision.verdict.outcome) == (weak.version, "promote")
    assert decision.kind == "hold"
    assert "run the pipeline again to fit and register that model" in decision.reason


def test_the_compared_model_can_be_the_one_that_serves(dated: Writer, resources: Resources) -> None:
    """With one origin it is the fit on everything before the holdout."""
    name = dated(promotion={"serve": "judged", "origins": 1})
    registered = run(name, resources, "one", 150)
    (fit,) = registered.evaluated.compared
    version = resources.registry.get_version(name, registered.version)
    assert version is not None
    assert version.model_id == fit.model_id
    assert fit.rows_until is not None
    assert datetime.fromisoformat(version.tags["waterflow.rows_until"]) == fit.rows_until < fit.fitted_on.before


def test_folds_lie_before_the_cut(dated: Writer, resources: Resources) -> None:
    """Under `rigorous` too, the rows that select are older than those that compare."""
    name = dated(
        candidates={"nb": {"estimator": NB}},
        defaults=[{"/strategy": "rigorous"}],
        promotion={"alpha": 0.05, "min_gain": 0.0},
    )
    first = run(name, resources, "one", 150)
    prepared = prepare(request_of(name, "two", window=Window(end=FIRST + timedelta(days=180))), resources)
    assert prepared.cut is not None
    assert prepared.cut.kind == "new"
    with scratch_folder() as folder:
        split = read_parquet(get_file(resources.store, prepared.split, folder / "split.parquet"))
    frame = load_holdout(prepared, resources).frame
    assert (split["fold"][(frame["day"] >= prepared.cut.start).to_numpy()] == -1).all()
    assert len(first.evaluated.compared) == 4


def test_another_champion_is_another_preparation(dated: Writer, resources: Resources) -> None:
    """The same rows are divided elsewhere, so nothing is fitted on what would be held out."""
    name = dated()
    before = prepare(request_of(name, "zero", window=Window(end=FIRST + timedelta(days=180))), resources)
    run(name, resources, "one", 150)
    after = prepare(request_of(name, "two", window=Window(end=FIRST + timedelta(days=180))), resources)
    assert before.action_key != after.action_key
    assert before.data == after.data
    assert before.split != after.split
    again = prepare(request_of(name, "two", window=Window(end=FIRST + timedelta(days=180))), resources)
    assert again == after


def test_serving_all_rows_needs_a_split_by_time(resources: Resources, pipeline: Writer) -> None:
    """Else the holdout would train."""
    name = pipeline(promotion={"serve": "all"})
    assert "promotion.serve" in message_of(lambda: compose_pipeline(resources.project, name), ConfigError)


def test_a_serving_model_is_reproduced(dated: Writer, resources: Resources) -> None:
    """From its own rows; so are the fits that were compared in its place, each from its own."""
    name = dated()
    registered = run(name, resources, "one", 150)
    version = resources.registry.get_version(name, registered.version)
    assert version is not None
    outcome = reproduce(version, resources, report=lambda text: None)
    assert outcome.reproduced, [line for line in outcome.lines if line.agrees is False]
    assert outcome.not_compared == ()
    compared = [line.what for line in outcome.lines if line.what.startswith("predictions of the fit on ")]
    assert compared == [f"predictions of the fit on {fit.fitted_on}" for fit in registered.evaluated.compared]
    assert train(prepared_of(registered, resources), "nb", prepared_of(registered, resources).origin, resources)
