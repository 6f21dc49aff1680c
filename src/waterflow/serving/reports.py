"""Reports of workers on loaded models and answers. The page adds them up."""

import json
import os
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

# Upper bounds of latencies in ms, each 1.3 times the one before: a percentile is exact to 30 %.
BOUNDS_MS = tuple(0.05 * 1.3**power for power in range(60))


@dataclass
class Counts:
    """The requests of a pipeline. `buckets` count those answered by latency; `refused` were wrong, `failed` ours."""

    requests: int = 0
    rows: int = 0
    refused: int = 0
    failed: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))

    def add_answer(self, rows: int, seconds: float) -> None:
        """Count an answered request."""
        self.requests += 1
        self.rows += rows
        self.buckets[bisect_left(BOUNDS_MS, seconds * 1000)] += 1

    def add_error(self, status: int) -> None:
        """Count a request that was not answered."""
        self.requests += 1
        if status < 500:
            self.refused += 1
        else:
            self.failed += 1

    def percentile_ms(self, share: float) -> float | None:
        """Return the latency that a share of the answers keeps. None without answers."""
        total, seen = sum(self.buckets), 0
        for bucket, number in enumerate(self.buckets):
            seen += number
            if total and seen >= share * total:
                return BOUNDS_MS[min(bucket, len(BOUNDS_MS) - 1)]
        return None

    @classmethod
    def sum(cls, entries: Iterable["Counts"]) -> Self:
        """Add up counts."""
        total = cls()
        for entry in entries:
            total.requests += entry.requests
            total.rows += entry.rows
            total.refused += entry.refused
            total.failed += entry.failed
            total.buckets = [one + other for one, other in zip(total.buckets, entry.buckets, strict=True)]
        return total


@dataclass
class ShadowCounts:
    """The rows that a shadow was to answer."""

    answered: int = 0
    dropped: int = 0
    failed: int = 0


@dataclass
class WorkerReport:
    """The report of one worker. `loaded` are its model ids, `since` when each began, `paths` its predictors.

    `ready` are the tokens of versions that it has loaded, and will switch to when all workers do.
    """

    run: str
    pid: int
    loaded: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    shadows: dict[str, ShadowCounts] = field(default_factory=dict)

    def counts_of(self, pipeline: str) -> Counts:
        """Return the counts of a pipeline. They begin at its first request."""
        return self.counts.setdefault(pipeline, Counts())

    def shadow_of(self, pipeline: str) -> ShadowCounts:
        """Return the counts of a pipeline's shadow."""
        return self.shadows.setdefault(pipeline, ShadowCounts())

    def note_loaded(self, pipeline: str, model_id: str, version: int, path: str, at: datetime) -> None:
        """Record that a version answers from now on."""
        self.loaded[pipeline], self.versions[pipeline] = model_id, version
        self.since[pipeline], self.paths[pipeline] = at.isoformat(), path
        self.problems.pop(pipeline, None)

    def write(self, folder: Path, slot: int) -> None:
        """Write the report at once."""
        scratch = folder / f".worker-{slot}.{os.getpid()}"
        scratch.write_text(json.dumps(asdict(self)), "utf-8")
        scratch.replace(_path(folder, slot))


def read_report(folder: Path, slot: int, run: str) -> WorkerReport | None:
    """Read a worker's report. None where there is none of this start of the service."""
    try:
        content: dict[str, Any] = json.loads(_path(folder, slot).read_text("utf-8"))
        counts = {name: Counts(**entry) for name, entry in content.pop("counts").items()}
        shadows = {name: ShadowCounts(**entry) for name, entry in content.pop("shadows").items()}
        report = WorkerReport(**content, counts=counts, shadows=shadows)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return report if report.run == run else None


def read_reports(folder: Path, run: str) -> list[WorkerReport]:
    """Read the reports of all workers."""
    slots = [int(path.stem.rpartition("-")[2]) for path in sorted(folder.glob("worker-*.json"))]
    return [report for slot in slots if (report := read_report(folder, slot, run)) is not None]


def are_ready(folder: Path, run: str, workers: int, pipeline: str, token: int) -> bool:
    """Return whether all running workers have loaded a version. One that has not reported yet will load it first."""
    reports = [report for slot in range(1, workers + 1) if (report := read_report(folder, slot, run)) is not None]
    running = [report for report in reports if Path(f"/proc/{report.pid}").exists()]
    return bool(running) and all(report.ready.get(pipeline) == token for report in running)


def _path(folder: Path, slot: int) -> Path:
    return folder / f"worker-{slot}.json"
