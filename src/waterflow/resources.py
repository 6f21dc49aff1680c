"""What a use case works with. These are project, profile, stores, registry and ledger."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from waterflow.config.profile import Profile
from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig
from waterflow.provenance.signing import Keyring
from waterflow.provenance.signing_keys import load_keyring
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
        private, public = (
            None if name is None else Path(name)
            for name in (self.profile.signing_key_file, self.profile.public_keys_file)
        )
        ours = private is not None and private.is_relative_to(self.project.home)
        return load_keyring(private, public, self.profile.public_keys or "", make=ours)

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
