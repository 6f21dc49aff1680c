"""audit: answers for a study of experiment tracking. The study's questions are asked of a tracking store."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from waterflow.errors import ConfigError, StoreError, TrackingError, WaterflowError
from waterflow.lineage.graph import broken_nodes, trace_lineage
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations.disk_usage import DiskUsage, DiskUsageCounter, SizeSummary
from waterflow.operations.integrity import IntegrityResult, PipelineInspection, look_at, run_name, version_name
from waterflow.plurals import counted
from waterflow.records.base import Record
from waterflow.reproduction.reproduce import reproduce
from waterflow.resources import Resources
from waterflow.tracking.errors import without_credentials
from waterflow.tracking.registry import Version
from waterflow.tracking.run_queries import TrackedRun

TRACED = "versions whose whole lineage resolves"
REPRODUCED = "versions that reproduce confirms"
SAMPLES = 10
LOADS = 5


class AccessTime(Record):
    """How long one kind of access takes, over some samples."""

    what: str
    samples: int
    median_ms: float
    p95_ms: float


class Finding(Record):
    """One thing that is not as it should be."""

    check: str
    subject: str
    problem: str


class CheckRate(Record):
    """How many subjects of a check are as expected."""

    check: str
    good: int
    total: int


class Audit(Record):
    """The answers for some pipelines. `held` is disk usage by kind, each object counted once."""

    pipelines: tuple[str, ...]
    store: str
    held: tuple[DiskUsage, ...]
    per_run: SizeSummary
    per_version: SizeSummary
    access: tuple[AccessTime, ...]
    rates: tuple[CheckRate, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class PipelineContents:
    """All runs and versions of a pipeline, newest first."""

    pipeline: str
    experiment_id: str
    runs: Sequence[TrackedRun]
    versions: Sequence[Version]


def audit(
    pipeline: str | None,
    resources: Resources,
    *,
    reproduced: int = 1,
    report: Callable[[str], None] = lambda text: None,
) -> Audit:
    """Audit one pipeline, or all. The newest `reproduced` versions of each are fitted again.

    `report` is called with lines of progress. Raises ConfigError for a pipeline of which MLflow has no experiment.
    """
    chosen = list(list_contents(pipeline, resources))
    verifier, usage = Verifier(resources), DiskUsageCounter(resources)
    results: list[IntegrityResult] = []
    for entry in chosen:
        report(f"{entry.pipeline}: {counted(len(entry.runs), 'run')}, {counted(len(entry.versions), 'version')}")
        for run in entry.runs:
            results += look_at(run_name(run), partial(_count, run, usage))
        results += PipelineInspection(entry.runs, entry.versions, resources, verifier).inspect()
        for version in entry.versions:
            results += look_at(version_name(version), partial(_trace, version, resources, verifier))
    access = measure_access(chosen, resources, verifier)
    for entry in chosen:
        for version in entry.versions[:reproduced]:
            report(f"training {version.model}@{version.version} again")
            results.append(_reproduce(version, resources))
    usage.add_database()
    return Audit(
        pipelines=tuple(entry.pipeline for entry in chosen),
        store=without_credentials(resources.runs.uri),
        held=usage.by_kind(),
        per_run=usage.per_run(),
        per_version=usage.per_version([version for entry in chosen for version in entry.versions]),
        access=tuple(access),
        rates=tuple(count_good(results)),
        findings=tuple(
            Finding(check=entry.check, subject=entry.subject, problem=entry.problem)
            for entry in results
            if entry.problem is not None
        ),
    )


def list_contents(pipeline: str | None, resources: Resources) -> Iterator[PipelineContents]:
    """Yield runs and versions of one pipeline, or of all. All are those with an experiment."""
    known, models = resources.runs.list_pipelines(), set(resources.registry.list_models())
    if pipeline is not None and pipeline not in known:
        raise ConfigError(
            f"pipeline: MLflow has no run of {pipeline!r}; valid: {', '.join(sorted(known)) or 'none yet'}"
        )
    for name in sorted(known) if pipeline is None else [pipeline]:
        versions = resources.registry.list_versions(name) if name in models else []
        yield PipelineContents(name, known[name], resources.runs.list_runs(known[name]), versions)


def measure_access(
    chosen: Sequence[PipelineContents], resources: Resources, verifier: Verifier
) -> Iterator[AccessTime]:
    """Yield how long listing, opening and loading take.

    The runs are listed, one is opened, and a model is loaded. Loading runs code of the model's files, so models that no
    record of a fit vouches for are not loaded.
    """
    runs = [run.run_id for entry in chosen for run in entry.runs]
    histories = [VersionHistory(version, resources) for entry in chosen for version in entry.versions]
    models = {
        entry.version.model_id: entry.version.model for entry in histories if verifier.verify_served(entry).resolves
    }

    def open_run(run_id: str) -> None:
        resources.runs.find_run(run_id)
        resources.runs.list_files(run_id)

    experiments = [entry.experiment_id for entry in chosen]
    yield from _measure("list the runs of a pipeline", resources.runs.list_runs, experiments, SAMPLES)
    yield from _measure("open a run with its artifacts", open_run, runs, SAMPLES)
    yield from _measure(
        "load a registered model",
        lambda model_id: resources.models.load_model(model_id, models[model_id]),
        [*models],
        LOADS,
    )


def count_good(results: Sequence[IntegrityResult]) -> Iterator[CheckRate]:
    """Yield how many subjects of each check are as expected."""
    by_check: dict[str, list[bool]] = defaultdict(list)
    for entry in results:
        by_check[entry.check].append(entry.problem is None)
    for check, good in by_check.items():
        yield CheckRate(check=check, good=sum(good), total=len(good))


def _count(run: TrackedRun, usage: DiskUsageCounter) -> Iterator[IntegrityResult]:
    usage.add_run(run)
    yield from ()


def _trace(version: Version, resources: Resources, verifier: Verifier) -> Iterator[IntegrityResult]:
    broken = broken_nodes(trace_lineage(VersionHistory(version, resources), verifier))
    problem = "; ".join(f"{node.kind}: {node.reason}" for node in broken) or None
    yield IntegrityResult(TRACED, version_name(version), problem)


def _reproduce(version: Version, resources: Resources) -> IntegrityResult:
    try:
        outcome = reproduce(version, resources)
        differing = [line.what for line in outcome.lines if line.agrees is False]
        problems = [f"not the same: {', '.join(differing)}"] if differing else []
        problems += [f"not compared: {', '.join(outcome.not_compared)}"] if outcome.not_compared else []
        problem = "; ".join([*problems, f"see MLflow run {outcome.run_id}"]) if problems else None
    except WaterflowError as error:
        problem = str(error)
    return IntegrityResult(REPRODUCED, version_name(version), problem)


def _measure(what: str, access: Callable[[str], object], subjects: Sequence[str], samples: int) -> Iterator[AccessTime]:
    taken = []
    for number in range(samples if subjects else 0):
        started = time.perf_counter()
        try:
            access(subjects[number % len(subjects)])
        except (StoreError, TrackingError):  # a finding of the integrity checks; a failure takes no time
            continue
        taken.append((time.perf_counter() - started) * 1000)
    if taken:
        p95 = float(np.percentile(taken, 95))
        yield AccessTime(what=what, samples=len(taken), median_ms=statistics.median(taken), p95_ms=p95)
