"""One DAG `score_<pipeline>` for each pipeline with a section `score`."""

import pendulum
from airflow.sdk import DAG

from waterflow.config.header import Outline
from waterflow.orchestration import tasks
from waterflow.orchestration.form import build_window
from waterflow.orchestration.timetable import build_timetable, first_moment


def build_score_dag(outline: Outline, default_args: dict[str, object]) -> DAG:
    """Build the DAG that predicts the rows of each interval.

    Without a schedule it waits to be triggered.
    """
    schedule = outline.score_schedule
    with DAG(
        dag_id=f"score_{outline.name}",
        description=f"Predictions of {outline.name} for each interval.",
        schedule=build_timetable(schedule),
        start_date=first_moment(schedule.start, schedule) if schedule else pendulum.datetime(2000, 1, 1),
        catchup=False,
        is_paused_upon_creation=False,
        tags={"waterflow", "scoring", *outline.tags},
        doc_md=f"The champion of `{outline.name}` predicts the rows of each interval: `score` in "
        f"`conf/pipeline/{outline.name}.yaml`.",
        params=build_window(outline.time_column) if outline.time_column else {},
        default_args={"owner": outline.owner, **default_args},
    ) as dag:
        tasks.score(outline.name)
    return dag
