"""Looks at held-out rows through the step `evaluate`: counted in the ledger, before anything is compared."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.planted import Replay, log_model, make_champion, plant
from support.projects import candidates, name_of
from support.scene import ROWS, Scene
from support.simulated import leave_out_pictures

from waterflow import workflow
from waterflow.errors import FitError
from waterflow.promotion import champion_comparison
from waterflow.promotion.looks import count_looks, take_look
from waterflow.records.data import Prepared
from waterflow.records.training import Trained
from waterflow.resources import Resources, load_config
from waterflow.steps.evaluate import evaluate
from waterflow.stores.base import get_file


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_pictures(monkeypatch)


@pytest.fixture
def scene(resources: Resources, tmp_path: Path, request: pytest.FixtureRequest) -> Scene:
    """Write a pipeline named after the test, on rows of its own."""
    return Scene(resources, tmp_path, name_of(request.node.name))


def looks(scene: Scene) -> list[tuple[int, int, float]]:
    """List number, rows and alpha of each look."""
    return [(look.number, look.row_count, look.alpha) for look in scene.resources.ledger.looks(scene.name)]


def test_each_verdict_on_the_same_rows_spends_less(scene: Scene) -> None:
    """The first alpha, the second half of it, and the verdict says so."""
    scene.crown("first", wrong=0.3)
    verdicts = [scene.evaluate(scene.prepare(run), 0.25, seed) for seed, run in enumerate(("second", "third"), 2)]
    assert [(verdict.look, verdict.alpha) for verdict in verdicts] == [(1, 0.05), (2, 0.025)]
    assert looks(scene) == [(1, verdicts[0].rows, 0.05), (2, verdicts[0].rows, 0.025)]


def test_a_retry_and_a_cached_verdict_are_no_looks(scene: Scene) -> None:
    """They show what was shown before."""
    prepared = scene.prepare("first")
    model = scene.plant(prepared, 0.1)
    first = evaluate(prepared, [model], scene.resources)
    assert evaluate(prepared, [model], scene.resources) == first
    assert evaluate(scene.prepare("second"), [model], scene.resources).cached_from is not None
    assert len(looks(scene)) == 1


def test_a_retry_of_a_comparison_that_was_cut_short_is_its_look(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look stands before anything is compared, and spends once."""
    prepared = scene.prepare("first")
    model = scene.plant(prepared, 0.1)

    def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(champion_comparison, "reach_verdict", crash)
        with pytest.raises(RuntimeError):
            evaluate(prepared, [model], scene.resources)
    assert len(looks(scene)) == 1
    verdict = evaluate(prepared, [model], scene.resources).verdict
    assert verdict is not None
    assert (verdict.look, verdict.alpha, len(looks(scene))) == (1, 0.05, 1)


def test_quick_looks_too(scene: Scene) -> None:
    """It promotes nothing, and shows the same rows."""
    scene.evaluate(scene.prepare("first", strategy="quick"), 0.1)
    assert scene.evaluate(scene.prepare("second"), 0.1, seed=3).look == 2


def test_fresh_rows_renew_what_is_spent(scene: Scene) -> None:
    """Where little is left for all rows, those that came since decide alone, at alpha."""
    everything = scene.rows
    scene.write(everything.head(200))
    for seed in range(4):
        scene.evaluate(scene.prepare(f"run_{seed}"), 0.3, seed)
    scene.write(everything)
    verdict = scene.evaluate(scene.prepare("grown"), 0.3, seed=9)
    assert (verdict.look, verdict.alpha) == (1, 0.05)
    assert verdict.looked_at_rows > 50
    assert verdict.rows + verdict.looked_at_rows > 150


def test_when_nothing_is_left_nothing_is_promoted(scene: Scene) -> None:
    """However good a model is; the verdict says what renews the rows."""
    scene.write(promotion={"alpha": 0.001})
    assert scene.evaluate(scene.prepare("first"), 0.3).outcome == "promote"
    verdict = scene.evaluate(scene.prepare("second"), 0.0, seed=3)
    assert verdict.outcome == "insufficient evidence"
    assert verdict.reason.startswith("nothing is left to spend on these rows after 1 look; new rows renew it; ")


def test_looks_at_once_are_counted_one_after_the_other(scene: Scene) -> None:
    """None is lost, and each spends what the ones before it left."""
    prepared = scene.prepare("first")
    config = load_config(prepared, scene.resources)
    rows = scene.rows.head(100)

    def look(key: str) -> float:
        own = workflow.open_resources(scene.resources.project)
        return take_look(prepared, config, key, rows, own).alpha

    with ThreadPoolExecutor(3) as pool:
        spent = sorted(pool.map(look, "abc"), reverse=True)
    assert spent == pytest.approx([0.05, 0.025, 0.05 / 6])
    assert [number for number, _, _ in looks(scene)] == [1, 2, 3]


@pytest.mark.parametrize(
    "changes",
    [{"key": ("region", "row")}, {"key": ()}, {"key": (), "features": ("region",)}, {"key": (), "group": "region"}],
)
def test_another_key_or_other_features_hide_no_look(scene: Scene, changes: dict[str, object]) -> None:
    """The rows are the same, however the pipeline names them."""
    prepared = scene.prepare("first")
    config = load_config(prepared, scene.resources)
    others = config.model_copy(update=changes)
    plans = [
        take_look(prepared, given, key, scene.rows, scene.resources)
        for given, key in ((config, "a"), (others, "b"), (config, "c"))
    ]
    assert [plan.number for plan in plans] == [1, 2, 3]


def test_a_renamed_key_hides_no_look_and_spends_no_new_rows(scene: Scene) -> None:
    """Its values are known; where no column is, all rows count, but for those of a later time."""
    prepared = scene.prepare("first")
    config = load_config(prepared, scene.resources)
    take_look(prepared, config, "a", scene.rows.head(100), scene.resources)
    renamed = scene.rows.rename(columns={"row": "number"})
    by_number = config.model_copy(update={"key": ("number",)})
    looks = scene.resources.ledger.looks(scene.name)
    assert count_looks(renamed, by_number, looks, scene.resources).tolist() == [1] * 100 + [0] * 300
    gone = renamed.assign(number=renamed["number"] + 1000, when=pd.Timestamp("2000-01-01", tz="UTC"))
    gone.loc[200:, "when"] = pd.Timestamp("2100-01-01", tz="UTC")
    assert count_looks(gone, by_number, looks, scene.resources).tolist() == [1] * 400
    dated = by_number.model_copy(update={"time_column": "when"})
    assert count_looks(gone, dated, looks, scene.resources).tolist() == [1] * 200 + [0] * 200


def test_looks_can_be_ignored(scene: Scene) -> None:
    """Each verdict then has its alpha, and says which look it is."""
    scene.write(promotion={"reuse": "ignore"})
    scene.evaluate(scene.prepare("first"), 0.3)
    verdict = scene.evaluate(scene.prepare("second"), 0.3, seed=3)
    assert (verdict.look, verdict.alpha) == (2, 0.05)


def test_lost_rows_of_a_look_count_for_all(scene: Scene) -> None:
    """Nothing becomes fresh by a deletion."""
    scene.evaluate(scene.prepare("first"), 0.3)
    look = scene.resources.ledger.looks(scene.name)[0]
    (scene.resources.project.home / "store" / look.rows.key).unlink()
    assert scene.evaluate(scene.prepare("second"), 0.3, seed=3).look == 2


def test_numbers_of_the_held_out_rows_can_be_hidden(scene: Scene) -> None:
    """Neither record, run, report nor predictions tell more than the outcome."""
    scene.write(promotion={"show": "verdict"}, gate={"metric": "accuracy", "at_least": 0.5})
    prepared = scene.prepare("first")
    evaluated = evaluate(prepared, [scene.plant(prepared, 0.1)], scene.resources)
    assert evaluated.verdict is not None
    assert evaluated.verdict.outcome == "promote"
    assert (evaluated.holdout_metrics, evaluated.verdict.numbers(), evaluated.verdict.metrics) == ({}, {}, ())
    assert evaluated.gate is not None
    assert (evaluated.gate.passed, evaluated.gate.value) == (True, None)
    run = scene.resources.runs.client.get_run(prepared.parent_run_id)
    assert not [name for name in run.data.metrics if name.startswith(("test_", "verdict_"))]
    assert evaluated.verdict.predictions is not None
    kept = pd.read_parquet(
        get_file(scene.resources.store, evaluated.verdict.predictions, scene.folder / "predictions.parquet")
    )
    assert list(kept.columns) == ["row", "compared", "challenger", "row_"]


class Failing(Replay):
    """Replay, but raise or answer NaN on one of the rows."""

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Answer NaN on every row but the first two, which the signature is made of."""
        answers = super().predict(features).astype(float)
        answers[2:] = np.nan
        return answers


def log_failing(scene: Scene, prepared: Prepared, name: str) -> Trained:
    """Log a model that answers NaN."""
    path = plant(scene.folder / f"{prepared.origin.run_id}_{name}.npy", np.ones(ROWS))
    return log_model(Failing(path, (0, 1)), prepared, scene.resources, scene.rows[["row"]].head(2), name)


def test_a_candidate_that_answers_nan_is_no_winner(scene: Scene) -> None:
    """The next one is; without one nothing is registered."""
    scene.write(**candidates(nb="sklearn.naive_bayes.GaussianNB", broken="sklearn.dummy.DummyClassifier"))
    prepared = scene.prepare("first")
    broken = log_failing(scene, prepared, "broken").model_copy(update={"metrics": {"accuracy": 0.99}})
    evaluated = evaluate(prepared, [broken, scene.plant(prepared, 0.1)], scene.resources)
    assert [entry.candidate for entry in evaluated.ranked] == ["nb", "broken"]
    assert evaluated.verdict is not None
    assert evaluated.verdict.outcome == "promote"
    with pytest.raises(FitError, match=r"no candidate of .* can be used on the held-out rows"):
        evaluate(scene.prepare("second"), [broken], scene.resources)


@pytest.mark.parametrize("wrong", [0.1, 0.6])
def test_a_champion_that_answers_nan_blocks_no_successor(scene: Scene, wrong: float) -> None:
    """The baseline takes its place, and has to be beaten."""
    first = scene.prepare("first")
    make_champion(log_failing(scene, first, "nb"), first, scene.resources)
    verdict = scene.evaluate(scene.prepare("second"), wrong)
    assert (verdict.outcome == "promote") is (wrong < 0.5)
    assert (verdict.against, verdict.champion_version) == ("baseline most_frequent", 1)
    assert verdict.reason.startswith("champion version 1 is unusable (it answers NaN on ")


def test_labels_read_as_another_type_are_the_same_labels(scene: Scene) -> None:
    """A champion of a time when the column was all digits is compared by value."""
    scene.crown("first", wrong=0.02)
    labels = scene.rows["target"].astype(str).where(scene.rows.index >= 8, "x")  # one text makes text of all
    scene.write(scene.rows.assign(target=labels))
    prepared = scene.prepare("second")
    path = plant(scene.folder / "second.npy", labels.to_numpy().astype(str))
    winner = log_model(Replay(path, ("0", "1", "x")), prepared, scene.resources, scene.rows[["row"]].head(2))
    verdict = evaluate(prepared, [winner], scene.resources).verdict
    assert verdict is not None
    assert verdict.champion is not None
    assert verdict.champion > 0.9
