"""The prepared rows as fitting takes them; what decides which rows these are stands here, and keys `train`."""

from typing import TYPE_CHECKING

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.records import Part, Prepared
from waterflow.resources import Resources, scratch_folder
from waterflow.stores.base import get_file

if TYPE_CHECKING:
    from waterflow.training.fitting import Rows


def load_rows(
    prepared: Prepared, config: PipelineConfig, resources: Resources, parts: tuple[Part, ...]
) -> "dict[Part, Rows]":
    """Read the prepared rows by their digest and divide them by their stored parts, with their folds if they have."""
    from waterflow.training.partitions import divide_parts  # scikit-learn

    with scratch_folder() as folder:
        frame = read_parquet(get_file(resources.store, prepared.data, folder / "data.parquet"))
        split = read_parquet(get_file(resources.store, prepared.split, folder / "split.parquet"))
    return divide_parts(frame, split, config, parts)
