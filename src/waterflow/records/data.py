"""Records of prepared data: stored objects, split and shares."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from waterflow.records.base import Record
from waterflow.records.run import Origin, Window

Part = Literal["train", "validation", "test"]


class Blob(Record):
    """An object in the store. `digest` is the sha256 of its bytes in hexadecimal."""

    key: str
    digest: str
    size_bytes: int


class Share(Record):
    """The rows in one part of the split. They are counted by class too."""

    part: Part
    rows: int
    by_class: dict[str, int] = Field(default_factory=dict)


class HoldoutCut(Record):
    """Where the holdout of dated rows begins, and why there.

    `latest` is the window's latest slice. `new` are the rows after those of the champion's model. `recorded` is the
    champion's own holdout, on which its recorded predictions are the opponent. `start` is the first moment held out,
    None where the slice's share decides.
    """

    kind: Literal["latest", "new", "recorded"]
    start: datetime | None = None
    champion_version: int | None = None
    champion_model_id: str | None = None

    def is_recorded_by(self, version: int | None) -> bool:
        """Return whether this version's recorded predictions are the opponent's."""
        return self.kind == "recorded" and version is not None and version == self.champion_version


class DividedBlob(Record):
    """The stored split of some rows.

    `leak` names features that alone reveal the target, empty where none does. `key` is that of the action, once logged.
    """

    split: Blob
    shares: tuple[Share, ...]
    leak: str = ""
    key: str = ""


class Prepared(Record):
    """The result of `prepare`.

    It holds rows, split and composed configuration, each by digest. `read_at` is the moment in UTC at which the source
    was read, `reading` how, one decision a line.
    """

    pipeline: str
    origin: Origin
    action_key: str
    experiment_id: str
    parent_run_id: str
    config: Blob
    data: Blob
    split: Blob
    window: Window | None
    cut: HoldoutCut | None = None
    read_at: datetime
    reading: tuple[str, ...] = ()
    rows: int
    shares: tuple[Share, ...]
    candidates: tuple[str, ...]
    force: bool = False
