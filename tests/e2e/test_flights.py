"""Twelve trainings of `train_flights`, one for each month of 2013: none saw what its month could not know."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from support.airflow_home import airflow_environment, copy_metadata
from support.projects import CHECKOUT, copy_database, make_project

from waterflow import workflow
from waterflow.data.canonical import read_parquet
from waterflow.records.data import Prepared
from waterflow.resources import Resources
from waterflow.stores.base import get_file, scratch_folder
from waterflow.tracking.registry import Version

ENDS = pd.date_range("2013-02-01", periods=12, freq="MS", tz="UTC")
CONF = {"scenario": "tiny", "candidates": ["logistic_regression"]}
TINY = "# @package _global_\nsample: 0.03\ntuning: {trials: 0}\n"
# One process for all: importing Airflow twelve times would take longer than the trainings.
RUN_MONTHS = """
import json, os, sys
from pathlib import Path
from waterflow.orchestration import in_process
in_process.configure_airflow(Path(os.environ["WATERFLOW_HOME"]))
in_process.migrate_metadata(sys.stdout)
in_process.serve_newest_api()
dag = in_process.load_dag("flights")
for conf in json.loads(sys.argv[1]):
    run = dag.test(run_conf=conf)
    print("ENDED", conf["window_end"], run.state, flush=True)
"""


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path, shared_folder: Path) -> Resources:
    """Run the shipped pipeline's DAG twelve times, the months in disorder, as a backfill may."""
    project = make_project(tmp_path_factory.mktemp("flights"))
    shutil.copy(CHECKOUT / "conf" / "pipeline" / "flights.yaml", project.conf / "pipeline")
    (project.conf / "scenario" / "tiny.yaml").write_text(TINY, "utf-8")
    copy_database(project, tracking_template)
    copy_metadata(project.home, shared_folder)
    confs = [CONF | {"window_end": end.isoformat()} for end in (*ENDS[6:], *ENDS[:6])]
    done = subprocess.run(
        [sys.executable, "-c", RUN_MONTHS, json.dumps(confs)],
        env=airflow_environment(project.home, project.conf),
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    ended = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("ENDED")]
    assert ended == ["success"] * 12, done.stdout[-3000:] + done.stderr[-3000:]
    return workflow.open_resources(project)


@pytest.fixture(scope="module")
def versions(resources: Resources) -> dict[str, Version]:
    """Return the registered versions by the end of their window."""
    return {entry.tags["waterflow.window_end"]: entry for entry in resources.registry.list_versions("flights")}


def rows_behind(version: Version, resources: Resources) -> pd.DataFrame:
    """Read the Parquet that a version was made from, with the part of each row."""
    parent = version.tags["waterflow.parent_run_id"]
    with scratch_folder() as folder:
        path = resources.runs.client.download_artifacts(parent, "waterflow/record.json", str(folder))
        prepared = Prepared.from_json(json.loads(Path(path).read_text("utf-8")))
        assert prepared.data.digest == version.tags["waterflow.data_digest"]
        rows = read_parquet(get_file(resources.store, prepared.data, folder / "data.parquet"))
        parts = read_parquet(get_file(resources.store, prepared.split, folder / "split.parquet"))
    return rows.assign(part=parts["part"].astype("str"))


def test_each_month_has_a_version(versions: dict[str, Version]) -> None:
    """Twelve windows, twelve versions."""
    assert sorted(versions) == [end.isoformat() for end in ENDS]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: f"{end:%Y-%m}")
def test_a_version_saw_its_window_alone(resources: Resources, versions: dict[str, Version], end: pd.Timestamp) -> None:
    """The latest row behind it left early enough for its lateness to be known at the end, and not long before."""
    rows = rows_behind(versions[end.isoformat()], resources)
    latest = rows["scheduled_departure"].max()
    assert end - pd.Timedelta("54h") < latest < end - pd.Timedelta("36h")
    assert rows["scheduled_departure"].min() < pd.Timestamp("2013-01-03", tz="UTC")
    by_part = rows.groupby("part")["scheduled_departure"].agg(["min", "max"])
    assert by_part.loc["train", "max"] < by_part.loc["validation", "min"]
    assert by_part.loc["validation", "max"] < by_part.loc["test", "min"]


def test_months_in_disorder_end_with_the_champion_of_the_last_window(versions: dict[str, Version]) -> None:
    """December ran in the middle; no earlier month took its place afterwards."""
    champion = next(entry for entry in versions.values() if "champion" in entry.aliases)
    later = [entry.version for end, entry in versions.items() if end < champion.tags["waterflow.window_end"]]
    assert any(version > champion.version for version in later)
