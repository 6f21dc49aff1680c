"""Answered requests, and an index and a store for their log."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.serving.prediction_log.frames import ServedRows, new_request_id
from waterflow.serving.prediction_log.spool import SpoolLimits
from waterflow.stores.folder import FolderStore

QUICK = SpoolLimits(flush_seconds=0.02)


def answered(rows: int = 1, **changes: Any) -> ServedRows:
    """Return an answered request of `flowers`."""
    given: dict[str, Any] = {
        "id": new_request_id(),
        "at": time.time(),
        "pipeline": "flowers",
        "version": 3,
        "model_id": "m-3",
        "sequence": 7,
        "arm": "champion",
        "keys": [f"customer {row}" for row in range(rows)],
        "columns": {"petal length": [1.5 + row for row in range(rows)], "colour": ["blue", None] * rows},
        "labels": ["setosa"] * rows,
        "classes": ["setosa", "virginica"],
        "probabilities": [[0.75, 0.25]] * rows,
        "latency_seconds": 0.001,
    }
    given["columns"] = {name: values[:rows] for name, values in given["columns"].items()}
    return ServedRows(**given | changes)


def seconds(moment: datetime) -> float:
    """Return a time as answers have it."""
    return moment.astimezone(UTC).timestamp()


def open_stores(folder: Path) -> tuple[FolderStore, PredictionIndex]:
    """Open a store and an index in a folder."""
    return FolderStore(folder / "store"), PredictionIndex(f"sqlite:///{folder / 'waterflow.db'}")
