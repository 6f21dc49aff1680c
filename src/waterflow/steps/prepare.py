"""prepare: from a request to stored rows, their split, and an open MLflow run."""

import logging
from pathlib import Path

import pandas as pd

from waterflow.config.compose import choose, choose_scenario, compose_pipeline
from waterflow.config.estimators import check_ready
from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import canonical_order, write_parquet
from waterflow.data.checks import check_rows, check_slices, feature_columns
from waterflow.data.contract import check_contract
from waterflow.data.sample import sample_rows
from waterflow.data.sources import describe_source, read_source, source_facts
from waterflow.data.split import count_shares, split_rows
from waterflow.data.window import apply_rule, cut_to_window
from waterflow.errors import ConfigError
from waterflow.modeling.leaks import find_leaks
from waterflow.modeling.metrics import check_costs
from waterflow.provenance import GitState, action_key, code_digest, environment_digest, git_state
from waterflow.records import Blob, Prepared, RunRequest, Window
from waterflow.steps.circumstances import keep_provenance
from waterflow.steps.contract import breaks_logged
from waterflow.steps.tools import Tools, lineage_tags, origin_tags, scratch_folder, window_tags
from waterflow.stores.base import put_file, put_json
from waterflow.stores.open import copy_object
from waterflow.tracking.runs import RunIdentity, write_record

logger = logging.getLogger(__name__)

DATA_MODULES = ("sources", "window", "contract", "sample", "checks", "split", "canonical")


def prepare(request: RunRequest, tools: Tools) -> Prepared:
    """Read the source, cut it to the window, check and split the rows, and store them by content.

    A retry finds the run of its first try, and what that try stored: the source is not read a second time.
    """
    config = compose_request(request, tools)
    check_ready(config.candidates)
    window = window_for(request.window, config)
    key = prepare_key(config, window, tools)
    experiment_id = tools.runs.ensure_experiment(config.name)
    git = git_state(tools.project.root)
    opened = tools.runs.open_run(
        experiment_id,
        RunIdentity(config.name, request.origin.run_id),
        key,
        name=request.origin.run_id,
        tags=origin_tags(request.origin, config.name, config, tools, git) | window_tags(window),
    )
    if opened.record is not None:
        logger.info("prepare was done by an earlier try: run %s", opened.run_id)
        return Prepared.from_json(opened.record)
    with tools.runs.closing(opened.run_id, success=None), scratch_folder() as folder:
        with breaks_logged(opened.run_id, tools):
            frame = read_rows(config, window, tools)
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
            split=_put_frame(split, folder / "split.parquet", tools),
            window=window,
            rows=len(frame),
            shares=count_shares(split["part"], classes),
            candidates=tuple(config.candidates),
        )
        _warn_of_leaks(frame[split["part"] == "train"], prepared, config, tools)
        _log_prepared(prepared, config, git, tools)  # the record comes last: a retry that finds it does nothing more
        for share in prepared.shares:
            logger.info("%s: %d rows %s", share.part, share.rows, share.by_class or "")
    return prepared


def compose_request(request: RunRequest, tools: Tools) -> PipelineConfig:
    """Compose the configuration that a request asks for; raises ConfigError on an unknown name."""
    overrides = (*request.overrides, *choose_scenario(tools.project, request.pipeline, request.scenario))
    config = compose_pipeline(tools.project, request.pipeline, overrides)
    choice = choose(config, tools.project, request.strategy, request.candidates)
    return compose_pipeline(tools.project, request.pipeline, (*overrides, *choice)) if choice else config


def prepare_key(config: PipelineConfig, window: Window | None, tools: Tools) -> str:
    """Name this preparation by what decides it; the window counts where rows are dated."""
    code = "".join(code_digest(f"waterflow.data.{name}") for name in DATA_MODULES)
    # Later steps read the whole configuration from this step's record, so all that reaches them counts.
    whole = config.model_dump(mode="json")
    inputs = {"window": window.to_json() if window and config.time_column else None, "config": whole}
    return action_key("prepare", inputs, code, environment_digest(tools.project.lock_file))


def read_rows(config: PipelineConfig, window: Window | None, tools: Tools) -> pd.DataFrame:
    """Read the source, cut it to the window before anything else sees it, check it and order it."""
    frame = read_source(config.dataset, tools.project, copy_object)
    frame = cut_to_window(frame, config.time_column, window, config.label_delay)
    check_contract(frame, config)
    frame = sample_rows(frame, config)
    check_rows(frame, config)
    if config.costs is not None:
        check_costs(frame[config.target].unique(), config.costs)
    check_slices(frame, config)
    logger.info("%d rows from %s", len(frame), describe_source(config.dataset))
    return canonical_order(frame, config.time_column)


def window_for(asked: Window | None, config: PipelineConfig) -> Window | None:
    """Complete the window that was asked for by the pipeline's rule.

    Raises ConfigError on a start that a person asked for where no column dates the rows.
    """
    if config.time_column is not None:
        return apply_rule(asked or Window(), config.window)
    if asked is not None and asked.start is not None:
        raise ConfigError(
            f"window: pipeline {config.name!r} has no time_column, so {asked} cannot be cut; "
            "leave the window empty or declare time_column"
        )
    return asked


def _warn_of_leaks(training: pd.DataFrame, prepared: Prepared, config: PipelineConfig, tools: Tools) -> None:
    """Raise the warning `leak` on the run for each feature that alone tells the target."""
    leaks = find_leaks(training[feature_columns(training, config)], training[config.target], config.task)
    for leak in leaks:
        logger.warning(
            "leak: %r alone separates %r (%.4f of 1); if it is known only afterwards, list it in known_after",
            leak.column,
            config.target,
            leak.score,
        )
    if leaks:
        named = ", ".join(f"{leak.column} ({leak.score:.4f})" for leak in leaks)
        tools.runs.log(prepared.parent_run_id, tags={"waterflow.warning.leak": named[:4000]})


def _put_frame(frame: pd.DataFrame, path: Path, tools: Tools) -> Blob:
    write_parquet(frame, path)
    return put_file(tools.store, path)


def _log_prepared(prepared: Prepared, config: PipelineConfig, git: GitState, tools: Tools) -> None:
    params = {
        "strategy": config.strategy.name,
        "scenario": config.scenario or "–",
        "candidates": ", ".join(prepared.candidates),
        "main_metric": config.metrics.main,
        "target": config.target,
        "split": config.split_kind,
        "rows": prepared.rows,
        **{f"rows_{share.part}": share.rows for share in prepared.shares},
    }
    source = {f"waterflow.source_{name}": value for name, value in source_facts(config.dataset).items()}
    tools.runs.log(prepared.parent_run_id, params=params, tags=lineage_tags(prepared) | source)
    tools.runs.log_dataset(
        prepared.parent_run_id,
        name=config.name,
        digest=prepared.data.digest,
        source=f"{tools.store.uri}/{prepared.data.key}",
        rows=prepared.rows,
        context="all",
    )
    with scratch_folder() as folder:
        keep_provenance(config, git.commit, git.dirty, tools, folder)
        write_record(folder, prepared.to_json())
        (folder / "waterflow" / "config.json").write_text(config.model_dump_json(indent=2), "utf-8")
        tools.runs.log_folder(prepared.parent_run_id, folder)
