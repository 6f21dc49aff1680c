"""Conversion of Airflow's context into records."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a DAG file that is parsed needs none of them
    from waterflow.records.promotion import Approval
    from waterflow.records.run import Origin, RunRequest


def build_request(pipeline: str, context: Any) -> "RunRequest":
    """Turn a DAG run into a request.

    Fields left at their default are left to the YAML.

    Raises ConfigError for a conf that the form does not accept: not every trigger passes the API server.
    """
    from waterflow import workflow
    from waterflow.orchestration.trigger_conf import check_conf
    from waterflow.records.run import RunRequest

    run, form = context["dag_run"], context["dag"].params
    conf = run.conf or {}
    check_conf(run.conf, form)
    # The form sends every field. One that was left alone must not stand in the way of a scenario.
    chosen = {name: value for name, value in conf.items() if name in form and value != form[name]}
    return RunRequest(
        pipeline=pipeline,
        origin=build_origin(context),
        window=workflow.window_of(run.run_type, context.get("data_interval_end"), conf, run.run_after),
        strategy=chosen.get("strategy"),
        scenario=chosen.get("scenario"),
        candidates=tuple(chosen["candidates"]) if chosen.get("candidates") else None,
        force=bool(conf.get("force")),
    )


def build_origin(context: Any) -> "Origin":
    """Return the DAG run and attempt of the current task."""
    from waterflow.records.run import Origin

    run, instance = context["dag_run"], context["ti"]
    return Origin(
        runner="airflow",
        run_id=run.run_id,
        dag_id=run.dag_id,
        try_number=instance.try_number,
        clear_number=run.clear_number or 0,
        map_index=instance.map_index if instance.map_index >= 0 else None,
    )


def read_answer(answer: dict[str, Any] | None) -> "Approval | None":
    """Turn the output of the approval task into a record.

    Airflow names nobody after a timeout.
    """
    from waterflow.records.promotion import Approval

    if answer is None:
        return None
    person = answer["responded_by_user"]
    name = (person["name"] or person["id"]) if person else "nobody (no answer in time)"
    return Approval(approved=answer["chosen_options"] == ["Approve"], actor=name)
