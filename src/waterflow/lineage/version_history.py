"""Following a registered version back to the run that fitted it and to what that run recorded."""

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from waterflow.errors import ConfigError, StoreError
from waterflow.lineage.run_provenance import Provenance, read_provenance
from waterflow.records import Evaluated, Prepared, Record, Trained
from waterflow.resources import Resources
from waterflow.tracking.found import FoundRun
from waterflow.tracking.lookup import FoundModel, Lookup
from waterflow.tracking.model_store import Version
from waterflow.tracking.tags import EVALUATED_FILE, MLFLOW_PARENT_RUN_ID, MODEL_ID, PARENT_RUN_ID, RECORD_FILE

REFERENCE = re.compile(r"(?P<model>[^@\s]+)@(?:(?P<version>[1-9]\d*)|(?P<alias>[A-Za-z_][\w-]*))")
SHOWN_VERSIONS = 10
Kind = TypeVar("Kind", bound=Record)


def find_version(reference: str, resources: Resources) -> Version:
    """Read `MODEL@VERSION` or `MODEL@ALIAS` and find that version; raises ConfigError with what would be valid."""
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise ConfigError(f"version: {reference!r} names none; write it like iris@3 or iris@champion")
    model, number, alias = match["model"], match["version"], match["alias"]
    known = resources.models.list_models()
    if model not in known:
        raise ConfigError(f"model: {model!r} is not registered; valid: {', '.join(known) or 'none yet'}")
    versions = resources.models.list_versions(model)
    for entry in versions:
        if entry.version == int(number or 0) or alias in entry.aliases:
            return entry
    if alias is None:
        newest = ", ".join(str(entry.version) for entry in versions[:SHOWN_VERSIONS])
        raise ConfigError(f"version: {model} has no version {number}; the newest are {newest or 'none'}")
    aliases = sorted({name for entry in versions for name in entry.aliases})
    raise ConfigError(f"alias: {alias!r} points to no version of {model}; valid: {', '.join(aliases) or 'none'}")


@dataclass(frozen=True)
class Chain:
    """The links behind a version, each read when it is first asked for; one that is gone raises StoreError.

    The model leads to the run that fitted it, which is another DAG run's than the version's where the fit came from
    the cache; what decided the fit stands with that run.
    """

    version: Version
    resources: Resources = field(repr=False)

    @cached_property
    def lookup(self) -> Lookup:
        """What MLflow is asked with."""
        return Lookup(self.resources.runs)

    @cached_property
    def model(self) -> FoundModel:
        """The logged model."""
        model_id = self.version.tags.get(MODEL_ID)
        if model_id is None:
            raise StoreError(f"{self.name}: Waterflow did not register it, so nothing says which run made it")
        found = self.lookup.find_model(model_id)
        if found is None:
            raise StoreError(f"model {model_id}: MLflow has no such model any more; it was deleted")
        return found

    @cached_property
    def fit_run(self) -> FoundRun:
        """The run of the candidate that fitted the model."""
        return self._run(self.model.run_id, "of the candidate")

    @cached_property
    def parent_run(self) -> FoundRun:
        """The run of the DAG run that the fit belongs to."""
        parent = self.fit_run.tags.get(MLFLOW_PARENT_RUN_ID)
        if parent is None:
            raise StoreError(f"run {self.fit_run.run_id}: it names no parent run; was its tag removed?")
        return self._run(parent, "of the DAG run")

    @cached_property
    def own_run(self) -> FoundRun:
        """The run that evaluated and registered the version."""
        own = self.version.tags.get(PARENT_RUN_ID)
        if own is None:
            raise StoreError(f"{self.name}: it names no run; Waterflow did not register it")
        return self._run(own, "that registered it")

    @cached_property
    def prepared(self) -> Prepared:
        """The record of the rows, split and configuration behind the fit."""
        return self._record(Prepared, self.parent_run.run_id, RECORD_FILE)

    @cached_property
    def trained(self) -> Trained:
        """The record of the fit."""
        return self._record(Trained, self.fit_run.run_id, RECORD_FILE)

    @cached_property
    def evaluated(self) -> Evaluated:
        """The record of how the version was judged."""
        return self._record(Evaluated, self.own_run.run_id, EVALUATED_FILE)

    @cached_property
    def provenance(self) -> Provenance:
        """Code, environment and source behind the fit."""
        return read_provenance(self.parent_run.run_id, self.resources)

    @property
    def name(self) -> str:
        """The version in words."""
        return f"{self.version.model} version {self.version.version}"

    def _run(self, run_id: str, what: str) -> FoundRun:
        run = self.lookup.find_run(run_id)
        if run is None:
            raise StoreError(f"run {run_id} {what}: MLflow has no such run any more; it was deleted")
        return run

    def _record(self, kind: type[Kind], run_id: str, path: str) -> Kind:
        content = self.resources.runs.read_json(run_id, path)
        try:
            if content is None:
                raise StoreError(f"run {run_id}: its {path} is gone; restore MLflow's artifacts from a backup")
            return kind.from_json(content)
        except ValueError as error:  # pydantic's
            raise StoreError(f"run {run_id}: its {path} is no record {kind.__name__}; was it edited?") from error
