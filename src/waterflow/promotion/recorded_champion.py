"""The champion's recorded predictions of its own holdout. They are the opponent on the same rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.row_identity import hash_rows, identity_columns
from waterflow.errors import DataError, StoreError
from waterflow.lineage.version_history import VersionHistory
from waterflow.promotion.opponents import Holdout, Opponent, load_holdout
from waterflow.promotion.predictions import UnusableError, align_labels
from waterflow.resources import Resources
from waterflow.scoring.metrics import Predicted
from waterflow.stores.base import get_file, scratch_folder
from waterflow.tracking.registry import Version

PROBABILITY = "challenger_probability_"


def find_recorded_champion(
    champion: Version, config: PipelineConfig, holdout: Holdout, challenger: Predicted, resources: Resources
) -> Opponent:
    """Return the champion's recorded predictions as an opponent.

    Its recipe made them when it was compared. The rows are those that both holdouts share.
    """
    name, rows = f"champion version {champion.version}", holdout.rows
    opponent = Opponent(name, champion.version, None, np.zeros(len(rows), dtype=bool))
    try:
        theirs, recorded = _read_recorded(champion, resources)
        places = _find_places(rows, theirs, config)
    except (StoreError, DataError) as error:
        return replace(opponent, problem=f"{name} has no recorded predictions to compare with: {error}")
    shared = places >= 0
    if not shared.any():
        return replace(opponent, problem=f"{name} has no recorded prediction of these rows")
    predicted = _predicted(recorded.iloc[np.maximum(places, 0)], rows[config.target])
    try:
        predicted = align_labels(predicted, challenger) if config.task == "classification" else predicted
    except UnusableError as error:
        return replace(opponent, problem=f"{name} cannot be compared: {error}")
    return replace(opponent, predicted=predicted, unseen=shared)


def _read_recorded(champion: Version, resources: Resources) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the champion's held-out rows and its recorded predictions. They correspond row by row."""
    history = VersionHistory(champion, resources)
    verdict = history.evaluated.verdict
    if verdict is None or verdict.predictions is None:
        raise StoreError("its evaluation stored none")
    theirs = load_holdout(history.registration_prepared, resources).rows
    with scratch_folder() as folder:
        recorded = read_parquet(get_file(resources.store, verdict.predictions, folder / "predictions.parquet"))
    if len(recorded) != len(theirs):
        raise StoreError("they are of other rows than its holdout")
    return theirs, recorded


def _find_places(rows: pd.DataFrame, theirs: pd.DataFrame, config: PipelineConfig) -> NDArray[np.int64]:
    """Return the position of each row among theirs. -1 where it is not there. A row is known by key or values."""
    names = identity_columns(rows, config)
    missing = [name for name in names if name not in theirs.columns]
    if missing:
        raise DataError(f"its data has no column {', '.join(map(repr, missing))}, which identifies a row")
    mine, known = (pd.Index(hash_rows(frame, names)) for frame in (rows, theirs))
    unique = known[~known.duplicated(keep=False)]
    places = known.get_indexer_for(mine) if known.is_unique else _indexer(known, unique, mine)
    return np.asarray(places, dtype=np.int64)


def _indexer(known: pd.Index, unique: pd.Index, mine: pd.Index) -> NDArray[np.int64]:
    """Leave out rows that cannot be told apart."""
    positions = pd.Series(np.arange(len(known)), index=known)[unique]
    return positions.reindex(mine).fillna(-1).to_numpy(dtype=np.int64)


def _predicted(recorded: pd.DataFrame, truth: pd.Series) -> Predicted:
    names = [name for name in recorded.columns if name.startswith(PROBABILITY)]
    values = {str(value): value for value in (*truth.unique(), *recorded["challenger"].unique())}
    classes = tuple(values.get(name.removeprefix(PROBABILITY), name.removeprefix(PROBABILITY)) for name in names)
    probabilities = recorded[names].to_numpy(dtype=float) if names else None
    return Predicted(truth.to_numpy(), recorded["challenger"].to_numpy(), classes, probabilities)
