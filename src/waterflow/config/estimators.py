"""Estimators by dotted path, and early checks of their use."""

import inspect
from collections.abc import Mapping
from typing import Any

from waterflow.config.metrics import Task
from waterflow.config.own_code import load_object
from waterflow.config.schema import Block, CandidateConfig
from waterflow.config.search_values import check_search
from waterflow.config.suggestions import list_valid
from waterflow.errors import ConfigError

# Of those that LGBMClassifier(**kwargs) takes, the ones that decide a fit. Others would be misspelt without a word.
LIGHTGBM_PARAMETERS = (
    *("deterministic", "force_row_wise", "force_col_wise", "verbosity", "max_bin", "min_data_in_bin", "extra_trees"),
    *("path_smooth", "cat_smooth", "cat_l2", "max_cat_threshold", "max_cat_to_onehot", "monotone_constraints"),
    *("scale_pos_weight", "is_unbalance", "linear_tree"),
)


def load_estimator(path: str, place: str = "estimator") -> type[Any]:
    """Import an estimator class such as `sklearn.svm.SVC`. `place` is its place in the YAML, for a ConfigError."""
    found = load_object(path, place)
    if not inspect.isclass(found) or not all(
        callable(getattr(found, name, None)) for name in ("fit", "predict", "get_params", "set_params")
    ):
        raise ConfigError(
            f"{place}: {path!r} is no estimator; name a class with fit, predict, get_params and set_params"
        )
    return found


def build_estimator(candidate: CandidateConfig, seed: int, place: str) -> Any:
    """Build the unfitted estimator, seeded unless the YAML sets `random_state`.

    Raises ConfigError on a parameter that the estimator does not have.
    """
    estimator_class = load_estimator(candidate.estimator, f"{place}.estimator")
    try:
        estimator = estimator_class(**candidate.params)
    except Exception as error:  # scikit-learn checks in fit, but a user's estimator may check here
        known = _parameters(estimator_class)
        unknown = next((name for name in candidate.params if name not in known), None)
        refused = f"{estimator_class.__name__} has no parameter {unknown!r}"
        reason = refused if unknown else " ".join(str(error).split())
        valid = list_valid(unknown or "", known)
        raise ConfigError(f"{place}.params: {reason}; {valid}") from error
    known = estimator.get_params(deep=False)
    if known.get("random_state", seed) is None:
        estimator.set_params(random_state=seed)
    return estimator


def build_transformer(block: Block, seed: int, place: str) -> Any:
    """Build a block's unfitted transformer. It is seeded like estimators; raises ConfigError."""
    path = str(block.transformer)
    found = load_object(path, f"{place}.transformer")
    if not all(callable(getattr(found, name, None)) for name in ("fit", "transform", "get_params")):
        raise ConfigError(
            f"{place}.transformer: {path!r} is no transformer; name a class with fit, transform and get_params, "
            "such as one derived from BaseEstimator and TransformerMixin"
        )
    try:
        transformer = found(**block.params)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{place}.params: {reason}; valid: {', '.join(_parameters(found))}") from error
    if transformer.get_params(deep=False).get("random_state", seed) is None:
        transformer.set_params(random_state=seed)
    return transformer


def needs_dense_input(estimator: Any) -> bool:
    """Return whether an estimator refuses sparse matrices. Only scikit-learn's own say so."""
    from sklearn.utils import get_tags

    return type(estimator).__module__.startswith("sklearn.") and not get_tags(estimator).input_tags.sparse


def check_candidate(candidate: CandidateConfig, task: Task, place: str) -> None:
    """Raise ConfigError for a candidate that cannot be used. Its task is wrong or it has unknown parameters."""
    from sklearn.base import is_classifier, is_regressor  # slow to import, and only a run needs it

    estimator = build_estimator(candidate, seed=0, place=place)
    if task == "classification" and is_regressor(estimator):
        raise ConfigError(f"{place}.estimator: {candidate.estimator!r} is a regressor; task is classification")
    if task == "regression" and is_classifier(estimator):
        raise ConfigError(f"{place}.estimator: {candidate.estimator!r} is a classifier; task is regression")
    _check_parameters(candidate, estimator, place)
    check_search(candidate, estimator, place)


def check_weighable(candidate: CandidateConfig, weight: str, place: str) -> None:
    """Raise ConfigError for an estimator that cannot weigh rows."""
    from sklearn.utils.validation import has_fit_parameter

    if not has_fit_parameter(load_estimator(candidate.estimator, place), "sample_weight"):
        raise ConfigError(
            f"{place}.estimator: {candidate.estimator!r} cannot weigh rows (weight: {weight!r}), for its fit takes no "
            "sample_weight; choose another estimator or remove weight"
        )


def check_ready(candidates: Mapping[str, CandidateConfig]) -> None:
    """Call the estimators' method `check_ready`, if any; raises ConfigError."""
    for name, candidate in candidates.items():
        estimator = build_estimator(candidate, seed=0, place=f"candidates.{name}")
        if callable(check := getattr(estimator, "check_ready", None)):
            try:
                check()
            except ConfigError as error:
                raise ConfigError(f"candidates.{name}: {error}") from error


def _check_parameters(candidate: CandidateConfig, estimator: Any, place: str) -> None:
    """Raise ConfigError for invalid parameter names. The estimator itself would refuse them late, or never."""
    # LightGBM passes names on that its constructor does not list, once they are given.
    known, kind = [*_parameters(type(estimator)), *_passed_on(estimator)], type(estimator).__name__
    # XGBoost accepts any name and only warns during the fit.
    unknown = [f"params.{name}" for name in candidate.params if name not in known]
    if candidate.search:
        unknown += [f"search.space.{name}" for name in candidate.search.space if name not in estimator.get_params()]
    if unknown:
        valid = list_valid(unknown[0].rpartition(".")[2], known)
        raise ConfigError(f"{place}.{unknown[0]}: {kind} has no such parameter; {valid}")
    can_stop = "early_stopping_rounds" in known and hasattr(type(estimator), "best_iteration")
    if candidate.early_stopping_rounds is not None and not can_stop:
        raise ConfigError(
            f"{place}.early_stopping_rounds: {kind} cannot stop early on validation rows; "
            "remove the key, or choose an estimator such as xgboost.XGBClassifier"
        )


def _passed_on(estimator: Any) -> tuple[str, ...]:
    return LIGHTGBM_PARAMETERS if type(estimator).__module__.partition(".")[0] == "lightgbm" else ()


def _parameters(estimator_class: type[Any]) -> list[str]:
    """Return a class's parameters. They are read from an instance if the class takes any keyword."""
    parameters = inspect.signature(estimator_class).parameters
    if any(entry.kind is inspect.Parameter.VAR_KEYWORD for entry in parameters.values()):
        return sorted(estimator_class().get_params(deep=False))
    return [name for name in parameters if name not in ("args", "kwargs")]
