"""The model registry: registered models, their versions and aliases."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from waterflow.errors import SignatureError, TrackingError
from waterflow.provenance.hashing import digest_of
from waterflow.provenance.signing import Statement
from waterflow.tracking.errors import translated
from waterflow.tracking.fluent import use_tracking_uri
from waterflow.tracking.run_queries import MAX_PAGE, RunQueries, all_pages, unless_gone
from waterflow.tracking.tags import (
    CANDIDATE,
    DECISION,
    LEDGER_SEQUENCE,
    METRIC_PREFIX,
    MODEL_ID,
    OWN_PREFIX,
    STAGING_CONDITIONS,
    STAGING_PREFIX,
    VERDICT,
    VERDICT_REASON,
    VERSION_FACTS,
    VERSION_SIGNATURE,
)

CHALLENGER, CHAMPION = "challenger", "champion"
SHOWN = (CANDIDATE, VERDICT)
# Tags of a version that later steps set, and that decide nothing.
LATER = (DECISION, LEDGER_SEQUENCE, STAGING_CONDITIONS, VERDICT, VERDICT_REASON, VERSION_SIGNATURE)
MAX_DESCRIPTION_LENGTH = 5000  # in characters: what MLflow's column holds on Postgres


@dataclass(frozen=True)
class Version:
    """A registered version. `model_id` is the logged model that the registry serves for it.

    `problem` is a clause that says why nothing vouches for the tags of its registration, by which it is traced and
    compared. It is empty where they are signed.
    """

    model: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    model_id: str
    tags: dict[str, str]
    problem: str = ""

    @property
    def candidate(self) -> str:
        """The name of the fitted candidate."""
        return self.tags.get(CANDIDATE, "–")

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics on the holdout that lists show. What is no number is left out."""
        names = [name for name in self.tags if name.startswith(METRIC_PREFIX)]
        numbers = {name.removeprefix(METRIC_PREFIX): _number(self.tags[name]) for name in names}
        return {name: number for name, number in numbers.items() if number is not None}


class ModelRegistry:
    """Registered models on one tracking server."""

    def __init__(self, runs: RunQueries) -> None:
        """Share the connection and the keys of `runs`."""
        self._uri, self._client, self._runs = runs.uri, runs.client, runs

    def register(self, model: str, model_id: str, run_id: str, description: str, tags: dict[str, str]) -> int:
        """Register a logged model and return its version.

        Its tags are signed: later steps decide by them. A second call returns the version of the first. Raises
        SignatureError without a key.
        """
        existing = self._signed(f"name = '{model}' and run_id = '{run_id}'")
        if existing:
            return existing[0].version
        tags = tags | {VERSION_SIGNATURE: self._runs.keyring.sign(version_statement(model, model_id, tags))}
        with translated(self._uri):
            use_tracking_uri(self._uri)  # the registry looks the logged model up by the fluent API
            try:
                self._client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            version = self._client.create_model_version(
                model,
                source=f"models:/{model_id}",
                run_id=run_id,
                tags=packed(tags, {}),
                description=description,
                model_id=model_id,
            )
        return int(version.version)

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point an alias to a version."""
        with translated(self._uri):
            self._client.set_registered_model_alias(model, alias, str(version))

    def remove_alias(self, model: str, alias: str) -> None:
        """Remove an alias, if there is one."""
        with translated(self._uri):
            self._client.delete_registered_model_alias(model, alias)

    def tag_version(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version, those of its facts together."""
        with translated(self._uri):
            present = dict(self._client.get_model_version(model, str(version)).tags)
            for key, value in packed(tags, present).items():
                self._client.set_model_version_tag(model, str(version), key, value)

    def aliases_of(self, model: str, version: int) -> tuple[str, ...]:
        """List the aliases of a version."""
        with translated(self._uri):
            return tuple(sorted(self._client.get_model_version(model, str(version)).aliases))

    def get_version(self, model: str, version: int) -> Version | None:
        """Return a version by its number. None when there is none, or it was deleted."""
        with translated(self._uri):
            entry = unless_gone(lambda: self._client.get_model_version(model, str(version)))
        return entry and self._read(entry, dict.fromkeys(entry.aliases, entry.version))

    def served_model(self, model: str, version: int) -> str:
        """Return the logged model that the registry serves, by id. Raises TrackingError without such a version."""
        with translated(self._uri):
            return _served_id(self._client.get_model_version(model, str(version)))

    def storage_location(self, model: str, version: int) -> str:
        """Return the address of the files that the registry serves. Raises TrackingError without such a version."""
        with translated(self._uri):
            return str(self._client.get_model_version_download_uri(model, str(version)))

    def find_alias(self, model: str, alias: str, *, is_registered: bool = False) -> Version | None:
        """Return the version that an alias points to. None without such a model or alias.

        With `is_registered` the model is known to exist, which saves a request.
        """
        with translated(self._uri):
            # A server with accounts calls a model that does not exist forbidden; a search leaves it out.
            if not is_registered and not self._client.search_registered_models(f"name = '{model}'"):
                return None
            try:
                entry = self._client.get_model_version_by_alias(model, alias)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                return None
        return self._read(entry, {alias: entry.version})

    def find_by_model(self, model: str, model_id: str) -> Version | None:
        """Return the first version of a logged model. None if it was not registered."""
        return self._find(model, MODEL_ID, model_id, min)

    def find_by_tag(self, model: str, name: str, value: str) -> Version | None:
        """Return the newest version with a signed tag's value. None if none has it."""
        return self._find(model, name, value, max)

    def list_models(self) -> list[str]:
        """List the names of the registered models."""
        with translated(self._uri):
            ask = partial(self._client.search_registered_models, "", MAX_PAGE, None)
            return sorted(entry.name for entry in all_pages(ask))

    def list_versions(self, model: str) -> list[Version]:
        """List a model's versions, newest first. Raises TrackingError when there is no such model."""
        with translated(self._uri):
            registered = unless_gone(lambda: self._client.get_registered_model(model))
        if registered is None:
            raise TrackingError(f"model {model!r} has no version yet; `waterflow run {model}` trains and registers one")
        versions = self._versions(f"name = '{model}'", registered.aliases)
        return sorted(versions, key=lambda entry: entry.version, reverse=True)

    def list_all_versions(self) -> list[Version]:
        """List the versions of all registered models, without their aliases."""
        return self._versions("")

    def _versions(self, condition: str, aliases: Mapping[str, Any] | None = None) -> list[Version]:
        with translated(self._uri):
            ask = partial(self._client.search_model_versions, condition, MAX_PAGE, None)
            return [self._read(entry, aliases or {}) for entry in all_pages(ask)]

    def _find(self, model: str, name: str, value: str, choose: Callable[[list[int]], int]) -> Version | None:
        found = [entry.version for entry in self._signed(f"name = '{model}'") if entry.tags.get(name) == value]
        return self.get_version(model, choose(found)) if found else None

    def _signed(self, condition: str) -> list[Version]:
        """Return versions whose tags are signed. Others may only look like those that are asked for."""
        return [entry for entry in self._versions(condition) if not entry.problem]

    def _read(self, entry: ModelVersion, aliases: Mapping[str, Any]) -> Version:
        model_id, tags = _served_id(entry), unpacked(entry.tags)
        try:
            self._runs.keyring.verify(version_statement(entry.name, model_id, tags), tags.get(VERSION_SIGNATURE))
            problem = ""
        except SignatureError as error:
            problem = f"nothing vouches for it ({error})"
        return Version(
            model=entry.name,
            version=int(entry.version),
            aliases=tuple(sorted(alias for alias, version in aliases.items() if int(version) == int(entry.version))),
            run_id=entry.run_id,
            model_id=model_id,
            tags=tags,
            problem=problem,
        )


def packed(tags: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """Return the tags to set. Those that lists show, and one with all other facts.

    Lists show the candidate, the verdict and the first metric; `present` are the version's tags until now.
    """
    is_first = not any(name.startswith(METRIC_PREFIX) for name in present)
    metric = next((name for name in tags if is_first and name.startswith(METRIC_PREFIX)), None)
    shown = {name: value for name, value in tags.items() if name in SHOWN or name == metric or name in present}
    facts = {name: value for name, value in tags.items() if name not in shown}
    if not facts:
        return shown
    return shown | {VERSION_FACTS: json.dumps(_facts(present) | facts, ensure_ascii=False, sort_keys=True)}


def unpacked(tags: Mapping[str, str]) -> dict[str, str]:
    """Return a version's tags with its facts among them."""
    return _facts(tags) | {name: value for name, value in tags.items() if name != VERSION_FACTS}


def _facts(tags: Mapping[str, str]) -> dict[str, str]:
    try:
        facts = json.loads(tags.get(VERSION_FACTS, "{}"))
    except ValueError:  # edited by somebody: the tags in it are missing then, as `audit` says
        return {}
    return {str(name): str(value) for name, value in facts.items()} if isinstance(facts, dict) else {}


def fit_description(text: str, reference: str) -> str:
    """Cut a description to what MLflow's database holds. `reference` then says where to read all of it."""
    if len(text) <= MAX_DESCRIPTION_LENGTH:
        return text
    ending = f"\n\n… {reference}"
    return text[: MAX_DESCRIPTION_LENGTH - len(ending)].rpartition("\n")[0] + ending


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def version_statement(model: str, model_id: str, tags: Mapping[str, str]) -> Statement:
    """Return what is signed of a version. That is the model that it serves, and the tags of its registration."""
    facts = {
        name: value
        for name, value in tags.items()
        if name.startswith(OWN_PREFIX) and name not in LATER and not name.startswith(STAGING_PREFIX)
    }
    return Statement("version", model, model_id, digest_of(facts))


def _served_id(entry: ModelVersion) -> str:
    return (entry.source or "").removeprefix("models:/")
