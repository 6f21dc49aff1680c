"""What a run that changes nothing leaves alone: registry, ledger, and people who have answered already."""

from collections.abc import Callable
from typing import Any

import pytest
from support.projects import candidates, request_of
from support.promotion import champion_of, kinds

from waterflow import workflow
from waterflow.records.promotion import Approval, Registered
from waterflow.resources import Resources

pytestmark = pytest.mark.usefixtures("staged_at_once")

Writer = Callable[..., str]

GAUSS, BERNOULLI = "sklearn.naive_bayes.GaussianNB", "sklearn.naive_bayes.BernoulliNB"


def finished(
    name: str, resources: Resources, run_id: str, answer: Approval | None = None, **request: Any
) -> Registered:
    """Run all steps; a question gets this answer."""
    return workflow.run_all(request_of(name, run_id, **request), resources, ask=lambda registered: answer)


def versions(name: str, resources: Resources) -> list[int]:
    """List the registered versions."""
    return [entry.version for entry in resources.registry.list_versions(name)]


def test_an_unchanged_run_registers_and_decides_nothing(resources: Resources, pipeline: Writer) -> None:
    """It is FINISHED, says so, and leads to the run whose version has its model; a forced one makes a version."""
    name = pipeline()
    first = finished(name, resources, "one")
    second = finished(name, resources, "two")
    assert (second.version, second.new, second.decision, second.aliases) == (1, False, None, first.aliases)
    assert second.reason == f"nothing new: version 1 of run {first.parent_run_id[:8]} has this model"
    assert (versions(name, resources), kinds(name, resources)) == ([1], ["promote"])
    run = resources.runs.client.get_run(second.parent_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["waterflow.cached_from"] == first.parent_run_id
    assert run.data.tags["waterflow.registered"] == f"{name}/1"
    forced = finished(name, resources, "three", force=True)
    assert (forced.version, forced.new, kinds(name, resources)) == (2, True, ["promote", "hold"])


def test_a_repetition_of_a_run_is_no_rerun(resources: Resources, pipeline: Writer) -> None:
    """The run that registered a version finds it as its own, decision and all."""
    name = pipeline(gate={"metric": "accuracy", "at_least": 0.999})
    assert finished(name, resources, "one") == finished(name, resources, "one")
    assert finished(name, resources, "one").new


def test_why_names_the_champion_that_a_run_met(resources: Resources, pipeline: Writer) -> None:
    """The first met nobody, the next one the version that the first made champion."""
    name = pipeline()
    finished(name, resources, "one")
    finished(name, resources, "two", force=True)
    (change,) = (
        entry for entry in workflow.explain_run(name, None, resources).steps[-1].changes if entry.name == "champion"
    )
    assert (change.before, change.now) == ("nobody", "version 1")


def test_nobody_is_asked_twice(resources: Resources, pipeline: Writer) -> None:
    """A no holds until something is new or the run is forced; where nobody was asked, the question stays open."""
    name = pipeline(promotion={"approval": "human"})
    unasked = finished(name, resources, "one")
    assert unasked.decision is not None
    assert unasked.decision.kind == "hold"
    rejected = finished(name, resources, "two", Approval(approved=False, actor="ada"))
    assert (rejected.new, rejected.version, kinds(name, resources)) == (True, 1, ["hold", "reject"])
    yes = Approval(approved=True, actor="ada")
    again = finished(name, resources, "three", yes)
    assert (again.new, again.awaits_approval, kinds(name, resources)) == (False, False, ["hold", "reject"])
    forced = finished(name, resources, "four", yes, force=True)
    assert (forced.version, kinds(name, resources)[-1], champion_of(name, resources)) == (2, "promote", 2)


def test_an_old_model_against_another_champion_is_decided_again(resources: Resources, pipeline: Writer) -> None:
    """Its version is there already; the verdict is new, and a row of the ledger says what followed."""
    name = pipeline(**candidates(nb=GAUSS))
    finished(name, resources, "one")
    pipeline(**candidates(nb=BERNOULLI), gate=None)
    finished(name, resources, "two", force=True)
    resources.registry.set_alias(name, "champion", 2)  # whatever the verdict was
    pipeline(**candidates(nb=GAUSS))
    third = finished(name, resources, "three")
    assert (third.version, third.new, versions(name, resources)) == (1, True, [2, 1])
    assert third.decision is not None
    assert third.decision.run_id == third.parent_run_id
    assert third.evaluated.winner.cached_from is not None
    assert third.evaluated.cached_from is None


@pytest.mark.parametrize("changes", [{"gate": {"metric": "accuracy", "at_least": 0.1}}])
def test_the_champion_has_nobody_to_win_against(
    resources: Resources, pipeline: Writer, changes: dict[str, Any]
) -> None:
    """Its model evaluated by other rules stays the version that it is."""
    name = pipeline()
    finished(name, resources, "one")
    pipeline(**changes)
    second = finished(name, resources, "two")
    assert (second.new, second.evaluated.cached_from) == (False, None)
    assert (versions(name, resources), kinds(name, resources)) == ([1], ["promote"])


def test_a_winner_that_was_second_before_gets_a_version(resources: Resources, pipeline: Writer) -> None:
    """Nothing is fitted: the version has the model that another run has fitted."""
    both = candidates(nb=GAUSS, flags=BERNOULLI)
    name = pipeline(**both)
    first = finished(name, resources, "one")
    loser = first.evaluated.ranked[1]
    second = finished(pipeline(**both), resources, "two", candidates=(loser.candidate,))
    assert (second.version, second.new) == (2, True)
    assert second.evaluated.winner.model_id == loser.model_id
    assert second.evaluated.winner.cached_from == loser.run_id
    version = resources.registry.get_version(name, 2)
    assert version is not None
    assert version.run_id == second.evaluated.challenger.run_id
