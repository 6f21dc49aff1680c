import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commands import command_in
from support.projects import FLOWERS, candidates, request_of, write_pipeline, write_rows

from waterflow import workflow
from waterflow.caching.keys import flatten
from waterflow.config.project import Project
from waterflow.datasets.loaders import iris
from waterflow.records.training import Trained
from waterflow.resources import Resources

Why = Callable[..., str]

NB = {"estimator": "sklearn.naive_bayes.GaussianNB"}
TREE = {"estimator": "sklearn.tree.DecisionTreeClassifier"}


@pytest.fixture
def resources(tracked: Project) -> Resources:
    """Open the stores of a small project."""
    write_pipeline(tracked, "flowers", {**FLOWERS, **candidates(nb=NB)})
    return workflow.open_resources(tracked)


@pytest.fixture
def why(resources: Resources, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Why:
    """Return `waterflow why` as a shell in the project's folder would run it, in this process."""
    waterflow = command_in(resources.project, monkeypatch, capsys)

    def run(*arguments: str) -> str:
        answer = waterflow("why", "flowers", *arguments)
        assert answer.code == 0, answer.err
        return answer.out

    return run


def fitted(resources: Resources, run_id: str, *, evaluate: bool = False, **request: bool) -> list[Trained]:
    """Run the first steps."""
    prepared = workflow.prepare(request_of("flowers", run_id, **request), resources)
    trained = [workflow.train(prepared, name, prepared.origin, resources) for name in prepared.candidates]
    if evaluate:
        workflow.evaluate(prepared, trained, resources)
    return trained


def test_a_first_run_is_said_to_be_one(why: Why, resources: Resources) -> None:
    """There is nothing to compare it with."""
    fitted(resources, "run_1")
    lines = [line.strip() for line in why().splitlines()]
    assert lines[0].startswith("flowers, run ")
    assert lines[1:] == ["prepare                          ran", "first run", f"{'train nb':<32} ran", "first run"]


def test_an_unchanged_run_names_the_run_that_did_it(why: Why, resources: Resources) -> None:
    """And prepare says that the rows are the same."""
    (first,) = fitted(resources, "run_1", evaluate=True)
    fitted(resources, "run_2", evaluate=True)
    said = why()
    assert "the same rows as run " in said
    assert f"{'train nb':<32} cached (from run {first.run_id[:8]} of 20" in said
    assert f"{'evaluate':<32} cached (from run " in said


def test_each_input_that_changed_is_named(why: Why, resources: Resources, tmp_path: Path) -> None:
    """Data and settings with old and new values, the setting under its place in the YAML; a new candidate is new."""
    write_pipeline(resources.project, "flowers", {**FLOWERS, **candidates(tree={**TREE, "params": {"max_depth": 3}})})
    fitted(resources, "run_1", evaluate=True)
    write_rows(resources.project, iris().iloc[:-1])
    deeper = {**TREE, "params": {"max_depth": 4}}
    changed = {**FLOWERS, **candidates(tree=deeper, nb=NB), "promotion": {"alpha": 0.01}}
    write_pipeline(resources.project, "flowers", changed)
    fitted(resources, "run_2", evaluate=True)
    said = why()
    tree = said.partition("train tree")[2].partition("train nb")[0]
    assert "config candidates.tree.params.max_depth 3 → 4" in tree
    assert "    data " in tree
    assert "first run" in said.partition("train nb")[2].partition("evaluate")[0]
    assert "config evidence.alpha 0.05 → 0.01" in said.partition("evaluate")[2]
    assert "train tree                       ran\n    first run" in why("--run", "run_1")


def test_force_and_a_lost_object_are_reasons(why: Why, resources: Resources) -> None:
    """Nothing has changed, and all the same it ran."""
    fitted(resources, "run_1")
    (second,) = fitted(resources, "run_2", force=True)
    assert "    forced" in why().partition("train nb")[2]
    resources.runs.client.delete_logged_model(second.model_id)
    (third,) = fitted(resources, "run_3")
    said = why().partition("train nb")[2]
    assert third.cached_from is not None, "the fit of the first run is still there"
    assert f"cached (from run {third.cached_from[:8]}" in said


def test_all_of_it_is_there_as_json(why: Why, resources: Resources) -> None:
    """With whole digests, for programs."""
    fitted(resources, "run_1")
    write_rows(resources.project, iris().iloc[:-1])
    (second,) = fitted(resources, "run_2")
    answer = json.loads(why("--json"))
    assert [step["step"] for step in answer["steps"]] == ["prepare", "train"]
    train = answer["steps"][1]
    assert (train["outcome"], train["candidate"], train["run_id"]) == ("ran", "nb", second.run_id)
    data = next(change for change in train["changes"] if change["name"] == "data")
    assert len(data["before"]) == len(data["now"]) == 64
    assert data["before"] != data["now"]


def test_edited_code_is_named_by_module(
    why: Why, resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the digest of its source before and after."""
    module = tmp_path / "why_own.py"
    module.write_text("from sklearn.naive_bayes import GaussianNB\n\n\nclass Mine(GaussianNB): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    write_pipeline(resources.project, "flowers", {**FLOWERS, **candidates(own="why_own.Mine")})
    fitted(resources, "run_1")
    module.write_text(module.read_text() + "\n# edited\n")
    fitted(resources, "run_2")
    said = why().partition("train own")[2].splitlines()
    assert len(said) == 2
    assert said[1].strip().startswith("code why_own ")


def test_a_candidate_that_failed_says_why(why: Why, resources: Resources) -> None:
    """By the reason that its run has."""
    broken = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": -1.0}}
    write_pipeline(resources.project, "flowers", {**FLOWERS, **candidates(broken=broken)})
    with pytest.raises(Exception, match=r"candidates\.broken"):
        fitted(resources, "run_1")
    said = why().partition("train broken")[2]
    assert "failed" in said
    assert "candidates.broken: " in said


@pytest.mark.parametrize(("arguments", "reason"), [((), "has no run yet"), (("--run", "nine"), "is no run of flowers")])
def test_an_error_is_one_line(
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    """It says what to do, or which runs there are."""
    if arguments:
        workflow.prepare(request_of("flowers", "run_1"), resources)
    err = command_in(resources.project, monkeypatch, capsys)("why", "flowers", *arguments).err
    assert len(err.splitlines()) == 1
    assert reason in err


def test_settings_are_flat() -> None:
    """Dotted keys, values as JSON, nothing lost that is empty."""
    assert flatten({"a": {"b": [1, {"c": 2}], "d": {}}, "e": None}) == {
        "a.b": '[1, {"c": 2}]',
        "a.d": "{}",
        "e": "null",
    }
