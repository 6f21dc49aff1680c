from typing import Any

import pytest

from waterflow.config.schema import Dimension
from waterflow.training.tuning.search_space import SearchSpace


def space(usual: dict[str, Any] | None = None, **dimensions: dict[str, Any]) -> SearchSpace:
    """Build a space from dimensions as a YAML has them."""
    return SearchSpace({name: Dimension(**content) for name, content in dimensions.items()}, usual or {})


def test_dimensions_are_put_in_optunas_terms() -> None:
    """Ranges of numbers, of whole numbers, and choices."""
    found = space(
        C={"low": 0.1, "high": 10, "log": True},
        depth={"low": 2, "high": 8, "step": 2, "integer": True},
        weight={"choices": [None, "balanced"]},
    ).distributions()
    assert [repr(value) for value in found.values()] == [
        "FloatDistribution(high=10.0, log=True, low=0.1, step=None)",
        "IntDistribution(high=8, log=False, low=2, step=2)",
        "CategoricalDistribution(choices=(None, 'balanced'))",
    ]


def test_a_list_goes_by_its_label() -> None:
    """A database keeps numbers and texts; the estimator gets the list."""
    layers = space(layers={"choices": [[100], [20, 10]]})
    label = layers.distributions()["layers"].choices[1]
    assert label == "[20, 10]"
    assert layers.params_of({"layers": label}) == {"layers": [20, 10]}


def test_the_usual_parameters_are_found_in_the_space() -> None:
    """They are the first trial."""
    usual = {"C": 1.0, "weight": None, "layers": (100,)}
    found = space(
        usual,
        C={"low": 0.1, "high": 10},
        weight={"choices": ["balanced", None]},
        layers={"choices": [[100], [20, 10]]},
    )
    assert found.configured_labels() == {"C": 1.0, "weight": None, "layers": "[100]"}


@pytest.mark.parametrize(
    ("value", "dimension"),
    [
        (0.0, {"low": 0.1, "high": 1}),
        (None, {"low": 0.1, "high": 1}),
        ("scale", {"choices": [0.1, 1.0]}),
        (True, {"choices": [1, 2]}),
        (2.5, {"low": 1, "high": 5, "integer": True}),
        (3, {"low": 2, "high": 8, "step": 2, "integer": True}),
    ],
)
def test_usual_parameters_outside_the_space_are_no_point_of_it(value: Any, dimension: dict[str, Any]) -> None:
    """They are tried all the same, without teaching the search anything."""
    assert space({"x": value}, x=dimension).configured_labels() is None


def test_a_grid_has_every_point() -> None:
    """Steps include the upper end; whole numbers stay whole."""
    grid = space(
        depth={"low": 1, "high": 3, "step": 1, "integer": True}, rate={"low": 0.1, "high": 0.3, "step": 0.1}
    ).grid()
    assert len(grid) == 9
    assert grid[-1]["depth"] == 3
    assert grid[-1]["rate"] == pytest.approx(0.3)
