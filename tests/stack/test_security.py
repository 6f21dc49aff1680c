"""Who gets in, who does not, and what nobody can see."""

import socket

import botocore.exceptions
import pytest
import requests
from support.compose import Stack, assert_hardened, command

pytestmark = pytest.mark.stack


def test_airflow_refuses_a_wrong_password(stack: Stack) -> None:
    """No token for a wrong password."""
    answer = requests.post(
        f"{stack.airflow_url}/auth/token", json={"username": "admin", "password": "wrong"}, timeout=30
    )
    assert answer.status_code == 401


def test_airflow_refuses_the_anonymous(stack: Stack) -> None:
    """The API asks for a token."""
    assert requests.get(f"{stack.airflow_url}/api/v2/dags", timeout=30).status_code == 401


@pytest.mark.parametrize("auth", [None, ("admin", "wrong"), ("admin", "password1234")])
def test_mlflow_refuses_the_anonymous_and_wrong_passwords(stack: Stack, auth: tuple[str, str] | None) -> None:
    """MLflow's own default password opens nothing."""
    path = "/experiments/get-by-name"
    answer = stack.mlflow("GET", path, auth=auth, params={"experiment_name": "Default"})
    assert answer.status_code == 401


def test_mlflow_refuses_another_host(stack: Stack) -> None:
    """A page that a browser fetched from elsewhere cannot talk to MLflow under its own name."""
    answer = stack.mlflow("POST", "/experiments/search", json={"max_results": 1}, headers={"Host": "evil.example"})
    assert answer.status_code == 403


def test_the_store_refuses_the_anonymous(stack: Stack) -> None:
    """A bucket cannot be listed without a key."""
    assert requests.get(f"http://127.0.0.1:{stack.minio_port}/mlflow", timeout=30).status_code == 403


def test_the_store_lets_no_other_page_use_a_key(stack: Stack) -> None:
    """A page of another origin gets no permission to send a person's credentials; the console's own page does."""
    address = f"http://127.0.0.1:{stack.minio_port}/mlflow"
    allowed = {
        origin: requests.get(address, headers={"Origin": origin}, timeout=30).headers.get("Access-Control-Allow-Origin")
        for origin in ("https://evil.example", "null", f"http://localhost:{stack.console_port}")
    }
    assert [origin for origin, answer in allowed.items() if answer] == [f"http://localhost:{stack.console_port}"]


@pytest.mark.parametrize("user", ["mlflow", "waterflow", "dvc"])
def test_a_key_of_the_store_opens_its_own_bucket_alone(stack: Stack, user: str) -> None:
    """Each key can write to its bucket and can neither read nor write the others."""
    client = stack.s3(user)
    client.put_object(Bucket=user, Key="stack-test", Body=b"mine")
    client.delete_object(Bucket=user, Key="stack-test")
    for other in {"mlflow", "waterflow", "dvc"} - {user}:
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            client.list_objects_v2(Bucket=other)
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            client.put_object(Bucket=other, Key="stack-test", Body=b"not mine")


@pytest.mark.parametrize("role", ["airflow", "mlflow", "waterflow"])
def test_a_database_role_opens_its_own_database_alone(stack: Stack, role: str) -> None:
    """Each role can log in to its database and to no other."""
    assert stack.sql(role, role, "select 1").stdout.strip() == "1"
    for other in {"airflow", "mlflow", "waterflow"} - {role}:
        refused = stack.sql(role, other, "select 1", check=False)
        assert refused.returncode != 0
        assert "permission denied" in refused.stderr


def test_no_secret_shows_in_inspect_logs_or_process_lists(stack: Stack, iris_run: str) -> None:
    """The generated values stand in no container's description, log or command line."""
    running = [entry for entry in stack.containers() if entry["State"]["Running"]]
    seen = {
        "docker inspect": str(stack.containers()),
        "logs": stack.logs(),
        "ps": "".join(command("docker", "top", entry["Id"], "-eo", "pid,args").stdout for entry in running),
        "images": "".join(
            command("docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout
            for image in {entry["Image"] for entry in running}
        ),
    }
    for name, value in stack.secrets().items():
        for place, text in seen.items():
            if name.endswith(("access_key", "root_user")) and place == "logs":
                continue  # a user's name, not what proves it; servers may log who asked
            assert value not in text, f"{name} shows in {place}"


def test_ports_are_published_on_the_loopback_address_alone(stack: Stack) -> None:
    """No other machine can reach a port of the stack."""
    addresses = [
        binding["HostIp"]
        for entry in stack.containers()
        for bindings in (entry["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    ]
    assert len(addresses) >= 4
    assert set(addresses) == {"127.0.0.1"}


def test_nothing_listens_for_other_machines(stack: Stack) -> None:
    """A connection to this machine's outward address finds no server of the stack."""
    outward = command("hostname", "-I").stdout.split()
    for address in outward:
        if ":" in address or address.startswith("127."):
            continue
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((address, stack.airflow_port)) != 0


def test_no_process_runs_as_root(stack: Stack) -> None:
    """Every running container's processes belong to a user without rights; only the one-shot `secrets` is root."""
    for entry in stack.containers():
        service = entry["Config"]["Labels"]["com.docker.compose.service"]
        if entry["State"]["Running"]:
            rows = command("docker", "top", entry["Id"], "-eo", "pid,uid").stdout.splitlines()[1:]
            users = {row.split()[1] for row in rows}
            assert users, service
            assert "0" not in users, service
        elif service != "secrets":
            assert entry["Config"]["User"].split(":")[0] not in ("", "0", "root"), service


def test_every_container_is_hardened(stack: Stack) -> None:
    """No capability but those given back to `secrets`, no new privileges, bounded memory, processes, CPU and logs."""
    for entry in stack.containers():
        assert_hardened(entry)
