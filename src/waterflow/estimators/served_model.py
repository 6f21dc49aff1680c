"""What MLflow's `python_function` calls. A copy of this file is part of each logged model, so it imports no Waterflow.

`predict(rows)` returns labels or numbers. `predict(rows, params={"probabilities": True})` returns a frame with the
probability of each class; its columns are the classes, as text.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PROBABILITIES = "probabilities"
MODEL_FILE = "model.pkl"


class ServedModel:
    """A fitted pipeline behind MLflow's interface. It takes raw columns."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def get_raw_model(self) -> Any:
        """Return the fitted pipeline."""
        return self._pipeline

    def predict(self, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> NDArray[Any] | pd.DataFrame:
        """Predict raw columns. See the module for `params`."""
        if (params or {}).get(PROBABILITIES):
            return tabulate_probabilities(self._pipeline, rows)
        return self._pipeline.predict(rows)


def tabulate_probabilities(model: Any, rows: Any) -> pd.DataFrame:
    """Return the probability of each class, a column per class."""
    probabilities: NDArray[np.float64] = np.asarray(model.predict_proba(rows), dtype=float)
    return pd.DataFrame(probabilities, columns=[str(name) for name in model.classes_])


def _load_pyfunc(path: str) -> ServedModel:
    """Load a model for MLflow from its folder."""
    import cloudpickle

    return ServedModel(cloudpickle.loads((Path(path) / MODEL_FILE).read_bytes()))
