"""Approval, ledger and rollback on the stack: a person answers in Airflow, Postgres keeps it, the command shows it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from support.compose import Stack, approval_added, eventually

pytestmark = pytest.mark.stack

NAME = "stacktest_approval"
DESCRIPTION = "Iris with a question, for the stack's tests."


@pytest.fixture(scope="module")
def asking(stack: Stack) -> Iterator[str]:
    """The DAG of a pipeline that wants a person's approval."""
    with approval_added(stack, NAME, DESCRIPTION) as dag_id:
        yield dag_id


def answer(stack: Stack, dag_id: str, option: str) -> tuple[str, dict[str, Any]]:
    """Trigger the DAG, answer its question as the admin in Airflow's UI would, and return the run and the question.

    The run is forced: who has answered for a model is not asked about it again.
    """
    run_id = stack.trigger(dag_id, {"force": True})
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve"
    eventually(lambda: stack.airflow("GET", path).json().get("state") == "awaiting_input", timeout_seconds=200)
    asked = stack.airflow("GET", f"{path}/-1/hitlDetails").json()
    assert stack.aliases(NAME).get("champion") is None
    # A person reads first. Within a second or so of the question Airflow 3.3 takes the end of the task's first half for
    # the end of its second one, and asks again.
    time.sleep(5)
    done = stack.airflow("PATCH", f"{path}/-1/hitlDetails", json={"chosen_options": [option], "params_input": {}})
    assert done.status_code == 200, done.text
    assert stack.wait(dag_id, run_id) == "success"
    return run_id, asked


def shell(stack: Stack, *words: str, check: bool = True) -> Any:
    """Run the command in the service `cli`."""
    return stack.compose("run", "--rm", "-T", "cli", "waterflow", *words, check=check)


def test_a_person_decides_and_the_ledger_says_who(stack: Stack, asking: str) -> None:
    """A no and a yes, each with its author; the question leads to the run in MLflow."""
    _, asked = answer(stack, asking, "Reject")
    assert asked["subject"] == f"{NAME}: may version 1 become champion?"
    assert f"http://localhost:{stack.mlflow_port}/#/experiments/" in asked["body"]
    answer(stack, asking, "Approve")
    rows = json.loads(shell(stack, "ledger", NAME, "--json").stdout)
    assert [(row["kind"], row["actor"], row["version"]) for row in rows] == [
        ("reject", "admin", 1),
        ("promote", "admin", 2),
    ]
    assert stack.aliases(NAME)["champion"] == "2"
    assert shell(stack, "ledger", NAME, "--verify").returncode == 0


def test_an_alias_moved_by_hand_is_reported(stack: Stack, asking: str) -> None:
    """As one does in MLflow's UI; then it is moved back."""
    for version, code in (("1", 1), ("2", 0)):
        body = {"name": NAME, "alias": "champion", "version": version}
        assert stack.mlflow("POST", "/registered-models/alias", json=body).status_code == 200
        done = shell(stack, "ledger", NAME, "--verify", check=False)
        assert done.returncode == code, done.stdout + done.stderr


def test_postgres_refuses_to_change_the_ledger(stack: Stack, asking: str) -> None:
    """The tasks' role has no right to it."""
    done = stack.sql("waterflow", "waterflow", "update ledger.waterflow_ledger set actor = 'nobody'", check=False)
    assert done.returncode != 0
    assert "permission denied" in done.stderr
