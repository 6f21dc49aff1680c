"""What a use case works with. These are project, profile, stores, registry and ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from waterflow.config.compose import compose_profile
from waterflow.config.header import find_outline
from waterflow.config.own_code import add_own_folder
from waterflow.config.profile import Profile
from waterflow.config.project import Project, find_project
from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError, StoreError
from waterflow.provenance.signing import Keyring
from waterflow.provenance.signing_keys import open_keyring, rotate_signing_key
from waterflow.records.data import Prepared
from waterflow.stores.base import ObjectStore, get_json, scratch_folder
from waterflow.stores.home import HomeStores
from waterflow.stores.open import open_store

if TYPE_CHECKING:  # MLflow and SQLAlchemy take seconds to import, and not every command needs them
    from waterflow.ledger.prediction_index import PredictionIndex
    from waterflow.ledger.store import Ledger
    from waterflow.tracking.model_store import ModelStore
    from waterflow.tracking.registry import ModelRegistry
    from waterflow.tracking.runs import RunStore


@dataclass(frozen=True)
class Resources:
    """The project and the stores behind a run. `workflow.open_resources` opens them."""

    project: Project
    profile: Profile
    store: ObjectStore

    @cached_property
    def runs(self) -> "RunStore":
        """MLflow's runs. Raises UnreachableError when its server does not answer."""
        from waterflow.tracking.runs import RunStore

        runs = RunStore(self.profile)
        HomeStores.of(self.profile, self.project.home).remember()
        return runs

    @cached_property
    def keyring(self) -> Keyring:
        """The keys that sign and verify models and records."""
        return open_keyring(self.profile)

    def rotate_keys(self, revoke: str | None = None) -> None:
        """Replace the signing key of this home. A key may be revoked by its id.

        Raises ConfigError where the key is not of this home.
        """
        private, public = self.profile.signing_key_file, self.profile.public_keys_file
        if private is None or public is None or not self.profile.make_signing_key:
            raise ConfigError(
                f"keys: profile {self.profile.name} does not own the signing key; "
                "rotate it where it was made: `make rotate-signing-key` in the stack's checkout"
            )
        rotate_signing_key(Path(private), Path(public), revoke=[revoke] if revoke else ())

    @cached_property
    def models(self) -> "ModelStore":
        """The logged models."""
        from waterflow.tracking.model_store import ModelStore

        return ModelStore(self.runs)

    @cached_property
    def registry(self) -> "ModelRegistry":
        """The registered models."""
        from waterflow.tracking.registry import ModelRegistry

        return ModelRegistry(self.runs)

    @cached_property
    def ledger(self) -> "Ledger":
        """The ledger of promotions; most steps never open it."""
        from waterflow.ledger.marks import LedgerMarks
        from waterflow.ledger.store import Ledger  # SQLAlchemy

        ledger = Ledger(self.profile.find_database(), self.keyring, LedgerMarks(self.store))
        HomeStores.of(self.profile, self.project.home).remember()
        return ledger

    @cached_property
    def prediction_index(self) -> "PredictionIndex":
        """The index of the prediction log, in the ledger's database."""
        from waterflow.ledger.prediction_index import PredictionIndex  # SQLAlchemy

        return PredictionIndex(self.profile.find_database())


def open_resources(project: Project | None = None, overrides: Sequence[str] = ()) -> Resources:
    """Open the stores of the profile.

    `overrides` are Hydra's; only those of `profile` count here.

    Raises ConfigError or StoreError, each in one line. MLflow and the ledger are opened where they are first used.
    """
    project = project or find_project()
    add_own_folder(project.root)
    profile = compose_profile(project, overrides)
    try:
        project.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"home: {str(project.home)!r} cannot be made ({error.strerror}); set WATERFLOW_HOME to a folder of yours"
        ) from error
    stores = HomeStores.of(profile, project.home)
    stores.require_all()
    resources = Resources(project, profile, open_store(profile.store_uri))
    stores.remember()
    return resources


def open_for(pipeline: str) -> Resources:
    """Open the profile's stores for a pipeline. Raises ConfigError unless it has a YAML."""
    resources = open_resources()
    find_outline(resources.project.conf, pipeline)
    return resources


def load_config(prepared: Prepared, resources: Resources) -> PipelineConfig:
    """Load the configuration that `prepare` composed, by its digest."""
    with scratch_folder() as folder:
        return PipelineConfig.model_validate(get_json(resources.store, prepared.config, folder))
