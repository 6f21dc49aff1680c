"""prepare: from a request to stored rows, their split, and an open MLflow run."""

import logging
from pathlib import Path

import pandas as pd

from waterflow.config.compose import choose, compose_pipeline
from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import canonical_order, write_parquet
from waterflow.data.checks import check_rows, check_slices
from waterflow.data.sources import describe_source, read_source
from waterflow.data.split import count_shares, split_rows
from waterflow.data.window import cut_to_window
from waterflow.errors import ConfigError
from waterflow.provenance import action_key, code_digest, environment_digest
from waterflow.records import Blob, Prepared, RunRequest
from waterflow.steps.tools import Tools, lineage_tags, origin_tags, scratch_folder, window_tags
from waterflow.stores.base import put_file, put_json
from waterflow.tracking.runs import RunIdentity, write_record

logger = logging.getLogger(__name__)

DATA_MODULES = ("sources", "window", "checks", "split", "canonical")


def prepare(request: RunRequest, tools: Tools) -> Prepared:
    """Read the source, cut it to the window, check and split the rows, and store them by content.

    A retry finds the run of its first try, and what that try stored: the source is not read a second time.
    """
    config = compose_request(request, tools)
    check_window_applies(request, config)
    key = prepare_key(config, request, tools)
    experiment_id = tools.runs.ensure_experiment(config.name)
    opened = tools.runs.open_run(
        experiment_id,
        RunIdentity(config.name, request.origin.run_id),
        key,
        name=request.origin.run_id,
        tags=origin_tags(request.origin, config.name, config, tools) | window_tags(request.window),
    )
    if opened.record is not None:
        logger.info("prepare was done by an earlier try: run %s", opened.run_id)
        return Prepared.from_json(opened.record)
    with tools.runs.closing(opened.run_id, success=None), scratch_folder() as folder:
        frame = read_rows(config, request, tools)
        split = split_rows(frame, config)
        classes = frame[config.target] if config.task == "classification" else None
        prepared = Prepared(
            pipeline=config.name,
            origin=request.origin,
            action_key=key,
            experiment_id=experiment_id,
            parent_run_id=opened.run_id,
            config=put_json(tools.store, config.model_dump(mode="json"), folder),
            data=_put_frame(frame, folder / "data.parquet", tools),
            split=_put_frame(split.to_frame(), folder / "split.parquet", tools),
            window=request.window,
            rows=len(frame),
            shares=count_shares(split, classes),
            candidates=tuple(config.candidates),
        )
        _log_prepared(prepared, config, tools)
        for share in prepared.shares:
            logger.info("%s: %d rows %s", share.part, share.rows, share.by_class or "")
    return prepared


def compose_request(request: RunRequest, tools: Tools) -> PipelineConfig:
    """Compose the configuration that a request asks for; raises ConfigError on an unknown name."""
    config = compose_pipeline(tools.project, request.pipeline, request.overrides)
    choice = choose(config, tools.project, request.strategy, request.candidates)
    return compose_pipeline(tools.project, request.pipeline, (*request.overrides, *choice)) if choice else config


def prepare_key(config: PipelineConfig, request: RunRequest, tools: Tools) -> str:
    """Name this preparation by what decides it; the window counts where rows are dated."""
    window = request.window.to_json() if request.window and config.time_column else None
    code = "".join(code_digest(f"waterflow.data.{name}") for name in DATA_MODULES)
    # Later steps read the whole configuration from this step's record, so all that reaches them counts.
    inputs = {"data": config.data_section(), "window": window, "config": config.model_dump(mode="json")}
    return action_key("prepare", inputs, code, environment_digest(tools.project.lock_file))


def read_rows(config: PipelineConfig, request: RunRequest, tools: Tools) -> pd.DataFrame:
    """Read the source, cut it to the window before anything else sees it, check it and order it."""
    frame = cut_to_window(read_source(config.dataset, tools.project.root), config.time_column, request.window)
    check_rows(frame, config)
    check_slices(frame, config)
    logger.info("%d rows from %s", len(frame), describe_source(config.dataset))
    return canonical_order(frame, config.time_column)


def check_window_applies(request: RunRequest, config: PipelineConfig) -> None:
    """Refuse a window that a person asked for where no column dates the rows."""
    if request.window is not None and request.window.start is not None and config.time_column is None:
        raise ConfigError(
            f"window: pipeline {config.name!r} has no time_column, so {request.window} cannot be cut; "
            "leave the window empty or declare time_column"
        )


def _put_frame(frame: pd.DataFrame, path: Path, tools: Tools) -> Blob:
    write_parquet(frame, path)
    return put_file(tools.store, path)


def _log_prepared(prepared: Prepared, config: PipelineConfig, tools: Tools) -> None:
    params = {
        "strategy": config.strategy.name,
        "candidates": ", ".join(prepared.candidates),
        "main_metric": config.metrics.main,
        "target": config.target,
        "split": config.split_kind,
        "rows": prepared.rows,
        **{f"rows_{share.part}": share.rows for share in prepared.shares},
    }
    tools.runs.log(prepared.parent_run_id, params=params, tags=lineage_tags(prepared))
    tools.runs.log_dataset(
        prepared.parent_run_id,
        name=config.name,
        digest=prepared.data.digest,
        source=f"{tools.store.uri}/{prepared.data.key}",
        rows=prepared.rows,
        context="all",
    )
    with scratch_folder() as folder:
        write_record(folder, prepared.to_json())
        (folder / "waterflow" / "config.json").write_text(config.model_dump_json(indent=2), "utf-8")
        tools.runs.log_folder(prepared.parent_run_id, folder)
