"""Batch scoring of an interval, by the section `score`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from waterflow.config.compose import compose_pipeline
from waterflow.config.schema import PipelineConfig
from waterflow.data.window import window_of
from waterflow.errors import ConfigError
from waterflow.records.batch import BatchRequest, BatchScored
from waterflow.records.run import Window
from waterflow.resources import Resources
from waterflow.serving.batch import score_batch


def interval_window(
    run_type: str, start: datetime | None, end: datetime | None, conf: Mapping[str, Any], now: datetime
) -> Window:
    """Return the interval of a run. A scheduled or backfill run has that of its data, a manual one its form's."""
    window = window_of(run_type, end, conf, now)
    if window.start is None and run_type in ("scheduled", "backfill"):
        return Window(start=start, end=window.end)
    return window


def score_interval(
    pipeline: str, window: Window, resources: Resources, report: Callable[[int], None] = lambda rows: None
) -> BatchScored:
    """Predict the rows of an interval with the champion. A repetition replaces the interval's file.

    Where no column dates the rows, all rows of the source are predicted. Raises ConfigError without a section `score`,
    else what `score_batch` raises.
    """
    config = compose_pipeline(resources.project, pipeline, checked=False)
    if config.score is None:
        raise ConfigError(
            f"score: pipeline {pipeline!r} has no section score; add `score: {{sink: predictions/{pipeline}}}` to its "
            "YAML, or predict a file by `waterflow predict`"
        )
    request = BatchRequest(
        reference=pipeline,
        source=config.score.source,
        window=window if config.time_column else Window(),
        output=interval_file(config, window),
    )
    return score_batch(request, resources, report)


def interval_file(config: PipelineConfig, window: Window) -> str:
    """Return the file of an interval. It is called like `20130101T000000Z_20130201T000000Z.parquet`."""
    assert config.score is not None
    name = f"{_moment(window.start)}_{_moment(window.end)}"
    return f"{config.score.sink.rstrip('/')}/{name}.{config.score.format}"


def _moment(moment: datetime | None) -> str:
    return "all" if moment is None else f"{moment:%Y%m%dT%H%M%SZ}"
