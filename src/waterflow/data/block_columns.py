"""The columns that blocks of preprocessing select."""

import re
from collections.abc import Sequence

import pandas as pd

from waterflow.config.schema import Block, PipelineConfig, Selector
from waterflow.data.columns import feature_columns, type_of
from waterflow.data.own_features import make_features
from waterflow.errors import ConfigError

MANY_CATEGORIES = 300  # more one-hot columns of one column are to be asked for
NEAR_UNIQUE = 0.5  # of the rows; such a text identifies rows and says nothing of others
FEW_CATEGORIES = 50


def assign_columns(
    features: pd.DataFrame, blocks: Sequence[Block], place: str = "preprocessing"
) -> tuple[list[list[str]], list[str]]:
    """Assign each column to the first block that selects it.

    Returns the columns per block, and the unused ones, dropped or not selected, in the order of `features`. `place` is
    the blocks' place in the YAML. Raises ConfigError when a block names a column that is no feature, or when no column
    is left for the model.
    """
    types = {name: type_of(features[name]) for name in features.columns}
    left = list(features.columns)
    taken: list[list[str]] = []
    for position, block in enumerate(blocks):
        for name in block.select.names or ():
            if name not in types:
                raise ConfigError(f"{place}.{position}.select.names: {name!r} is no feature; valid: {', '.join(types)}")
        chosen = [name for name in left if _selects(block.select, name, types[name])]
        left = [name for name in left if name not in chosen]
        taken.append(chosen)
    seen = {name for block, names in zip(blocks, taken, strict=True) if not block.drop for name in names}
    if not seen:
        raise ConfigError(f"{place}: no block selects any of {', '.join(types)}; add a block")
    return taken, [name for name in types if name not in seen]


def check_onehot(frame: pd.DataFrame, config: PipelineConfig) -> None:
    """Raise ConfigError for one-hot columns that nobody means.

    These are a column for nearly each row, and hundreds of one column that no block names. All candidates are checked;
    the pipeline's own blocks only where a candidate uses them.
    """
    features = make_features(frame[feature_columns(frame, config)], config)
    blocks_by_place = {config.preprocessing_place(name): config.preprocessing_of(name) for name in config.candidates}
    for place, blocks in blocks_by_place.items():
        chosen = [position for position, block in enumerate(blocks) if block.encode == "onehot"]
        taken = assign_columns(features, blocks, place)[0] if chosen else []
        for position in chosen:
            for name in taken[position]:
                _check_column(features[name], blocks[position], f"{place}.{position}.encode")


def count_categories(column: pd.Series, min_frequency: int | None) -> int:
    """Return how many columns one-hot encoding makes of a column."""
    if min_frequency is None:
        return int(column.nunique())
    return int((column.value_counts() >= min_frequency).sum())


def _check_column(column: pd.Series, block: Block, place: str) -> None:
    count = count_categories(column, block.min_frequency)
    what = f"{place}: onehot would make {count} columns of {column.name!r}"
    if count > max(FEW_CATEGORIES, NEAR_UNIQUE * column.notna().sum()) and type_of(column) == "categorical":
        raise ConfigError(
            f"{what}, in {len(column)} rows; such text identifies rows: add it to drop or key, encode it by tfidf or "
            "target, or state min_frequency"
        )
    if count > MANY_CATEGORIES and block.select.names is None:
        raise ConfigError(
            f"{what}; choose: `min_frequency` gathers rare ones, `encode: target` makes one column, `drop: "
            f"[{column.name}]` none, and a block with `select: {{names: [{column.name}]}}` all of them"
        )


def _selects(selector: Selector, name: str, found: str) -> bool:
    if selector.names is not None:
        return name in selector.names
    if selector.pattern is not None:
        return re.search(selector.pattern, name) is not None
    return selector.type == found
