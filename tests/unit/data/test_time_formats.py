"""Times as text."""

import pandas as pd
import pytest
from support.projects import message_of

from waterflow.data.time_formats import SAMPLE, find_format, find_other_than, parse_time_texts
from waterflow.errors import DataError


def parsed(*texts: str | None, time_format: str | None = None, day_first: bool | None = None) -> list[pd.Timestamp]:
    """Parse a column."""
    return parse_time_texts(pd.Series(texts, dtype="str"), "column 'when'", time_format, day_first).tolist()


@pytest.mark.parametrize(
    "text",
    ["2015-02-01", "2015-02-01T00:00:00", "2015/02/01", "1 Feb 2015", "Feb 1, 2015", "February 1, 2015", "1-Feb-2015"],
)
def test_formats_with_one_reading_need_no_key(text: str) -> None:
    """The year comes first, or the month has a name."""
    assert parsed(text, None)[0] == pd.Timestamp("2015-02-01")


@pytest.mark.parametrize("text", ["2015-02", "2015/02", "02/2015", "Feb 2015", "February 2015"])
def test_a_month_is_its_first_day(text: str) -> None:
    """As series by month are written."""
    assert parsed(text, None)[0] == pd.Timestamp("2015-02-01")


@pytest.mark.parametrize("text", ["3015-02", "2015-13", "201502", "15-02"])
def test_a_code_like_a_month_stays_text(text: str) -> None:
    """Its year is not of our time, or its month of no calendar."""
    assert find_format(pd.Series(["2015-02", text], dtype="str"), None) is None


def test_times_that_both_readings_share_are_no_problem() -> None:
    """The first of January is the first of January."""
    assert parsed("01/01/2015", "02/02/2015")[1] == pd.Timestamp("2015-02-02")


def test_one_zoned_column_is_utc() -> None:
    """Whatever the offsets."""
    assert parsed("2015-02-01T01:00:00+01:00", "2015-07-01T02:00:00+02:00")[1] == pd.Timestamp("2015-07-01", tz="UTC")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["soon"], "such as 'soon'; state dataset.time_format"),
        (["2015-02-30"], "'2015-02-30' is no time in ISO 8601"),
        (["13/13/2015"], "such as '13/13/2015'"),
        (["2015-01-01T00:00:00Z", "2015-01-01T00:00:00"], "mixes times with a zone and without"),
    ],
)
def test_what_is_no_time_is_named(texts: list[str], reason: str) -> None:
    """With the value."""
    assert reason in message_of(lambda: parsed(*texts), DataError)


def test_a_value_that_does_not_fit_the_stated_format_is_named() -> None:
    """Not turned into null."""
    message = message_of(lambda: parsed("01.02.2015", "2015-02-03", time_format="%d.%m.%Y"), DataError)
    assert "'2015-02-03' is no time in time_format '%d.%m.%Y'" in message


def test_a_text_that_differs_is_found_wherever_it_stands() -> None:
    """Among the first, which are compared alone, and behind them."""
    for position in (0, SAMPLE - 1, SAMPLE, 2 * SAMPLE):
        texts = pd.Series(["1"] * position + ["x", "y", "1"], dtype="str")
        assert find_other_than(r"^\d$", texts) == "x"
    assert find_other_than(r"^\d$", pd.Series(["1"] * 2 * SAMPLE, dtype="str")) is None
