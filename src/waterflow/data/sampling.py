"""A smaller data set for a quick try: a share of the rows, the same ones each time."""

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.splitting import hash_fractions
from waterflow.errors import DataError

SEED_STEP = 7919  # apart from the split's own seed, or the sample would be taken from the holdout first


def sample_rows(frame: pd.DataFrame, config: PipelineConfig) -> pd.DataFrame:
    """Keep the share `config.sample` of the rows, chosen by a hash of their key, group or values.

    A row that is in a sample is in every larger one; a group stays whole. Raises DataError when none is left.
    """
    if config.sample is None:
        return frame
    split = config.split.model_copy(update={"seed": config.split.seed + SEED_STEP})
    places = hash_fractions(frame, config.model_copy(update={"split": split}))
    kept = frame[places < config.sample].reset_index(drop=True)
    if kept.empty:
        raise DataError(f"sample: {config.sample} of {len(frame)} rows leaves none; give a larger share")
    return kept
