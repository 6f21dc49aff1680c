"""Prepared rows divided by their parts. It knows no store, for the process that trains a version again."""

from pathlib import Path

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.columns import feature_columns
from waterflow.records import Part
from waterflow.training.fitting import Rows


def read_parts(data: Path, split: Path, config: PipelineConfig, parts: tuple[Part, ...]) -> dict[Part, Rows]:
    """Read stored rows and their split from two Parquet files, and divide them as `divide_parts` does."""
    return divide_parts(read_parquet(data), read_parquet(split), config, parts)


def divide_parts(
    frame: pd.DataFrame, split: pd.DataFrame, config: PipelineConfig, parts: tuple[Part, ...]
) -> dict[Part, Rows]:
    """Divide prepared rows by their stored parts, with their folds if they have some; each part counts from 0."""
    columns = feature_columns(frame, config)
    divided: dict[Part, Rows] = {}
    for part in parts:
        chosen = (split["part"] == part).to_numpy()
        rows = frame[chosen].reset_index(drop=True)
        folds = split.loc[chosen, "fold"].reset_index(drop=True) if "fold" in split else None
        divided[part] = Rows(rows[columns], rows[config.target], folds)
    return divided
