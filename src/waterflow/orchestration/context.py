"""Conversion of Airflow's context and of our errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a DAG file that is parsed needs none of them
    from waterflow.records.promotion import Approval
    from waterflow.records.run import Origin, RunRequest

logger = logging.getLogger(__name__)


def build_request(pipeline: str, context: Any) -> "RunRequest":
    """Turn a DAG run into a request.

    Fields left at their default are left to the YAML.

    Raises ConfigError for an unknown key of the trigger's conf.
    """
    from waterflow import workflow
    from waterflow.errors import ConfigError
    from waterflow.records.run import RunRequest

    run, params = context["dag_run"], context["params"]
    # The form sends every field. One that was left alone must not stand in the way of a scenario. `params` already
    # holds the conf, so unknown keys are those that the DAG itself does not declare.
    defaults = context["dag"].params.dump()
    unknown = sorted(set(run.conf or {}) - set(defaults))
    if unknown:
        raise ConfigError(f"conf: unknown key {unknown[0]!r}; valid: {', '.join(sorted(defaults))}")
    chosen = {name: value for name, value in (run.conf or {}).items() if value != defaults[name]}
    return RunRequest(
        pipeline=pipeline,
        origin=build_origin(context),
        window=workflow.dag_run_window(run.run_type, context.get("data_interval_end"), params, run.run_after),
        strategy=chosen.get("strategy"),
        scenario=chosen.get("scenario"),
        candidates=tuple(chosen["candidates"]) if chosen.get("candidates") else None,
        force=bool((run.conf or {}).get("force")),
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


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Fail the task at once on errors of ours.

    A server that does not answer is worth a retry.
    """
    from airflow.sdk.exceptions import AirflowFailException

    from waterflow.errors import UnreachableError, WaterflowError

    try:
        yield
    except UnreachableError:
        raise
    except WaterflowError as error:
        logger.error("%s", error)  # one line; the traceback is for bugs
        raise AirflowFailException(str(error)) from error
