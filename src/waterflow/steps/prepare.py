"""prepare: from a request to stored, divided rows."""

import logging
from datetime import UTC, datetime

from waterflow.caching.keys import key_of, preparation, setting_key
from waterflow.caching.lookup import divide_cached, is_validated
from waterflow.config.compose import check_estimators, compose_request
from waterflow.config.estimators import check_ready
from waterflow.config.schema import PipelineConfig
from waterflow.data.preparation import read_rows, window_for
from waterflow.lineage.run_provenance import write_provenance
from waterflow.promotion.champion_alias import find_vouched_champion
from waterflow.promotion.holdout_cut import choose_cut, describe_champion
from waterflow.provenance.git import git_state
from waterflow.provenance.own_code import own_files
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import DividedBlob, Prepared
from waterflow.records.run import RunRequest
from waterflow.reporting.contract_report import breaks_logged
from waterflow.reporting.run_tags import origin_tags, window_tags
from waterflow.reporting.step_log import log_prepared
from waterflow.reporting.titles import run_title
from waterflow.resources import Resources
from waterflow.snapshots import store_config, store_frame
from waterflow.stores.base import scratch_folder
from waterflow.stores.open import copy_object
from waterflow.tracking import tags as tag
from waterflow.tracking.runs import RunIdentity

logger = logging.getLogger(__name__)


def prepare(request: RunRequest, resources: Resources) -> Prepared:
    """Read the source, check and split its rows, store them.

    Rows are cut to the window before anything else sees them, and stored by content. A retry finds the run of its first
    attempt and what that stored: the source is not read a second time. Any other run reads it again, for a source may
    have changed, and so does a DAG run that was cleared or reprocessed; only the split of equal rows is taken from an
    earlier run.
    """
    config = compose_request(request, resources.project)
    window = window_for(request.window, config)
    is_cut = config.split_kind == "time"
    champion = find_vouched_champion(config.name, resources) if is_cut else None
    champion = None if champion is None or champion.problem else champion
    action = preparation(config, window, describe_champion(champion) if is_cut else None)
    setting = setting_key(config)
    if request.force or not is_validated(config.name, setting, resources):
        check_estimators(config)
        check_ready(config.candidates)
    git = git_state(resources.project.root, own=own_files(config))
    opened = resources.runs.open_run(
        resources.runs.ensure_experiment(config.name),
        RunIdentity(config.name, request.origin.run_id, clear_number=request.origin.clear_number),
        key_of(action),
        name=run_title(request.origin, window, config),
        tags=origin_tags(request.origin, config.name, config, resources, git)
        | window_tags(window)
        | {tag.SETTING_KEY: setting, tag.FORCE: str(request.force).lower()},
    )
    if opened.record is not None:
        logger.info("prepare was done by an earlier attempt: run %s", opened.run_id)
        return Prepared.from_json(opened.record)
    with resources.runs.closing(opened.run_id, success=None):
        read_at = datetime.now(UTC)
        with breaks_logged(opened.run_id, resources):
            frame, source = read_rows(config, window, resources.project, copy_object)
        data, is_new = store_frame(frame, resources)
        cut = choose_cut(frame, config, window, champion)
        divided, split_action = divide_cached(frame, config, data, cut, opened, resources, force=request.force)
        if split_action.cached_from and is_new:
            logger.warning("the rows of run %s were gone: %s; stored again", split_action.cached_from[:8], data.key)
        prepared = Prepared(
            pipeline=config.name,
            origin=request.origin,
            action_key=key_of(action),
            experiment_id=opened.experiment_id,
            parent_run_id=opened.run_id,
            config=store_config(config, resources),
            data=data,
            split=divided.split,
            window=window,
            cut=cut,
            read_at=read_at,
            reading=source.reading_lines,
            rows=len(frame),
            shares=divided.shares,
            candidates=tuple(config.candidates),
            force=request.force,
        )
        executed = ExecutedAction(
            action=action.model_copy(update={"inputs": action.inputs | {"data": data.digest}}),
            key=key_of(action),
            forced=request.force,
            misses=split_action.misses,
            note=split_action.note,
        )
        with scratch_folder() as folder:
            write_provenance(config, source, git.commit, git.dirty, resources, folder)
            log_prepared(prepared, config, source, divided, (executed, split_action), folder, resources)
        _report_rows(prepared, config, divided)
    return prepared


def _report_rows(prepared: Prepared, config: PipelineConfig, divided: DividedBlob) -> None:
    for line in prepared.reading:
        logger.info("read: %s", line)
    for share in prepared.shares:
        logger.info("%s: %d rows %s", share.part, share.rows, share.by_class or "")
    if divided.leak:
        logger.warning(
            "leak: columns that alone separate %r, and how well: %s; list in known_after what is known only then",
            config.target,
            divided.leak,
        )
