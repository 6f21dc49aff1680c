"""Records of serving: columns, versions, scores and answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from waterflow.records.base import Record

FeatureKind = Literal["number", "integer", "boolean", "text", "category", "time"]
Arm = Literal["champion", "canary", "shadow"]


class FeatureColumn(Record):
    """A column that a model takes.

    Signature and contract together say what it may hold. `low` and `high` are inclusive bounds, times of them ISO 8601
    text; `values` lists all that may occur; `pattern` matches the whole text. A column that is not `required` may be
    left out of a row, which is a null. Training saw integers in a `whole` column.
    """

    name: str
    kind: FeatureKind
    nullable: bool = True
    required: bool = True
    whole: bool = False
    low: float | str | None = None
    high: float | str | None = None
    values: tuple[Any, ...] | None = None
    pattern: str | None = None


class ServedVersion(Record):
    """The version that answers for a pipeline.

    `sequence` is the row of the ledger that made it champion, None where no row did: then somebody moved the alias.
    `model_digest` is the sha256 of all its files.
    """

    pipeline: str
    version: int
    model_id: str
    model_digest: str
    sequence: int | None = None
    moved_by_hand: bool = False


@dataclass(frozen=True)
class Scores:
    """The answers to some rows, after calibration and threshold.

    `labels` has plain Python values, one a row. `probabilities` has the shape (rows, classes), columns in the order of
    `classes`; both are absent for a regression and for classifiers without probabilities.
    """

    labels: list[Any]
    probabilities: NDArray[np.float64] | None = None
    classes: tuple[Any, ...] = ()


class PredictionRecord(msgspec.Struct, frozen=True):
    """One answered row. `key` is the caller's, `share` the share of requests that are recorded like this one."""

    id: str
    at: datetime
    pipeline: str
    version: int
    sequence: int | None
    arm: Arm
    key: str | None
    features: Mapping[str, Any]
    prediction: Any
    probabilities: tuple[float, ...] | None
    latency_seconds: float
    share: float = 1.0
