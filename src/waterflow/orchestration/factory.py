"""One DAG for each `conf/pipeline/*.yaml`.

Where it has a section `score`, there is another (`scoring`).

prepare → train (one task per candidate) → evaluate → register → promote.

Airflow's DAG processor parses these files again and again, so what is imported here is light: Airflow's SDK, pendulum
and the parse-time reader of the YAML files. A task imports what it needs inside its body.
"""

import datetime
import os
from pathlib import Path

import pendulum
from airflow.sdk import DAG

from waterflow.config.header import (
    Outline,
    group_options,
    pipeline_files,
    read_outline,
    read_scenarios,
    scenarios_for,
)
from waterflow.orchestration import tasks
from waterflow.orchestration.approval import build_approval
from waterflow.orchestration.form import build_form
from waterflow.orchestration.scoring import build_score_dag
from waterflow.orchestration.timetable import build_timetable, first_moment

RETRIES = {
    "retries": 3,
    "retry_delay": datetime.timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": datetime.timedelta(minutes=5),
}


def build_dags(conf: Path | None = None) -> dict[str, DAG]:
    """Build the DAGs of every pipeline, by their ids.

    `conf` is the folder of the configuration; by default `WATERFLOW_CONF`, else that of the checkout. Never raises: a
    pipeline that cannot be read becomes a DAG tagged `broken` whose page shows the error.
    """
    conf = conf or Path(os.environ.get("WATERFLOW_CONF") or Path(__file__).resolve().parents[3] / "conf")
    strategies, scenarios = group_options(conf, "strategy"), read_scenarios(conf)
    dags = {}
    for path in pipeline_files(conf):
        try:
            outline = read_outline(path)
            dag = build_dag(outline, strategies, scenarios_for(scenarios, path.stem))
            if outline.is_scored:
                scoring = build_score_dag(outline, RETRIES)
                dags[scoring.dag_id] = scoring
        except Exception as error:
            problem = str(error) if path.name in str(error) else f"conf/pipeline/{path.name}: {error}"
            dag = build_broken_dag(path.stem, problem)
        dags[dag.dag_id] = dag
    return dags


def build_dag(outline: Outline, strategies: tuple[str, ...], scenarios: tuple[str, ...] = ()) -> DAG:
    """Build the training DAG of one pipeline.

    With `promotion.approval: human` a task `approve` stands before `promote`.
    """
    schedule = outline.schedule
    with DAG(
        dag_id=f"train_{outline.name}",
        description=outline.description,
        schedule=build_timetable(schedule),
        start_date=first_moment(schedule.start, schedule) if schedule else pendulum.datetime(2000, 1, 1),
        catchup=False,
        is_paused_upon_creation=False,
        tags={"waterflow", *outline.tags},
        doc_md=f"{outline.description}\n\n`conf/pipeline/{outline.name}.yaml`\n\n```yaml\n{outline.source}\n```\n",
        params=build_form(outline, strategies, scenarios),
        default_args={"owner": outline.owner, **RETRIES},
    ) as dag:
        planned = tasks.prepare(outline.name)
        prepared = planned["prepared"]
        trained = tasks.train.partial(prepared=prepared).expand(candidate=planned)
        registered = tasks.register(prepared, tasks.evaluate(prepared, trained))
        if outline.approval_timeout is None:
            tasks.promote(prepared, registered)
        else:
            approval = build_approval(outline.approval_timeout)
            registered >> approval
            tasks.promote(prepared, registered, approval.output)
    return dag


def build_broken_dag(name: str, problem: str) -> DAG:
    """Build the placeholder of a pipeline that cannot be read.

    Its page shows the error, and its only task fails with it.
    """
    safe_name = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)
    with DAG(
        dag_id=f"train_{safe_name}",
        schedule=None,
        tags={"waterflow", "broken"},
        is_paused_upon_creation=False,
        doc_md=f"**This pipeline is broken.**\n\n```\n{problem}\n```\n\nFix the file and the DAG comes back by itself.",
    ) as dag:
        tasks.report_problem(problem)
    return dag
