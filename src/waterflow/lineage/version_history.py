"""The path from a registered version to its origin. The only code that walks from it to its model, runs and records."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from waterflow.config.schema import PipelineConfig
from waterflow.config.suggestions import list_valid
from waterflow.errors import ConfigError, SignatureError, StoreError
from waterflow.lineage.run_provenance import Provenance, read_provenance
from waterflow.records.base import Record
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.training import Trained
from waterflow.resources import Resources, load_config
from waterflow.tracking.model_store import LoggedModel
from waterflow.tracking.registry import CHAMPION, Version
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import EVALUATED_FILE, MLFLOW_PARENT_RUN_ID, MODEL_ID, PARENT_RUN_ID, RECORD_FILE

REFERENCE = re.compile(r"(?P<model>[^@\s]+)@(?:(?P<version>[1-9]\d*)|(?P<alias>[A-Za-z_][\w-]*))")
LISTED_VERSIONS = 10
Kind = TypeVar("Kind", bound=Record)


def find_version(reference: str, resources: Resources) -> Version:
    """Return the version that `MODEL@VERSION` or `MODEL@ALIAS` names.

    `MODEL` alone names its champion. Raises ConfigError with what would be valid.
    """
    match = REFERENCE.fullmatch(reference if "@" in reference else f"{reference}@{CHAMPION}")
    if match is None:
        raise ConfigError(f"version: {reference!r} names no version; write it like iris@3 or iris@champion")
    model, number, alias = match["model"], match["version"], match["alias"]
    known = resources.registry.list_models()
    if model not in known:
        raise ConfigError(f"model: {model!r} is not registered; {list_valid(model, known)}")
    versions = resources.registry.list_versions(model)
    for entry in versions:
        if entry.version == int(number or 0) or alias in entry.aliases:
            return entry
    if alias is None:
        newest = ", ".join(str(entry.version) for entry in versions[:LISTED_VERSIONS])
        raise ConfigError(f"version: {model} has no version {number}; the newest are {newest or 'none'}")
    aliases = sorted({name for entry in versions for name in entry.aliases})
    raise ConfigError(f"alias: {alias!r} points to no version of {model}; valid: {', '.join(aliases) or 'none'}")


@dataclass(frozen=True)
class VersionHistory:
    """A version's model, runs and records. Each is read when first used.

    Two DAG runs may stand behind a version: the one that fitted its model, and the one that evaluated and registered
    it; they differ where the fit was cached. What is gone or unreadable raises StoreError.
    """

    version: Version
    resources: Resources = field(repr=False)

    @property
    def name(self) -> str:
        """Return the version in words."""
        return f"{self.version.model} version {self.version.version}"

    @cached_property
    def model(self) -> LoggedModel:
        """Return the logged model."""
        self.check_facts()
        model_id = self.version.tags.get(MODEL_ID)
        if not model_id:
            raise StoreError(f"{self.name}: Waterflow did not register it, so the run that fitted it is not known")
        found = self.resources.models.find_model(model_id)
        if found is None:
            raise StoreError(f"model {model_id}: MLflow has no such model any more; it was deleted")
        return found

    @cached_property
    def fit_run(self) -> TrackedRun:
        """Return the run of the candidate that fitted the model."""
        return self._find_run(self.model.run_id, "of the candidate")

    @cached_property
    def fit_parent_run(self) -> TrackedRun:
        """Return the parent of `fit_run`. It prepared the rows of the fit."""
        parent = self.fit_run.tags.get(MLFLOW_PARENT_RUN_ID)
        if parent is None:
            raise StoreError(f"run {self.fit_run.run_id}: it names no parent run; was its tag removed?")
        return self._find_run(parent, "that prepared the rows")

    @cached_property
    def registration_run(self) -> TrackedRun:
        """Return the parent run that evaluated and registered the version."""
        self.check_facts()
        run_id = self.version.tags.get(PARENT_RUN_ID)
        if not run_id:
            raise StoreError(f"{self.name}: it names no run, because Waterflow did not register it")
        return self._find_run(run_id, "that registered it")

    @cached_property
    def prepared(self) -> Prepared:
        """Return the rows, split and configuration of the fit."""
        return self._read_record(Prepared, self.fit_parent_run, RECORD_FILE)

    @cached_property
    def trained(self) -> Trained:
        """Return the record of the fit."""
        return self._read_record(Trained, self.fit_run, RECORD_FILE)

    @cached_property
    def registration_prepared(self) -> Prepared:
        """Return the rows, split and configuration of the evaluation."""
        return self._read_record(Prepared, self.registration_run, RECORD_FILE)

    @cached_property
    def evaluated(self) -> Evaluated:
        """Return the record of the evaluation."""
        return self._read_record(Evaluated, self.registration_run, EVALUATED_FILE)

    @cached_property
    def config(self) -> PipelineConfig:
        """Return the configuration of the fit."""
        return self._load_config(self.prepared)

    @cached_property
    def registration_config(self) -> PipelineConfig:
        """Return the configuration of the evaluation."""
        return self._load_config(self.registration_prepared)

    def check_facts(self) -> None:
        """Raise SignatureError unless the version's tags are signed."""
        if self.version.problem:
            raise SignatureError(f"{self.name}: {self.version.problem}")

    def check_served(self) -> None:
        """Raise StoreError unless the registry serves the recorded files. They are not read."""
        version, model, trained = self.version, self.model, self.trained
        location = self.resources.registry.storage_location(version.model, version.version)
        for what, served, recorded in (
            ("model", version.model_id, model.model_id),
            ("files at", location, model.location),
            ("model", model.model_id, trained.model_id),
            ("files with digest", model.files_digest, trained.model_digest),
        ):
            if served != recorded:
                raise StoreError(f"{self.name}: the registry serves {what} {served}, not those of its fit: {recorded}")

    @cached_property
    def provenance(self) -> Provenance:
        """Return code, environment and source of the fit."""
        return read_provenance(self.fit_parent_run, self.resources)

    def _load_config(self, prepared: Prepared) -> PipelineConfig:
        try:
            return load_config(prepared, self.resources)
        except ValueError as error:  # pydantic's
            raise StoreError(f"{self.name}: its configuration is of another release of Waterflow") from error

    def _find_run(self, run_id: str, what: str) -> TrackedRun:
        run = self.resources.runs.find_run(run_id)
        if run is None:
            raise StoreError(f"run {run_id} {what}: MLflow has no such run any more; it was deleted")
        return run

    def _read_record(self, kind: type[Kind], run: TrackedRun, path: str) -> Kind:
        try:
            return kind.from_json(self.resources.runs.read_verified(run, path))
        except StoreError as error:
            raise StoreError(f"run {run.run_id}: {error}; restore MLflow's artifacts from a backup") from error
        except ValueError as error:  # pydantic's
            raise StoreError(f"run {run.run_id}: its {path} is no record {kind.__name__}; was it edited?") from error
