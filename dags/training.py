"""One DAG for each `conf/pipeline/*.yaml`: prepare → train (one task per candidate) → evaluate → register → promote.

Where the YAML asks for a person's approval, a task `approve` stands before `promote`.

Airflow's DAG processor parses this file again and again, so it imports nothing but Airflow's SDK, pendulum
and a light reader; a task imports what it needs inside its body. A broken YAML becomes a DAG that says so,
and never keeps the others from running.
"""

import datetime
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_current_context, task

from waterflow.config.header import (
    Outline,
    Schedule,
    group_options,
    pipeline_files,
    read_outline,
    read_scenarios,
    scenarios_for,
)

RETRIES = {
    "retries": 3,
    "retry_delay": datetime.timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": datetime.timedelta(minutes=5),
}
POOL = "training"
MOMENT = (
    r"^\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|[12]\d))"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
)


def build_dag(outline: Outline, strategies: tuple[str, ...], scenarios: tuple[str, ...] = ()) -> DAG:
    """Build the training DAG of one pipeline from what its YAML says."""
    with DAG(
        dag_id=f"train_{outline.name}",
        description=outline.description,
        schedule=build_timetable(outline.schedule),
        start_date=day(outline.schedule.start, outline.schedule) if outline.schedule else pendulum.datetime(2000, 1, 1),
        catchup=False,
        is_paused_upon_creation=False,
        tags={"waterflow", *outline.tags},
        doc_md=describe(outline),
        params=build_form(outline, strategies, scenarios),
        default_args={"owner": outline.owner, **RETRIES},
    ) as dag:
        planned = prepare(outline.name)
        trained = train.partial(prepared=planned["prepared"]).expand(candidate=planned)
        judged = evaluate(planned["prepared"], trained)
        registered = register(planned["prepared"], judged)
        if outline.approval_timeout is None:
            promote(planned["prepared"], registered)
        else:
            asked = build_approval(outline.approval_timeout)
            registered >> asked
            promote(planned["prepared"], registered, asked.output)
    return dag


def build_approval(timeout: datetime.timedelta) -> Any:
    """Build the task that asks a person, and takes silence for a no; it is skipped when there is nothing to ask."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
    from airflow.sdk.exceptions import AirflowSkipException

    class AskPerson(ApprovalOperator):
        """Airflow's approval, except that a no skips nothing: `promote` writes it into the ledger, with its author."""

        def execute(self, context: Any) -> None:
            registered = context["ti"].xcom_pull(task_ids="register")
            if not registered["awaits_approval"]:
                raise AirflowSkipException(f"nothing to approve: {registered['reason']}")
            super().execute(context)

        def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
            return HITLOperator.execute_complete(self, context, event)

    question = "ti.xcom_pull(task_ids='register', key='question')"
    return AskPerson(
        task_id="approve",
        subject=f"{{{{ ({question} or {{}}).get('subject', 'nothing to approve') }}}}",
        body=f"{{{{ ({question} or {{}}).get('body', '') }}}}",
        defaults=ApprovalOperator.REJECT,
        response_timeout=timeout,
    )


def build_form(outline: Outline, strategies: tuple[str, ...], scenarios: tuple[str, ...]) -> dict[str, Param]:
    """Build the trigger form. Its values are names, times and a yes or no: no trigger can make a run import code."""
    names = list(outline.candidates)
    rows = f"by {outline.time_column}" if outline.time_column else "this pipeline has no time column: leave it empty"
    # `format` gives the form its calendar; nothing checks it in Airflow, so `pattern` refuses what is no time.
    moment = {"type": ["null", "string"], "format": "date-time", "pattern": MOMENT}
    return {
        "strategy": Param(
            outline.strategy,
            type="string",
            enum=list(strategies),
            title="Strategy",
            description="How candidates are selected. quick only explores: it never promotes.",
        ),
        "scenario": Param(
            None,
            type=["null", "string"],
            enum=[None, *scenarios],
            title="Scenario",
            description="A file of conf/scenario/ that changes only what differs; none if empty.",
        ),
        "candidates": Param(
            names,
            type="array",
            items={"type": "string", "enum": names},
            examples=names,
            minItems=1,
            uniqueItems=True,
            title="Candidates",
            description="Which of the pipeline's estimators to train.",
        ),
        "window_start": Param(None, **moment, title="Window start", description=f"First moment of the rows, {rows}."),
        "window_end": Param(
            None,
            **moment,
            title="Window end",
            description=f"End of the rows, not included; now if empty; {rows}.",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Fit and judge anew, even what an earlier run has done with the same inputs.",
        ),
    }


def build_timetable(schedule: Schedule | None) -> Any:
    """Give real data intervals: a cron string alone would give intervals of zero length."""
    if schedule is None:
        return None
    from croniter import croniter

    if not croniter.is_valid(schedule.cron):
        raise ValueError(f"schedule.cron: {schedule.cron!r} is no cron line; write it like '0 3 * * 1'")
    if schedule.end is not None:
        from schedules import CronDataIntervalUntil  # of plugins/, which Airflow puts on the path

        return CronDataIntervalUntil(schedule.cron, schedule.timezone, day(schedule.end, schedule))
    return CronDataIntervalTimetable(schedule.cron, timezone=pendulum.timezone(schedule.timezone))


def day(date: datetime.date, schedule: Schedule) -> pendulum.DateTime:
    """Give the first moment of a day in the schedule's time zone."""
    return pendulum.datetime(*date.timetuple()[:3], tz=schedule.timezone)


def describe(outline: Outline) -> str:
    """Show the pipeline on the DAG's page: its words and its YAML."""
    return f"{outline.description}\n\n`conf/pipeline/{outline.name}.yaml`\n\n```yaml\n{outline.source}\n```\n"


def build_broken_dag(name: str, problem: str) -> DAG:
    """Stand in for a pipeline whose YAML cannot be read: a tag, the error on the page, a task that repeats it."""
    with DAG(
        dag_id=f"train_{name}",
        schedule=None,
        tags={"waterflow", "broken"},
        is_paused_upon_creation=False,
        doc_md=f"**This pipeline is broken.**\n\n```\n{problem}\n```\n\nMend the file; the DAG comes back by itself.",
    ) as dag:
        report_problem(problem)
    return dag


def build_all(conf: Path) -> dict[str, DAG]:
    """Build every DAG below `conf`; never raises, whatever a file holds."""
    strategies, scenarios = group_options(conf, "strategy"), read_scenarios(conf)
    dags = {}
    for path in pipeline_files(conf):
        try:
            dag = build_dag(read_outline(path), strategies, scenarios_for(scenarios, path.stem))
        except Exception as error:
            name = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in path.stem)
            problem = str(error) if path.name in str(error) else f"conf/pipeline/{path.name}: {error}"
            dag = build_broken_dag(name, problem)
        dags[dag.dag_id] = dag
    return dags


@task
def report_problem(problem: str) -> None:
    """Fail with the reason for which the pipeline could not be read."""
    from airflow.sdk.exceptions import AirflowFailException

    raise AirflowFailException(problem)


@task
def prepare(pipeline: str) -> list[str]:
    """Read, check, split and store the rows; returns the planned candidates, pushes the record `prepared`."""
    from waterflow import workflow

    context = get_current_context()
    with failing_cleanly():
        prepared = workflow.prepare(build_request(pipeline, context), workflow.open_resources())
    context["ti"].xcom_push(key="prepared", value=prepared.to_json())
    return list(prepared.candidates)


# A record is one XCom: by its type, a dict, Airflow would also store each of its keys as one.
@task(map_index_template="{{ task.op_kwargs['candidate'] }}", pool=POOL, multiple_outputs=False)
def train(prepared: dict[str, Any], candidate: str) -> dict[str, Any]:
    """Fit one candidate."""
    from waterflow import workflow
    from waterflow.records import Prepared

    origin = build_origin(get_current_context())
    with failing_cleanly():
        return workflow.train(Prepared.from_json(prepared), candidate, origin, workflow.open_resources()).to_json()


@task(trigger_rule="all_done_min_one_success", multiple_outputs=False)
def evaluate(prepared: dict[str, Any], trained: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the candidates that were fitted and judge the winner on the holdout."""
    from waterflow import workflow
    from waterflow.records import Prepared, Trained

    survivors = [Trained.from_json(record) for record in trained or ()]
    with failing_cleanly():
        return workflow.evaluate(Prepared.from_json(prepared), survivors, workflow.open_resources()).to_json()


@task(multiple_outputs=False)
def register(prepared: dict[str, Any], evaluated: dict[str, Any]) -> dict[str, Any]:
    """Register the winner and check it as it would be served; pushes the `question` that a person is to answer."""
    from waterflow import workflow
    from waterflow.records import Evaluated, Prepared

    with failing_cleanly():
        resources = workflow.open_resources()
        registered = workflow.register(Prepared.from_json(prepared), Evaluated.from_json(evaluated), resources)
        if registered.awaits_approval:
            get_current_context()["ti"].xcom_push(key="question", value=workflow.question_of(registered, resources))
    return registered.to_json()


# It runs also when there was nothing to approve.
@task(multiple_outputs=False, trigger_rule="none_failed")
def promote(
    prepared: dict[str, Any], registered: dict[str, Any], answer: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Decide on the version, write that into the ledger, and move the champion's alias if it won."""
    from waterflow import workflow
    from waterflow.records import Prepared, Registered

    with failing_cleanly():
        return workflow.promote(
            Prepared.from_json(prepared),
            Registered.from_json(registered),
            workflow.open_resources(),
            read_answer(answer),
        ).to_json()


def read_answer(answer: dict[str, Any] | None) -> Any:
    """Turn what the approval's task returned into a record; Airflow names nobody when the time ran out."""
    from waterflow.records import Approval

    if answer is None:
        return None
    person = answer["responded_by_user"]
    name = (person["name"] or person["id"]) if person else "nobody (no answer in time)"
    return Approval(approved=answer["chosen_options"] == ["Approve"], actor=name)


def build_request(pipeline: str, context: Any) -> Any:
    """Turn the DAG run into a request; what the form left at its default is left to the pipeline's YAML."""
    from waterflow.data.window import window_of
    from waterflow.errors import ConfigError
    from waterflow.records import RunRequest

    run, params = context["dag_run"], context["params"]
    unknown = sorted(set(run.conf or {}) - set(params))
    if unknown:
        raise ConfigError(f"conf: unknown key {unknown[0]!r}; valid: {', '.join(sorted(params))}")
    # The form sends every field. One that was left as it stood must not stand in the way of a scenario.
    defaults = context["dag"].params.dump()
    chosen = {name: value for name, value in (run.conf or {}).items() if value != defaults[name]}
    return RunRequest(
        pipeline=pipeline,
        origin=build_origin(context),
        window=window_of(run.run_type, context.get("data_interval_end"), params, now=run.run_after),
        strategy=chosen.get("strategy"),
        scenario=chosen.get("scenario"),
        candidates=tuple(chosen["candidates"]) if chosen.get("candidates") else None,
        force=bool((run.conf or {}).get("force")),
    )


def build_origin(context: Any) -> Any:
    """Name the DAG run and the try."""
    from waterflow.records import Origin

    run, instance = context["dag_run"], context["ti"]
    return Origin(
        runner="airflow",
        run_id=run.run_id,
        dag_id=run.dag_id,
        try_number=instance.try_number,
        map_index=instance.map_index if instance.map_index >= 0 else None,
    )


@contextmanager
def failing_cleanly() -> Iterator[None]:
    """Let Airflow retry what a retry can mend, a server that does not answer, and fail at once otherwise."""
    from airflow.sdk.exceptions import AirflowFailException

    from waterflow.errors import UnreachableError, WaterflowError

    try:
        yield
    except UnreachableError:
        raise
    except WaterflowError as error:
        logging.getLogger("waterflow.dags").error("%s", error)
        raise AirflowFailException(str(error)) from error


globals().update(build_all(Path(os.environ.get("WATERFLOW_CONF") or Path(__file__).resolve().parents[1] / "conf")))
