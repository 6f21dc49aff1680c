from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest
from support.projects import candidates, message_of, request_of, write_rows

from waterflow.caching.keys import key_of, preparation
from waterflow.config.compose import compose_pipeline
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError
from waterflow.records.run import Window
from waterflow.resources import Resources, load_config
from waterflow.snapshots import load_rows
from waterflow.steps.prepare import prepare

Writer = Callable[..., str]


def test_the_record_says_what_was_prepared(resources: Resources, pipeline: Writer) -> None:
    """Rows, shares and candidates can be read without opening a file."""
    prepared = prepare(request_of(pipeline()), resources)
    assert prepared.rows == 150
    assert {share.part: share.rows for share in prepared.shares} == {"train": 90, "validation": 30, "test": 30}
    assert prepared.candidates == ("gaussian_nb",)
    assert resources.runs.get_run(prepared.parent_run_id).status == "RUNNING"


def test_later_steps_read_the_stored_configuration(resources: Resources, pipeline: Writer) -> None:
    """An edit of the YAML in the middle of a run changes nothing for it."""
    name = pipeline()
    prepared = prepare(request_of(name), resources)
    before = compose_pipeline(resources.project, name)
    pipeline(target="petal_width_cm", task="regression")
    assert load_config(prepared, resources) == before


def test_stored_rows_are_divided_by_the_stored_split(resources: Resources, pipeline: Writer) -> None:
    """Features and target come apart, and no row stands in two parts."""
    prepared = prepare(request_of(pipeline()), resources)
    rows = load_rows(prepared, load_config(prepared, resources), resources, ("train", "validation", "test"))
    assert [len(part.target) for part in rows.values()] == [90, 30, 30]
    assert "species" not in rows["train"].features
    everything = pd.concat([part.features.assign(species=part.target) for part in rows.values()])
    expected = iris().value_counts().sort_index()
    pd.testing.assert_series_equal(everything.value_counts().sort_index(), expected)


def test_a_target_of_decimals_is_trained_on_as_numbers(resources: Resources, pipeline: Writer) -> None:
    """No metric takes Python's decimals."""
    rows = iris().assign(price=lambda frame: [Decimal(f"{value:.1f}") for value in frame["petal_width_cm"]])
    rows.drop(columns=["petal_width_cm", "species"]).to_parquet(resources.project.root / "data" / "prices.parquet")
    name = pipeline(
        dataset={"kind": "parquet", "path": "data/prices.parquet"},
        target="price",
        task="regression",
        metrics={"main": "rmse"},
        gate=None,
        preprocessing=None,
        split={"kind": "hash"},
        **candidates(ridge="sklearn.linear_model.Ridge"),
    )
    prepared = prepare(request_of(name), resources)
    target = load_rows(prepared, load_config(prepared, resources), resources, ("train",))["train"].target
    assert target.dtype == "float64"


def test_a_retry_does_not_read_the_source_again(resources: Resources, pipeline: Writer) -> None:
    """Rows that changed between two attempts do not change the run."""
    write_rows(resources.project, iris(), "changing.csv")
    request = request_of(pipeline(dataset={"kind": "csv", "path": "data/changing.csv"}))
    first = prepare(request, resources)
    write_rows(resources.project, iris().iloc[::2], "changing.csv")
    assert prepare(request, resources) == first


def test_a_cleared_run_reads_the_source_again(resources: Resources, pipeline: Writer) -> None:
    """Its first MLflow run is closed, not reopened; a retry after the clearing finds the second one."""
    write_rows(resources.project, iris(), "cleared.csv")
    request = request_of(pipeline(dataset={"kind": "csv", "path": "data/cleared.csv"}))
    first = prepare(request, resources)
    write_rows(resources.project, iris().iloc[::2], "cleared.csv")
    origin = request.origin.model_copy(update={"clear_number": 1, "try_number": 2})
    cleared = prepare(request.model_copy(update={"origin": origin}), resources)
    assert (first.rows, cleared.rows) == (150, 75)
    assert resources.runs.get_run(first.parent_run_id).status == "KILLED"
    write_rows(resources.project, iris(), "cleared.csv")
    retried = request.model_copy(update={"origin": origin.model_copy(update={"try_number": 3})})
    assert prepare(retried, resources) == cleared


def test_a_new_run_reads_the_source_again(resources: Resources, pipeline: Writer) -> None:
    """Fresh rows are another version of the data."""
    write_rows(resources.project, iris(), "fresh.csv")
    name = pipeline(dataset={"kind": "csv", "path": "data/fresh.csv"})
    first = prepare(request_of(name, "run_1"), resources)
    write_rows(resources.project, iris().iloc[::2], "fresh.csv")
    second = prepare(request_of(name, "run_2"), resources)
    assert (first.rows, second.rows) == (150, 75)
    assert first.data.digest != second.data.digest


def test_the_same_rows_in_another_order_are_the_same_data(resources: Resources, pipeline: Writer) -> None:
    """Digest of data and of split do not depend on the order of a file's lines."""
    write_rows(resources.project, iris(), "order.csv")
    name = pipeline(dataset={"kind": "csv", "path": "data/order.csv"})
    first = prepare(request_of(name, "run_1"), resources)
    write_rows(resources.project, iris().sample(frac=1, random_state=5), "order.csv")
    second = prepare(request_of(name, "run_2"), resources)
    assert (first.data, first.split) == (second.data, second.split)


def test_a_window_is_cut_before_anything_else(resources: Resources, pipeline: Writer) -> None:
    """No stored row lies at or after the end."""
    rows = iris().sample(frac=1, random_state=1).assign(day=pd.date_range("2026-01-01", periods=150).astype("str"))
    write_rows(resources.project, rows, "days.csv")
    name = pipeline(dataset={"kind": "csv", "path": "data/days.csv"}, time_column="day", split={"kind": "time"})
    prepared = prepare(request_of(name, window=Window(end=datetime(2026, 4, 11))), resources)
    stored = load_rows(prepared, load_config(prepared, resources), resources, ("train", "validation", "test"))
    assert prepared.rows == 100 == sum(len(part.target) for part in stored.values())


def test_a_window_start_without_a_time_column_is_refused(resources: Resources, pipeline: Writer) -> None:
    """Nothing dates the rows, so a window that a person asked for cannot be cut."""
    request = request_of(pipeline(), window=Window(start=datetime(2026, 1, 1)))
    assert "has no time_column" in message_of(lambda: prepare(request, resources), ConfigError)


def test_the_key_counts_the_window_where_rows_are_dated(resources: Resources, pipeline: Writer) -> None:
    """Two windows are two preparations, unless nothing dates the rows."""
    keys = []
    for changes in ({}, {"time_column": "day", "split": {"kind": "time"}}):
        name = pipeline(**changes)
        config = compose_pipeline(resources.project, name)
        windows = [Window(end=datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 2)]
        keys.append(len({key_of(preparation(config, window)) for window in windows}))
    assert keys == [1, 2]


@pytest.mark.parametrize("strategy", ["quick", "balanced"])
def test_a_request_may_choose_another_strategy(resources: Resources, pipeline: Writer, strategy: str) -> None:
    """The choice replaces the strategy of the YAML."""
    prepared = prepare(request_of(pipeline(), strategy=strategy), resources)
    assert load_config(prepared, resources).strategy.name == strategy


def test_costs_of_three_classes_stop_the_run_before_anything_trains(resources: Resources, pipeline: Writer) -> None:
    """The rows say how many classes there are, so no candidate has to fail first."""
    request = request_of(pipeline(costs={"false_alarm": 1, "miss": 5}))
    message = message_of(lambda: prepare(request, resources), DataError)
    assert message.startswith("costs, positive: they are about a decision between two classes, the target has 3")
