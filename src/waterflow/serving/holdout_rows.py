"""Recorded holdout rows of a version. The fast path is compared with the pipeline on them."""

from pathlib import Path

import numpy as np

from waterflow.data.canonical import write_parquet
from waterflow.data.columns import as_served
from waterflow.lineage.version_history import VersionHistory
from waterflow.resources import Resources
from waterflow.snapshots import load_rows
from waterflow.tracking.registry import Version

MAX_ROWS = 500  # as in staging


def store_holdout_rows(version: Version, resources: Resources, path: Path) -> None:
    """Write at most 500 held-out rows of a version.

    They are Parquet, spread evenly over those that it was evaluated on, and read by their recorded digest. Raises
    StoreError when anything is gone.
    """
    history = VersionHistory(version, resources)
    parts = load_rows(history.registration_prepared, history.registration_config, resources, ("test",))
    rows = parts["test"].features
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(MAX_ROWS, len(rows))).astype(np.intp))
    write_parquet(as_served(rows.iloc[chosen].reset_index(drop=True)), path)
