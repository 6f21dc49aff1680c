"""The search space of a candidate. It is in the YAML's terms and in Optuna's."""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waterflow.config.schema import Dimension

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

ParameterLabels = dict[str, Any]


@dataclass(frozen=True)
class SearchSpace:
    """The dimensions of a search, and the estimator's configured parameters.

    Optuna stores numbers, texts, booleans and null; any other choice, such as a list, is labelled by its JSON.
    """

    dimensions: Mapping[str, Dimension]
    configured: Mapping[str, Any]

    def distributions(self) -> dict[str, "BaseDistribution"]:
        """Return the dimensions in Optuna's terms."""
        return {name: _distribution(dimension) for name, dimension in self.dimensions.items()}

    def params_of(self, labels: Mapping[str, Any]) -> dict[str, Any]:
        """Return the estimator's parameters for Optuna's labels."""
        choices = {name: self.dimensions[name].choices or () for name in labels}
        return {
            name: next((choice for choice in choices[name] if _same(_label(choice), label)), label)
            for name, label in labels.items()
        }

    def configured_labels(self) -> ParameterLabels | None:
        """Return the configured parameters as labels. None if one lies outside the space."""
        labels = {name: _label_of(dimension, self.configured[name]) for name, dimension in self.dimensions.items()}
        return None if _Outside in labels.values() else labels

    def grid(self) -> list[ParameterLabels]:
        """Return every point of a grid. The first dimension varies slowest."""
        axes = [_axis(dimension) for dimension in self.dimensions.values()]
        return [dict(zip(self.dimensions, point, strict=True)) for point in itertools.product(*axes)]


class _Outside:
    """Marks a value outside a dimension; null is a value."""


def _distribution(dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choices is not None:
        return CategoricalDistribution([_label(choice) for choice in dimension.choices])
    assert dimension.low is not None
    assert dimension.high is not None
    if dimension.integer:
        low, high = math.ceil(dimension.low), math.floor(dimension.high)
        return IntDistribution(low, high, log=dimension.log, step=int(dimension.step or 1))
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def _label(choice: Any) -> Any:
    return choice if choice is None or isinstance(choice, bool | int | float | str) else json.dumps(choice)


def _label_of(dimension: Dimension, value: Any) -> Any:
    if dimension.choices is not None:
        return next((_label(choice) for choice in dimension.choices if _same(choice, value)), _Outside)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (dimension.integer and value != int(value)):
        return _Outside
    return value if _distribution(dimension)._contains(value) else _Outside


def _same(first: Any, second: Any) -> bool:
    """Compare values strictly. 1 is unlike True; a list equals a tuple."""
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return list(first) == list(second)
    return isinstance(first, bool) == isinstance(second, bool) and first == second


def _axis(dimension: Dimension) -> list[Any]:
    if dimension.choices is not None:
        return [_label(choice) for choice in dimension.choices]
    assert dimension.low is not None
    assert dimension.high is not None
    step = dimension.step or 1.0
    count = math.floor((dimension.high - dimension.low) / step + 1e-9) + 1
    values = [dimension.low + number * step for number in range(count)]
    return [int(value) for value in values] if dimension.integer else values
