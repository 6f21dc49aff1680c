import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from support.projects import message_of, request_of, write_rows

from waterflow.datasets.loaders import iris
from waterflow.errors import Break, ContractError
from waterflow.records.run import Window
from waterflow.reporting.contract_report import markdown_table
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare

Writer = Callable[..., str]

KEPT = {"columns": {"petal_width_cm": {"type": "number", "max": 2.5, "nullable": False}}, "min_rows": 150}
BROKEN = {"columns": {"petal_width_cm": {"max": 2}, "species": {"values": ["setosa", "versicolor"]}}}


def test_rows_that_obey_the_contract_are_prepared(resources: Resources, pipeline: Writer) -> None:
    """A contract costs a run nothing else."""
    assert prepare(request_of(pipeline(contract=KEPT)), resources).rows == 150


def test_a_broken_contract_stops_the_run_and_is_logged_to_it(
    resources: Resources, pipeline: Writer, tmp_path: Path
) -> None:
    """The run is FAILED, has the worst offenders as a table and as JSON, and nothing was prepared."""
    name = pipeline(contract=BROKEN)
    message = message_of(lambda: prepare(request_of(name), resources), ContractError)
    assert "contract: 73 breaks in 150 rows" in message
    client = resources.runs.client
    (run,) = client.search_runs([resources.runs.ensure_experiment(name)])
    assert run.info.status == "FAILED"
    assert run.data.tags["waterflow.contract_breaks"] == "73"
    assert run.data.tags["waterflow.failure"] == message
    assert "waterflow.data_digest" not in run.data.tags
    logged = json.loads(
        Path(client.download_artifacts(run.info.run_id, "contract/breaks.json", str(tmp_path))).read_text()
    )
    assert logged["count"] == 73
    assert {entry["rule"] for entry in logged["worst"]} == {"max: 2", "values: setosa, versicolor"}
    table = Path(client.download_artifacts(run.info.run_id, "contract/breaks.md", str(tmp_path))).read_text()
    assert "| row 100 | petal_width_cm; species | 2.5; virginica | max: 2; values: setosa, versicolor |" in table


def test_the_contract_is_checked_on_the_rows_of_the_window(resources: Resources, pipeline: Writer) -> None:
    """A bad row of next month stops no run of this month."""
    rows = iris().sample(frac=1, random_state=1, ignore_index=True)
    rows = rows.assign(day=pd.date_range("2026-01-01", periods=150).astype("str"))
    rows.loc[140, "petal_width_cm"] = 99
    write_rows(resources.project, rows, "months.csv")
    name = pipeline(
        dataset={"kind": "csv", "path": "data/months.csv"},
        time_column="day",
        split={"kind": "time"},
        contract={"columns": {"petal_width_cm": {"max": 10}}},
    )
    assert prepare(request_of(name, "earlier", window=Window(end="2026-04-11")), resources).rows == 100
    message = message_of(lambda: prepare(request_of(name, "all"), resources), ContractError)
    assert "found 99 at day=2026-05-21 00:00:00+00:00, row 140" in message


def test_a_retry_meets_the_same_break(resources: Resources, pipeline: Writer) -> None:
    """In the run of the first attempt, which is closed."""
    name = pipeline(contract={"min_rows": 151})
    for _ in range(2):
        assert "found 150 rows" in message_of(lambda: prepare(request_of(name), resources), ContractError)
    (run,) = resources.runs.client.search_runs([resources.runs.ensure_experiment(name)])
    assert run.info.status == "FAILED"


def test_what_would_break_the_table_is_escaped() -> None:
    """A value may hold a bar or a line break."""
    table = markdown_table([Break("id=1", "text", "a|b\nc", "pattern: x|y")])
    assert table.splitlines()[-1] == "| id=1 | text | a\\|b c | pattern: x\\|y |"
