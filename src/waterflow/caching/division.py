"""The split of prepared rows as a cached action."""

import logging

import pandas as pd

from waterflow.caching.keys import division, key_of
from waterflow.caching.lookup import CacheLookup, find_division
from waterflow.config.schema import PipelineConfig
from waterflow.data.preparation import divide_rows
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import Blob, DividedBlob, HoldoutCut
from waterflow.resources import Resources
from waterflow.snapshots import store_division
from waterflow.tracking.runs import OpenRun

logger = logging.getLogger(__name__)


def divide_cached(
    frame: pd.DataFrame,
    config: PipelineConfig,
    data: Blob,
    cut: HoldoutCut | None,
    opened: OpenRun,
    resources: Resources,
    *,
    force: bool,
) -> tuple[DividedBlob, ExecutedAction]:
    """Split the rows, or take an earlier run's split. That run must have had the same rows."""
    action = division(config, data, cut)
    key = key_of(action)
    found = CacheLookup[DividedBlob]() if force else find_division(opened.experiment_id, key, resources)
    executed = ExecutedAction(action=action, key=key, forced=force, misses=found.misses)
    if found.hit is None:
        return store_division(divide_rows(frame, config, cut.start if cut else None), resources), executed
    logger.info("the same rows as %s", found.hit.run)
    origin = {"cached_from": found.hit.run.run_id, "cached_at": found.hit.run.started_at}
    return found.hit.record, executed.model_copy(update=origin | {"note": f"the same rows as {found.hit.run}"})
