"""What workers serve. The supervisor writes it to a file that they follow."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from waterflow.config.project import Project
from waterflow.config.schema import LogConfig
from waterflow.provenance.signing import Keyring
from waterflow.records.base import Record
from waterflow.records.serving import FeatureColumn, ServedVersion
from waterflow.tracking.model_files import SignedFiles

STATE_FILE = "state.json"
HOLDOUT_FILE = "holdout.parquet"
PRIVATE = 0o700


class Assignment(Record):
    """The version that answers, with what workers need of it.

    `folder` has its files, whose digest `signature` vouches for. `problem` says why the newest champion is not served:
    what is assigned then is the one before. `effective_at` is the earliest moment to switch to it. A fast path serves
    where it differs from the pipeline by at most `tolerance`, on the rows in `holdout`.
    """

    version: ServedVersion
    signature: str
    folder: str
    features: tuple[FeatureColumn, ...]
    contract: Literal["reject", "warn"] = "reject"
    log: LogConfig = LogConfig()
    shadow: Literal["challenger"] | None = None
    example: dict[str, Any] = Field(default_factory=dict)
    since: datetime
    effective_at: datetime | None = None
    problem: str = ""
    tolerance: float = 0.0

    def serves_like(self, other: "Assignment") -> bool:
        """Return whether both have the same version, columns and rules."""
        mine, theirs = (entry.model_dump(exclude={"since", "problem", "effective_at"}) for entry in (self, other))
        return mine == theirs

    @property
    def holdout(self) -> Path:
        """The recorded holdout rows. There is no such file where they are gone."""
        return Path(self.folder).with_name(HOLDOUT_FILE)

    @property
    def files(self) -> SignedFiles:
        """The files, and who vouches for them."""
        version = self.version
        return SignedFiles(Path(self.folder), version.pipeline, version.model_id, version.model_digest, self.signature)


class ServiceState(Record):
    """The state of a service. `run` names one start of it.

    `pipelines` are all that it serves; `problems` say why one has no champion, `servers_problem` which server is away.
    `assignments` answer, `pending` are loaded beside them until all workers can switch; `shadows` answer for the
    record. What `public_keys` signed is loaded, unless the key is among the `revoked`.
    """

    run: str
    pipelines: tuple[str, ...]
    assignments: dict[str, Assignment] = Field(default_factory=dict)
    pending: dict[str, Assignment] = Field(default_factory=dict)
    shadows: dict[str, Assignment] = Field(default_factory=dict)
    problems: dict[str, str] = Field(default_factory=dict)
    servers_problem: str = ""
    public_keys: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()

    @property
    def keyring(self) -> Keyring:
        """The keys that models are verified by. None of them signs."""
        return Keyring(frozenset(self.public_keys), frozenset(self.revoked))


def service_folder(project: Project, port: int) -> Path:
    """Return the folder of the service on a port. It is made, for its owner only."""
    folder = project.home / "serving" / str(port)
    make_private(folder.parent)
    make_private(folder)
    return folder


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone. One that exists is made private too."""
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    folder.chmod(PRIVATE)


def write_state(folder: Path, state: ServiceState) -> None:
    """Write the state at once, for its owner."""
    scratch = folder / f".{STATE_FILE}.{os.getpid()}"
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(state.model_dump_json())
    scratch.replace(folder / STATE_FILE)


def read_state(folder: Path) -> ServiceState | None:
    """Read the state. None where there is none, or where another release wrote it."""
    try:
        return ServiceState.model_validate_json((folder / STATE_FILE).read_bytes())
    except (OSError, ValidationError):
        return None
