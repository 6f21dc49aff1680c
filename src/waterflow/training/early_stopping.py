"""Boosting that stops once the validation rows stop improving."""

from typing import Any

from waterflow.estimators.calibrated import unwrap_estimator


def fit_with_early_stopping(model: Any, features: Any, target: Any, validation: tuple[Any, Any], rounds: int) -> None:
    """Fit until boosting gains no more. That is `rounds` rounds without gain on `validation` (features, target)."""
    unwrap_estimator(model).set_params(early_stopping_rounds=rounds)
    model.fit(features, target, eval_set=[validation], verbose=False)


def count_rounds(model: Any) -> int | None:
    """Return the number of rounds up to the best. None without early stopping."""
    estimator = unwrap_estimator(model)
    if getattr(estimator, "early_stopping_rounds", None) is None:
        return None
    best = getattr(estimator, "best_iteration", None)
    return None if best is None else int(best) + 1
