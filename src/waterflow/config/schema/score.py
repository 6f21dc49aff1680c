"""Batch scoring of each interval. Nothing here changes what is trained or decided."""

from typing import Literal

from pydantic import field_validator

from waterflow.config.schedule import Schedule
from waterflow.config.schema.base import Section
from waterflow.config.schema.sources import Source


class ScoreConfig(Section):
    """What the champion predicts for each interval, and to where.

    It enters no action key. Without a `source` rows come from the data set. Where rows are dated, those of the interval
    are predicted. `sink` is a folder, relative to the project, or `s3://…`, with one file for each interval.
    """

    sink: str
    source: Source | None = None
    format: Literal["parquet", "csv"] = "parquet"
    schedule: Schedule | None = None

    @field_validator("sink")
    @classmethod
    def _can_be_written(cls, sink: str) -> str:
        if not sink.strip("/ ") or ("://" in sink and not sink.startswith("s3://")):
            raise ValueError(f"{sink!r} cannot be written; valid: a folder or s3://bucket/folder")
        return sink
