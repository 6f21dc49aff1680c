"""Times written as text or as numbers since 1970."""

from collections.abc import Iterator
from itertools import product

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.types import is_datetime64_any_dtype

from waterflow.config.schema import TimeUnit
from waterflow.errors import DataError

ISO_DATE = r"\d{4}-\d\d-\d\d"
ISO = rf"^{ISO_DATE}(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{{1,9}})?)?\s?(?:Z|[-+]\d\d(?::?\d\d)?)?)?$"
OFFSET = r":\d\d(?:[.,]\d+)?\s?(?:Z|[-+]\d\d(?::?\d\d)?)$"
LIKE_A_TIME = r"^[\dA-Za-z][\dA-Za-z ,./:-]{5,40}$"
DAY_AND_MONTH = [f"%d{mark}%m{mark}%Y" for mark in "./-"] + [f"%m{mark}%d{mark}%Y" for mark in "./-"]
NAMED_MONTH = ["%d %b %Y", "%d-%b-%Y", "%b %d %Y", "%b %d, %Y", "%d %B %Y", "%B %d %Y", "%B %d, %Y"]
DATES = ["%Y/%m/%d", "%Y.%m.%d", *DAY_AND_MONTH, *NAMED_MONTH]
LIKE_A_MONTH = r"^(?:(?:19|20)\d\d[-/](?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])/(?:19|20)\d\d|[A-Z][a-z]+ (?:19|20)\d\d)$"
MONTHS = ["%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y"]  # a month is its first day
CLOCKS = ["", " %H:%M:%S", " %H:%M", " %H:%M:%S.%f", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p"]
SAMPLE = 200  # texts that a pattern or a format is tried on before it is tried on all
UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")
PLAUSIBLE_YEARS = range(1980, 2100)


class AmbiguousTimesError(DataError):
    """Times that two formats fit. They mean different moments."""


def find_format(distinct: pd.Series, day_first: bool | None) -> str | None:
    """Return the format of texts, None for others. It is `ISO8601` or one of `strptime`; of several, the first."""
    if len(distinct) and not find_other_than(ISO, distinct):
        return "ISO8601"
    return next(iter(fit_formats(distinct, day_first)), None)


def parse_time_texts(texts: pd.Series, place: str, time_format: str | None, day_first: bool | None) -> pd.Series:
    """Parse text as times, those with a zone as UTC.

    ISO 8601 of any precision, else the one format that fits all values. Nulls become NaT. Raises DataError when no
    format fits, when two do, when a value is no time of the calendar, and when only some have a zone.
    """
    codes, names = pd.factorize(texts.astype("str"))  # equal times are parsed once
    times = _parse_distinct(pd.Series(names, dtype="str"), place, time_format, day_first)
    return pd.Series(times.array.take(codes, allow_fill=True), index=texts.index, name=texts.name)


def fit_formats(distinct: pd.Series, day_first: bool | None = None) -> dict[str, pd.Series]:
    """Return the formats that fit all texts, with their times. ISO 8601 is not among them."""
    if distinct.empty or find_other_than(LIKE_A_TIME, distinct):
        return {}
    sample = distinct.iloc[:: max(1, len(distinct) // SAMPLE)]
    formats = _formats(day_first) if find_other_than(LIKE_A_MONTH, distinct) else MONTHS
    likely = [time_format for time_format in formats if _try(sample.head(3), time_format) is not None]
    likely = [time_format for time_format in likely if _try(sample, time_format) is not None]
    fitting = {time_format: _try(distinct, time_format) for time_format in likely}
    return {time_format: times for time_format, times in fitting.items() if times is not None}


def are_ambiguous(fitting: dict[str, pd.Series]) -> bool:
    """Return whether formats that all fit mean different times."""
    first, *others = fitting.values()
    return any(not first.equals(other) for other in others)


def find_other_than(pattern: str, values: pd.Series | pa.Array) -> str | None:
    """Return the first text that a pattern does not match. Nulls are skipped."""
    texts = values if isinstance(values, pa.Array) else pa.array(values, pa.large_string())
    for part in (texts[:SAMPLE], texts[SAMPLE:]):  # most columns that differ do so at once
        others = part.filter(pc.invert(pc.match_substring_regex(part, pattern)))
        if len(others):
            return str(others[0])
    return None


def times_from_numbers(numbers: pd.Series, place: str, unit: TimeUnit | None, time_format: str | None) -> pd.Series:
    """Convert numbers to times.

    They count a unit since 1970, in UTC, or their digits have a format. Raises DataError where neither is stated.
    """
    if time_format is not None:
        return parse_time_texts(numbers.astype("Int64").astype("str"), place, time_format, None)
    if unit is None:
        example = numbers.dropna().iloc[0]
        raise DataError(f"{place} holds numbers ({numbers.dtype}), such as {example}; {'; '.join(_readings(example))}")
    times = pd.to_datetime(numbers, unit=unit, utc=True, errors="coerce")
    if (wrong := numbers[times.isna() & numbers.notna()]).size:
        raise DataError(f"{place}: {wrong.iloc[0]} in {unit!r} is no time; fix dataset.time_unit or the values")
    return times if unit == "ns" else times.dt.as_unit("us")


def have_zones(values: pd.Series, place: str) -> bool:
    """Return whether times have zones, as texts or as datetimes.

    Different offsets, as in summer and winter, are fine. Raises DataError when only some have one: the others could be
    any moment.
    """
    if is_datetime64_any_dtype(values):
        return isinstance(values.dtype, pd.DatetimeTZDtype)
    texts = pa.array(values.dropna().astype("str"), pa.large_string())
    zoned = pc.match_substring_regex(texts, OFFSET)
    count = pc.sum(zoned).as_py() or 0
    if 0 < count < len(texts):
        raise DataError(
            f"{place} mixes times with a zone and without ({count} of {len(texts)} have one; "
            f"{texts.filter(pc.invert(zoned))[0].as_py()!r} has none); give every time its zone, or none"
        )
    return count > 0


def _formats(day_first: bool | None) -> Iterator[str]:
    for date, clock in product(DATES, CLOCKS):
        if day_first is None or date not in DAY_AND_MONTH or date.startswith("%d") == day_first:
            yield date + clock


def _parse_distinct(distinct: pd.Series, place: str, time_format: str | None, day_first: bool | None) -> pd.Series:
    if time_format is not None:
        return _parse(distinct, place, time_format)
    if not find_other_than(ISO, distinct):
        return _parse(distinct, place, "ISO8601")
    fitting = fit_formats(distinct, day_first)
    if not fitting:
        raise DataError(
            f"{place} cannot be read as times, such as {find_other_than(ISO, distinct)!r}; state dataset.time_format, "
            "such as '%d.%m.%Y %H:%M', or fix the values"
        )
    _check_ambiguity(fitting, distinct, place)
    return next(iter(fitting.values()))


def _try(values: pd.Series, time_format: str) -> pd.Series | None:
    try:
        return pd.to_datetime(values, format=time_format)
    except ValueError:
        return None


def _check_ambiguity(fitting: dict[str, pd.Series], distinct: pd.Series, place: str) -> None:
    if not are_ambiguous(fitting):
        return
    (first, times), (second, others) = list(fitting.items())[:2]
    position = int((times != others).to_numpy().argmax())
    day, other = times.iloc[position], others.iloc[position]
    raise AmbiguousTimesError(
        f"{place}: {distinct.iloc[position]!r} may be {day:%-d %B %Y} ({first}) or {other:%-d %B %Y} ({second}), and "
        "no value decides it; state `day_first: true` or `day_first: false` in dataset"
    )


def _parse(values: pd.Series, place: str, time_format: str) -> pd.Series:
    zoned = "%z" in time_format or (time_format == "ISO8601" and have_zones(values, place))
    try:
        return pd.to_datetime(values, format=time_format, utc=zoned)
    except (ValueError, TypeError) as error:
        parsed = pd.to_datetime(values, format=time_format, utc=zoned, errors="coerce")
        wrong = values[parsed.isna() & values.notna()]
        shown = f"{wrong.iloc[0]!r}" if len(wrong) else "a value"
        stated = "ISO 8601" if time_format == "ISO8601" else f"time_format {time_format!r}"
        raise DataError(
            f"{place} cannot be read as times ({shown} is no time in {stated}); list words that mean no time in "
            "dataset.na_values, state dataset.time_format, or fix the values"
        ) from error


def _readings(example: float) -> Iterator[str]:
    """Yield how a number may be a time, by key."""
    for unit in UNITS:
        time = pd.to_datetime([example], unit=unit, errors="coerce")[0]
        if not pd.isna(time) and time.year in PLAUSIBLE_YEARS:
            yield f"with `time_unit: {unit}` in dataset it is {time:%Y-%m-%d %H:%M}"
    digits = str(int(example))
    if len(digits) == 8 and not pd.isna(pd.to_datetime(digits, format="%Y%m%d", errors="coerce")):
        yield f"with `time_format: '%Y%m%d'` in dataset it is {pd.to_datetime(digits, format='%Y%m%d'):%Y-%m-%d}"
    yield "times are needed, as text like 2013-04-01 or as datetimes"
