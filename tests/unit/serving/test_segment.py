"""Sealed files: columns and types of the recorded rows."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from support.served import answered, seconds

from waterflow.provenance.hashing import sha256_of
from waterflow.serving.prediction_log.frames import ServedRows
from waterflow.serving.prediction_log.segment import read_segments, write_segment

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def read_back(folder: Path, *files: list[ServedRows]) -> pd.DataFrame:
    """Write each list of requests to a file, and read all of them."""
    for number, requests in enumerate(files):
        write_segment(requests, folder / f"{number}.parquet")
    return read_segments(folder / f"{number}.parquet" for number in range(len(files)))


def test_a_row_has_its_documented_columns(tmp_path: Path) -> None:
    """Version, arm, key, prediction, probabilities by class and features, one row each."""
    request = answered(2, at=seconds(NOON))
    first, second = read_back(tmp_path, [request]).to_dict("records")
    assert first == {
        "id": f"{request.id}-0",
        "at": NOON,
        "arm": "champion",
        "version": 3,
        "model_id": "m-3",
        "sequence": 7,
        "key": "customer 0",
        "prediction": "setosa",
        "probability.setosa": 0.75,
        "probability.virginica": 0.25,
        "latency_seconds": 0.001,
        "share": 1.0,
        "sample": 1.0,
        "feature.petal length": 1.5,
        "feature.colour": "blue",
    }
    assert (second["id"], second["feature.petal length"], pd.isna(second["feature.colour"])) == (
        f"{request.id}-1",
        2.5,
        True,
    )


def test_requests_need_not_have_the_same_columns(tmp_path: Path) -> None:
    """A regression has no probabilities, and another request another feature: both are null where they are missing."""
    other = answered(1, labels=[4.5], probabilities=None, classes=[], columns={"weight": [70]}, keys=None)
    rows = read_back(tmp_path, [answered()], [other])
    assert rows["feature.weight"].isna().tolist() == [True, False]
    assert rows["probability.setosa"].isna().tolist() == [False, True]
    assert rows["prediction"].tolist() == ["setosa", 4.5]
    assert rows["key"].isna().tolist() == [False, True]


def test_values_of_several_types_come_back_as_they_were(tmp_path: Path) -> None:
    """Text where a number belongs is recorded as text, and does not change the numbers beside it."""
    mixed = answered(4, columns={"weight": [70, "heavy", None, 2.5]})
    assert read_back(tmp_path, [mixed], [answered(1, columns={"weight": [80]})])["feature.weight"].tolist() == [
        70,
        "heavy",
        None,
        2.5,
        80,
    ]


def test_equal_requests_become_equal_bytes(tmp_path: Path) -> None:
    """Sealing again after an interruption finds the object that is there."""
    requests = [answered(3), answered(1)]
    for name in ("a", "b"):
        write_segment(requests, tmp_path / name)
    assert sha256_of(tmp_path / "a") == sha256_of(tmp_path / "b")
