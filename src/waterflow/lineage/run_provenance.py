"""Code, environment and source of a run. They are recorded when the run is prepared."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from waterflow.config.code_paths import all_code
from waterflow.config.schema import PipelineConfig
from waterflow.data.sources.facts import SourceFacts
from waterflow.errors import StoreError
from waterflow.provenance.code import trace_imports
from waterflow.provenance.environment import EXTRAS, environment_digest, installed_pins, lock_digest
from waterflow.provenance.git import git_diff
from waterflow.provenance.own_code import own_files, trace_paths
from waterflow.records.base import Record
from waterflow.records.data import Blob
from waterflow.resources import Resources
from waterflow.stores.base import put_file
from waterflow.tracking.artifacts import write_json
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import DIFF_FILE, INSTALLED_FILE, PROVENANCE_FILE

FIT_ENTRY = "waterflow.reproduction.worker"  # what it imports fits a version again


class Provenance(Record):
    """Code, environment and source of a run.

    `commit` is None where the project is not under git, `dirty` where only an image's build argument named the commit;
    `diff` holds the uncommitted changes of tracked files, and the user's modules that git does not track. `lock` is the
    lock file, `extra_locks` those of the extras that a candidate needs, by name. Without a lock file, `installed` pins
    what a fit imports. `environment` is the digest of either, Python and platform. `image` names the container's image
    and the commit that it was built from; None outside one.
    """

    commit: str | None
    dirty: bool | None
    diff: Blob | None = None
    lock: Blob | None
    installed: Blob | None = None
    lock_digest: str
    extra_locks: dict[str, Blob] = Field(default_factory=dict)
    environment: str
    python: str
    platform: str
    image: str | None
    source: SourceFacts


def write_provenance(
    config: PipelineConfig,
    source: SourceFacts,
    commit: str | None,
    dirty: bool | None,
    resources: Resources,
    folder: Path,
) -> None:
    """Write a run's provenance below `folder`. Locks and diff go into the store.

    The files of `folder` become the run's artifacts.
    """
    lock = resources.project.lock_file
    is_locked = lock.is_file()
    pins = lock if is_locked else _write_installed(config, folder)
    blob = put_file(resources.store, pins)
    provenance = Provenance(
        commit=commit,
        dirty=dirty,
        diff=_store_diff(config, resources, folder) if dirty else None,
        lock=blob if is_locked else None,
        installed=None if is_locked else blob,
        lock_digest=lock_digest(lock),
        extra_locks={
            path.name: put_file(resources.store, path) for path in extra_locks(config, lock) if path.is_file()
        },
        environment=environment_digest(pins),
        python=platform.python_version(),
        platform=platform_name(),
        image=image_name(),
        source=source,
    )
    write_json(folder / PROVENANCE_FILE, provenance.to_json())


def read_provenance(run: TrackedRun, resources: Resources) -> Provenance:
    """Return the provenance of a parent run. Raises StoreError when it is gone, altered or not signed."""
    try:
        content = resources.runs.read_verified(run, PROVENANCE_FILE)
    except StoreError as error:
        raise StoreError(f"run {run.run_id}: {error}; restore MLflow's artifacts from a backup") from error
    try:
        return Provenance.from_json(content)
    except ValueError as error:
        raise StoreError(f"run {run.run_id}: its {PROVENANCE_FILE} cannot be read; was it edited?") from error


def extra_locks(config: PipelineConfig, lock: Path) -> list[Path]:
    """Return the lock files of the extras that candidates need."""
    modules = {candidate.estimator.rpartition(".")[0] for candidate in config.candidates.values()}
    return sorted(lock.with_name(name) for module, (name, _) in EXTRAS.items() if module in modules)


def platform_name() -> str:
    """Return the platform, such as `linux-x86_64`. It says only what results depend on."""
    return f"{sys.platform}-{platform.machine()}"


def image_name(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the name of this container's image. It is the one that Compose and its build use."""
    name, commit = environment.get("WATERFLOW_IMAGE") or None, environment.get("WATERFLOW_GIT_COMMIT")
    return f"{name} (built from {commit[:12]})" if name and commit else name


def _write_installed(config: PipelineConfig, folder: Path) -> Path:
    closure = trace_imports([FIT_ENTRY]) | trace_paths(all_code(config))
    path = folder / INSTALLED_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(installed_pins(closure.packages), "utf-8")
    return path


def _store_diff(config: PipelineConfig, resources: Resources, folder: Path) -> Blob | None:
    try:
        content = git_diff(resources.project.root, own_files(config))
    except (OSError, subprocess.SubprocessError):  # the tree changed meanwhile; the run is tagged as dirty all the same
        return None
    path = folder / DIFF_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return put_file(resources.store, path)
