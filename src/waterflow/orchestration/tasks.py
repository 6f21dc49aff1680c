"""Tasks of the DAGs. Each calls one function of `workflow`."""

from typing import Any

from airflow.sdk import get_current_context, task

from waterflow.orchestration.context import build_origin, build_request, read_answer
from waterflow.orchestration.task_errors import fail_without_retry

POOL = "training"
# A record is one XCom: by its type, a dict, Airflow would also store each of its keys as one. The log would end with
# all of it in one line.
RECORD: dict[str, Any] = {"multiple_outputs": False, "show_return_value_in_logs": False}


@task
def report_problem(problem: str) -> None:
    """Fail with the reason why the pipeline is broken."""
    from airflow.sdk.exceptions import AirflowFailException

    raise AirflowFailException(problem)


@task(show_return_value_in_logs=False)
def prepare(pipeline: str) -> list[str]:
    """Read, check, split and store the rows.

    Returns the planned candidates and pushes the record as `prepared`: Airflow cannot map over an XCom with a key.
    """
    from waterflow import workflow

    context = get_current_context()
    with fail_without_retry():
        prepared = workflow.prepare(build_request(pipeline, context), workflow.open_resources())
    context["ti"].xcom_push(key="prepared", value=prepared.to_json())
    return list(prepared.candidates)


@task(map_index_template="{{ task.op_kwargs['candidate'] }}", pool=POOL, **RECORD)
def train(prepared: dict[str, Any], candidate: str) -> dict[str, Any]:
    """Fit one candidate."""
    from waterflow import workflow
    from waterflow.records.data import Prepared

    origin = build_origin(get_current_context())
    with fail_without_retry():
        return workflow.train(Prepared.from_json(prepared), candidate, origin, workflow.open_resources()).to_json()


@task(trigger_rule="all_done_min_one_success", pool=POOL, **RECORD)  # it fits the winner again
def evaluate(prepared: dict[str, Any], trained: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the candidates and evaluate the winner on the holdout."""
    from waterflow import workflow
    from waterflow.records.data import Prepared
    from waterflow.records.training import Trained

    survivors = [Trained.from_json(record) for record in trained or ()]
    with fail_without_retry():
        return workflow.evaluate(Prepared.from_json(prepared), survivors, workflow.open_resources()).to_json()


@task(pool=POOL, **RECORD)  # it fits the model that serves
def register(prepared: dict[str, Any], evaluated: dict[str, Any]) -> dict[str, Any]:
    """Register the winner and run the staging checks.

    Pushes the `question` that a person is to answer, if there is one.
    """
    from waterflow import workflow
    from waterflow.records.data import Prepared
    from waterflow.records.evaluation import Evaluated

    with fail_without_retry():
        resources = workflow.open_resources()
        registered = workflow.register(Prepared.from_json(prepared), Evaluated.from_json(evaluated), resources)
        if registered.awaits_approval:
            get_current_context()["ti"].xcom_push(key="question", value=workflow.question_of(registered, resources))
    return registered.to_json()


@task(trigger_rule="none_failed", **RECORD)  # runs also when there was nothing to approve
def promote(
    prepared: dict[str, Any], registered: dict[str, Any], answer: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Decide on the version and record the decision."""
    from waterflow import workflow
    from waterflow.records.data import Prepared
    from waterflow.records.promotion import Registered

    before, entry, approval = Prepared.from_json(prepared), Registered.from_json(registered), read_answer(answer)
    with fail_without_retry():
        return workflow.promote(before, entry, workflow.open_resources(), approval).to_json()


@task(pool=POOL, **RECORD)  # it takes as much memory as a fit
def score(pipeline: str) -> dict[str, Any]:
    """Predict the rows of the run's interval."""
    from waterflow import workflow
    from waterflow.orchestration.trigger_conf import check_conf

    context = get_current_context()
    run = context["dag_run"]
    with fail_without_retry():
        check_conf(run.conf, context["dag"].params)
        interval = (context.get("data_interval_start"), context.get("data_interval_end"))
        window = workflow.interval_window(run.run_type, *interval, run.conf or {}, run.run_after)
        return workflow.score_interval(pipeline, window, workflow.open_resources()).to_json()


@task
def reconcile() -> list[str]:
    """Close runs that a killed task left RUNNING. Return their ids."""
    from waterflow import workflow

    instance = get_current_context()["ti"]

    def task_states(dag_id: str, run_id: str) -> dict[str, Any]:
        return dict(instance.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {}))

    with fail_without_retry():
        return [run.run_id for run in workflow.reconcile(workflow.open_resources(), task_states)]
