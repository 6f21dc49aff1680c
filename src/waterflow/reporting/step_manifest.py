"""A manifest of what each step logs. Later changes are found by it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from waterflow.provenance.hashing import sha256_of
from waterflow.records.base import Record
from waterflow.resources import Resources
from waterflow.tracking import tags as tag
from waterflow.tracking.artifacts import DIGEST_TAGS, write_record
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.runs import param_text


class StepManifest(Record):
    """What one step logged to a run. It includes the tags that its version had.

    `artifacts` are sha256 by path. Values that are not finite, and tags of MLflow's own, which people edit, are left
    out.
    """

    logged_at: datetime
    params: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    artifacts: dict[str, str] = Field(default_factory=dict)
    version_tags: dict[str, str] = Field(default_factory=dict)


def log_step(
    step: str,
    pipeline: str,
    run_id: str,
    folder: Path,
    resources: Resources,
    *,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    version_tags: Mapping[str, str] | None = None,
    model_id: str | None = None,
) -> None:
    """Log a step's values and files to a run. The files are those of `folder`; a manifest goes with them.

    `step` names the manifest; a retry replaces it. `version_tags` are only noted. The manifest and the
    records in `folder` are signed. Raises SignatureError without a key.
    """
    artifacts = {path.relative_to(folder).as_posix(): sha256_of(path) for path in folder.rglob("*") if path.is_file()}
    records = {path: artifacts[path] for path in DIGEST_TAGS if path in artifacts}
    own = {**(tags or {}), **{DIGEST_TAGS[path]: digest for path, digest in records.items()}}
    manifest = StepManifest(
        logged_at=datetime.now(UTC),
        params={name: param_text(value) for name, value in (params or {}).items()},
        metrics={name: value for name, value in (metrics or {}).items() if abs(value) < float("inf")},
        tags=_own(own),
        artifacts=artifacts,
        version_tags=_own(version_tags or {}),
    )
    path = tag.MANIFEST_FILE.format(step=step)
    records[path] = own[tag.MANIFEST_PREFIX + step] = write_record(folder, manifest.to_json(), path)
    own |= resources.runs.sign_records(pipeline, run_id, records)
    resources.runs.log(run_id, params=params, metrics=metrics, tags=own, model_id=model_id)
    resources.runs.log_folder(run_id, folder)


def read_manifest(run: TrackedRun, resources: Resources) -> StepManifest:
    """Return a run's manifests as one, later values last. Raises StoreError when one is gone or altered."""
    steps = [name.removeprefix(tag.MANIFEST_PREFIX) for name in run.tags if name.startswith(tag.MANIFEST_PREFIX)]
    read = [
        StepManifest.from_json(
            resources.runs.read_verified(
                run, tag.MANIFEST_FILE.format(step=step), digest=run.tags[tag.MANIFEST_PREFIX + step]
            )
        )
        for step in steps
    ]
    merged = StepManifest(logged_at=run.started_at)
    for entry in sorted(read, key=lambda entry: entry.logged_at):
        for name in ("params", "metrics", "tags", "artifacts", "version_tags"):
            getattr(merged, name).update(getattr(entry, name))
    return merged


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if not name.startswith("mlflow.")}
