"""A check of the values that a search would try."""

from collections.abc import Sequence
from typing import Any

from waterflow.config.schema import CandidateConfig, Dimension
from waterflow.errors import ConfigError

# Boosting libraries state no types of their parameters.
INTEGERS = frozenset(
    """
    n_estimators num_boost_round iterations max_depth depth max_leaves num_leaves max_bin border_count
    min_child_samples min_data_in_leaf num_parallel_tree subsample_freq bagging_freq
    """.split()  # noqa: SIM905
)
BOOSTERS = ("xgboost", "lightgbm", "catboost")


def check_search(candidate: CandidateConfig, estimator: Any, place: str) -> None:
    """Raise ConfigError for values that the estimator refuses. Every trial with one would fail."""
    space = candidate.search.space if candidate.search else {}
    for name, dimension in space.items():
        accepts = _accepted(estimator, name)
        where = f"{place}.search.space.{name}"
        if dimension.choices is not None:
            refused = [choice for choice in dimension.choices if not accepts(choice)]
            if refused:
                raise ConfigError(
                    f"{where}: {type(estimator).__name__} does not take {refused[0]!r}; remove the choice"
                )
        elif not dimension.integer and not accepts(_between(dimension)):
            raise ConfigError(f"{where}: {_reason(dimension, accepts, type(estimator).__name__)}")


def _between(dimension: Dimension) -> float:
    """Return a fraction that the search may try."""
    assert dimension.low is not None
    assert dimension.high is not None
    middle = (dimension.low + dimension.high) / 2
    return middle if middle % 1 or dimension.high - dimension.low < 1 else middle + 0.25


def _reason(dimension: Dimension, accepts: Any, estimator: str) -> str:
    value = _between(dimension)
    if accepts(round(value)):
        return f"{estimator} takes integers, and this range has values such as {value:g}; add `integer: true`"
    return f"{estimator} does not take values such as {value:g}; fix low and high"


def _accepted(estimator: Any, name: str) -> Any:
    """Return a check of a parameter's values. What is unknown is valid."""
    kind = type(estimator)
    if kind.__module__.partition(".")[0] in BOOSTERS:
        return lambda value: name not in INTEGERS or value is None or isinstance(value, int)
    constraints = getattr(kind, "_parameter_constraints", {}).get(name)
    if not isinstance(constraints, Sequence) or isinstance(constraints, str):
        return lambda value: True
    from sklearn.utils._param_validation import make_constraint

    checks = [make_constraint(constraint) for constraint in constraints]
    return lambda value: any(check.is_satisfied_by(value) for check in checks)
