"""The split of rows into parts and folds. The parts are train, validation and test (the holdout)."""

from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.schema import PipelineConfig
from waterflow.data.own_split import hold_out
from waterflow.data.row_identity import Hashes, hash_column, hash_fractions
from waterflow.data.window import known_times
from waterflow.errors import DataError
from waterflow.records.data import Part, Share

PARTS: tuple[Part, ...] = ("train", "validation", "test")
PURGED = "purged"  # in no part: the outcome was known only after the next part began
TRAIN, VALIDATION, TEST = range(len(PARTS))
HELD_OUT = -1
FOLDS_SALT = 0x5F01D5  # makes the folds' hash independent of the holdout's


def split_rows(frame: pd.DataFrame, config: PipelineConfig, holdout_start: datetime | None = None) -> pd.DataFrame:
    """Assign each row its part and, with folds, its fold.

    The result is aligned with `frame`. Columns: `part`, categorical; under a strategy with folds `fold`, int8, from 1
    to the number of folds, -1 outside the training rows; for folds in time also `learn_from`, int8, the first fold
    whose model may learn from a row. Folds obey the rule of the holdout: a group is never divided, classes are even
    where the split is stratified. A fold in time is scored by a model of earlier rows, so the earliest slice is fold 0,
    which is never scored.

    A time split with `label_delay` purges rows whose outcome was known only when the next part had begun. The holdout
    depends on the data and the pipeline's `split` alone, or begins at `holdout_start`; validation rows and folds come
    from outside it. Raises DataError when a part or a fold would be empty.
    """
    test, validation = config.split.test_fraction, config.strategy.validation_fraction or 0.0
    if test + validation >= 1:
        raise DataError(f"split: test_fraction {test} and validation_fraction {validation} leave no row to train on")
    places = _place_rows(frame, config, holdout_start)
    codes = np.select([places < test, places < test + validation], [TEST, VALIDATION], TRAIN)
    if config.split_kind == "time" and config.label_delay:
        codes = _keep_delay(frame[config.time_column], codes == TEST, validation / (1 - test), config)
    parts = pd.Categorical.from_codes(codes, categories=pd.Index([*PARTS, PURGED]))
    split = pd.DataFrame({"part": parts}, index=frame.index)
    _check_parts(split["part"], frame, config)
    if config.strategy.folds:
        is_train = codes == TRAIN
        for name, values in _assign_folds(frame[is_train], places[is_train], config, config.strategy.folds).items():
            split[name] = np.full(len(frame), HELD_OUT, dtype=np.int8)
            split.loc[is_train, name] = values
        _check_folds(split, frame, config)
    return split


def count_shares(split: pd.Series, target: pd.Series | None) -> tuple[Share, ...]:
    """Count rows by part. Also counts them by class where `target` is a class label."""
    shares = []
    for part in PARTS:
        chosen = (split == part).to_numpy()
        if chosen.any():
            counts = {} if target is None else target[chosen].value_counts().to_dict()
            by_class = dict(sorted((str(name), int(count)) for name, count in counts.items() if count))
            shares.append(Share(part=part, rows=int(chosen.sum()), by_class=by_class))
    return tuple(shares)


def _place_rows(frame: pd.DataFrame, config: PipelineConfig, start: datetime | None) -> NDArray[np.float64]:
    """Place each row in [0, 1). The holdout takes the lowest places, validation rows the next."""
    match config.split_kind:
        case "hash":
            return hash_fractions(frame, config)
        case "time":
            return _time_places(frame[config.time_column], config.split.test_fraction, start)
        case "stratified":
            return _stratified_fractions(frame, config)
        case "function":
            held_out, share = hold_out(str(config.split.function), frame), config.split.test_fraction
            return np.where(held_out, 0.0, share + (1 - share) * hash_fractions(frame, config))


def _time_fractions(times: pd.Series) -> NDArray[np.float64]:
    """Place each row by the share of later rows. Equal times never fall on two sides."""
    moments = pd.DatetimeIndex(times).asi8
    not_earlier = len(moments) - np.searchsorted(np.sort(moments), moments, side="left")
    return (not_earlier - 1) / len(moments)


def _time_places(times: pd.Series, test_fraction: float, start: datetime | None) -> NDArray[np.float64]:
    """Place each row by the share of later rows.

    Rows from `start` on lie below `test_fraction`, the others above it. Without a start the latest slice decides it, so
    that a cut at the same moment gives the same places.
    """
    if start is None:
        latest = times[_time_fractions(times) < test_fraction]
        start = latest.min() if len(latest) else times.max() + pd.Timedelta(1, "us")
    is_test = (times >= start).to_numpy()
    places = np.empty(len(times))
    for mask, low, high in ((is_test, 0.0, test_fraction), (~is_test, test_fraction, 1.0)):
        if mask.any():
            places[mask] = low + (high - low) * _time_fractions(times[mask])
    return places


def _stratified_fractions(frame: pd.DataFrame, config: PipelineConfig) -> NDArray[np.float64]:
    """Place the rows of each class evenly. The order is drawn from the split's seed and the class."""
    codes, classes = _strata(frame, config)
    places = np.empty(len(frame))
    for code, name in enumerate(classes.tolist()):
        positions = np.flatnonzero(codes == code)
        order = np.random.default_rng([config.split.seed, name]).permutation(len(positions))
        places[positions[order]] = np.arange(len(positions)) / len(positions)
    return places


def _strata(frame: pd.DataFrame, config: PipelineConfig) -> tuple[NDArray[np.intp], Hashes]:
    """Return each row's class code, and each class's hash. All rows of a regression are one class."""
    if config.task == "regression":
        return np.zeros(len(frame), dtype=np.intp), np.zeros(1, dtype=np.uint64)
    return pd.factorize(hash_column(frame[config.target]))


def _keep_delay(
    times: pd.Series, is_test: NDArray[np.bool_], validation_share: float, config: PipelineConfig
) -> NDArray[np.intp]:
    """Return part codes with gaps of `label_delay`.

    One gap is before validation rows, one before the holdout. Rows of a gap are purged. Validation rows are the latest
    before theirs, `validation_share` of those outside the holdout, so that the gap shortens the training rows and not
    the validation rows.
    """
    known = known_times(times, config)
    codes = np.where(is_test, TEST, TRAIN)
    codes[~is_test & _is_not_before(known, times[is_test])] = len(PARTS)
    positions = np.flatnonzero(codes == TRAIN)
    share = validation_share * (~is_test).sum() / max(1, len(positions))
    chosen = positions[_time_fractions(times.iloc[positions]) < share]
    codes[chosen] = VALIDATION
    codes[(codes == TRAIN) & _is_not_before(known, times.iloc[chosen])] = len(PARTS)
    return codes


def _is_not_before(known: pd.Series, part: pd.Series) -> NDArray[np.bool_]:
    return (known >= part.min()).to_numpy()


def _assign_folds(
    rows: pd.DataFrame, places: NDArray[np.float64], config: PipelineConfig, folds: int
) -> dict[str, NDArray[np.int8]]:
    """Return the columns of folds for the training rows. `places` are those of the split into parts."""
    match config.split_kind:
        case "hash" | "function":
            numbers = 1 + np.floor(hash_fractions(rows, config, FOLDS_SALT) * folds)
        case "time":
            return _folds_in_time(rows[config.time_column], config, folds)
        case "stratified":
            numbers = np.empty(len(rows))
            numbers[np.lexsort((places, _strata(rows, config)[0]))] = 1 + np.arange(len(rows)) % folds
    return {"fold": numbers.astype(np.int8)}


def _folds_in_time(times: pd.Series, config: PipelineConfig, folds: int) -> dict[str, NDArray[np.int8]]:
    """Assign slices of time, from 0. A row is learned from by folds that begin after its outcome was known."""
    numbers = folds - np.floor(_time_fractions(times) * (folds + 1)).astype(np.int8)
    starts = times.groupby(numbers).min().loc[1:]
    known = pd.DatetimeIndex(known_times(times, config))
    learn_from = 1 + pd.DatetimeIndex(starts).searchsorted(known, side="right")
    return {"fold": numbers, "learn_from": learn_from.astype(np.int8)}


def _check_folds(split: pd.DataFrame, frame: pd.DataFrame, config: PipelineConfig) -> None:
    folds = config.strategy.folds or 0
    for number in range(0 if "learn_from" in split else 1, folds + 1):
        if not (split["fold"] == number).any():
            raise DataError(
                f"split: no row falls into fold {number} of {folds} under split.kind {config.split_kind!r}; "
                "give more rows or a smaller strategy.folds"
            )
    if config.task == "classification":
        for number in range(1, folds + 1):
            if frame.loc[learning_rows(split, number), config.target].nunique() < 2:
                raise DataError(
                    f"split: the rows to learn from for fold {number} of {folds} have fewer than two classes of "
                    f"{config.target!r}; give more rows or a smaller strategy.folds"
                )


def learning_rows(folds: pd.DataFrame, number: int) -> NDArray[np.bool_]:
    """Return which rows a fold's model learns from.

    The model is the one scored on fold `number`. `folds` has the columns `fold` and, in time, `learn_from`.
    """
    is_train = folds["fold"] != HELD_OUT
    if "learn_from" in folds:
        return (is_train & (folds["learn_from"] <= number)).to_numpy()
    return (is_train & (folds["fold"] != number)).to_numpy()


def _check_parts(split: pd.Series, frame: pd.DataFrame, config: PipelineConfig) -> None:
    delay = f" and label_delay {config.label_delay!r}" if (split == PURGED).any() else ""
    needed = [part for part in PARTS if part != "validation" or config.strategy.validation_fraction]
    for part in needed:
        if not (split == part).any():
            raise DataError(
                f"split: no row of {len(frame)} falls into {part!r} under split.kind {config.split_kind!r}{delay}; "
                "give more rows or larger fractions"
            )
    if config.task == "classification" and frame.loc[split == "train", config.target].nunique() < 2:
        raise DataError(f"split: the training rows hold one class of {config.target!r} only; give more rows")
