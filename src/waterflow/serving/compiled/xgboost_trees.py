"""XGBoost, by `inplace_predict`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waterflow.serving.compiled.interface import Matrix, NotCompilableError

OBJECTIVES = ("binary:logistic", "multi:softprob")


@dataclass(frozen=True)
class XGBoostTrees:
    """A booster with the rounds that count. Categories arrive as codes, null as NaN."""

    booster: Any
    rounds: tuple[int, int]
    classes: tuple[Any, ...]

    def predict(self, features: Matrix) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
        """Return positions of classes or numbers, and probabilities. They are float32."""
        answers = self.booster.inplace_predict(
            features, iteration_range=self.rounds, missing=np.nan, validate_features=False
        )
        if not self.classes:
            return answers, None
        chances = answers if answers.ndim == 2 else np.column_stack((1.0 - answers, answers))
        return chances.argmax(axis=1), chances


def compile_xgboost(model: Any, threads: int) -> XGBoostTrees:
    """Compile `XGBClassifier` or `XGBRegressor`. Raises NotCompilableError for a linear booster, or odd objective."""
    is_classifier = hasattr(model, "classes_")
    if model.booster == "gblinear":
        raise NotCompilableError("XGBoost's linear booster has no fast path")
    if not np.isnan(model.missing):
        raise NotCompilableError(f"XGBoost takes {model.missing!r} for missing, not null")
    if is_classifier and model.objective not in OBJECTIVES:
        raise NotCompilableError(f"XGBoost's objective {model.objective!r} has no fast path")
    booster = model.get_booster().copy()
    booster.set_param({"nthread": threads})
    rounds = (0, model.best_iteration + 1) if _stopped_early(model) else (0, 0)
    return XGBoostTrees(booster, rounds, tuple(range(model.n_classes_)) if is_classifier else ())


def _stopped_early(model: Any) -> bool:
    try:
        return model.best_iteration is not None
    except AttributeError:
        return False
