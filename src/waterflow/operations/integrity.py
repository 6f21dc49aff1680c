"""Checks that a tracking store still says what steps computed. Runs one check at a time."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from waterflow.errors import LedgerError, StoreError, TrackingError, UnreachableError, first_line
from waterflow.lineage.verification import Verification, Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations.disk_usage import objects_of
from waterflow.operations.ledger_verification import find_rows_problem
from waterflow.records.promotion import Decision
from waterflow.records.run import Origin
from waterflow.reporting.step_manifest import read_manifest
from waterflow.resources import Resources
from waterflow.tracking import tags as tag
from waterflow.tracking.registry import Version
from waterflow.tracking.run_queries import TrackedRun

MANIFESTS = "runs with their records"
METRICS = "metrics read back as computed"
PARAMETERS = "parameters read back as computed"
TAGS = "tags read back as set"
ARTIFACTS = "artifacts equal to their digests"
READABLE = "rows that could be looked at"
ENDED = "runs that are not stuck"
WITH_RUN = "versions with their runs"
WITH_FILES = "versions with their model's files"
SERVED = "versions that serve their recorded model"

LEDGER = "aliases that follow the ledger"

STUCK_AFTER = timedelta(days=1)
UNFINISHED = ("queued", "running")


class IntegrityResult(NamedTuple):
    """The result of one check on one subject. `problem` is None where all is well."""

    check: str
    subject: str
    problem: str | None


@dataclass(frozen=True)
class PipelineInspection:
    """The checks of one pipeline's runs and versions."""

    runs: Sequence[TrackedRun]
    versions: Sequence[Version]
    resources: Resources
    verifier: Verifier

    def inspect(self) -> Iterator[IntegrityResult]:
        """Yield the result of every check."""
        for run in self.runs:
            yield from look_at(run_name(run), partial(self._inspect_run, run))
        for version in self.versions:
            yield from look_at(version_name(version), partial(self._inspect_version, version))
        for model in sorted({version.model for version in self.versions}):
            yield from look_at(model, partial(self._inspect_ledger, model))

    def _inspect_run(self, run: TrackedRun) -> Iterator[IntegrityResult]:
        yield IntegrityResult(ENDED, run_name(run), self._why_stuck(run))
        if run.status == "FINISHED" and tag.RUN_KIND not in run.tags:
            yield from self._compare_with_manifest(run)
            yield from self._verify_objects(run)

    def _inspect_ledger(self, model: str) -> Iterator[IntegrityResult]:
        yield IntegrityResult(LEDGER, model, find_rows_problem(model, self.resources))

    def _inspect_version(self, version: Version) -> Iterator[IntegrityResult]:
        history, subject = VersionHistory(version, self.resources), version_name(version)
        if version.problem:  # its tags may say anything
            yield IntegrityResult(SERVED, subject, version.problem)
            return
        without_run = _problem_of(lambda: (history.fit_run, history.registration_run))
        yield IntegrityResult(WITH_RUN, subject, without_run)
        yield IntegrityResult(WITH_FILES, subject, self._why_without_files(history))
        if without_run:  # nothing is left to compare with
            return
        yield IntegrityResult(SERVED, subject, _problem_of(history.check_served))
        yield IntegrityResult(TAGS, subject, self._why_tags_differ(history))

    def _compare_with_manifest(self, run: TrackedRun) -> Iterator[IntegrityResult]:
        """Compare a run in MLflow with what its steps logged."""
        required = ["train"] if tag.CANDIDATE in run.tags else ["prepare", "evaluate"]
        if tag.REGISTERED not in run.tags:  # it led to no version, and maybe not to an evaluation
            required = required[:1]
        missing = [step for step in required if tag.MANIFEST_PREFIX + step not in run.tags]
        try:
            if missing:
                raise StoreError(f"the tag {tag.MANIFEST_PREFIX}{missing[0]} is gone")
            manifest = read_manifest(run, self.resources)
            self.resources.runs.verify_records(run)
        except (StoreError, ValueError) as error:  # the latter is pydantic's
            yield IntegrityResult(MANIFESTS, run_name(run), first_line(error))
            return
        yield IntegrityResult(MANIFESTS, run_name(run), None)
        yield IntegrityResult(METRICS, run_name(run), _first_difference(manifest.metrics, run.metrics))
        yield IntegrityResult(PARAMETERS, run_name(run), _first_difference(manifest.params, run.params))
        yield IntegrityResult(
            TAGS, run_name(run), _first_difference(manifest.tags | self._decision_tags(run), run.tags)
        )
        for path, digest in manifest.artifacts.items():
            found = self.resources.runs.hash_file(run, path)
            problem = None if found == digest else f"{path} {'is gone' if found is None else 'was altered'}"
            yield IntegrityResult(ARTIFACTS, run_name(run), problem)

    def _decision_tags(self, run: TrackedRun) -> dict[str, str]:
        model = run.tags.get(tag.REGISTERED, "").partition("/")[0]
        rows = [row for row in self._ledger_entries(model) if row.run_id == run.run_id and row.kind != "canary"]
        return {tag.DECISION: f"{rows[0].kind}: {rows[0].reason}"} if rows else {}

    def _ledger_entries(self, model: str) -> list[Decision]:
        """Return a model's rows. Those that do not verify are a finding of their own, and expect nothing here."""
        try:
            return self.resources.ledger.entries(model) if model else []
        except LedgerError:
            return []

    def _verify_objects(self, run: TrackedRun) -> Iterator[IntegrityResult]:
        pipeline = run.tags.get(tag.PIPELINE, "")
        for model_id in run.model_ids:
            yield IntegrityResult(
                ARTIFACTS, f"model {model_id}", _problem(self.verifier.verify_model(model_id, pipeline))
            )
        for kind, blob in objects_of(run, self.resources):
            subject = f"{kind} {blob.digest[:12]}"
            yield IntegrityResult(ARTIFACTS, subject, _problem(self.verifier.verify_blob(blob)))

    def _why_tags_differ(self, history: VersionHistory) -> str | None:
        """Compare a version's tags with the expected ones.

        Those are the tags of its registration and of the ledger's newest row.
        """
        version = history.version
        try:
            expected = read_manifest(history.registration_run, self.resources).version_tags
        except (StoreError, TrackingError, ValueError) as error:
            return first_line(error)
        rows = [
            row
            for row in self._ledger_entries(version.model)
            if row.version == version.version and row.model_id in (None, version.model_id)
        ]
        if any(row.run_id not in (None, history.registration_run.run_id) for row in rows):  # staged by other runs too
            expected = {name: value for name, value in expected.items() if not name.startswith(tag.STAGING_PREFIX)}
            expected.pop(tag.STAGING_CONDITIONS, None)
        for row in rows:
            expected |= {tag.DECISION: f"{row.kind}: {row.reason}"} if row.kind != "manual" else {}
            verdict = row.verdict
            expected |= {tag.VERDICT: verdict.outcome, tag.VERDICT_REASON: verdict.reason} if verdict else {}
        return _first_difference(expected, version.tags)

    def _why_stuck(self, run: TrackedRun) -> str | None:
        if run.status != "RUNNING":
            return None
        run_id = run.tags.get(tag.DAG_RUN_ID, "")
        if run.dag_id:
            found = self.verifier.verify_dag_run(Origin(runner="airflow", run_id=run_id, dag_id=run.dag_id))
            if found.resolves:
                state = found.details[0]
                return None if state in UNFINISHED else f"RUNNING, and its DAG run ended as {state}"
            if found.resolves is False:
                return f"RUNNING, and {found.reason}"
        if run.tags.get(tag.RUNNER) == "cli" and run.tags.get(tag.HOST) == platform.node():
            process = run_id.rpartition("_")[2]
            if process.isdecimal() and not _is_alive(int(process)):
                return f"RUNNING, and its process {process} is gone"
        age = datetime.now(UTC) - run.started_at
        return f"RUNNING for {age.days} days" if age > STUCK_AFTER else None

    def _why_without_files(self, history: VersionHistory) -> str | None:
        try:
            model_id = history.model.model_id
        except (StoreError, TrackingError) as error:
            return str(error)
        return None if self.resources.models.has_files(model_id) else f"the files of model {model_id} are gone"


def look_at(subject: str, look: Callable[[], Iterable[IntegrityResult]]) -> Iterator[IntegrityResult]:
    """Yield the results of one row. An error becomes a finding about that row, and ends nothing else."""
    try:
        yield from look()
    except UnreachableError:
        raise
    except Exception as error:  # whatever somebody wrote into one row
        yield IntegrityResult(READABLE, subject, f"{type(error).__name__}: {first_line(error)}")


def version_name(version: Version) -> str:
    """Return a version as commands name it."""
    return f"{version.model}@{version.version}"


def _problem_of(ask: Callable[[], object]) -> str | None:
    try:
        ask()
    except (StoreError, TrackingError) as error:
        return str(error)
    return None


def _first_difference(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> str | None:
    for name, value in recorded.items():
        if name not in present:
            return f"{name} was logged as {value!r}, and MLflow has none"
        if present[name] != value:
            return f"{name} was logged as {value!r}, and is {present[name]!r} in MLflow"
    return None


def _problem(found: Verification) -> str | None:
    return found.reason if found.resolves is False else None


def run_name(run: TrackedRun) -> str:
    """Return a run's name with the start of its id."""
    return f"run {run.name} ({run.run_id[:8]})"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
