"""The opponent of a challenger. The champion, or the baseline without one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.schema import BASELINES, PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.columns import feature_columns, weights_of
from waterflow.data.overlap import unseen_rows
from waterflow.errors import DataError, StoreError, TrackingError, UnreachableError
from waterflow.evaluation.baseline import predict_baseline, predict_own_baseline
from waterflow.lineage.version_history import VersionHistory
from waterflow.promotion.predictions import UnusableError, align_labels, predict_holdout, predict_usably
from waterflow.records.data import Blob, HoldoutCut, Prepared
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.scoring.metrics import Predicted
from waterflow.stores.base import get_file, scratch_folder
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import MODEL_ID, ROWS_UNTIL


@dataclass(frozen=True)
class Holdout:
    """The prepared rows and the part of each. Rows have shape (rows, columns), parts (rows,)."""

    frame: pd.DataFrame
    part: NDArray[Any]
    data: Blob
    cut: HoldoutCut | None = None

    @property
    def rows(self) -> pd.DataFrame:
        """Return the held-out rows, numbered from 0."""
        return self.frame[self.part == "test"].reset_index(drop=True)


@dataclass(frozen=True)
class Opponent:
    """The other model, its predictions, and rows new to it.

    `problem` is a clause that says why it cannot be compared, `doubt` why it may have been fitted on these rows, and
    `unusable` why a champion could not be the opponent, so that a baseline is; `unseen` has shape (held-out rows,).
    """

    name: str
    version: int | None
    predicted: Predicted | None
    unseen: NDArray[np.bool_]
    problem: str = ""
    doubt: str = ""
    unusable: str = ""

    def take(self, chosen: NDArray[np.bool_]) -> "Opponent":
        """Return the same opponent on some of the held-out rows."""
        predicted = self.predicted and self.predicted.take(chosen)
        return replace(self, predicted=predicted, unseen=self.unseen[chosen])


def load_holdout(prepared: Prepared, resources: Resources) -> Holdout:
    """Load the prepared rows and their parts by digest."""
    frame, part = _read_rows(prepared.data, prepared.split, resources)
    return Holdout(frame, part, prepared.data, prepared.cut)


def find_baseline(
    config: PipelineConfig, ranked: Sequence[Trained], holdout: Holdout, resources: Resources
) -> Opponent:
    """Return the pipeline's baseline, fitted on this run's training rows."""
    rows, name = holdout.rows, config.baseline
    opponent = Opponent(f"baseline {name}", None, None, np.ones(len(rows), dtype=bool))
    if name in BASELINES[config.task]:
        train = holdout.frame.loc[holdout.part == "train"]
        weights = weights_of(train, config)
        predicted = predict_baseline(name, train[config.target], rows[config.target], config, weights)
        return replace(opponent, predicted=predicted)
    if "." in name:
        features = rows[feature_columns(rows, config)]
        return replace(opponent, predicted=predict_own_baseline(name, features, rows[config.target], config))
    candidate = next((entry for entry in ranked if entry.candidate == name), None)
    if candidate is None:
        return replace(opponent, problem=f"candidate {name} could not be trained")
    try:
        return replace(opponent, predicted=_predict(candidate.model_id, rows, config, resources))
    except UnusableError as error:
        return replace(opponent, problem=f"candidate {name} is unusable: {error}")


def choose_opponent(
    champion: Version | None,
    config: PipelineConfig,
    ranked: Sequence[Trained],
    holdout: Holdout,
    challenger: Predicted,
    resources: Resources,
) -> Opponent:
    """Return the champion, or the baseline where there is none.

    A champion that raises or answers NaN does not stand in the way of its successor: the baseline takes its place, and
    the verdict says so.
    """
    if champion is None:
        return find_baseline(config, ranked, holdout, resources)
    try:
        return find_champion(champion, config, holdout, challenger, resources)
    except UnusableError as error:
        baseline = find_baseline(config, ranked, holdout, resources)
        unusable = f"champion version {champion.version} is unusable ({error}), so the {baseline.name} is the opponent"
        return replace(baseline, version=champion.version, unusable=unusable)


def find_champion(
    champion: Version, config: PipelineConfig, holdout: Holdout, challenger: Predicted, resources: Resources
) -> Opponent:
    """Load the champion and predict the held-out rows.

    Files that are gone and labels that cannot be compared become its `problem`. Raises UnusableError when it raises or
    answers NaN, UnreachableError when a server does not answer.
    """
    opponent = Opponent(
        f"champion version {champion.version}", champion.version, None, np.ones(len(holdout.rows), dtype=bool)
    )
    if champion.problem:
        return replace(opponent, problem=f"{opponent.name} is not loaded: {champion.problem}")
    model_id = champion.model_id
    registered = champion.tags.get(MODEL_ID, model_id)
    if registered != model_id:
        problem = f"{opponent.name} is another model now: the registry serves {model_id}, registered was {registered}"
        return replace(opponent, problem=problem)
    try:
        if not model_id or not resources.models.has_files(model_id):
            problem = f"{opponent.name} has no files any more; point the alias to a version that can be loaded"
            return replace(opponent, problem=problem)
        predicted = _predict(model_id, holdout.rows, config, resources)
    except UnreachableError:
        raise
    except (StoreError, TrackingError) as error:
        return replace(opponent, problem=f"{opponent.name} cannot be loaded: {error}")
    if config.task == "classification":
        try:
            predicted = align_labels(predicted, challenger)
        except UnusableError as error:
            return replace(opponent, problem=f"{opponent.name} cannot be compared: {error}")
    opponent = replace(opponent, predicted=predicted)
    try:
        return replace(opponent, unseen=_unseen_by(champion, config, holdout, resources))
    except (StoreError, DataError) as error:
        return replace(opponent, doubt=f"it cannot be shown that {opponent.name} was fitted on other rows: {error}")


def _predict(model_id: str, rows: pd.DataFrame, config: PipelineConfig, resources: Resources) -> Predicted:
    return predict_usably(lambda: predict_holdout(resources.models.load_model(model_id, config.name), rows, config))


def _unseen_by(champion: Version, config: PipelineConfig, holdout: Holdout, resources: Resources) -> NDArray[np.bool_]:
    """Return which held-out rows the champion has not seen.

    It was neither fitted nor selected on them. Raises StoreError where its run, record or data is gone or altered,
    DataError where rows cannot be told apart.
    """
    history = VersionHistory(champion, resources)
    prepared, their_config = history.registration_prepared, history.registration_config
    if their_config.target != config.target:
        raise DataError(f"it predicts {their_config.target!r}, not {config.target!r}")
    until = champion.tags.get(ROWS_UNTIL)
    if until is not None and config.split_kind == "time":
        return (pd.to_datetime(holdout.rows[config.time_column], utc=True) > pd.Timestamp(until)).to_numpy()
    frame, part = _read_rows(prepared.data, prepared.split, resources)
    # A strategy that selects on the holdout has looked at every row.
    selects_on_test = their_config.strategy.select_on == "test"
    seen = np.ones(len(part), dtype=bool) if selects_on_test else np.isin(part, ("train", "validation"))
    if prepared.data.digest == holdout.data.digest and config.split_kind != "time":
        return ~seen[holdout.part == "test"]
    return unseen_rows(holdout.rows, frame[seen], config, their_config)


def _read_rows(data: Blob, split: Blob, resources: Resources) -> tuple[pd.DataFrame, NDArray[Any]]:
    with scratch_folder() as folder:
        frame = read_parquet(get_file(resources.store, data, folder / "data.parquet"))
        part = read_parquet(get_file(resources.store, split, folder / "split.parquet"))["part"].to_numpy(dtype=object)
    return frame, part
