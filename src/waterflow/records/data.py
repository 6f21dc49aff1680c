"""Records of prepared data: stored objects, the split and its shares."""

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
    """The rows in one part of the split, also by class."""

    part: Part
    rows: int
    by_class: dict[str, int] = Field(default_factory=dict)


class DividedBlob(Record):
    """The stored split of some rows.

    `leak` names features that alone reveal the target, empty where none does.
    """

    split: Blob
    shares: tuple[Share, ...]
    leak: str = ""


class Prepared(Record):
    """The result of `prepare`: rows, split and composed configuration, each by digest.

    `read_at` is the moment in UTC at which the source was read.
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
    read_at: datetime
    rows: int
    shares: tuple[Share, ...]
    candidates: tuple[str, ...]
    force: bool = False
