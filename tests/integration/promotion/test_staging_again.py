"""A rejection by staging, and what makes a later run of the same model decide again."""

from collections.abc import Callable

from support.projects import request_of
from support.promotion import kinds

from waterflow import workflow
from waterflow.resources import Resources


def test_a_raised_budget_decides_again(resources: Resources, pipeline: Callable[..., str]) -> None:
    """Until then a run of the same model says that there is nothing new."""
    name = pipeline(promotion={"staging": {"size_mb": 1e-6}})
    first = workflow.run_all(request_of(name, "one"), resources)
    assert first.decision is not None
    assert first.decision.reason.startswith("staging check size")
    assert not workflow.run_all(request_of(name, "two"), resources).new
    pipeline(promotion={"staging": {"size_mb": 500}})
    third = workflow.run_all(request_of(name, "three"), resources)
    assert (third.version, kinds(name, resources)) == (1, ["reject", "promote"])
