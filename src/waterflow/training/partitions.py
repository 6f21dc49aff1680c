"""Prepared rows by part. No store is used here, because a reproduction has none."""

from pathlib import Path

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.columns import feature_columns
from waterflow.records.data import Part
from waterflow.training.fitting import LabelledRows


def read_partitions(
    data: Path, split: Path, config: PipelineConfig, parts: tuple[Part, ...]
) -> dict[Part, LabelledRows]:
    """Read rows and their split from Parquet files, and return them by part."""
    return partition_rows(read_parquet(data), read_parquet(split), config, parts)


def partition_rows(
    frame: pd.DataFrame, split: pd.DataFrame, config: PipelineConfig, parts: tuple[Part, ...]
) -> dict[Part, LabelledRows]:
    """Return prepared rows by stored part, with folds if any; each index starts at 0."""
    columns = feature_columns(frame, config)
    partitions: dict[Part, LabelledRows] = {}
    for part in parts:
        chosen = (split["part"] == part).to_numpy()
        rows = frame[chosen].reset_index(drop=True)
        folds = split.loc[chosen, "fold"].reset_index(drop=True) if "fold" in split else None
        partitions[part] = LabelledRows(rows[columns], rows[config.target], folds)
    return partitions
