"""A backfill of twelve months on the stack: twelve honest trainings."""

import io
import json

import pandas as pd
import pytest
from support.compose import Stack, eventually

pytestmark = pytest.mark.stack

CONF = {"scenario": "few_rows", "candidates": ["logistic_regression", "hist_gradient_boosting"]}
ENDS = pd.date_range("2013-02-01", periods=12, freq="MS", tz="UTC")


@pytest.fixture(scope="module")
def versions(stack: Stack) -> dict[str, dict]:
    """Backfill `train_flights` over 2013 by Airflow's API; returns the versions by the end of their window."""
    eventually(lambda: stack.airflow("GET", "/dags/train_flights").status_code == 200, timeout_seconds=120)
    body = {
        "dag_id": "train_flights",
        "from_date": "2013-01-01T00:00:00Z",
        "to_date": "2013-12-31T00:00:00Z",
        "dag_run_conf": CONF,
        "max_active_runs": 1,
    }
    answer = stack.airflow("POST", "/backfills", json=body)
    assert answer.status_code == 200, answer.text

    def ended() -> list[dict]:
        found = stack.airflow("GET", "/dags/train_flights/dagRuns", params={"run_type": "backfill", "limit": 50})
        over = [run for run in found.json()["dag_runs"] if run["state"] in ("success", "failed")]
        return over if len(over) == 12 else []

    runs = eventually(ended, timeout_seconds=1500, pause_seconds=5)
    assert {run["state"] for run in runs} == {"success"}
    found = [
        entry | {"tags": {tag["key"]: tag["value"] for tag in entry["tags"]}} for entry in stack.versions("flights")
    ]
    return {entry["tags"]["waterflow.window_end"]: entry for entry in found}


def test_each_month_has_a_version(versions: dict[str, dict]) -> None:
    """Twelve intervals, twelve windows, twelve versions."""
    assert sorted(versions) == [end.isoformat() for end in ENDS]


def test_no_version_saw_its_future(stack: Stack, versions: dict[str, dict]) -> None:
    """The latest row behind each version left early enough for its lateness to be known at the window's end."""
    for end in ENDS:
        digest = versions[end.isoformat()]["tags"]["waterflow.data_digest"]
        key = next(key for key in stack.keys("waterflow") if digest in key)
        body = stack.s3("waterflow").get_object(Bucket="waterflow", Key=key)["Body"].read()
        latest = pd.read_parquet(io.BytesIO(body), columns=["scheduled_departure"])["scheduled_departure"].max()
        assert end - pd.Timedelta("39h") < latest < end - pd.Timedelta("36h")


def test_the_ledger_explains_the_champion(stack: Stack, versions: dict[str, dict]) -> None:
    """Each month has its row; a later month replaces an earlier one, as better or as a refresh."""
    shown = stack.compose("run", "--rm", "-T", "cli", "waterflow", "ledger", "flights", "--json").stdout
    rows = json.loads(shown)
    assert sorted(row["version"] for row in rows) == sorted(int(entry["version"]) for entry in versions.values())
    promoted = [row for row in rows if row["kind"] == "promote"]
    assert {row["verdict"]["outcome"] for row in promoted} == {"promote"}
    won = [row for row in rows if row["kind"] in ("promote", "refresh")]
    ends = [row["window"]["end"] for row in won]
    assert ends == sorted(ends)
    assert stack.aliases("flights")["champion"] == str(won[-1]["version"])
    assert stack.compose("run", "--rm", "-T", "cli", "waterflow", "ledger", "flights", "--verify").returncode == 0
