"""What a tracking store's bytes are held by: artifacts and models of runs, and the objects that they refer to."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from waterflow.errors import StoreError
from waterflow.lineage.run_provenance import read_provenance
from waterflow.records import Blob, Evaluated, Prepared, Record
from waterflow.resources import Resources
from waterflow.tracking.registry import Version
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import CANDIDATE, EVALUATED_FILE, PARENT_RUN_ID, RECORD_FILE, RECORD_FOLDER, RUN_KIND

Kind = TypeVar("Kind", bound=Record)


class Held(Record):
    """So many bytes, by so many files or objects of one kind."""

    kind: str
    count: int
    size_bytes: int


class Sizes(Record):
    """The bytes of each of so many things: of runs, of versions."""

    count: int = 0
    median_bytes: int = 0
    largest_bytes: int = 0
    total_bytes: int = 0


class Holdings:
    """Counts bytes; an object that several runs refer to counts once in the total, and for each of them in its own."""

    def __init__(self, resources: Resources) -> None:
        """Begin at nothing."""
        self._resources = resources
        self._kinds: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._seen: set[str] = set()
        self._of_run: dict[str, int] = {}

    def add_run(self, run: TrackedRun) -> None:
        """Count a run's artifacts, its models, and the objects that its records name."""
        total = 0
        for path, size in self._resources.runs.list_files(run.run_id).items():
            total += self._count(kind_of(path), size)
        for model_id in run.model_ids:
            total += sum(self._count("models", size) for size in self._resources.models.list_files(model_id).values())
        for kind, blob in objects_of(run, self._resources):
            is_new = blob.digest not in self._seen
            self._seen.add(blob.digest)
            total += self._count(kind, blob.size_bytes) if is_new else blob.size_bytes
        self._of_run[run.run_id] = total

    def add_database(self) -> None:
        """Count MLflow's own database where it is a file."""
        path = Path(self._resources.runs.uri.removeprefix("sqlite:///"))
        if path.is_file():
            self._count("tracking database", path.stat().st_size)

    def by_kind(self) -> tuple[Held, ...]:
        """Give what holds the bytes, the most first."""
        return tuple(
            Held(kind=kind, count=self._counts[kind], size_bytes=size) for kind, size in self._kinds.most_common()
        )

    def per_run(self) -> Sizes:
        """Sum up over the runs."""
        return _sizes(list(self._of_run.values()))

    def per_version(self, versions: Sequence[Version]) -> Sizes:
        """Sum up over the versions, each with the run that fitted it and the one that registered it."""
        both = [{entry.run_id, entry.tags.get(PARENT_RUN_ID, "")} for entry in versions]
        return _sizes([sum(self._of_run.get(run_id, 0) for run_id in runs) for runs in both])

    def _count(self, kind: str, size: int) -> int:
        self._kinds[kind] += size
        self._counts[kind] += 1
        return size


def kind_of(path: str) -> str:
    """Name what an artifact is, by its path."""
    file = PurePosixPath(path)
    if file.suffix == ".png":
        return "plots"
    return "records" if file.parts[0] == RECORD_FOLDER else "reports"


def objects_of(run: TrackedRun, resources: Resources) -> Iterator[tuple[str, Blob]]:
    """Give the objects of the store that the records of a DAG run's own MLflow run name; other runs name none."""
    if CANDIDATE in run.tags or RUN_KIND in run.tags:
        return
    prepared = _read(Prepared, resources.runs.read_json(run.run_id, RECORD_FILE))
    if prepared is not None:
        yield from (("data sets", prepared.data), ("splits", prepared.split), ("configurations", prepared.config))
    evaluated = _read(Evaluated, resources.runs.read_json(run.run_id, EVALUATED_FILE))
    if evaluated is not None and evaluated.verdict is not None and evaluated.verdict.predictions is not None:
        yield "predictions", evaluated.verdict.predictions
    try:
        made = read_provenance(run.run_id, resources)
    except StoreError:
        return
    kept = (made.lock, made.diff, *made.extra_locks.values())
    yield from (("lock files and diffs", blob) for blob in kept if blob is not None)


def _read(kind: type[Kind], content: dict[str, Any] | None) -> Kind | None:
    try:
        return None if content is None else kind.from_json(content)
    except ValueError:  # what was edited by hand is the business of the checks of integrity
        return None


def _sizes(values: Sequence[int]) -> Sizes:
    if not values:
        return Sizes()
    return Sizes(
        count=len(values),
        median_bytes=int(statistics.median(values)),
        largest_bytes=max(values),
        total_bytes=sum(values),
    )
