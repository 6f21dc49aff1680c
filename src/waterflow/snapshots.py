"""The rows of a run, their split and configuration. They are stored and read by digest."""

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import write_parquet
from waterflow.data.preparation import DividedRows
from waterflow.provenance.hashing import sha256_of
from waterflow.records.data import Blob, DividedBlob, Part, Prepared
from waterflow.records.training import FitRows
from waterflow.resources import Resources
from waterflow.stores.base import blob_key, get_file, put_file, put_json, scratch_folder

if TYPE_CHECKING:
    from waterflow.training.fitting import LabelledRows


def store_frame(frame: pd.DataFrame, resources: Resources) -> tuple[Blob, bool]:
    """Store rows as canonical Parquet. Return the blob, and whether the store did not have it yet."""
    with scratch_folder() as folder:
        path = folder / "data.parquet"
        write_parquet(frame, path)
        is_new = not resources.store.exists(blob_key(sha256_of(path)))
        return put_file(resources.store, path), is_new


def store_config(config: PipelineConfig, resources: Resources) -> Blob:
    """Store a composed configuration. The later steps load it from there."""
    with scratch_folder() as folder:
        return put_json(resources.store, config.model_dump(mode="json"), folder)


def store_division(divided: DividedRows, resources: Resources) -> DividedBlob:
    """Store the part and fold of each row."""
    with scratch_folder() as folder:
        write_parquet(divided.split, folder / "split.parquet")
        blob = put_file(resources.store, folder / "split.parquet")
    return DividedBlob(split=blob, shares=divided.shares, leak=divided.leak)


def load_rows(
    prepared: Prepared, config: PipelineConfig, resources: Resources, parts: tuple[Part, ...]
) -> "dict[Part, LabelledRows]":
    """Read the prepared rows by their digest. Divide them by their stored parts, with their folds if any."""
    from waterflow.training.partitions import read_partitions  # scikit-learn

    with scratch_folder() as folder:
        data = get_file(resources.store, prepared.data, folder / "data.parquet")
        split = get_file(resources.store, prepared.split, folder / "split.parquet")
        return read_partitions(data, split, config, parts)


def load_fit_rows(
    prepared: Prepared, config: PipelineConfig, chosen: FitRows, resources: Resources
) -> "tuple[LabelledRows, datetime | None]":
    """Read the prepared rows that a fit learns from.

    They are found by their digest. Also return the time of the last where rows are dated.
    """
    from waterflow.training.partitions import select_rows  # scikit-learn

    with scratch_folder() as folder:
        data = get_file(resources.store, prepared.data, folder / "data.parquet")
        split = get_file(resources.store, prepared.split, folder / "split.parquet")
        return select_rows(data, split, config, chosen)
