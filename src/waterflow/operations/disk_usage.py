"""Disk usage of a tracking store. Counts artifacts and models of runs, and the objects that they refer to."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote

from waterflow.errors import StoreError
from waterflow.lineage.run_provenance import read_provenance
from waterflow.records.base import Record
from waterflow.records.data import Blob, Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.resources import Resources
from waterflow.tracking.registry import Version
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import CANDIDATE, EVALUATED_FILE, PARENT_RUN_ID, RECORD_FILE, RECORD_FOLDER, RUN_KIND

Kind = TypeVar("Kind", bound=Record)


class DiskUsage(Record):
    """The count and size of files or objects. All are of one kind."""

    kind: str
    count: int
    size_bytes: int


class SizeSummary(Record):
    """The bytes of each of several runs or versions."""

    count: int = 0
    median_bytes: int = 0
    largest_bytes: int = 0
    total_bytes: int = 0


class DiskUsageCounter:
    """Counts bytes.

    An object that several runs refer to counts once by kind, and for each run in that run's size.
    """

    def __init__(self, resources: Resources) -> None:
        """Start with nothing counted."""
        self._resources = resources
        self._kinds: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._run_sizes: dict[str, int] = {}

    def add_run(self, run: TrackedRun) -> None:
        """Count a run's artifacts, its models and its objects. The objects are those that its records name."""
        total = 0
        for path, size in self._resources.runs.list_files(run.run_id).items():
            total += self._count(kind_of(path), size)
        for model_id in run.model_ids:
            total += sum(self._count("models", size) for size in self._resources.models.list_files(model_id).values())
        for kind, blob in objects_of(run, self._resources):
            is_new = blob.digest not in self._seen
            self._seen.add(blob.digest)
            total += self._count(kind, blob.size_bytes) if is_new else blob.size_bytes
        self._run_sizes[run.run_id] = total

    def add_database(self) -> None:
        """Count MLflow's own database where it is a file."""
        path = Path(unquote(self._resources.runs.uri.removeprefix("sqlite:///")))
        if path.is_file():
            self._count("tracking database", path.stat().st_size)

    def by_kind(self) -> tuple[DiskUsage, ...]:
        """Return the usage of each kind, the largest first."""
        return tuple(
            DiskUsage(kind=kind, count=self._counts[kind], size_bytes=size) for kind, size in self._kinds.most_common()
        )

    def per_run(self) -> SizeSummary:
        """Return the sizes of the runs."""
        return _summarize(list(self._run_sizes.values()))

    def per_version(self, versions: Sequence[Version]) -> SizeSummary:
        """Return the sizes of versions. Each comes with the run that fitted it and the one that registered it."""
        both = [{entry.run_id, entry.tags.get(PARENT_RUN_ID, "")} for entry in versions]
        return _summarize([sum(self._run_sizes.get(run_id, 0) for run_id in runs) for runs in both])

    def _count(self, kind: str, size: int) -> int:
        self._kinds[kind] += size
        self._counts[kind] += 1
        return size


def kind_of(path: str) -> str:
    """Return the kind of an artifact, by its path."""
    file = PurePosixPath(path)
    if file.suffix == ".png":
        return "plots"
    return "records" if file.parts[0] == RECORD_FOLDER else "reports"


def objects_of(run: TrackedRun, resources: Resources) -> Iterator[tuple[str, Blob]]:
    """Yield the objects that a parent run's records name. Each comes with its kind; other runs name none."""
    if CANDIDATE in run.tags or RUN_KIND in run.tags:
        return
    prepared = _read(Prepared, resources.runs.read_json(run.run_id, RECORD_FILE))
    if prepared is not None:
        yield from (("data sets", prepared.data), ("splits", prepared.split), ("configurations", prepared.config))
    evaluated = _read(Evaluated, resources.runs.read_json(run.run_id, EVALUATED_FILE))
    if evaluated is not None and evaluated.verdict is not None and evaluated.verdict.predictions is not None:
        yield "predictions", evaluated.verdict.predictions
    try:
        made = read_provenance(run, resources)
    except StoreError:
        return
    blobs = (made.lock, made.installed, made.diff, *made.extra_locks.values())
    yield from (("lock files and diffs", blob) for blob in blobs if blob is not None)


def _read(kind: type[Kind], content: dict[str, Any] | None) -> Kind | None:
    try:
        return None if content is None else kind.from_json(content)
    except ValueError:  # an edited record is a finding of the integrity checks
        return None


def _summarize(values: Sequence[int]) -> SizeSummary:
    if not values:
        return SizeSummary()
    return SizeSummary(
        count=len(values),
        median_bytes=int(statistics.median(values)),
        largest_bytes=max(values),
        total_bytes=sum(values),
    )
