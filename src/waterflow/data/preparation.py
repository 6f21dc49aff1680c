"""From a source to split rows, without any store. The imports of this module key `prepare` and the split."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pandas.api.types import is_numeric_dtype

from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig
from waterflow.data.block_columns import check_onehot
from waterflow.data.canonical import canonical_order
from waterflow.data.columns import feature_columns, to_floats
from waterflow.data.contract import check_contract
from waterflow.data.filtering import drop_undated, filter_rows
from waterflow.data.row_identity import identity_columns
from waterflow.data.sampling import sample_rows
from waterflow.data.sources.facts import SourceFacts
from waterflow.data.sources.reading import load_source
from waterflow.data.splitting import PURGED, count_shares, split_rows
from waterflow.data.validation import check_promotion_columns, check_rows
from waterflow.data.window import apply_window_rule, cut_to_window
from waterflow.errors import ConfigError
from waterflow.records.data import Share
from waterflow.records.run import Window

logger = logging.getLogger(__name__)


class DividedRows(NamedTuple):
    """The part and fold of each row, and more.

    Also the rows of each part, and the features that alone reveal the target.
    """

    split: pd.DataFrame
    shares: tuple[Share, ...]
    leak: str


def window_for(requested: Window | None, config: PipelineConfig) -> Window | None:
    """Complete a requested window by the pipeline's rule.

    Raises ConfigError on a start that was requested where no column dates the rows.
    """
    if config.time_column is not None:
        return apply_window_rule(requested or Window(), config)
    if requested is not None and requested.start is not None:
        raise ConfigError(
            f"window: pipeline {config.name!r} has no time_column, so {requested} cannot be cut; "
            "leave the window empty or declare time_column"
        )
    return requested


def read_rows(
    config: PipelineConfig, window: Window | None, project: Project, copy_object: Callable[[str, Path], None]
) -> tuple[pd.DataFrame, SourceFacts]:
    """Read the source and cut it to the window.

    The cut comes before anything else sees the rows, which are then filtered, checked and ordered.
    """
    source = load_source(config, project, copy_object, window)
    frame, undated = drop_undated(source.frame, config)
    frame, notes = filter_rows(cut_to_window(frame, window, config), config)
    check_contract(frame, config)
    frame = sample_rows(frame, config)
    check_rows(frame, config, source.left_out)
    if config.task == "regression" and not is_numeric_dtype(frame[config.target]):
        frame = frame.assign(**{config.target: to_floats(frame[config.target])})  # booleans whose nulls were dropped
    if config.costs is not None or config.positive is not None or config.has_decision:
        from waterflow.scoring.metrics import find_positive_class

        find_positive_class(frame[config.target].unique(), config.declared_positive)
    check_promotion_columns(frame, config)
    check_onehot(frame, config)
    logger.info("%d rows from %s", len(frame), source.facts.where)
    facts = source.facts.model_copy(update={"notes": (*source.facts.notes, *undated, *notes)})
    return canonical_order(frame, config.time_column, identity_columns(frame, config)), facts


def divide_rows(frame: pd.DataFrame, config: PipelineConfig, holdout_start: datetime | None = None) -> DividedRows:
    """Split checked rows into parts and folds. Also looks for features that reveal the target."""
    from waterflow.data.leakage import find_leaks

    split = split_rows(frame, config, holdout_start)
    if purged := int((split["part"] == PURGED).sum()):
        logger.info("purged: %d rows whose outcome was known only after the next part had begun", purged)
    classes = frame[config.target] if config.task == "classification" else None
    training = frame[(split["part"] == "train").to_numpy()]
    leaks = find_leaks(training[feature_columns(training, config)], training[config.target], config.task)
    leak = ", ".join(f"{entry.column} ({entry.score:.4f})" for entry in leaks)[:4000]
    return DividedRows(split, count_shares(split["part"], classes), leak)
