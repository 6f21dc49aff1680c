"""What every step works with, and what it reads back of the steps before."""

import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waterflow.config.profile import Profile
from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError
from waterflow.links import dag_run_url
from waterflow.provenance.environment import lock_digest
from waterflow.provenance.git import GitState, git_state
from waterflow.records.data import Prepared
from waterflow.records.run import Origin, Window
from waterflow.stores.base import ObjectStore, get_json
from waterflow.tracking import tags as tag
from waterflow.tracking.model_store import ModelStore
from waterflow.tracking.registry import ModelRegistry
from waterflow.tracking.runs import RunStore

if TYPE_CHECKING:
    from waterflow.ledger.store import Ledger


@dataclass(frozen=True)
class Resources:
    """The project and the stores behind a run, as `workflow.open_resources` builds them."""

    project: Project
    profile: Profile
    store: ObjectStore
    runs: RunStore

    @cached_property
    def models(self) -> ModelStore:
        """The logged models."""
        return ModelStore(self.runs)

    @cached_property
    def registry(self) -> ModelRegistry:
        """The registered models."""
        return ModelRegistry(self.runs)

    @cached_property
    def ledger(self) -> "Ledger":
        """The ledger of promotions, opened when a step first needs it: most never do."""
        from waterflow.ledger.store import Ledger  # SQLAlchemy

        return Ledger(self.profile.find_database())


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="waterflow-") as name:
        yield Path(name)


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), "utf-8")


def load_config(prepared: Prepared, resources: Resources) -> PipelineConfig:
    """Read the configuration that `prepare` composed and stored, by its digest."""
    with scratch_folder() as folder:
        return PipelineConfig.model_validate(get_json(resources.store, prepared.config, folder))


def count_threads(environment: Mapping[str, str] | None = None) -> int:
    """Count the cores that one fit may use: what `WATERFLOW_THREADS` or `OMP_NUM_THREADS` says, else all.

    Raises ConfigError on a value that is no whole number above 0.
    """
    environment = os.environ if environment is None else environment
    for name in ("WATERFLOW_THREADS", "OMP_NUM_THREADS"):
        value = environment.get(name)
        if value:
            if not value.isdecimal() or int(value) == 0:
                raise ConfigError(f"{name}: {value!r} is no number of threads; write it like 2, or leave it out")
            return int(value)
    import joblib

    return int(joblib.cpu_count())  # of this process: a container or a mask may leave it fewer than the machine has


def origin_tags(
    origin: Origin, pipeline: str, config: PipelineConfig, resources: Resources, git: GitState | None = None
) -> dict[str, str]:
    """Say where a run comes from: Airflow, git, the lock file, the seeds, the machine."""
    git = git or git_state(resources.project.root)
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
    """Say the window of a run, each end only where it is bounded."""
    ends = {tag.WINDOW_START: window.start, tag.WINDOW_END: window.end} if window else {}
    return {name: moment.isoformat() for name, moment in ends.items() if moment}


def lineage_tags(prepared: Prepared) -> dict[str, str]:
    """Say from which rows, configuration and window a result comes."""
    return {
        tag.DATA_DIGEST: prepared.data.digest,
        tag.CONFIG_DIGEST: prepared.config.digest,
        **window_tags(prepared.window),
    }
