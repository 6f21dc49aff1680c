"""A sample for a quick look. It is a share of the rows, the same ones each time."""

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.row_identity import hash_fractions
from waterflow.errors import DataError

SAMPLE_SALT = 0x1EEF5EED  # makes the sample independent of the holdout


def sample_rows(frame: pd.DataFrame, config: PipelineConfig) -> pd.DataFrame:
    """Keep the share `config.sample` of the rows.

    Rows are chosen by a hash of their identity. A row of a sample is in every larger one; a group stays whole. Raises
    DataError when none is left.
    """
    if config.sample is None:
        return frame
    kept = frame[hash_fractions(frame, config, SAMPLE_SALT) < config.sample].reset_index(drop=True)
    if kept.empty:
        raise DataError(f"sample: {config.sample} of {len(frame)} rows leaves none; give a larger share")
    return kept
