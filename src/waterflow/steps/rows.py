"""The prepared rows as fitting takes them; what decides which rows these are stands here, and keys `train`."""

from typing import TYPE_CHECKING

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.checks import feature_columns
from waterflow.records import Part, Prepared
from waterflow.steps.tools import Tools, scratch_folder
from waterflow.stores.base import get_file

if TYPE_CHECKING:
    from waterflow.modeling.fitting import Rows


def load_rows(prepared: Prepared, config: PipelineConfig, tools: Tools, parts: tuple[Part, ...]) -> "dict[Part, Rows]":
    """Read the prepared rows by their digest and divide them by their stored parts, with their folds if they have."""
    from waterflow.modeling.fitting import Rows  # scikit-learn

    with scratch_folder() as folder:
        frame = read_parquet(get_file(tools.store, prepared.data, folder / "data.parquet"))
        split = read_parquet(get_file(tools.store, prepared.split, folder / "split.parquet"))
    columns = feature_columns(frame, config)
    divided: dict[Part, Rows] = {}
    for part in parts:
        chosen = (split["part"] == part).to_numpy()
        rows = frame[chosen].reset_index(drop=True)
        folds = split.loc[chosen, "fold"].reset_index(drop=True) if "fold" in split else None
        divided[part] = Rows(rows[columns], rows[config.target], folds)
    return divided
