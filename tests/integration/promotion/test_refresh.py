"""A run of the champion's own recipe on other rows, through all steps."""

from collections.abc import Callable
from typing import Any

import pytest
from support.projects import candidates, request_of, write_rows
from support.promotion import champion_of, kinds

from waterflow import workflow
from waterflow.datasets.loaders import iris
from waterflow.records.promotion import Registered
from waterflow.resources import Resources

pytestmark = pytest.mark.usefixtures("staged_at_once")

Writer = Callable[..., str]

GAUSS, TREE = "sklearn.naive_bayes.GaussianNB", "sklearn.tree.DecisionTreeClassifier"


def run(
    resources: Resources, pipeline: Writer, run_id: str, rows: int, estimator: str = GAUSS, **promotion: Any
) -> Registered:
    """Run a pipeline on the first rows of shuffled iris flowers."""
    flowers = iris().sample(frac=1, random_state=1).reset_index(drop=True).reset_index(names="number")
    write_rows(resources.project, flowers.head(rows), "flowers.csv")
    name = pipeline(
        dataset={"kind": "csv", "path": "data/flowers.csv"},
        key=["number"],
        split={"kind": "hash", "test_fraction": 0.4},
        promotion=promotion,
        gate=None,
        **candidates(only=estimator),
    )
    return workflow.run_all(request_of(name, run_id, force=True), resources)


def test_a_refresh_takes_the_place_of_a_champion_of_its_recipe(resources: Resources, pipeline: Writer) -> None:
    """It is no better, and not worse by the margin; the ledger says `refresh` and sums."""
    first = run(resources, pipeline, "one", 130, refresh_margin=0.5)
    second = run(resources, pipeline, "two", 150, refresh_margin=0.5)
    assert second.decision is not None
    assert kinds(first.model, resources) == ["promote", "refresh"], second.reason
    assert champion_of(first.model, resources) == second.version
    assert second.reason.startswith("a refresh of version 1, not worse on ")


def test_a_second_refresh_is_compared_with_the_version_that_won(resources: Resources, pipeline: Writer) -> None:
    """Not with the first refresh alone; attempts are counted since that one was promoted."""
    for run_id, rows in (("one", 110), ("two", 130)):
        run(resources, pipeline, run_id, rows, refresh_margin=0.5)
    third = run(resources, pipeline, "three", 150, refresh_margin=0.5)
    assert kinds(third.model, resources) == ["promote", "refresh", "refresh"], third.reason
    assert third.evaluated.verdict is not None
    assert third.evaluated.verdict.champion_version == 2
    refresh = third.evaluated.verdict.refresh
    assert refresh is not None
    assert (refresh.version, refresh.attempt, refresh.alpha) == (1, 1, third.evaluated.verdict.alpha)
    assert "from version 1, which last won by being better" in third.reason


def test_a_refresh_that_may_be_worse_is_held(resources: Resources, pipeline: Writer) -> None:
    """So few rows cannot show that trees with other calls are as good as that."""
    run(resources, pipeline, "one", 100, TREE, refresh_margin=0.001)
    second = run(resources, pipeline, "two", 150, TREE, refresh_margin=0.001)
    assert kinds(second.model, resources) == ["promote", "hold"]


def test_the_same_rows_are_nothing_to_refresh(resources: Resources, pipeline: Writer) -> None:
    """A forced run that changes nothing changes no champion."""
    run(resources, pipeline, "one", 150, refresh_margin=0.5)
    second = run(resources, pipeline, "two", 150, refresh_margin=0.5)
    assert kinds(second.model, resources) == ["promote", "hold"]
