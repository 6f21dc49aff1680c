"""The verdict of the step `evaluate`, on planted models, with a champion that is as it should be or not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.planted import Replay, log_model, make_champion, plant
from support.projects import candidates, message_of, name_of, request_of
from support.scene import ROWS, Scene
from support.simulated import leave_out_pictures

from waterflow import workflow
from waterflow.errors import ConfigError
from waterflow.promotion.champion_comparison import compare_again
from waterflow.records.data import Prepared
from waterflow.records.run import Window
from waterflow.records.training import Trained
from waterflow.resources import Resources, load_config
from waterflow.steps.evaluate import evaluate
from waterflow.stores.base import get_file
from waterflow.tracking.registry import CHAMPION
from waterflow.tracking.tags import EVALUATED_FILE


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_pictures(monkeypatch)


@pytest.fixture
def scene(resources: Resources, tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    """Write a pipeline named after the test, on rows of its own."""
    return Scene(resources, tmp_path, name_of(request.node.name))


def test_a_better_model_is_promoted(scene: Scene) -> None:
    """On the same rows, with all numbers."""
    scene.crown("first", wrong=0.3)
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert verdict.outcome == "promote"
    assert verdict.disjoint
    assert (verdict.against, verdict.champion_version, verdict.excluded_rows) == ("champion version 1", 1, 0)
    assert verdict.low is not None
    assert verdict.difference is not None
    assert verdict.high is not None
    assert 0 < verdict.low < verdict.difference < verdict.high
    assert verdict.p_value is not None
    assert verdict.p_value < 0.05
    assert verdict.mcnemar_p_value is not None
    assert next(entry.metric for entry in verdict.metrics) == "accuracy"


def test_a_worse_model_is_held(scene: Scene) -> None:
    """The interval lies below 0."""
    scene.crown("first", wrong=0.02)
    assert scene.evaluate(scene.prepare("second"), wrong=0.3).outcome == "hold"


def test_the_same_model_again_is_held(scene: Scene) -> None:
    """A run that changes nothing changes no champion."""
    scene.crown("first", wrong=0.1)
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.1, seed=1)
    assert (verdict.outcome, verdict.reason) == ("hold", "both models predict the same on every row")


def test_the_first_model_must_beat_the_most_frequent_class(scene: Scene) -> None:
    """Without a champion there is the baseline, which knows the training rows alone."""
    verdict = scene.evaluate(scene.prepare("first"), wrong=0.1)
    assert (verdict.outcome, verdict.against, verdict.champion_version) == ("promote", "baseline most_frequent", None)


def test_a_first_model_that_learnt_nothing_is_not_promoted(scene: Scene) -> None:
    """It is as good as always saying the same."""
    assert scene.evaluate(scene.prepare("first"), wrong=0.5).outcome != "promote"


def test_a_candidate_can_be_the_baseline(scene: Scene) -> None:
    """Named in the YAML, it is what the winner must beat."""
    both = candidates(nb="sklearn.naive_bayes.GaussianNB", simple="sklearn.dummy.DummyClassifier")
    scene.write(promotion={"baseline": "simple"}, **both)
    prepared = scene.prepare("first")
    simple, winner = scene.plant(prepared, 0.3, 5, "simple"), scene.plant(prepared, 0.02)
    winner = winner.model_copy(update={"metrics": {"accuracy": 0.9}})
    verdict = evaluate(prepared, [simple, winner], scene.resources).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.against) == ("promote", "baseline simple")


def test_a_baseline_candidate_that_failed_is_named(scene: Scene) -> None:
    """Without it there is nothing to beat, so nothing is promoted."""
    scene.write(
        promotion={"baseline": "simple"},
        **candidates(nb="sklearn.naive_bayes.GaussianNB", simple="sklearn.dummy.DummyClassifier"),
    )
    verdict = scene.evaluate(scene.prepare("first"), wrong=0.02)
    assert (verdict.outcome, verdict.reason) == ("insufficient evidence", "candidate simple could not be trained")


def test_a_baseline_that_nobody_knows_is_refused(scene: Scene) -> None:
    """Before anything is read."""
    scene.write(promotion={"baseline": "most_frequnt"})
    message = message_of(lambda: scene.prepare("first"), ConfigError)
    assert "most_frequnt" in message
    assert "valid: most_frequent, stratified, cheapest, nb" in message


def test_a_mean_is_the_baseline_of_numbers(scene: Scene) -> None:
    """Regression has one as well."""
    scene.rows["target"] = np.random.default_rng(0).normal(size=ROWS)
    scene.write(task="regression", metrics={"main": "rmse"}, **candidates(nb="sklearn.linear_model.Ridge"))
    prepared = scene.prepare("first")
    path = plant(scene.folder / "near.npy", scene.rows["target"] + 0.01)
    model = log_model(Replay(path), prepared, scene.resources, scene.rows[["row"]].head(2))
    verdict = evaluate(prepared, [model], scene.resources).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.against, verdict.mcnemar_p_value) == ("promote", "baseline mean", None)


def test_predictions_of_both_models_are_kept(scene: Scene) -> None:
    """Row by row, with what names the row and its slice, from which the numbers can be computed again."""
    scene.write(promotion={"not_worse_on": [{"column": "region"}]})
    scene.crown("first", wrong=0.3)
    prepared = scene.prepare("second")
    verdict = scene.evaluate(prepared, wrong=0.1)
    assert verdict.predictions is not None
    kept = pd.read_parquet(get_file(scene.resources.store, verdict.predictions, scene.folder / "predictions.parquet"))
    assert list(kept.columns) == ["row", "compared", "truth", "challenger", "champion", "row_", "region"]
    assert kept["compared"].all()
    gained = (kept["challenger"] == kept["truth"]).mean() - (kept["champion"] == kept["truth"]).mean()
    assert gained == pytest.approx(verdict.difference)
    tags = scene.resources.runs.client.get_run(prepared.parent_run_id).data.tags
    assert tags["waterflow.predictions"].endswith(verdict.predictions.key)
    assert tags["waterflow.verdict"] == verdict.outcome


def test_the_report_lies_beside_the_run(scene: Scene) -> None:
    """As a page, as Markdown and as a record."""
    scene.crown("first", wrong=0.3)
    prepared = scene.prepare("second")
    verdict = scene.evaluate(prepared, wrong=0.1)
    files = {entry.path for entry in scene.resources.runs.client.list_artifacts(prepared.parent_run_id, "verdict")}
    assert files == {"verdict/report.html", "verdict/report.md", "verdict/verdict.json"}
    assert scene.resources.runs.read_json(prepared.parent_run_id, "verdict/verdict.json") == verdict.to_json()


def test_a_second_judgement_has_a_place_of_its_own(scene: Scene) -> None:
    """The step `promote` compares again when the champion has changed meanwhile."""
    scene.crown("first", wrong=0.3)
    prepared = scene.prepare("second")
    winner = scene.plant(prepared, 0.1)
    evaluated = evaluate(prepared, [winner], scene.resources)
    scene.crown("third", wrong=0.01)
    champion = scene.resources.registry.find_alias(scene.name, CHAMPION)
    config = load_config(prepared, scene.resources)
    verdict = compare_again(prepared, config, evaluated, champion, scene.resources)
    assert (verdict.outcome, verdict.champion_version) == ("hold", 2)
    assert scene.resources.runs.read_json(prepared.parent_run_id, "verdict_against_2/verdict.json") == verdict.to_json()
    first = scene.resources.runs.read_json(prepared.parent_run_id, "verdict/verdict.json")
    assert first is not None
    assert first["champion_version"] == 1


def test_a_retry_after_the_promotion_returns_the_same_verdict(scene: Scene) -> None:
    """The run's own winner is champion by then; it is compared with the one before it."""
    scene.crown("first", wrong=0.3)
    prepared = scene.prepare("second")
    winner = scene.plant(prepared, 0.02)
    before = evaluate(prepared, [winner], scene.resources)
    make_champion(winner, prepared, scene.resources)
    assert evaluate(prepared, [winner], scene.resources) == before
    assert scene.resources.runs.read_json(prepared.parent_run_id, EVALUATED_FILE) == before.to_json()


def test_rows_that_the_champion_was_fitted_on_are_left_out(scene: Scene) -> None:
    """Another seed of the split gives another holdout; what both held out is compared."""
    scene.write(split={"kind": "hash", "test_fraction": 0.5, "seed": 7})
    scene.crown("first", wrong=0.3)
    scene.write()
    prepared = scene.prepare("second")
    verdict = scene.evaluate(prepared, wrong=0.02)
    held_out = next(share.rows for share in prepared.shares if share.part == "test")
    assert verdict.excluded_rows > 0
    assert verdict.rows + verdict.excluded_rows == held_out
    assert verdict.disjoint
    assert verdict.outcome == "promote"


def test_rows_are_told_apart_when_the_data_grows(scene: Scene) -> None:
    """Under a hash split the champion has seen none of a holdout that grew with the data."""
    scene.write(scene.rows.head(300))
    scene.crown("first", wrong=0.3)
    scene.write()
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert (verdict.excluded_rows, verdict.disjoint, verdict.outcome) == (0, True, "promote")


def test_a_key_with_a_letter_moves_no_row_to_the_other_side(scene: Scene) -> None:
    """The whole column of keys is text then; the champion has seen none of the rows held out, as before."""
    keyed = scene.rows.assign(id=np.arange(ROWS))
    scene.write(keyed, key=["id"])
    scene.crown("first", wrong=0.3)
    more = keyed.tail(1).assign(id="A7")
    scene.write(pd.concat([keyed.astype({"id": "str"}), more]), key=["id"])
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert (verdict.excluded_rows, verdict.disjoint, verdict.outcome) == (0, True, "promote")


def test_models_of_other_features_ask_for_a_key(scene: Scene) -> None:
    """Without one, nothing says which of the rows the champion has seen."""
    scene.write(key=[])
    scene.crown("first", wrong=0.3)
    scene.write(scene.rows.assign(extra=1), key=[], features=["row", "extra"])
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert (verdict.outcome, verdict.disjoint) == ("insufficient evidence", False)
    assert "those of the two models differ (extra); declare key" in verdict.reason


def test_a_later_champion_leaves_only_later_rows(scene: Scene) -> None:
    """Under a time split, rows up to the champion's last training row are out; here all, so nothing is decided."""
    dated = scene.rows.assign(day=pd.date_range("2013-01-01", periods=ROWS, freq="h"))
    settings: dict[str, Any] = {"split": {"kind": "time", "test_fraction": 0.3}, "time_column": "day", "key": []}
    scene.write(dated, **settings)
    scene.crown("later", wrong=0.3)
    early = scene.prepare("early", window=Window(end=pd.Timestamp("2013-01-10").to_pydatetime()))
    verdict = scene.evaluate(early, wrong=0.02)
    assert verdict.rows == 0
    assert verdict.outcome == "insufficient evidence"
    held_out = verdict.excluded_rows
    assert f"champion version 1 may have seen {held_out} of {held_out} held-out rows" in verdict.reason
    assert "the other 0 rows are fewer than min_rows 30" in verdict.reason


def test_a_champion_that_selected_on_its_holdout_has_seen_all(scene: Scene) -> None:
    """A version of strategy quick, made champion by hand, was chosen by the very rows it would be evaluated on."""
    quick = scene.prepare("first", strategy="quick")
    make_champion(scene.plant(quick, 0.3, 1), quick, scene.resources)
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert verdict.rows == 0
    assert verdict.outcome == "insufficient evidence"


def test_quick_is_never_promoted(scene: Scene) -> None:
    """Its winner was selected on the holdout."""
    verdict = scene.evaluate(scene.prepare("first", strategy="quick"), wrong=0.02)
    assert verdict.outcome == "insufficient evidence"
    assert "selected the model on these very rows" in verdict.reason


def test_a_champion_whose_data_is_gone_is_not_beaten(scene: Scene) -> None:
    """It cannot be shown that it was fitted on other rows: the numbers are there, the outcome is not promote."""
    first, _ = scene.crown("first", wrong=0.3)
    second_rows = scene.rows.assign(extra=1)
    scene.write(second_rows)
    prepared = scene.prepare("second")
    (scene.resources.project.home / "store" / first.data.key).unlink()
    verdict = scene.evaluate(prepared, wrong=0.02)
    assert (verdict.outcome, verdict.disjoint) == ("insufficient evidence", False)
    assert "it cannot be shown that champion version 1 was fitted on other rows" in verdict.reason
    assert verdict.low is not None
    assert verdict.low > 0


def test_a_champion_without_lineage_is_not_beaten(scene: Scene) -> None:
    """A version that somebody registered by hand does not say which rows it saw."""
    first = scene.prepare("first")
    model = scene.plant(first, 0.3, 1)
    make_champion(model, first, scene.resources, **{"waterflow.parent_run_id": ""})
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert (verdict.outcome, verdict.disjoint) == ("insufficient evidence", False)
    assert "it names no run, because Waterflow did not register it" in verdict.reason


def test_a_champion_of_another_target_is_not_beaten(scene: Scene) -> None:
    """Its accuracy on this target says nothing."""
    scene.rows["other"] = 1 - scene.rows["target"]
    scene.write(target="other", drop=["target"])
    scene.crown("first", wrong=0.1)
    scene.write(drop=["other"])
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert verdict.outcome == "insufficient evidence"
    assert "it predicts 'other', not 'target'" in verdict.reason


def test_a_deleted_champion_leaves_the_baseline(scene: Scene) -> None:
    """MLflow takes the alias away with the version."""
    scene.crown("first", wrong=0.1)
    scene.resources.runs.client.delete_model_version(scene.name, "1")
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert (verdict.against, verdict.outcome) == ("baseline most_frequent", "promote")


def test_a_champion_whose_files_are_gone_is_named(scene: Scene) -> None:
    """No crash, no promotion, and a line that says what to do."""
    _, model = scene.crown("first", wrong=0.1)
    location = scene.resources.runs.client.get_logged_model(model.model_id).artifact_location
    shutil.rmtree(location.removeprefix("file://"))
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert (verdict.outcome, verdict.disjoint, verdict.challenger) == ("insufficient evidence", False, None)
    assert verdict.reason.startswith("champion version 1 has no files any more")


def test_a_champion_of_another_signature_is_named(scene: Scene) -> None:
    """It wants a column that these rows lack, so a baseline takes its place and it blocks no successor."""
    first = scene.prepare("first")
    model = scene.plant(first, 0.1, 1)
    make_champion(model, first, scene.resources)
    renamed = scene.rows.rename(columns={"row": "number"})
    scene.write(renamed, features=["number"], key=["number"])
    prepared = scene.prepare("second")
    winner = log_model(Constant(), prepared, scene.resources, renamed[["number"]].head(2))
    verdict = evaluate(prepared, [winner], scene.resources).verdict
    assert verdict is not None
    assert verdict.against == "baseline most_frequent"
    assert verdict.champion_version == 1
    assert verdict.reason.startswith("champion version 1 is unusable (it cannot predict these rows: DataError: ")
    assert "it needs the columns 'row'" in verdict.reason


class Constant(Replay):
    """Predict 1, whatever comes."""

    def __init__(self) -> None:
        super().__init__("", (0, 1))

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Name the column."""
        return np.array(["number"], dtype=object)

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Say 1."""
        return np.ones(len(features), dtype=int)


def test_a_small_holdout_decides_nothing(scene: Scene) -> None:
    """It is too little evidence, not a crash."""
    scene.write(scene.rows.head(40))
    verdict = scene.evaluate(scene.prepare("first"), wrong=0.02)
    assert verdict.outcome == "insufficient evidence"
    assert "fewer than min_rows 30" in verdict.reason


def test_an_undefined_metric_decides_nothing(scene: Scene) -> None:
    """The planted champion gives no probabilities, so there is no area under its curve."""
    scene.write(metrics={"main": "roc_auc"})
    scene.crown("first", wrong=0.1)
    verdict = scene.evaluate(scene.prepare("second"), wrong=0.02)
    assert verdict.outcome == "insufficient evidence"
    assert verdict.reason.startswith("roc_auc is undefined: a model that predicts no probabilities")


def test_a_slice_on_which_it_is_worse_holds_a_model_back(scene: Scene) -> None:
    """Better overall, but not in the north."""
    scene.write(promotion={"not_worse_on": [{"column": "region"}]})
    scene.crown("first", wrong=0.4)
    prepared = scene.prepare("second")
    truth, north = scene.rows["target"].to_numpy(), (scene.rows["region"] == "north").to_numpy()
    path = plant(scene.folder / "southern.npy", np.where(north, 1 - truth, truth))
    winner = log_model(Replay(path, (0, 1)), prepared, scene.resources, scene.rows[["row"]].head(2))
    verdict = evaluate(prepared, [winner], scene.resources).verdict
    assert verdict is not None
    assert verdict.outcome == "hold"
    assert "worse on region = north" in verdict.reason
    assert {entry.value: entry.worse for entry in verdict.slices} == {"north": True, "south": False}


def test_a_metric_that_a_slice_lacks_is_noted(scene: Scene) -> None:
    """Whoever reads the report sees that nothing was compared there."""
    scene.rows["kind"] = np.where(scene.rows["target"] == 1, "ill", "any")
    scene.rows.loc[scene.rows.index[::3], "kind"] = "any"
    scene.write(metrics={"main": "roc_auc"}, promotion={"not_worse_on": [{"column": "kind", "min_rows": 2}]})
    prepared = scene.prepare("first")
    winner = replace_by_probabilities(scene, prepared)
    verdict = evaluate(prepared, [winner], scene.resources).verdict
    assert verdict is not None
    assert verdict.outcome == "promote"
    notes = {entry.value: entry.note for entry in verdict.slices}
    assert notes["any"] == ""
    assert "roc_auc is undefined" in notes["ill"]


def replace_by_probabilities(scene: Scene, prepared: Prepared) -> Trained:
    """Log a model that gives probabilities."""
    path = plant(scene.folder / "sure.npy", scene.rows["target"])
    return log_model(Sure(path, (0, 1)), prepared, scene.resources, scene.rows[["row"]].head(2))


class Sure(Replay):
    """Give what it replays a probability of 0.9."""

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
        """Return one column for each class."""
        return 0.1 + 0.8 * np.eye(2)[self.predict(features)]


def test_a_slice_by_an_unknown_column_is_refused_early(scene: Scene) -> None:
    """Before a candidate is trained."""
    scene.write(promotion={"not_worse_on": [{"column": "planet"}]})
    message = message_of(lambda: scene.prepare("first"), ConfigError)
    assert "promotion.not_worse_on: 'planet' is no column; the data has" in message


def test_the_same_data_is_compared_by_position(resources: Resources, pipeline: Callable[..., str]) -> None:
    """Iris has two equal flowers: under the same stratified split neither is taken for the other."""
    name = pipeline(gate=None)
    first, second = (workflow.prepare(request_of(name, run_id, force=True), resources) for run_id in ("one", "two"))
    trained = workflow.train(first, "gaussian_nb", first.origin, resources)
    make_champion(trained, first, resources)
    again = workflow.train(second, "gaussian_nb", second.origin, resources)
    verdict = evaluate(second, [again], resources).verdict
    assert verdict is not None
    assert (verdict.rows, verdict.excluded_rows, verdict.disjoint, verdict.outcome) == (30, 0, True, "hold")
