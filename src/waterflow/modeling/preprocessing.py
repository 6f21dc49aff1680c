"""From the YAML's blocks to one scikit-learn `ColumnTransformer`, unfitted."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from waterflow.config.schema import Block, Selector
from waterflow.errors import ConfigError

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}


def assign_columns(features: pd.DataFrame, blocks: Sequence[Block]) -> tuple[list[list[str]], list[str]]:
    """Give each column to the first block that selects it: the columns per block, and those left over.

    Raises ConfigError when a block names a column that is no feature, or when no column is taken at all.
    """
    left = list(features.columns)
    taken: list[list[str]] = []
    for position, block in enumerate(blocks):
        for name in block.select.names or ():
            if name not in features.columns:
                raise ConfigError(
                    f"preprocessing.{position}.select.names: {name!r} is no feature; "
                    f"valid: {', '.join(features.columns)}"
                )
        chosen = [name for name in left if _selects(block.select, name, features[name])]
        left = [name for name in left if name not in chosen]
        taken.append(chosen)
    if not any(taken):
        raise ConfigError(f"preprocessing: no block selects any of {', '.join(features.columns)}; add a block")
    return taken, left


def build_preprocessor(features: pd.DataFrame, blocks: Sequence[Block]) -> ColumnTransformer:
    """Build the unfitted transformer for these raw columns; columns that no block takes are dropped."""
    taken, _ = assign_columns(features, blocks)
    steps = [
        (f"{position}_{_label(block.select)}", _transformer(block), columns)
        for position, (block, columns) in enumerate(zip(blocks, taken, strict=True))
        if columns
    ]
    return ColumnTransformer(steps, remainder="drop", verbose_feature_names_out=False)


def _selects(selector: Selector, name: str, column: pd.Series) -> bool:
    if selector.names is not None:
        return name in selector.names
    if selector.pattern is not None:
        return re.search(selector.pattern, name) is not None
    is_numeric = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)
    is_time = pd.api.types.is_datetime64_any_dtype(column)
    found = "numeric" if is_numeric else "datetime" if is_time else "categorical"
    return selector.type == found


def _label(selector: Selector) -> str:
    return selector.type or ("pattern" if selector.pattern is not None else "names")


def _transformer(block: Block) -> Pipeline | str:
    steps: list[tuple[str, Any]] = []
    if block.impute:
        steps.append(("impute", SimpleImputer(strategy=block.impute)))
    if block.encode == "onehot":
        # A category that training never saw becomes zeros in every column.
        steps.append(("encode", OneHotEncoder(handle_unknown="ignore", sparse_output=False)))
    if block.encode == "ordinal":
        steps.append(("encode", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)))
    if block.scale:
        steps.append(("scale", SCALERS[block.scale]()))
    return Pipeline(steps) if steps else "passthrough"
