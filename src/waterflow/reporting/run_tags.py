"""Tags of a run. They hold its origin, and the rows and configuration behind it."""

import platform

from waterflow.config.schema import PipelineConfig
from waterflow.links import dag_run_url
from waterflow.provenance.environment import lock_digest
from waterflow.provenance.git import GitState, git_state
from waterflow.provenance.own_code import own_files
from waterflow.records.data import Prepared
from waterflow.records.run import Origin, Window
from waterflow.resources import Resources
from waterflow.tracking import tags as tag


def origin_tags(
    origin: Origin, pipeline: str, config: PipelineConfig, resources: Resources, git: GitState | None = None
) -> dict[str, str]:
    """Return the tags of a run's origin. These are Airflow, git, lock file, seeds and machine."""
    git = git or git_state(resources.project.root, own=own_files(config))
    tags = {
        tag.PIPELINE: pipeline,
        tag.STRATEGY: config.strategy.name,
        tag.SCENARIO: config.scenario,
        tag.RUNNER: origin.runner,
        tag.HOST: platform.node() or None,
        tag.DAG_ID: origin.dag_id,
        tag.DAG_RUN_ID: origin.run_id,
        tag.TRY_NUMBER: str(origin.try_number),
        tag.CLEAR_NUMBER: str(origin.clear_number),
        tag.MAP_INDEX: None if origin.map_index is None else str(origin.map_index),
        tag.AIRFLOW_URL: dag_run_url(origin, resources.profile),
        tag.GIT_COMMIT: git.commit,
        tag.GIT_DIRTY: None if git.dirty is None else str(git.dirty).lower(),
        tag.LOCK_DIGEST: lock_digest(resources.project.lock_file),
        tag.SEED: str(config.seed),
        tag.SPLIT_SEED: str(config.split.seed),
    }
    return {name: value for name, value in tags.items() if value is not None}


def window_tags(window: Window | None) -> dict[str, str]:
    """Return the tags of a window. Each end has one only where it is bounded."""
    ends = {tag.WINDOW_START: window.start, tag.WINDOW_END: window.end} if window else {}
    return {name: moment.isoformat() for name, moment in ends.items() if moment}


def lineage_tags(prepared: Prepared) -> dict[str, str]:
    """Return the tags of what is behind a result. These are rows, configuration and window."""
    return {
        tag.DATA_DIGEST: prepared.data.digest,
        tag.CONFIG_DIGEST: prepared.config.digest,
        **window_tags(prepared.window),
    }
