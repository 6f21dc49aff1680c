"""What a run may see of time: planted rows that would give the future away never reach what is stored."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from support.projects import message_of, request_of, write_rows

from waterflow import workflow
from waterflow.data.canonical import read_parquet
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError
from waterflow.records.data import Prepared
from waterflow.records.run import Window
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.stores.base import get_file, scratch_folder

Writer = Callable[..., str]

END = datetime(2026, 4, 11, tzinfo=UTC)
DATED: dict[str, Any] = {
    "dataset": {"kind": "csv", "path": "data/days.csv"},
    "time_column": "day",
    "split": None,
    "preprocessing": [
        {"select": {"type": "numeric"}, "scale": "standard"},
        {"select": {"type": "categorical"}, "encode": "onehot"},
    ],
}


def write_days(resources: Resources, planted: dict[str, str]) -> None:
    """Write 150 flowers, one each day from the first of January 2026, and the planted ones, each with its day."""
    rows = iris().sample(frac=1, random_state=1).assign(day=pd.date_range("2026-01-01", periods=150).astype("str"))
    rows["garden"] = "ours"
    extra = [rows.iloc[:1].assign(garden=name, day=day) for name, day in planted.items()]
    write_rows(resources.project, pd.concat([rows, *extra]), "days.csv")


def stored_rows(prepared: Prepared, resources: Resources) -> pd.DataFrame:
    """Read the Parquet that the steps after `prepare` read."""
    with scratch_folder() as folder:
        return read_parquet(get_file(resources.store, prepared.data, folder / "data.parquet"))


def test_the_future_does_not_reach_the_model(resources: Resources, pipeline: Writer) -> None:
    """Neither a row after the window's end nor one whose outcome came later is stored, so none is trained on."""
    write_days(
        resources, {"after_the_end": "2026-04-11", "not_yet_known": "2026-04-09T12:00", "known": "2026-04-08T12:00"}
    )
    name = pipeline(**DATED, label_delay="2 days")
    request = request_of(name, window=Window(end=END))
    registered = workflow.run_all(request, resources)
    prepared = prepare(request, resources)
    gardens = set(stored_rows(prepared, resources)["garden"])
    assert gardens == {"ours", "known"}
    model = resources.models.load_model(registered.evaluated.winner.model_id, registered.model)
    learnt = set(model.named_steps["preprocess"].get_feature_names_out())
    assert not any("after_the_end" in entry or "not_yet_known" in entry for entry in learnt)


def test_the_rule_of_the_pipeline_sets_the_start(resources: Resources, pipeline: Writer) -> None:
    """A sliding window of a month holds the thirty days before its end, and the run says so."""
    write_days(resources, {})
    name = pipeline(**DATED, window={"kind": "sliding", "lookback": "30 days"})
    prepared = prepare(request_of(name, window=Window(end=END)), resources)
    assert prepared.rows == 30
    assert prepared.window == Window(start=datetime(2026, 3, 12, tzinfo=UTC), end=END)
    assert stored_rows(prepared, resources)["day"].max() < pd.Timestamp(END)


def test_the_holdout_is_the_latest_slice_of_the_window(resources: Resources, pipeline: Writer) -> None:
    """Train, validation and test follow one another in time."""
    write_days(resources, {})
    prepared = prepare(request_of(pipeline(**DATED), window=Window(end=END)), resources)
    with scratch_folder() as folder:
        split = read_parquet(get_file(resources.store, prepared.split, folder / "split.parquet"))
    days = stored_rows(prepared, resources)["day"].groupby(split["part"].astype("str")).agg(["min", "max"])
    assert days.loc["train", "max"] < days.loc["validation", "min"]
    assert days.loc["validation", "max"] < days.loc["test", "min"]


def test_no_part_ends_with_outcomes_that_were_known_later(resources: Resources, pipeline: Writer) -> None:
    """Between two parts the delay is kept, and the run's shares count no row of the gaps."""
    write_days(resources, {})
    prepared = prepare(request_of(pipeline(**DATED, label_delay="5 days"), window=Window(end=END)), resources)
    with scratch_folder() as folder:
        split = read_parquet(get_file(resources.store, prepared.split, folder / "split.parquet"))
    days = stored_rows(prepared, resources)["day"].groupby(split["part"].astype("str")).agg(["min", "max"])
    delay = pd.Timedelta(days=5)
    assert days.loc["train", "max"] + delay < days.loc["validation", "min"]
    assert days.loc["validation", "max"] + delay < days.loc["test", "min"]
    assert sum(share.rows for share in prepared.shares) == prepared.rows - 10


def test_a_window_before_the_data_is_refused(resources: Resources, pipeline: Writer) -> None:
    """It holds no row; the message says where the rows lie."""
    write_days(resources, {})
    request = request_of(pipeline(**DATED), window=Window(end=datetime(2025, 1, 1)))
    assert "contains none of 150 rows" in message_of(lambda: prepare(request, resources), DataError)


def test_a_window_before_the_rules_start_is_refused(resources: Resources, pipeline: Writer) -> None:
    """Nothing can lie between a start and an end before it."""
    write_days(resources, {})
    name = pipeline(**DATED, window={"start": "2026-02-01"})
    request = request_of(name, window=Window(end=datetime(2026, 1, 15)))
    assert "ends before window.start" in message_of(lambda: prepare(request, resources), ConfigError)


def test_a_delay_without_a_time_column_is_refused(resources: Resources, pipeline: Writer) -> None:
    """Nothing says when a row's outcome was known."""
    request = request_of(pipeline(label_delay="1 day"))
    assert "label_delay: it needs time_column" in message_of(lambda: prepare(request, resources), ConfigError)


def test_what_is_no_duration_is_refused(resources: Resources, pipeline: Writer) -> None:
    """The message shows how to write one."""
    request = request_of(pipeline(**DATED, label_delay="36h"))
    message = message_of(lambda: prepare(request, resources), ConfigError)
    assert "label_delay: '36h' is no duration; write it like '36 hours'" in message


def test_a_scenario_of_the_form_is_composed(resources: Resources, pipeline: Writer) -> None:
    """The run says which scenario it followed."""
    write_days(resources, {})
    prepared = prepare(
        request_of(pipeline(**DATED, tuning={"trials": 3}), scenario="few_rows", run_id="few"), resources
    )
    assert 5 < prepared.rows < 30
    assert resources.runs.client.get_run(prepared.parent_run_id).data.tags["waterflow.scenario"] == "few_rows"
