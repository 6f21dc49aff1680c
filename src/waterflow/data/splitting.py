"""Which part a row belongs to: train, validation or test (the holdout), and in which fold it is judged."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.schema import PipelineConfig
from waterflow.errors import DataError
from waterflow.records.data import Part, Share

PARTS: tuple[Part, ...] = ("train", "validation", "test")
HELD_OUT = -1
FOLDS_MIX = 0x5F01D5  # sets the folds' hash apart from the holdout's


def split_rows(frame: pd.DataFrame, config: PipelineConfig) -> pd.DataFrame:
    """Give each row its part, and its fold under a strategy that has folds; aligned with `frame`.

    Columns: `part`, categorical; `fold`, int8, from 1 to the strategy's `folds`, -1 for the holdout. Folds obey the
    rule of the holdout: a group is never torn, classes are even where the split is stratified. Folds in time are
    judged by models of all earlier rows, so the earliest slice is fold 0, which is never judged.

    The holdout depends on the data and the pipeline's `split` alone; validation rows and folds are taken from
    outside it. Raises DataError when a part or a fold would hold no row.
    """
    validation = config.strategy.validation_fraction or 0.0
    if config.split.test_fraction + validation >= 1:
        raise DataError(
            f"split: test_fraction {config.split.test_fraction} and "
            f"validation_fraction {validation} leave no row to train on"
        )
    match config.split_kind:
        case "hash":
            places = hash_fractions(frame, config)
        case "time":
            places = _time_fractions(frame[config.time_column])
        case "stratified":
            places = _stratified_fractions(frame[config.target], config)
    is_test = places < config.split.test_fraction
    codes = np.select(
        [is_test, places < config.split.test_fraction + validation],
        [PARTS.index("test"), PARTS.index("validation")],
        default=PARTS.index("train"),
    )
    parts = pd.Categorical.from_codes(codes, categories=pd.Index(PARTS))
    split = pd.DataFrame({"part": parts}, index=frame.index)
    _check_parts(split["part"], frame, config)
    if config.strategy.folds:
        folds = np.full(len(frame), HELD_OUT, dtype=np.int8)
        folds[~is_test] = _number_folds(frame[~is_test], places[~is_test], config, config.strategy.folds)
        split["fold"] = folds
        _check_folds(split["fold"], frame, config)
    return split


def count_shares(split: pd.Series, target: pd.Series | None) -> tuple[Share, ...]:
    """Count rows by part, and by class where `target` is a class label."""
    shares = []
    for part in PARTS:
        chosen = (split == part).to_numpy()
        if chosen.any():
            counts = {} if target is None else target[chosen].value_counts().to_dict()
            by_class = dict(sorted((str(name), int(count)) for name, count in counts.items() if count))
            shares.append(Share(part=part, rows=int(chosen.sum()), by_class=by_class))
    return tuple(shares)


def hash_fractions(frame: pd.DataFrame, config: PipelineConfig, mix: int = 0) -> NDArray[np.float64]:
    """Place each row in [0, 1) by a hash of its group, its key columns or all its values.

    The place is a function of those values, the split's seed and `mix`: not of row order, of other rows, or of
    whether a column of whole numbers was read as integers or floats.
    """
    names = [config.group] if config.group else list(config.key or frame.columns)
    hashes = np.full(len(frame), config.split.seed ^ mix, dtype=np.uint64)
    for name in names:
        column = pd.util.hash_pandas_object(_stable(frame[name]), index=False)
        hashes = _mix(np.bitwise_xor(hashes, column.to_numpy().astype(np.uint64)))
    return (_mix(hashes) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _stable(column: pd.Series) -> pd.Series:
    """Bring equal values to equal types, however a file's reader typed them."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    if pd.api.types.is_datetime64_any_dtype(column):
        return pd.to_datetime(column, utc=True).astype("datetime64[ns, UTC]").astype("int64")
    return column.astype("str")


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit integers by the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _time_fractions(times: pd.Series) -> NDArray[np.float64]:
    """Place each row by the share of rows that are later: equal times never fall on two sides."""
    moments = pd.DatetimeIndex(times).asi8
    not_earlier = len(moments) - np.searchsorted(np.sort(moments), moments, side="left")
    return (not_earlier - 1) / len(moments)


def _stratified_fractions(target: pd.Series, config: PipelineConfig) -> NDArray[np.float64]:
    """Place rows evenly within each class, in an order drawn from the split's seed."""
    generator = np.random.default_rng(config.split.seed)
    places = np.empty(len(target))
    strata = target if config.task == "classification" else pd.Series("all", index=target.index)
    for positions in strata.groupby(strata, sort=True, observed=True).indices.values():
        order = generator.permutation(len(positions))
        places[positions[order]] = np.arange(len(positions)) / len(positions)
    return places


def _number_folds(
    rows: pd.DataFrame, places: NDArray[np.float64], config: PipelineConfig, folds: int
) -> NDArray[np.int8]:
    """Assign folds to the rows outside the holdout; `places` are those that decided that they are outside."""
    match config.split_kind:
        case "hash":
            numbers = 1 + np.floor(hash_fractions(rows, config, FOLDS_MIX) * folds)
        case "time":
            numbers = folds - np.floor(_time_fractions(rows[config.time_column]) * (folds + 1))
        case "stratified":
            numbers = np.empty(len(rows))
            strata = rows[config.target] if config.task == "classification" else pd.Series("all", index=rows.index)
            numbers[np.lexsort((places, strata.factorize()[0]))] = 1 + np.arange(len(rows)) % folds
    return numbers.astype(np.int8)


def _check_folds(split: pd.Series, frame: pd.DataFrame, config: PipelineConfig) -> None:
    folds = config.strategy.folds or 0
    first = 0 if config.split_kind == "time" else 1
    for number in range(first, folds + 1):
        if not (split == number).any():
            raise DataError(
                f"split: no row falls into fold {number} of {folds} under split.kind {config.split_kind!r}; "
                "give more rows or a smaller strategy.folds"
            )
    if config.task == "classification":
        for number in range(1, folds + 1):
            learnt = (split >= 0) & ((split < number) if first == 0 else (split != number))
            if frame.loc[learnt, config.target].nunique() < 2:
                raise DataError(
                    f"split: the rows to learn from for fold {number} of {folds} hold one class of "
                    f"{config.target!r} only; give more rows or a smaller strategy.folds"
                )


def _check_parts(split: pd.Series, frame: pd.DataFrame, config: PipelineConfig) -> None:
    needed = [part for part in PARTS if part != "validation" or config.strategy.validation_fraction]
    for part in needed:
        if not (split == part).any():
            raise DataError(
                f"split: no row of {len(frame)} falls into {part!r} under split.kind {config.split_kind!r}; "
                "give more rows or larger fractions"
            )
    if config.task == "classification" and frame.loc[split == "train", config.target].nunique() < 2:
        raise DataError(f"split: the training rows hold one class of {config.target!r} only; give more rows")
