"""The identity of a row: a hash of its values.

The hash has 64 bits and does not depend on the types that the values were read as.

- Numbers are equal by value: 3, 3.0, Decimal("3") and True with 1; integers of any size keep every digit.
- Text that is written as a number, an ISO 8601 time or a boolean is that number, time or boolean: a file's reader
  makes text of a whole column when one cell has a letter. Zeros before a number make it a text of its own ("007").
- A time is its moment; naive times count as UTC, a date as its midnight.
- A category is its value. Nulls of every kind are equal.
"""

import math
import sys
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_float_dtype, is_numeric_dtype

from waterflow.config.schema import PipelineConfig
from waterflow.data.columns import feature_columns

Hashes = NDArray[np.uint64]

NULL = np.uint64(0x6A09E667F3BCC908)
# Keep the bits of floats and times apart from integers.
FLOAT_SALT = np.uint64(0xBB67AE8584CAA73B)
TIME_SALT = np.uint64(0x3C6EF372FE94F82B)
SHORT_INTEGER = r"^-?(?:0|[1-9]\d{0,17})$"
NUMBER = r"^[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$"
TIME = r"^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[-+]\d\d:?\d\d)?)?$"
BOOLEAN = r"^(?:true|True|TRUE|false|False|FALSE)$"  # as CSV readers know them


def identity_columns(frame: pd.DataFrame, config: PipelineConfig) -> list[str]:
    """Return the columns that identify a row, sorted. These are the group, else the key, else features and target."""
    if config.group is not None:
        return [config.group]
    return sorted(config.key or {*feature_columns(frame, config), config.target})


def hash_fractions(frame: pd.DataFrame, config: PipelineConfig, salt: int = 0) -> NDArray[np.float64]:
    """Place each row in [0, 1). The place depends on the row's identity, the split's seed and `salt`."""
    seed = np.uint64(config.split.seed ^ salt)
    hashes = scramble(hash_rows(frame, identity_columns(frame, config)) ^ seed)
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hash_rows(frame: pd.DataFrame, names: Iterable[str]) -> Hashes:
    """Hash the values of some columns, row by row. The columns' order counts."""
    hashes = np.zeros(len(frame), dtype=np.uint64)
    for name in names:
        hashes = scramble(hashes ^ hash_column(frame[name]))
    return hashes


def hash_column(column: pd.Series) -> Hashes:
    """Hash each value of a column. Equal values of any types have equal hashes."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _take(column.cat.codes.to_numpy(), hash_column(column.cat.categories.to_series()))
    if is_bool_dtype(column) or is_numeric_dtype(column):
        return _hash_numbers(column)
    if is_datetime64_any_dtype(column):
        return _hash_times(pd.DatetimeIndex(column))
    try:
        codes, values = pd.factorize(column)
    except TypeError:  # lists and other unhashable objects
        codes, values = pd.factorize(column.map(repr, na_action="ignore"))
    return _take(codes, _hash_objects(values))


def scramble(values: Hashes) -> Hashes:
    """Mix 64-bit integers by the finalizer of SplitMix64. Source: Steele, Lea and Flood (2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


def _take(codes: NDArray[Any], hashes: Hashes) -> Hashes:
    return np.append(hashes, NULL)[codes]  # the code of null, -1, takes the last


def _hash_numbers(column: pd.Series) -> Hashes:
    if is_float_dtype(column):
        return _hash_floats(column.to_numpy(np.float64, na_value=np.nan))
    missing = column.isna().to_numpy()
    filler = False if is_bool_dtype(column) else 0
    values = (column.fillna(filler) if missing.any() else column).to_numpy()
    if values.dtype == np.uint64 and (values >> np.uint64(63)).any():
        hashes = _hash_mixed_numbers(values.tolist())
    else:
        hashes = _hash_integers(values.astype(np.int64, copy=False))
    hashes[missing] = NULL
    return hashes


def _hash_integers(values: NDArray[np.int64]) -> Hashes:
    return scramble(values.view(np.uint64))


def _hash_floats(values: NDArray[np.float64]) -> Hashes:
    """Hash floats. Whole numbers of 64 bits are hashed as integers, others by their bits."""
    with np.errstate(invalid="ignore"):
        integers = values.astype(np.int64)
    bits = values.view(np.uint64) ^ FLOAT_SALT
    is_whole = integers == values
    if is_whole.any():
        bits = np.where(is_whole & (values < 2.0**63), integers.view(np.uint64), bits)
    hashes = scramble(bits)
    hashes[np.isnan(values)] = NULL
    return hashes


def _hash_mixed_numbers(values: Iterable[Any]) -> Hashes:
    """Hash Python numbers of any type and size."""
    exact = [_exact_number(value) for value in values]
    hashes = np.empty(len(exact), dtype=np.uint64)
    for kind, dtype, hash_kind in ((int, np.int64, _hash_integers), (float, np.float64, _hash_floats)):
        chosen = [position for position, value in enumerate(exact) if isinstance(value, kind)]
        hashes[chosen] = hash_kind(np.array([exact[position] for position in chosen], dtype))
    chosen = [position for position, value in enumerate(exact) if isinstance(value, str)]
    hashes[chosen] = _hash_plain(np.array([exact[position] for position in chosen], dtype=object))
    return hashes


def _exact_number(value: Any) -> int | float | str:
    """Return a number as 64-bit integer, float or digits.

    An integer or a float is returned where one equals it, else its digits.
    """
    if abs(value) == math.inf or int(value) != value:
        return float(value)
    whole = int(value)
    if -(2**63) <= whole < 2**63:
        return whole
    return float(whole) if abs(whole) <= sys.float_info.max and whole == float(whole) else str(whole)


def _hash_times(times: pd.DatetimeIndex) -> Hashes:
    """Hash moments by their microseconds, and by the nanoseconds beyond."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[times.unit]
    if per_second <= 10**6:
        hashes = scramble((times.asi8 * (10**6 // per_second)).view(np.uint64) ^ TIME_SALT)
    else:
        microseconds, beyond = np.divmod(times.asi8, 1000)
        hashes = scramble(microseconds.view(np.uint64) ^ TIME_SALT)
        hashes = np.where(beyond == 0, hashes, scramble(hashes ^ beyond.view(np.uint64)))
    hashes[times.isna()] = NULL
    return hashes


def _hash_objects(values: Any) -> Hashes:
    """Hash distinct values, which may be of several Python types."""
    if values.dtype != object:
        return _hash_texts(values)
    hashes = np.empty(len(values), dtype=np.uint64)
    kinds = np.array([_kind_of(value) for value in values])
    for kind, hash_kind in HASH_BY_KIND.items():
        if (chosen := kinds == kind).any():
            hashes[chosen] = hash_kind(values[chosen])
    return hashes


def _kind_of(value: Any) -> str:
    if isinstance(value, date | np.datetime64):
        return "time"
    return "number" if isinstance(value, bool | int | float | Decimal | np.number | np.bool_) else "text"


def _hash_texts(values: Any) -> Hashes:
    """Hash distinct texts by what they are written as."""
    texts = pa.array([str(value) for value in values] if values.dtype == object else values, pa.large_string())
    hashes = _hash_plain(texts.to_numpy(zero_copy_only=False))
    pending = np.ones(len(texts), dtype=bool)
    for pattern, hash_matching in HASH_BY_PATTERN.items():
        matches = pending & np.asarray(pc.match_substring_regex(texts, pattern))
        if matches.any():
            hashes[matches] = hash_matching(texts.filter(pa.array(matches)), hashes[matches])
            pending &= ~matches
    return hashes


def _hash_plain(texts: NDArray[Any]) -> Hashes:
    return pd.util.hash_array(texts, categorize=False)


def _hash_time_texts(texts: pa.Array, hashes: Hashes) -> Hashes:
    """Hash texts that are times. A text that is no time, such as the 30th of February, keeps its hash as a text."""
    times = pd.DatetimeIndex(pd.to_datetime(texts.to_pandas(), format="ISO8601", utc=True, errors="coerce"))
    return np.where(times.isna(), hashes, _hash_times(times))


def _parse_number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


HASH_BY_KIND: dict[str, Callable[[Any], Hashes]] = {
    "number": _hash_mixed_numbers,
    "time": lambda values: _hash_times(pd.DatetimeIndex(pd.to_datetime(pd.Series(values), utc=True))),
    "text": _hash_texts,
}
HASH_BY_PATTERN: dict[str, Callable[[pa.Array, Hashes], Hashes]] = {
    SHORT_INTEGER: lambda texts, _: _hash_integers(texts.cast(pa.int64()).to_numpy()),
    NUMBER: lambda texts, _: _hash_mixed_numbers(map(_parse_number, texts.to_pylist())),
    BOOLEAN: lambda texts, _: _hash_integers(np.array([text[0] in "tT" for text in texts.to_pylist()], np.int64)),
    TIME: _hash_time_texts,
}
