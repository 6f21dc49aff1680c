"""audit: the questions that a study of experiment tracking asks, answered for a tracking store."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from waterflow.errors import ConfigError, StoreError, WaterflowError
from waterflow.lineage.graph import broken_nodes, trace_lineage
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations.disk_usage import Held, Holdings, Sizes
from waterflow.operations.integrity import Checked, Inspection
from waterflow.records import Record
from waterflow.reproduction.reproduce import reproduce
from waterflow.resources import Resources
from waterflow.tracking.errors import shown
from waterflow.tracking.registry import Version
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import MODEL_ID

TRACED = "versions whose whole lineage resolves"
REPRODUCED = "versions that reproduce confirms"
SAMPLES = 10
LOADS = 5
Say = Callable[[str], None]


class Access(Record):
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


class Rate(Record):
    """How many of the things that a check looked at are as they should be."""

    check: str
    good: int
    total: int

    @property
    def share(self) -> float | None:
        """A share from 0 to 1; None where there was nothing to look at."""
        return self.good / self.total if self.total else None


class Audit(Record):
    """The answers for some pipelines; bytes are as MLflow and the records say, each object once in `held`."""

    pipelines: tuple[str, ...]
    store: str
    held: tuple[Held, ...]
    per_run: Sizes
    per_version: Sizes
    access: tuple[Access, ...]
    rates: tuple[Rate, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Audited:
    """A pipeline with all its runs and versions, the newest first."""

    pipeline: str
    experiment_id: str
    runs: Sequence[TrackedRun]
    versions: Sequence[Version]


def audit(pipeline: str | None, resources: Resources, *, reproduced: int = 1, say: Say = lambda text: None) -> Audit:
    """Look at one pipeline, or at all; the newest `reproduced` versions of each are trained again.

    Raises ConfigError for a pipeline of which MLflow has no experiment.
    """
    chosen = list(gather(pipeline, resources))
    verifier, holdings = Verifier(resources), Holdings(resources)
    checked: list[Checked] = []
    for entry in chosen:
        say(f"{entry.pipeline}: {len(entry.runs)} runs, {len(entry.versions)} versions")
        for run in entry.runs:
            holdings.add_run(run)
        checked += Inspection(entry.runs, entry.versions, resources, verifier).all()
        checked += (_traced(version, resources, verifier) for version in entry.versions)
    access = measure(chosen, resources)
    for entry in chosen:
        for version in entry.versions[:reproduced]:
            say(f"training {version.model}@{version.version} again")
            checked.append(_reproduced(version, resources))
    holdings.add_database()
    return Audit(
        pipelines=tuple(entry.pipeline for entry in chosen),
        store=shown(resources.runs.uri),
        held=holdings.by_kind(),
        per_run=holdings.per_run(),
        per_version=holdings.per_version([version for entry in chosen for version in entry.versions]),
        access=tuple(access),
        rates=tuple(rate(checked)),
        findings=tuple(
            Finding(check=entry.check, subject=entry.subject, problem=entry.problem)
            for entry in checked
            if entry.problem is not None
        ),
    )


def gather(pipeline: str | None, resources: Resources) -> Iterator[Audited]:
    """Read runs and versions of one pipeline, or of all that MLflow has an experiment of."""
    known, models = resources.runs.list_pipelines(), set(resources.registry.list_models())
    if pipeline is not None and pipeline not in known:
        raise ConfigError(
            f"pipeline: MLflow has no run of {pipeline!r}; valid: {', '.join(sorted(known)) or 'none yet'}"
        )
    for name in sorted(known) if pipeline is None else [pipeline]:
        versions = resources.registry.list_versions(name) if name in models else []
        yield Audited(name, known[name], resources.runs.list_runs(known[name]), versions)


def measure(chosen: Sequence[Audited], resources: Resources) -> Iterator[Access]:
    """Time how long it takes to list runs, to open one with its artifacts, and to load a registered model."""
    runs = [run.run_id for entry in chosen for run in entry.runs]
    models = [version.tags.get(MODEL_ID, "") for entry in chosen for version in entry.versions]

    def open_run(run_id: str) -> None:
        resources.runs.find_run(run_id)
        resources.runs.list_files(run_id)

    experiments = [entry.experiment_id for entry in chosen]
    yield from _timed("list the runs of a pipeline", resources.runs.list_runs, experiments, SAMPLES)
    yield from _timed("open a run with its artifacts", open_run, runs, SAMPLES)
    yield from _timed("load a registered model", resources.models.load_model, models, LOADS)


def rate(checked: Sequence[Checked]) -> Iterator[Rate]:
    """Count, for each check, how many of its subjects are as they should be."""
    by_check: dict[str, list[bool]] = defaultdict(list)
    for entry in checked:
        by_check[entry.check].append(entry.problem is None)
    for check, good in by_check.items():
        yield Rate(check=check, good=sum(good), total=len(good))


def _traced(version: Version, resources: Resources, verifier: Verifier) -> Checked:
    broken = broken_nodes(trace_lineage(VersionHistory(version, resources), verifier))
    problem = "; ".join(f"{link.kind}: {link.reason}" for link in broken) or None
    return Checked(TRACED, f"{version.model}@{version.version}", problem)


def _reproduced(version: Version, resources: Resources) -> Checked:
    try:
        outcome = reproduce(version, resources)
        apart = [line.what for line in outcome.lines if not line.agrees]
        problem = f"not the same: {', '.join(apart)}; see MLflow run {outcome.run_id}" if apart else None
    except WaterflowError as error:
        problem = str(error)
    return Checked(REPRODUCED, f"{version.model}@{version.version}", problem)


def _timed(what: str, call: Callable[[str], object], subjects: Sequence[str], samples: int) -> Iterator[Access]:
    taken = []
    for number in range(samples if subjects else 0):
        started = time.perf_counter()
        try:
            call(subjects[number % len(subjects)])
        except StoreError:  # found by the checks of integrity; a failure is no access
            continue
        taken.append((time.perf_counter() - started) * 1000)
    if taken:
        p95 = float(np.percentile(taken, 95))
        yield Access(what=what, samples=len(taken), median_ms=statistics.median(taken), p95_ms=p95)
