"""Attacks on Airflow by people without the right, and what those with the right still can."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.compose import ROOT, Stack, approval_added, eventually

pytestmark = pytest.mark.stack

NAME = "stacktest_accounts"
DESCRIPTION = "Iris with a question, for the stack's tests of roles."
ROLES = ("Viewer", "Trigger", "Approver", "User", "Op")
RUNS = "/dags/train_iris/dagRuns"
QUESTION = f"{RUNS}/none/taskInstances/approve/-1/hitlDetails"


@pytest.fixture(scope="module")
def passwords(stack: Stack) -> dict[str, str]:
    """Give a person of each role an account, as `make user` does."""
    return {role: make_user(stack, role.lower(), role) for role in ROLES}


@pytest.fixture(scope="module")
def tokens(stack: Stack, passwords: dict[str, str]) -> dict[str, str]:
    """Log everybody in."""
    return {role: stack.token(role.lower(), passwords[role]) for role in ROLES}


@pytest.fixture(scope="module")
def asking(stack: Stack) -> Iterator[str]:
    """The DAG of a pipeline that wants a person's approval."""
    with approval_added(stack, NAME, DESCRIPTION) as dag_id:
        yield dag_id


def make_user(stack: Stack, name: str, role: str) -> str:
    """Run the script behind `make user` and return the password."""
    said = stack.inside("airflow-apiserver", "/opt/airflow/bin/add_user.py", name, role)
    return said.strip().rpartition(" ")[2]


def count(stack: Stack, path: str = RUNS) -> int:
    """Count the runs of a DAG."""
    return int(stack.airflow("GET", path).json()["total_entries"])


@pytest.mark.parametrize("role", ["anonymous", *ROLES])
@pytest.mark.parametrize(
    "conf",
    [
        {"candidates": ["sklearn.svm.SVC"]},
        {"strategy": ["quick"]},
        {"window_end": "2026-01-01"},
        {"overrides": ["dataset.path=/etc/passwd"]},
        {"strategy": "x" * 70_000},
        ["quick"],
    ],
    ids=lambda conf: str(conf)[:30],
)
def test_a_bad_trigger_makes_no_run(stack: Stack, tokens: dict[str, str], iris_run: str, role: str, conf: Any) -> None:
    """Whoever asks is refused with one line, and only who may see the pipeline learns its names."""
    before = count(stack)
    answer = stack.airflow("POST", RUNS, token=tokens.get(role, "none"), json={"conf": conf, "logical_date": None})
    assert answer.status_code == (403 if role == "anonymous" else 400)
    assert ("conf" in answer.json()["detail"]) == (role != "anonymous")
    assert "\n" not in answer.json()["detail"]
    assert count(stack) == before


def test_a_trigger_that_bypasses_the_api_fails_in_one_line(stack: Stack, iris_run: str) -> None:
    """Airflow's own command asks no API server; `prepare` refuses the conf, once, and its log ends with the reason."""
    run_id = "manual__by_command"
    stack.inside(
        "airflow-scheduler", "airflow", "dags", "trigger", "train_iris", "--run-id", run_id, "--conf", '{"strategi": 1}'
    )
    assert stack.wait("train_iris", run_id) == "failed"
    [prepare] = [task for task in stack.tasks("train_iris", run_id) if task["task_id"] == "prepare"]
    assert (prepare["state"], prepare["try_number"]) == ("failed", 1)
    log = stack.airflow("GET", f"{RUNS}/{run_id}/taskInstances/prepare/logs/1").json()["content"]
    [failed] = [line for line in log if "Task failed" in str(line.get("event"))]
    assert "conf: unknown key 'strategi'; valid: candidates, force, scenario, strategy" in failed["event"]
    assert not [line for line in log if line.get("error_detail") or line.get("exception")]
    assert "Traceback" not in str(log)


@pytest.mark.parametrize(
    ("method", "path", "body", "allowed"),
    [
        ("POST", RUNS, {"logical_date": None, "conf": {"strategy": "quick"}}, {"Trigger", "User", "Op"}),
        ("PATCH", "/dags/train_iris", {"is_paused": False}, {"User", "Op"}),
        ("PATCH", QUESTION, {"chosen_options": ["Approve"]}, {"Approver", "Op"}),
        ("POST", f"{RUNS}/none/taskInstances/approve/xcomEntries", {"key": "return_value", "value": "{}"}, set()),
        ("GET", "/connections", None, {"Op"}),
        ("GET", "/variables", None, {"Op"}),
        ("PATCH", "/pools/training", {"slots": 4, "name": "training"}, {"Op"}),
    ],
)
def test_each_role_may_do_its_own(
    stack: Stack, tokens: dict[str, str], iris_run: str, method: str, path: str, body: Any, allowed: set[str]
) -> None:
    """Everybody else is answered 403, the anonymous 401."""
    if path == RUNS:  # a run of that name is there, so whoever may start one is told so, and none starts
        body = body | {"dag_run_id": iris_run}
    answers = {role: stack.airflow(method, path, token=tokens[role], json=body).status_code for role in ROLES}
    assert {role for role, status in answers.items() if status != 403} == allowed
    assert 409 in answers.values() or path != RUNS
    assert requests.request(method, f"{stack.airflow_url}/api/v2{path}", json=body, timeout=30).status_code == 401


def wait_for_question(stack: Stack, dag_id: str) -> str:
    """Trigger a run and wait until it asks; gives the path of the task that asks."""
    run_id = stack.trigger(dag_id, {"force": True})
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve"
    eventually(lambda: stack.airflow("GET", path).json().get("state") == "awaiting_input", timeout_seconds=240)
    time.sleep(5)  # a person reads first
    return path


def test_only_an_approver_promotes(stack: Stack, tokens: dict[str, str], asking: str) -> None:
    """Who may edit tasks can end the question, and has approved nothing; an approver's yes moves the alias."""
    path = wait_for_question(stack, asking)
    yes = {"chosen_options": ["Approve"], "params_input": {}}
    for role in ("Viewer", "Trigger", "User"):
        assert stack.airflow("PATCH", f"{path}/-1/hitlDetails", token=tokens[role], json=yes).status_code == 403
    done = stack.airflow("PATCH", path, token=tokens["User"], json={"new_state": "success"})
    assert done.status_code == 200, done.text
    run_id = path.split("/")[4]
    stack.wait(asking, run_id)
    assert "champion" not in stack.aliases(NAME)
    path = wait_for_question(stack, asking)
    answered = stack.airflow("PATCH", f"{path}/-1/hitlDetails", token=tokens["Approver"], json=yes)
    assert answered.status_code == 200, answered.text
    assert stack.wait(asking, path.split("/")[4]) == "success"
    assert stack.aliases(NAME)["champion"]
    rows = json.loads(stack.compose("run", "--rm", "-T", "cli", "waterflow", "ledger", NAME, "--json").stdout)
    assert [(row["kind"], row["actor"]) for row in rows] == [("hold", f"airflow/{asking}"), ("promote", "approver")]


def test_a_removed_or_demoted_person_is_refused_at_once(stack: Stack) -> None:
    """With the token of a minute ago."""
    leaving = stack.token("leaving", make_user(stack, "leaving", "Op"))
    assert stack.airflow("GET", "/connections", token=leaving).status_code == 200
    said = stack.inside("airflow-apiserver", "/opt/airflow/bin/add_user.py", "leaving", "--remove")
    assert said.strip() == "leaving is removed"
    assert stack.airflow("GET", "/dags", token=leaving).status_code == 403
    demoted = stack.token("demoted", make_user(stack, "demoted", "Op"))
    query = (
        "update ab_user_role set role_id = (select id from ab_role where name = 'Viewer') "
        "where user_id = (select id from ab_user where username = 'demoted')"
    )
    stack.sql("airflow", "airflow", query)
    assert stack.airflow("GET", "/connections", token=demoted).status_code == 403
    assert stack.airflow("GET", "/dags", token=demoted).status_code == 200


def test_a_logout_ends_a_token(stack: Stack, passwords: dict[str, str]) -> None:
    """A copy of it opens nothing afterwards."""
    token = stack.token("viewer", passwords["Viewer"])
    assert stack.airflow("GET", "/dags", token=token).status_code == 200
    stack.airflow("GET", "/auth/logout", token=token, allow_redirects=False)
    assert stack.airflow("GET", "/dags", token=token).status_code == 403


def test_a_logout_ends_what_streams(stack: Stack, iris_run: str, passwords: dict[str, str]) -> None:
    """Logs that are read line by line, and the wait for a run; a websocket opens with no token at all."""
    token = stack.token("viewer", passwords["Viewer"])
    streams = [f"{RUNS}/{iris_run}/taskInstances/prepare/logs/1", f"{RUNS}/{iris_run}/wait?interval=1"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/x-ndjson"}

    def statuses() -> list[int]:
        urls = [f"{stack.airflow_url}/api/v2{path}" for path in streams]
        return [requests.get(url, headers=headers, timeout=60).status_code for url in urls]

    assert statuses() == [200, 200]
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    for path in ("/", *(f"/api/v2{path}" for path in streams)):
        more = headers | upgrade | {"Sec-WebSocket-Key": "d2F0ZXJmbG93d2F0ZXJmbA=="}
        assert requests.get(f"{stack.airflow_url}{path}", headers=more, timeout=60).status_code != 101
    stack.airflow("GET", "/auth/logout", token=token, allow_redirects=False)
    assert statuses() == [403, 403]


def test_guessing_slows_down_the_guesser_alone(stack: Stack, passwords: dict[str, str]) -> None:
    """After five wrong passwords the next ones wait; other accounts, and tokens in use, do not."""
    url = f"{stack.airflow_url}/auth/token"
    wrong = {"username": "admin-of-old", "password": "wrong"}
    statuses = [requests.post(url, json=wrong, timeout=30).status_code for _ in range(12)]
    assert statuses[:5] == [401] * 5
    assert 429 in statuses[5:]  # a slow machine may take longer for a password than the first wait
    assert stack.token("viewer", passwords["Viewer"])


def test_a_page_of_another_origin_may_change_nothing(stack: Stack) -> None:
    """Not even one of MLflow, with the session's own token; and no answer is shared with it."""
    headers = {"Authorization": f"Bearer {stack.token()}"}
    for origin in ("https://evil.example", f"http://localhost:{stack.mlflow_port}", "null"):
        foreign = headers | {"Origin": origin}
        body = {"logical_date": None, "conf": {}}
        answer = requests.post(f"{stack.airflow_url}/api/v2{RUNS}", json=body, headers=foreign, timeout=30)
        assert answer.status_code == 403
        for method in ("GET", "OPTIONS"):
            answer = requests.request(method, f"{stack.airflow_url}/api/v2/dags", headers=foreign, timeout=30)
            assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    page = requests.get(f"{stack.airflow_url}/", timeout=30)
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("service", ["airflow-scheduler", "airflow-dag-processor", "airflow-apiserver"])
def test_tasks_cannot_read_the_checkouts_passwords(stack: Stack, service: str) -> None:
    """`.env` and `.git/config` are for their owner alone; the commit is known all the same."""
    for name in (".env", ".git/config"):
        if (ROOT / name).is_file():
            done = stack.compose("exec", "-T", service, "cat", f"/opt/waterflow/{name}", check=False)
            assert (done.returncode, "Permission denied" in done.stderr) == (1, True)
    program = "from pathlib import Path; from waterflow.provenance.git import git_state; "
    program += "print(git_state(Path('/opt/waterflow')))"
    said = stack.inside(service, "python", "-c", program)
    if (ROOT / ".git").is_dir():
        assert "dirty=None" not in said
        assert "commit=None" not in said
