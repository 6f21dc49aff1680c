from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.projects import config_of, message_of

from waterflow.config.schema import PythonSource
from waterflow.data.own_features import build_own_features, make_features
from waterflow.data.own_split import hold_out
from waterflow.data.sources.python import read_python
from waterflow.data.splitting import split_rows
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError, UnreachableError
from waterflow.records.run import Window

MODULE = """
import pandas as pd


def rows(start, end, step=1):
    days = pd.date_range("2026-01-01", "2026-01-31", freq=f"{step}D", name="day")
    return pd.DataFrame({"value": range(len(days))}, index=days).loc[: end.date().isoformat() if end else None]


def text(start, end):
    return "rows"


def twice(start, end):
    return pd.DataFrame([[1, 2]], columns=["a", "a"])


def down(start, end):
    raise ConnectionError("no route to the warehouse")


def ratio(frame):
    return pd.DataFrame({"ratio": frame["petal_length_cm"] / frame["petal_width_cm"]}).reset_index(drop=True)


def centred(frame):
    return frame - frame.mean()


def fewer(frame):
    return frame.head(3)


def wide(frame):
    return frame["petal_width_cm"] > 1.7


def last_rows(frame):
    return [place >= len(frame) - 20 for place in range(len(frame))]


def words(frame):
    return ["yes"] * len(frame)
"""
X = iris().drop(columns="species")


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_functions_of_a_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def path(name: str) -> str:
    return f"own_functions_of_a_test.{name}"


def source(name: str, **params: object) -> PythonSource:
    return PythonSource(kind="python", function=path(name), params=params)


def test_a_source_gets_the_window_and_its_params() -> None:
    """What it returns are rows like those of any source; a named index is a column."""
    window = Window(start=None, end=datetime(2026, 1, 10, tzinfo=UTC))
    table = read_python(source("rows", step=3), window)
    assert table.column_names == ["day", "value"]
    assert table.column("value").to_pylist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("text", "returned str; return a pandas DataFrame", DataError),
        ("twice", "returned column 'a' twice", DataError),
        ("down", "cannot connect (no route to the warehouse)", UnreachableError),
        ("ratio", "raised TypeError", DataError),
        ("row", "did you mean 'own_functions_of_a_test.rows'?", ConfigError),
    ],
)
def test_a_source_that_will_not_do_is_named(name: str, said: str, kind: type[Exception]) -> None:
    """A server that is down is worth a retry, and nothing else is."""
    message = message_of(lambda: read_python(source(name), None), kind)
    assert message.startswith("dataset.function")
    assert said in message


def test_features_are_made_row_by_row() -> None:
    """They keep the rows' index, and as a step they serve what they trained."""
    config = config_of(features={"function": path("ratio"), "columns": ["petal_length_cm", "petal_width_cm"]})
    rows = X.iloc[50:60]
    made = make_features(rows, config)
    assert made.columns.tolist() == ["ratio"]
    assert made.index.equals(rows.index)
    step = build_own_features(config)
    assert step is not None
    assert step.fit(rows).transform(rows.head(1)).equals(made.head(1))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("centred", "its column 'sepal_length_cm' changes with the other rows"),
        ("fewer", "it returned 3 rows for"),
        ("wide", "it returned Series"),
        ("rows", "TypeError"),
    ],
)
def test_features_that_would_differ_in_service_are_refused(name: str, said: str) -> None:
    """A mean over the rows is not the mean over the row that is served."""
    config = config_of(features={"function": path(name)})
    message = message_of(lambda: make_features(X, config), DataError)
    assert message.startswith(f"features.function: {path(name)}")
    assert said in message


def test_a_function_chooses_the_holdout_and_a_hash_the_rest() -> None:
    """Validation rows come from outside it, in their share."""
    config = config_of(split={"kind": "function", "function": path("wide"), "test_fraction": 0.3})
    frame = iris()
    part = split_rows(frame, config)["part"]
    wide = frame["petal_width_cm"] > 1.7
    assert ((part == "test") == wide).all()
    assert (part == "validation").sum() == pytest.approx(0.2 / 0.7 * (~wide).sum(), abs=12)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("last_rows", "the side of a row changes with the other rows"),
        ("words", "has to return true or false for each of 150 rows"),
        ("rows", "raised TypeError"),
    ],
)
def test_a_split_that_would_leak_is_refused(name: str, said: str) -> None:
    """A row that moves as data grows would train one model and judge the next."""
    message = message_of(lambda: hold_out(path(name), iris()), DataError)
    assert message.startswith(f"split.function: {path(name)}")
    assert said in message
