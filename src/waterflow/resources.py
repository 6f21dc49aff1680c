"""What a use case works with. These are project, profile, stores, registry and ledger."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from waterflow.config.profile import Profile
from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError
from waterflow.provenance.signing import Keyring
from waterflow.provenance.signing_keys import rotate_signing_key
from waterflow.records.data import Prepared
from waterflow.stores.base import ObjectStore, get_json, scratch_folder
from waterflow.tracking.model_store import ModelStore
from waterflow.tracking.registry import ModelRegistry
from waterflow.tracking.runs import RunStore

if TYPE_CHECKING:
    from waterflow.ledger.store import Ledger


@dataclass(frozen=True)
class Resources:
    """The project and the stores behind a run. `workflow.open_resources` opens them."""

    project: Project
    profile: Profile
    store: ObjectStore
    runs: RunStore

    @cached_property
    def keyring(self) -> Keyring:
        """The keys that sign and verify models and records."""
        return self.runs.keyring

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
    def models(self) -> ModelStore:
        """The logged models."""
        return ModelStore(self.runs)

    @cached_property
    def registry(self) -> ModelRegistry:
        """The registered models."""
        return ModelRegistry(self.runs)

    @cached_property
    def ledger(self) -> "Ledger":
        """The ledger of promotions; most steps never open it."""
        from waterflow.ledger.store import Ledger  # SQLAlchemy

        return Ledger(self.profile.find_database())


def load_config(prepared: Prepared, resources: Resources) -> PipelineConfig:
    """Load the configuration that `prepare` composed, by its digest."""
    with scratch_folder() as folder:
        return PipelineConfig.model_validate(get_json(resources.store, prepared.config, folder))
