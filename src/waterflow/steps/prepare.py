"""prepare: from a request to stored rows, their split, and an open MLflow run."""

import logging
from pathlib import Path

import pandas as pd

from waterflow.caching.keys import key_of, preparation, setting_key, write_done
from waterflow.caching.twins import find_same_rows, find_twin, was_checked
from waterflow.config.compose import check_estimators, choose, choose_scenario, compose_pipeline
from waterflow.config.estimators import check_ready
from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import canonical_order, read_parquet, write_parquet
from waterflow.data.columns import feature_columns
from waterflow.data.contract import check_contract
from waterflow.data.sampling import sample_rows
from waterflow.data.sources.facts import SourceFacts
from waterflow.data.sources.reading import read_source
from waterflow.data.splitting import count_shares, split_rows
from waterflow.data.validation import check_rows, check_slices
from waterflow.data.window import apply_window_rule, cut_to_window
from waterflow.errors import ConfigError
from waterflow.lineage.run_provenance import keep_provenance
from waterflow.provenance.code import GitState, git_state, sha256_of
from waterflow.records import Blob, Done, Prepared, RunRequest, Share, Window
from waterflow.reporting.contract_report import breaks_logged
from waterflow.resources import Resources, lineage_tags, origin_tags, scratch_folder, window_tags
from waterflow.stores.base import put_file, put_json
from waterflow.stores.open import copy_object
from waterflow.tracking.runs import RunIdentity, write_record
from waterflow.tracking.tags import CONFIG_FILE, FORCE, LEAK_WARNING, RECORD_DIGEST, SETTING_KEY, SOURCE_PREFIX

logger = logging.getLogger(__name__)


def prepare(request: RunRequest, resources: Resources) -> Prepared:
    """Read the source, cut it to the window, check and split the rows, and store them by content.

    A retry finds the run of its first try, and what that try stored: the source is not read a second time. Another run
    reads it anew, for a source may have moved on; only what follows from the same rows is taken from an earlier one.
    """
    config = compose_request(request, resources)
    window = window_for(request.window, config)
    action, setting = preparation(config, window, resources), setting_key(config, resources)
    key = key_of(action)
    if request.force or not was_checked(config.name, setting, resources):
        check_estimators(config)
        check_ready(config.candidates)
    experiment_id = resources.runs.ensure_experiment(config.name)
    git = git_state(resources.project.root)
    opened = resources.runs.open_run(
        experiment_id,
        RunIdentity(config.name, request.origin.run_id),
        key,
        name=request.origin.run_id,
        tags=origin_tags(request.origin, config.name, config, resources, git)
        | window_tags(window)
        | {SETTING_KEY: setting, FORCE: str(request.force).lower()},
    )
    if opened.record is not None:
        logger.info("prepare was done by an earlier try: run %s", opened.run_id)
        return Prepared.from_json(opened.record)
    with resources.runs.closing(opened.run_id, success=None), scratch_folder() as folder:
        with breaks_logged(opened.run_id, resources):
            frame, source = read_rows(config, window, resources)
        write_parquet(frame, folder / "data.parquet")
        same = find_same_rows(sha256_of(folder / "data.parquet"), opened.run_id, experiment_id, resources)
        data = put_file(resources.store, folder / "data.parquet")
        twin, misses = (None, ()) if request.force else find_twin(same, setting, resources)
        split, shares = (twin.split, twin.shares) if twin else _split(frame, config, folder, resources)
        note = f"the same rows as {same[0]}" if same else ""
        made = action.model_copy(update={"inputs": action.inputs | {"data": data.digest}})
        done = Done(action=made, key=key, forced=request.force, misses=misses, note=note)
        prepared = Prepared(
            pipeline=config.name,
            origin=request.origin,
            action_key=key,
            experiment_id=experiment_id,
            parent_run_id=opened.run_id,
            config=put_json(resources.store, config.model_dump(mode="json"), folder),
            data=data,
            split=split,
            window=window,
            rows=len(frame),
            shares=shares,
            candidates=tuple(config.candidates),
            force=request.force,
        )
        leak = twin.leak if twin else _find_leak(frame, folder, config)
        # The record comes last: a retry that finds it does nothing more.
        _log_prepared(prepared, config, source, git, leak, done, resources)
        if note:
            logger.info("%s", note)
        for share in prepared.shares:
            logger.info("%s: %d rows %s", share.part, share.rows, share.by_class or "")
    return prepared


def compose_request(request: RunRequest, resources: Resources) -> PipelineConfig:
    """Compose the configuration that a request asks for; raises ConfigError on an unknown name.

    Its estimators are not looked at yet.
    """
    overrides = (*request.overrides, *choose_scenario(resources.project, request.pipeline, request.scenario))
    config = compose_pipeline(resources.project, request.pipeline, overrides, checked=False)
    choice = choose(config, resources.project, request.strategy, request.candidates)
    return (
        compose_pipeline(resources.project, request.pipeline, (*overrides, *choice), checked=False)
        if choice
        else config
    )


def read_rows(config: PipelineConfig, window: Window | None, resources: Resources) -> tuple[pd.DataFrame, SourceFacts]:
    """Read the source, cut it to the window before anything else sees it, check it and order it."""
    source = read_source(config.dataset, resources.project, copy_object)
    frame = cut_to_window(source.frame, window, config)
    check_contract(frame, config)
    frame = sample_rows(frame, config)
    check_rows(frame, config)
    if config.costs is not None:
        from waterflow.scoring.metrics import check_costs

        check_costs(frame[config.target].unique(), config.costs)
    check_slices(frame, config)
    logger.info("%d rows from %s", len(frame), source.facts.where)
    return canonical_order(frame, config.time_column), source.facts


def window_for(asked: Window | None, config: PipelineConfig) -> Window | None:
    """Complete the window that was asked for by the pipeline's rule.

    Raises ConfigError on a start that a person asked for where no column dates the rows.
    """
    if config.time_column is not None:
        return apply_window_rule(asked or Window(), config)
    if asked is not None and asked.start is not None:
        raise ConfigError(
            f"window: pipeline {config.name!r} has no time_column, so {asked} cannot be cut; "
            "leave the window empty or declare time_column"
        )
    return asked


def _split(
    frame: pd.DataFrame, config: PipelineConfig, folder: Path, resources: Resources
) -> tuple[Blob, tuple[Share, ...]]:
    split = split_rows(frame, config)
    write_parquet(split, folder / "split.parquet")
    classes = frame[config.target] if config.task == "classification" else None
    return put_file(resources.store, folder / "split.parquet"), count_shares(split["part"], classes)


def _find_leak(frame: pd.DataFrame, folder: Path, config: PipelineConfig) -> str:
    """Name each feature that alone tells the target of the training rows; empty where none does."""
    from waterflow.data.leakage import find_leaks

    training = frame[(read_parquet(folder / "split.parquet")["part"] == "train").to_numpy()]
    leaks = find_leaks(training[feature_columns(training, config)], training[config.target], config.task)
    return ", ".join(f"{leak.column} ({leak.score:.4f})" for leak in leaks)[:4000]


def _log_prepared(
    prepared: Prepared,
    config: PipelineConfig,
    source: SourceFacts,
    git: GitState,
    leak: str,
    done: Done,
    resources: Resources,
) -> None:
    if leak:
        logger.warning(
            "leak: columns that alone separate %r, and how well: %s; list in known_after what is known only then",
            config.target,
            leak,
        )
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
    resources.runs.log_dataset(
        prepared.parent_run_id,
        name=config.name,
        digest=prepared.data.digest,
        source=f"{resources.store.uri}/{prepared.data.key}",
        rows=prepared.rows,
        context="all",
    )
    with scratch_folder() as folder:
        keep_provenance(config, source, git.commit, git.dirty, resources, folder)
        digest = write_record(folder, prepared.to_json())
        write_done(folder, done)
        warned = {LEAK_WARNING: leak} if leak else {}
        facts = {SOURCE_PREFIX + name: value for name, value in source.model_dump(exclude_none=True).items()}
        tags = lineage_tags(prepared) | facts | warned | {RECORD_DIGEST: digest}
        resources.runs.log(prepared.parent_run_id, params=params, tags=tags)
        (folder / CONFIG_FILE).write_text(config.model_dump_json(indent=2), "utf-8")
        resources.runs.log_folder(prepared.parent_run_id, folder)
