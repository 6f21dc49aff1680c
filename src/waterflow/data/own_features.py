"""Features of the user's own function."""

from typing import TYPE_CHECKING

import pandas as pd

from waterflow.config.own_code import load_function
from waterflow.config.schema import OwnFeatures, PipelineConfig
from waterflow.errors import DataError, first_line

if TYPE_CHECKING:
    from waterflow.estimators.function_features import FunctionFeatures


def build_own_features(config: PipelineConfig) -> "FunctionFeatures | None":
    """Return the unfitted transformer of `features.function`. None where features are raw columns."""
    if not isinstance(config.features, OwnFeatures):
        return None
    from waterflow.estimators.function_features import FunctionFeatures  # scikit-learn

    return FunctionFeatures(load_function(config.features.function, "features.function"))


def make_features(features: pd.DataFrame, config: PipelineConfig) -> pd.DataFrame:
    """Return the columns that blocks select from. They are raw, or what the user's function makes of them.

    Raises DataError when the function raises, or returns no row-by-row frame.
    """
    own = build_own_features(config)
    if own is None:
        return features
    try:
        made: pd.DataFrame = own.fit_transform(features)
    except Exception as error:
        path = config.features.function if isinstance(config.features, OwnFeatures) else ""
        raise DataError(
            f"features.function: {path}: {type(error).__name__}: {first_line(error)}; "
            f"it is called with a frame of {', '.join(map(str, features.columns))}; fix it"
        ) from error
    return made
