"""Prepared rows by part. No store is used here, because a reproduction has none."""

from datetime import datetime
from pathlib import Path

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.columns import feature_columns, weights_of
from waterflow.data.window import known_times
from waterflow.errors import FitError
from waterflow.records.data import Part
from waterflow.records.training import FitRows
from waterflow.training.fitting import LabelledRows


def read_partitions(
    data: Path, split: Path, config: PipelineConfig, parts: tuple[Part, ...]
) -> dict[Part, LabelledRows]:
    """Return rows by part, with folds and groups if any. Both files are Parquet; each index starts at 0."""
    frame, divided = read_parquet(data), read_parquet(split)
    columns = feature_columns(frame, config)
    partitions: dict[Part, LabelledRows] = {}
    for part in parts:
        chosen = (divided["part"] == part).to_numpy()
        rows = frame[chosen].reset_index(drop=True)
        folds = divided[chosen].drop(columns="part").reset_index(drop=True) if "fold" in divided else None
        groups = rows[config.group] if config.group else None
        partitions[part] = LabelledRows(rows[columns], rows[config.target], folds, groups, weights_of(rows, config))
    return partitions


def select_rows(
    data: Path, split: Path, config: PipelineConfig, chosen: FitRows
) -> tuple[LabelledRows, datetime | None]:
    """Read the rows that a fit learns from.

    They come in stored order, with the time of the last one. Raises FitError without any.
    """
    frame = read_parquet(data)
    mask = pd.Series(True, index=frame.index)
    if chosen.parts:
        mask &= read_parquet(split)["part"].isin(chosen.parts)
    times = pd.to_datetime(frame[config.time_column], utc=True) if config.time_column else None
    if chosen.before is not None and times is not None:
        mask &= known_times(times, config) < chosen.before
    if not mask.any():
        raise FitError(f"no row is known {chosen}; give more rows, fewer promotion.origins or a shorter label_delay")
    rows = frame[mask].reset_index(drop=True)
    until = None if times is None else times[mask].max().to_pydatetime()
    features = rows[feature_columns(frame, config)]
    return LabelledRows(features, rows[config.target], weights=weights_of(rows, config)), until
