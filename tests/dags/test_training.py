import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import airflow_environment
from support.projects import CHECKOUT, make_project, write_pipeline

from waterflow.config.project import Project

Build = Callable[[], dict[str, Any]]


def test_each_pipeline_has_a_dag(project: Project, build: Build) -> None:
    """A new YAML is a new DAG, without any Python."""
    write_pipeline(project, "roses")
    assert set(build()) == {"train_flowers", "train_roses"}


def test_the_shipped_pipelines_have_dags(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    """None of the repository's own YAML files is broken."""
    import runpy

    monkeypatch.setenv("WATERFLOW_CONF", str(CHECKOUT / "conf"))
    found = runpy.run_path(str(CHECKOUT / "dags" / "training.py"))
    dags = {name: dag for name, dag in found.items() if name.startswith("train_")}
    expected = {f"train_{path.stem}" for path in (CHECKOUT / "conf" / "pipeline").glob("*.yaml")}
    assert set(dags) == expected
    assert not [name for name, dag in dags.items() if "broken" in dag.tags]


def test_the_steps_stand_in_their_order(build: Build) -> None:
    """Prepare → train → evaluate → register → promote, and evaluate waits for every candidate."""
    dag = build()["train_flowers"]
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "prepare": {"train", "evaluate", "register", "promote"},
        "train": {"evaluate"},
        "evaluate": {"register"},
        "register": {"promote"},
        "promote": set(),
    }


def test_a_person_is_asked_before_the_champion_changes(project: Project, build: Build) -> None:
    """Silence is a no, and a no reaches the ledger: promote runs whatever the answer."""
    write_pipeline(project, "flowers", promotion={"approval": "human", "approval_timeout": "36 hours"})
    dag = build()["train_flowers"]
    approve, promote = dag.get_task("approve"), dag.get_task("promote")
    assert approve.upstream_task_ids == {"register"}
    assert promote.upstream_task_ids == {"prepare", "register", "approve"}
    assert approve.defaults == ["Reject"]
    assert approve.options == ["Approve", "Reject"]
    assert approve.response_timeout == timedelta(hours=36)
    assert promote.trigger_rule == "none_failed"


def test_a_dag_with_a_question_can_be_stored(project: Project, build: Build) -> None:
    """Airflow keeps DAGs in a serialized form; the task that asks is one of its own operators there."""
    from airflow.serialization.serialized_objects import DagSerialization

    write_pipeline(project, "flowers", promotion={"approval": "human"})
    stored = DagSerialization.from_dict(DagSerialization.to_dict(build()["train_flowers"]))
    assert stored.get_task("approve").task_type == "AskPerson"


def test_training_is_mapped_and_labelled_by_the_candidate(build: Build) -> None:
    """The grid shows names, and the pool bounds how many fit at once."""
    train = build()["train_flowers"].get_task("train")
    assert train.is_mapped
    assert train.map_index_template == "{{ task.op_kwargs['candidate'] }}"
    assert train.pool == "training"
    assert {build()["train_flowers"].get_task(name).pool for name in ("evaluate", "register")} == {"training"}


def test_evaluate_runs_when_every_candidate_is_over(build: Build) -> None:
    """A red candidate does not keep the others from being compared."""
    assert build()["train_flowers"].get_task("evaluate").trigger_rule == "all_done_min_one_success"


def test_tasks_are_retried_with_back_off(build: Build) -> None:
    """What a retry can fix is retried, more slowly each time."""
    for task in build()["train_flowers"].tasks:
        assert task.retries == 3
        assert task.retry_exponential_backoff
        assert task.retry_delay == timedelta(seconds=10)
        assert task.owner == "waterflow"


def test_a_dag_shows_its_pipeline(project: Project, build: Build) -> None:
    """Words, tags and the YAML itself stand on the DAG's page."""
    path = write_pipeline(project, "flowers", tags=["example"], owner="botany")
    dag = build()["train_flowers"]
    assert dag.description == "Which iris is this?"
    assert dag.tags == {"waterflow", "example"}
    assert path.read_text() in dag.doc_md
    assert dag.get_task("prepare").owner == "botany"


def test_a_dag_runs_once_it_is_there_and_never_by_itself(build: Build) -> None:
    """It is not paused, and has no schedule unless its YAML gives one."""
    dag = build()["train_flowers"]
    assert dag.is_paused_upon_creation is False
    assert dag.catchup is False
    assert dag.schedule is None


def test_a_schedule_has_real_intervals(project: Project, build: Build) -> None:
    """Each interval lasts from one tick to the next, so its window holds rows."""
    from airflow.sdk import CronDataIntervalTimetable
    from airflow.serialization.serialized_objects import DagSerialization

    path = write_pipeline(project, "flowers")
    path.write_text(path.read_text() + "schedule:\n  cron: '0 0 1 * *'\n  start: 2026-01-01\n")
    dag = build()["train_flowers"]
    assert isinstance(dag.schedule, CronDataIntervalTimetable)
    scheduled = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    interval = scheduled.timetable.infer_manual_data_interval(run_after=datetime(2026, 3, 15, tzinfo=UTC))
    assert interval.start == datetime(2026, 2, 1, tzinfo=UTC)
    assert interval.end == datetime(2026, 3, 1, tzinfo=UTC)


def test_nothing_is_scheduled_after_the_end(project: Project, build: Build) -> None:
    """Data that end with a year need no run today; a backfill may still cover the year."""
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables.base import TimeRestriction

    path = write_pipeline(project, "flowers")
    path.write_text(path.read_text() + "schedule:\n  cron: '0 0 1 * *'\n  start: 2013-01-01\n  end: 2014-01-01\n")
    dag: DAG = build()["train_flowers"]
    scheduled = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    within = TimeRestriction(scheduled.start_date, scheduled.end_date, catchup=False)
    assert scheduled.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=within) is None
    every = TimeRestriction(scheduled.start_date, scheduled.end_date, catchup=True)
    first = scheduled.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=every)
    assert first is not None
    assert first.data_interval.end == datetime(2013, 2, 1, tzinfo=UTC)
    assert dag.end_date is None  # else a manual run of today would run no task


# Broken pipelines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("defaults:\n  - /strategy: balanced\ntarget: [species\n", "conf/pipeline/roses.yaml:4"),
        ("targett: species\n", "conf/pipeline/roses.yaml:1"),
        ("", "conf/pipeline/roses.yaml:1"),
        ("defaults:\n  - /strategy: none\n", "conf/pipeline/roses.yaml:1"),
        ("\x00\x01", "conf/pipeline/roses.yaml"),
    ],
    ids=["no yaml", "unknown key", "empty", "unknown strategy", "control characters"],
)
def test_a_broken_pipeline_becomes_a_dag_that_says_so(project: Project, build: Build, text: str, line: str) -> None:
    """The error and its line stand on the page, and the other DAGs are as they were."""
    (project.conf / "pipeline" / "roses.yaml").write_text(text)
    dags = build()
    assert "broken" in dags["train_roses"].tags
    assert line in dags["train_roses"].doc_md
    assert [task.task_id for task in dags["train_roses"].tasks] == ["report_problem"]
    assert "broken" not in dags["train_flowers"].tags


@pytest.mark.parametrize(
    "schedule",
    ["  cron: every day\n  start: 2026-01-01\n", "  cron: '@daily'\n  start: 2026-01-01\n  timezone: Mars/Olympus\n"],
)
def test_a_schedule_that_cannot_be_kept_is_broken(project: Project, build: Build, schedule: str) -> None:
    """A bad cron line or time zone does not stop the file."""
    path = project.conf / "pipeline" / "flowers.yaml"
    path.write_text(path.read_text() + "schedule:\n" + schedule)
    dag = build()["train_flowers"]
    assert "broken" in dag.tags
    assert "flowers.yaml" in dag.doc_md


def test_a_file_that_is_no_text_is_broken(project: Project, build: Build) -> None:
    """Whatever a file holds, the others go on."""
    (project.conf / "pipeline" / "roses.yaml").write_bytes(b"\xff\xfe\x00")
    (project.conf / "pipeline" / "a folder.yaml").mkdir()
    dags = build()
    assert {name for name, dag in dags.items() if "broken" in dag.tags} == {"train_roses", "train_a_folder"}


def test_a_badly_named_file_does_not_hide_a_good_one(project: Project, build: Build) -> None:
    """`flowers-2.yaml` stands beside `flowers_2.yaml`; both can be seen."""
    write_pipeline(project, "flowers_2")
    write_pipeline(project, "flowers-2")
    dags = build()
    assert "broken" not in dags["train_flowers_2"].tags
    assert "broken" in dags["train_flowers-2"].tags


# What parsing costs


def test_fifty_pipelines_are_fifty_dags(project: Project, build: Build) -> None:
    """Many pipelines in one folder are the usual case."""
    for number in range(50):
        write_pipeline(project, f"many_{number:02}")
    dags = build()
    assert len(dags) == 51
    assert not [name for name, dag in dags.items() if "broken" in dag.tags]


def test_the_dag_file_imports_nothing_heavy(tmp_path: Path) -> None:
    """Airflow parses it again and again: Hydra, pydantic's models, pandas and MLflow stay out of it."""
    project = make_project(tmp_path)
    program = (
        "import json, sys, runpy\n"
        "import airflow.sdk, pendulum\n"
        "before = set(sys.modules)\n"
        "runpy.run_path(sys.argv[1])\n"
        "print('modules', json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(CHECKOUT / "dags" / "training.py")],
        env=airflow_environment(tmp_path / "home", project.conf),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.partition("modules ")[2])
    heavy = {"hydra", "omegaconf", "pandas", "numpy", "mlflow", "sklearn", "boto3", "pyarrow", "matplotlib"}
    assert not heavy & {name.partition(".")[0] for name in modules}
    own = {name for name in modules if name.startswith("waterflow")}
    readers = ("config", "config.header", "config.schedule", "config.suggestions", "config.yaml_reader", "errors")
    config = {f"waterflow.{name}" for name in readers}
    names = ("approval", "context", "factory", "form", "scoring", "task_errors", "tasks", "timetable", "trigger_conf")
    orchestration = {f"waterflow.orchestration.{name}" for name in names}
    assert own <= {"waterflow", "waterflow.orchestration"} | config | orchestration


def test_a_pipeline_of_fifteen_lines_is_a_dag(project: Project, build: Build) -> None:
    """The smallest YAML that trains on a file of one's own."""
    lines = [
        "defaults:",
        "  - /strategy: balanced",
        "  - /model@candidates: [gaussian_nb, svc]",
        "dataset: {kind: csv, path: data/flowers.csv}",
        "target: species",
        "task: classification",
        "metrics: {main: accuracy}",
        "gate: {metric: accuracy, at_least: 0.8}",
    ]
    (project.conf / "pipeline" / "mine.yaml").write_text("\n".join(lines) + "\n")
    assert build()["train_mine"].params["candidates"] == ["gaussian_nb", "svc"]
