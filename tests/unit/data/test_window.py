from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.config.schema import PipelineConfig
from waterflow.data.window import apply_window_rule, cut_to_window, window_of
from waterflow.errors import ConfigError, DataError
from waterflow.records.run import Window

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = datetime(2026, 2, 1, tzinfo=UTC)
NEW_YORK = "America/New_York"
DAYS = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=10).astype("str"), "x": range(10)})


def dated(**changes: object) -> PipelineConfig:
    """Configure a pipeline whose rows are dated by `day`."""
    return config_of(**{"time_column": "day", **changes})


def scheduled(timezone: str, **changes: object) -> PipelineConfig:
    """Configure a monthly schedule in a time zone."""
    return dated(schedule={"cron": "0 0 1 * *", "start": "2024-01-01", "timezone": timezone}, **changes)


def test_a_row_at_the_end_is_left_out_and_one_at_the_start_stays() -> None:
    """The window is half open: `[start, end)`."""
    window = Window(start=datetime(2026, 1, 3), end=datetime(2026, 1, 6))
    assert cut_to_window(DAYS, window, dated())["x"].tolist() == [2, 3, 4]


def test_a_row_a_microsecond_before_the_end_stays() -> None:
    """The end itself is the first moment that a run may not see."""
    end = datetime(2026, 1, 5, tzinfo=UTC)
    frame = pd.DataFrame({"day": [end - timedelta(microseconds=1), end, end + timedelta(microseconds=1)]})
    assert len(cut_to_window(frame, Window(end=end), dated())) == 1


def test_an_unbounded_window_keeps_every_row() -> None:
    """No window is the window without ends."""
    assert len(cut_to_window(DAYS, None, dated())) == len(DAYS)


def test_rows_without_a_time_column_come_back_whole() -> None:
    """Nothing dates them, so nothing cuts them."""
    assert cut_to_window(DAYS, Window(end=datetime(2020, 1, 1)), config_of()) is DAYS


def test_times_of_another_zone_are_cut_by_the_moment() -> None:
    """Half past midnight in Berlin is still the day before in UTC."""
    frame = pd.DataFrame({"day": ["2026-01-05T00:30:00+01:00", "2026-01-05T01:30:00+01:00"]})
    assert len(cut_to_window(frame, Window(end=datetime(2026, 1, 5)), dated())) == 1


def test_the_rows_given_are_not_changed() -> None:
    """Cutting gives new rows."""
    before = DAYS.copy()
    cut_to_window(DAYS, Window(end=datetime(2026, 1, 3)), dated())
    pd.testing.assert_frame_equal(DAYS, before)


def test_an_empty_window_is_refused_with_the_range_of_the_data() -> None:
    """The message says where the rows lie."""
    message = message_of(lambda: cut_to_window(DAYS, Window(end=datetime(2020, 1, 1)), dated()), DataError)
    assert "[…, 2020-01-01) contains none of 10 rows" in message
    assert "2026-01-01" in message
    assert "2026-01-10" in message


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["2026-01-01", "tomorrow"], "cannot be read as times"),
        (
            ["2026-01-01", None],
            'is null in 1 row; fill it in the source, or leave those rows out: `rows: {where: "day.not',
        ),
    ],
)
def test_times_that_cannot_be_read_are_refused(values: list[str | None], reason: str) -> None:
    """A row that nothing dates could leak through time."""
    assert reason in message_of(lambda: cut_to_window(pd.DataFrame({"day": values}), Window(), dated()), DataError)


def test_a_missing_time_column_is_refused() -> None:
    """The message lists the columns that there are."""
    assert "the data has day, x" in message_of(
        lambda: cut_to_window(DAYS, Window(), dated(time_column="date")), DataError
    )


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_run_of_the_schedule_sees_all_before_its_interval_ends(run_type: str) -> None:
    """A backfill of February never sees March, whenever it runs."""
    assert window_of(run_type, TICK, {}, now=NOW) == Window(end=TICK)


def test_a_manual_run_sees_everything_up_to_now() -> None:
    """The interval that Airflow attaches to a manual run says nothing about what a person wants."""
    assert window_of("manual", TICK, {}, now=NOW) == Window(end=NOW)


def test_a_manual_run_takes_its_window_from_the_form() -> None:
    """Both ends can be given."""
    conf = {"window_start": "2026-01-01", "window_end": "2026-01-15T06:00:00+02:00"}
    expected = Window(start=datetime(2026, 1, 1), end=datetime(2026, 1, 15, 4))
    assert window_of("manual", TICK, conf, now=NOW) == expected


def test_an_empty_field_of_the_form_is_no_time() -> None:
    """A form sends an empty string, or null."""
    assert window_of("manual", None, {"window_start": "", "window_end": None}, now=NOW) == Window(end=NOW)


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
def test_a_schedule_without_an_interval_is_refused(run_type: str) -> None:
    """Taking now instead would let a backfill see the future."""
    assert "without a data interval" in message_of(lambda: window_of(run_type, None, {}, now=NOW), ConfigError)


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "2026-02-30", "12/01/2026"])
def test_a_malformed_time_is_named(value: str) -> None:
    """The message shows how a time is written."""
    message = message_of(lambda: window_of("manual", None, {"window_end": value}, now=NOW), ConfigError)
    assert message.startswith(f"window_end: {value!r} is no time; write it like 2013-04-01")


@pytest.mark.parametrize("start", ["2026-01-15", "2026-01-16"])
def test_a_window_that_ends_before_it_starts_is_refused(start: str) -> None:
    """A window of no length holds no row either."""
    conf = {"window_start": start, "window_end": "2026-01-15"}
    assert "ends before it starts" in message_of(lambda: window_of("manual", None, conf, now=NOW), ConfigError)


def test_a_row_whose_outcome_was_not_yet_known_is_left_out() -> None:
    """With a delay of two days, what happened on the eve of the end was not known at the end."""
    window = Window(end=datetime(2026, 1, 6))
    assert cut_to_window(DAYS, window, dated(label_delay="2 days"))["x"].tolist() == [0, 1, 2]


def test_a_delay_in_months_follows_the_calendar() -> None:
    """One month before the first of March is the first of February, whatever its length."""
    frame = pd.DataFrame({"day": ["2026-01-31", "2026-02-01"]})
    assert len(cut_to_window(frame, Window(end=datetime(2026, 3, 1)), dated(label_delay="1 month"))) == 1


def test_an_expanding_window_starts_at_its_day() -> None:
    """The rule gives the start that nobody stated."""
    rule = dated(window={"start": "2026-01-03"})
    assert apply_window_rule(Window(end=TICK), rule) == Window(start=datetime(2026, 1, 3), end=TICK)


def test_a_sliding_window_looks_back_from_its_end() -> None:
    """Three calendar months before the end."""
    rule = dated(window={"kind": "sliding", "lookback": "3 months"})
    assert apply_window_rule(Window(end=TICK), rule).start == datetime(2025, 11, 1, tzinfo=UTC)


def test_a_stated_start_stands_above_the_rule() -> None:
    """Who fills in the form knows what they want."""
    stated = Window(start=datetime(2020, 1, 1), end=TICK)
    assert apply_window_rule(stated, dated(window={"kind": "sliding", "lookback": "1 day"})) == stated


def test_without_a_rule_everything_up_to_the_end_is_seen() -> None:
    """The default expands from the first row."""
    assert apply_window_rule(Window(end=TICK), dated()) == Window(end=TICK)


def test_a_window_before_the_data_begins_is_refused() -> None:
    """It ends before the first day that the rule allows."""
    rule = dated(window={"start": "2026-02-01"})
    message = message_of(lambda: apply_window_rule(Window(end=TICK), rule), ConfigError)
    assert "ends before window.start 2026-02-01" in message


def test_times_with_and_without_a_zone_are_not_mixed() -> None:
    """Nobody can say which moment the second one means."""
    frame = pd.DataFrame({"day": ["2026-01-01T00:00:00+01:00", "2026-01-02T00:00:00"]})
    message = message_of(lambda: cut_to_window(frame, None, dated()), DataError)
    assert "mixes times with a zone and without (1 of 2 have one; '2026-01-02T00:00:00' has none)" in message


def test_different_offsets_are_exact() -> None:
    """Summer time moves the clock, not the moment."""
    frame = pd.DataFrame({"day": ["2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00"]})
    seconds = cut_to_window(frame, None, dated())["day"].diff().dt.total_seconds()
    assert seconds.iloc[1] == 1


def test_numbers_are_no_times() -> None:
    """20260101 would be read as nanoseconds of 1970."""
    frame = pd.DataFrame({"day": [20260101, 20260102]})
    assert "holds numbers (int64)" in message_of(lambda: cut_to_window(frame, None, dated()), DataError)


# Time zones


def test_naive_times_are_local_times_of_the_schedule() -> None:
    """Midnight in New York is four in the morning in UTC: nothing from after the end is in the window."""
    frame = pd.DataFrame({"day": ["2024-03-31T23:00:00", "2024-04-01T00:00:00"]})
    end = datetime(2024, 4, 1, 4, tzinfo=UTC)
    kept = cut_to_window(frame, Window(end=end), scheduled(NEW_YORK))
    assert kept["day"].tolist() == [pd.Timestamp("2024-04-01T03:00", tz="UTC")]


def test_a_declared_time_zone_stands_above_the_schedule() -> None:
    """The export may come from another country than the schedule."""
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-04-01T00:30:00", "2024-04-01T01:00:00"])})
    window = Window(end=datetime(2024, 3, 31, 23, tzinfo=UTC))
    assert len(cut_to_window(frame, window, scheduled(NEW_YORK, time_zone="Europe/Berlin"))) == 1


def test_times_with_a_zone_follow_no_time_zone() -> None:
    """They already say which moment is meant."""
    frame = pd.DataFrame({"day": ["2024-03-31T23:00:00Z", "2024-04-01T00:00:00Z"]})
    window = Window(end=datetime(2024, 4, 1, tzinfo=UTC))
    assert len(cut_to_window(frame, window, scheduled(NEW_YORK))) == 1


def test_an_hour_that_occurs_twice_counts_as_the_second() -> None:
    """Rather too late than too early: a window never holds a row from after its end."""
    frame = pd.DataFrame({"day": ["2024-10-27T01:30:00", "2024-10-27T02:30:00"]})
    times = cut_to_window(frame, None, dated(time_zone="Europe/Berlin"))["day"]
    assert times.tolist() == [
        pd.Timestamp("2024-10-26T23:30", tz="UTC"),
        pd.Timestamp("2024-10-27T01:30", tz="UTC"),
    ]


def test_a_local_time_that_never_was_is_refused() -> None:
    """Clocks went forward over it, so the zone is another."""
    frame = pd.DataFrame({"day": ["2024-03-31T02:30:00"]})
    message = message_of(lambda: cut_to_window(frame, None, dated(time_zone="Europe/Berlin")), DataError)
    assert message.startswith("time_column: 'day' cannot be read as times (2024-03-31 02:30:00")


def test_a_lookback_counts_calendar_months_of_the_schedule() -> None:
    """March in Berlin begins at 23:00 UTC under winter time, and ends at 22:00 under summer time."""
    window = Window(end=datetime(2024, 3, 31, 22, tzinfo=UTC))
    config = scheduled("Europe/Berlin", window={"kind": "sliding", "lookback": "1 month"})
    assert apply_window_rule(window, config).start == datetime(2024, 2, 29, 23, tzinfo=UTC)


def test_hours_are_exact_across_a_clock_change() -> None:
    """24 hours before midnight of the first of April in Berlin is 23 o'clock of the 30th of March."""
    window = Window(end=datetime(2024, 3, 31, 22, tzinfo=UTC))
    config = scheduled("Europe/Berlin", window={"kind": "sliding", "lookback": "24 hours"})
    assert apply_window_rule(window, config).start == datetime(2024, 3, 30, 22, tzinfo=UTC)


def test_a_first_day_begins_at_local_midnight() -> None:
    """The first of March begins in Berlin an hour before it begins in UTC."""
    window = Window(end=datetime(2024, 4, 1, tzinfo=UTC))
    config = scheduled("Europe/Berlin", window={"start": "2024-03-01"})
    assert apply_window_rule(window, config).start == datetime(2024, 2, 29, 23, tzinfo=UTC)


def test_a_label_delay_follows_the_calendar_of_the_schedule() -> None:
    """A month after the first of March in Berlin is the first of April there, an hour short of 31 days."""
    frame = pd.DataFrame({"day": ["2024-02-29T23:00:00Z", "2024-02-29T22:00:00Z"]})
    window = Window(end=datetime(2024, 3, 31, 22, tzinfo=UTC))
    kept = cut_to_window(frame, window, scheduled("Europe/Berlin", label_delay="1 month"))
    assert kept["day"].dt.hour.tolist() == [22]


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"time_column": "day", "time_zone": "Mars/Olympus"}, "is unknown"), ({"time_zone": "UTC"}, "needs time_column")],
)
def test_a_time_zone_that_cannot_be_meant_is_refused(settings: dict[str, str], says: str) -> None:
    """An unknown one, and one that no column uses."""
    with pytest.raises(ValueError, match=says):
        config_of(**settings)
