"""A registered version as notebooks use it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from waterflow.data.columns import to_times
from waterflow.errors import DataError, SignatureError
from waterflow.records.serving import FeatureColumn
from waterflow.serving.schema import build_features
from waterflow.stores.base import scratch_folder
from waterflow.tracking.model_files import load_signed, read_inputs
from waterflow.tracking.model_store import ModelStore
from waterflow.tracking.registry import Version
from waterflow.tracking.runs import RunStore


@dataclass(frozen=True)
class LoadedChampion:
    """A registered version in a notebook. `signature` has its columns."""

    pipeline_name: str
    version: int
    signature: tuple[FeatureColumn, ...]
    pipeline: Any = field(repr=False)

    @property
    def classes(self) -> tuple[Any, ...]:
        """The classes, in the order of `predict_proba`. Empty for a regression."""
        return tuple(getattr(self.pipeline, "classes_", ()))

    def predict(self, rows: Any) -> Any:
        """Return a label or number a row.

        Labels are those at the model's threshold.

        `rows` is a frame, a list of dictionaries or a dictionary of columns; columns that the model does not take are
        left out. Raises DataError when one is missing.
        """
        return self.pipeline.predict(self._frame(rows))

    def predict_proba(self, rows: Any) -> Any:
        """Return the probability of each class, shape (rows, classes). Raises DataError where the model has none."""
        if not hasattr(self.pipeline, "predict_proba"):
            raise DataError(f"{self.pipeline_name} version {self.version} predicts no probabilities; use predict")
        return self.pipeline.predict_proba(self._frame(rows))

    def _frame(self, rows: Any) -> pd.DataFrame:
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        names = [column.name for column in self.signature]
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise DataError(
                f"rows: {', '.join(map(repr, missing))} missing; {self.pipeline_name} takes {', '.join(names)}"
            )
        times = [column.name for column in self.signature if column.kind == "time"]
        return frame[names].assign(**{name: to_times(frame[name]).dt.tz_convert(None) for name in times})


def load_version(version: Version, runs: RunStore) -> LoadedChampion:
    """Load a version. Raises SignatureError unless version and model are signed."""
    if version.problem:
        raise SignatureError(f"version {version.version} of {version.model}: {version.problem}")
    with scratch_folder() as folder:
        files = ModelStore(runs).fetch_signed(version.model_id, version.model, Path(folder))
        signature = build_features(read_inputs(files.folder), None)
        return LoadedChampion(version.model, version.version, signature, load_signed(files, runs.keyring))
