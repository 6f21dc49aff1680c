"""The stack under test: a Compose project of its own, with ports and volumes of its own."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

from waterflow.tracking.registry import unpacked

ROOT = Path(__file__).resolve().parents[2]
FINAL_STATES = {"success", "failed"}
BASE_IMAGE = "python:3.13-slim-trixie"
ASKING = """\
defaults:
  - /strategy: balanced
  - /model@candidates: [gaussian_nb]
dataset: {kind: package, loader: iris}
target: species
task: classification
split: {kind: stratified}
metrics: {main: f1_macro}
promotion: {approval: human}
"""


def command(*words: str, check: bool = True, timeout_seconds: float = 900, **more: Any) -> subprocess.CompletedProcess:
    """Run a command and keep what it says; a failure shows it."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_seconds, cwd=ROOT, check=False, **more)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done


def eventually(ask: Callable[[], Any], timeout_seconds: float, pause_seconds: float = 1.0) -> Any:
    """Ask until the answer is true, and return it; fails with the last answer after the time-out."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {timeout_seconds} s")
        time.sleep(pause_seconds)


@dataclass
class Stack:
    """A Compose project, and its servers as clients on this machine see them.

    The environment chooses its ports and the first part of its name, so that two of them can run on one machine. The
    suffix keeps the tests, which remove volumes, away from the stack of that name.
    """

    project: str = field(default_factory=lambda: f"{os.environ.get('COMPOSE_PROJECT_NAME', 'waterflow')}-test")
    airflow_port: int = field(default_factory=lambda: int(os.environ.get("AIRFLOW_PORT", "28080")))
    mlflow_port: int = field(default_factory=lambda: int(os.environ.get("MLFLOW_PORT", "25000")))
    minio_port: int = field(default_factory=lambda: int(os.environ.get("MINIO_PORT", "29000")))
    console_port: int = field(default_factory=lambda: int(os.environ.get("MINIO_CONSOLE_PORT", "29001")))
    serving_port: int = field(
        default_factory=lambda: int(os.environ.get("SERVING_PORT") or int(os.environ.get("AIRFLOW_PORT", "28080")) + 4)
    )
    settings: dict[str, str] = field(default_factory=dict)
    _secrets: dict[str, str] = field(default_factory=dict, repr=False)
    _token: str = field(default="", repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of `docker compose` for this project."""
        ports = {
            "AIRFLOW_PORT": self.airflow_port,
            "MLFLOW_PORT": self.mlflow_port,
            "MINIO_PORT": self.minio_port,
            "MINIO_CONSOLE_PORT": self.console_port,
            "SERVING_PORT": self.serving_port,
        }
        chosen = {name: str(port) for name, port in ports.items()} | self.settings
        return {**os.environ, "COMPOSE_PROJECT_NAME": self.project, **chosen}

    def compose(self, *words: str, check: bool = True, timeout_seconds: float = 900) -> subprocess.CompletedProcess:
        """Run `docker compose …` on this project."""
        return command("docker", "compose", *words, check=check, timeout_seconds=timeout_seconds, env=self.environment)

    def up(self) -> None:
        """Start all services and wait until they are healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "400", timeout_seconds=3000)
        self._token = ""

    def down(self, *, volumes: bool = False) -> None:
        """Stop and remove the containers, and the volumes if asked."""
        self.compose("--profile", "cli", "down", "--remove-orphans", *(["--volumes"] if volumes else []))

    def containers(self) -> list[dict[str, Any]]:
        """Inspect every container of the project, also those that have ended."""
        names = command("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").stdout
        return json.loads(command("docker", "inspect", *names.split()).stdout)

    def service_id(self, service: str) -> str:
        """Return the id of a service's container."""
        return self.compose("ps", "--quiet", service).stdout.strip()

    def logs(self) -> str:
        """Return all logs of the project."""
        done = self.compose("--profile", "cli", "logs", "--no-color")
        return done.stdout + done.stderr

    def inside(self, service: str, *words: str, check: bool = True) -> str:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", service, *words, check=check).stdout

    def secret(self, name: str) -> str:
        """Read a generated secret, as `make credentials` does."""
        return self.secrets()[name]

    def secrets(self) -> dict[str, str]:
        """Read every generated secret by its name."""
        if not self._secrets:
            script = (
                "import json, pathlib;"
                "files = [path for path in pathlib.Path('/s').iterdir() if path.name[0] != '.'];"
                "print(json.dumps({path.name: path.read_text() for path in files}))"
            )
            volume = f"{self.project}_secrets-admin:/s:ro"
            done = command(
                "docker", "run", "--rm", "--network", "none", "-v", volume, BASE_IMAGE, "python3", "-c", script
            )
            self._secrets = json.loads(done.stdout)
        return self._secrets

    # Airflow

    @property
    def airflow_url(self) -> str:
        """Airflow's address on this machine."""
        return f"http://127.0.0.1:{self.airflow_port}"

    def token(self, username: str = "admin", password: str | None = None) -> str:
        """Log in to Airflow's API."""
        password = self.secret("airflow_admin_password") if password is None else password
        answer = requests.post(
            f"{self.airflow_url}/auth/token", json={"username": username, "password": password}, timeout=30
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def airflow(self, method: str, path: str, *, token: str | None = None, **more: Any) -> requests.Response:
        """Call Airflow's REST API as the admin, or with another's token."""
        if token is None and not self._token:
            self._token = self.token()
        headers = {"Authorization": f"Bearer {token or self._token}"}
        answer = requests.request(method, f"{self.airflow_url}/api/v2{path}", headers=headers, timeout=60, **more)
        if token is None and answer.status_code == 401:  # half an hour is over
            self._token = self.token()
            return self.airflow(method, path, token=self._token, **more)
        return answer

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger a DAG as the UI's form does; returns the id of its run."""
        eventually(lambda: self.airflow("GET", f"/dags/{dag_id}").status_code == 200, timeout_seconds=120)
        answer = self.airflow("POST", f"/dags/{dag_id}/dagRuns", json={"conf": conf or {}, "logical_date": None})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["dag_run_id"])

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run."""
        return str(self.airflow("GET", f"/dags/{dag_id}/dagRuns/{run_id}").json().get("state"))

    def wait(self, dag_id: str, run_id: str, timeout_seconds: float = 300) -> str:
        """Wait until a DAG run is over; returns its state."""

        def over() -> str | None:
            try:
                state = self.state(dag_id, run_id)
            except (requests.RequestException, ValueError):
                return None  # the api-server may be away for a while, in the tests that take it away
            return state if state in FINAL_STATES else None

        return str(eventually(over, timeout_seconds))

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """List the task instances of a DAG run."""
        return list(self.airflow("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances").json()["task_instances"])

    # MLflow

    @property
    def mlflow_url(self) -> str:
        """MLflow's address on this machine."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    def mlflow(self, method: str, path: str, **more: Any) -> requests.Response:
        """Call MLflow's REST API as its admin."""
        auth = more.pop("auth", ("admin", self.secret("mlflow_admin_password")))
        return requests.request(method, f"{self.mlflow_url}/api/2.0/mlflow{path}", auth=auth, timeout=60, **more)

    def runs(self, dag_run_id: str, pipeline: str = "iris") -> list[dict[str, Any]]:
        """Return the MLflow runs of a DAG run with their tags as a mapping, the parent first."""
        found = self.mlflow("GET", "/experiments/get-by-name", params={"experiment_name": f"waterflow/{pipeline}"})
        if found.status_code != 200:
            return []
        body = {
            "experiment_ids": [found.json()["experiment"]["experiment_id"]],
            "filter": f"tags.`waterflow.dag_run_id` = '{dag_run_id}'",
            "max_results": 100,
        }
        runs = self.mlflow("POST", "/runs/search", json=body).json().get("runs", [])
        for run in runs:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        return sorted(runs, key=lambda run: "mlflow.parentRunId" in run["tags"])

    def versions(self, model: str = "iris") -> list[dict[str, Any]]:
        """List the registered versions of a model, with their facts among the tags."""
        answer = self.mlflow("GET", "/model-versions/search", params={"filter": f"name='{model}'", "max_results": 200})
        found = list(answer.json().get("model_versions", []))
        for version in found:
            tags = unpacked({tag["key"]: tag["value"] for tag in version.get("tags", [])})
            version["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return found

    def aliases(self, model: str = "iris") -> dict[str, str]:
        """Return the version that each alias of a model points to."""
        found = self.mlflow("GET", "/registered-models/get", params={"name": model}).json()["registered_model"]
        return {entry["alias"]: entry["version"] for entry in found.get("aliases", [])}

    def artifacts(self, run_id: str, path: str = "") -> list[str]:
        """List a run's artifacts in one folder."""
        answer = self.mlflow("GET", "/artifacts/list", params={"run_id": run_id, "path": path})
        return [entry["path"] for entry in answer.json().get("files", [])]

    # The object store and Postgres

    def s3(self, user: str) -> Any:
        """Open the object store with the key of `mlflow`, `waterflow` or `dvc`."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.minio_port}",
            aws_access_key_id=self.secret(f"{user}_access_key"),
            aws_secret_access_key=self.secret(f"{user}_secret_key"),
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def keys(self, bucket: str) -> list[str]:
        """List the keys in a bucket, with the key of its own user."""
        pages = self.s3(bucket).get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def sql(self, role: str, database: str, query: str, check: bool = True) -> subprocess.CompletedProcess:
        """Ask Postgres as one of its roles, over TCP, from within its container."""
        script = (
            f'PGPASSWORD=$(cat /run/secrets/{role}_password) exec psql -h 127.0.0.1 -U {role} -d {database} -Atc "$1"'
        )
        return self.compose("exec", "-T", "postgres", "sh", "-c", script, "sh", query, check=check)


def assert_hardened(container: dict[str, Any]) -> None:
    """Raise unless a container has no rights to spare, and bounded memory, processes, CPU and logs."""
    service, host = container["Config"]["Labels"]["com.docker.compose.service"], container["HostConfig"]
    assert host["CapDrop"] == ["ALL"], service
    assert not host["CapAdd"] or service == "secrets", service
    assert any("no-new-privileges" in option for option in host["SecurityOpt"]), service
    assert host["ReadonlyRootfs"], service
    assert host["Memory"] > 0, service
    assert host["PidsLimit"], service
    # Training may use every core, but yields to whoever has the default weight of 1024.
    assert host["NanoCpus"] > 0 or 0 < host["CpuShares"] < 1024, service
    assert host["LogConfig"]["Config"].get("max-size"), service


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Bring a stack up from clean volumes, and remove it afterwards, also when a test failed."""
    stack.down(volumes=True)
    stack.compose("build", timeout_seconds=3600)
    try:
        stack.up()
        yield stack
    finally:
        if os.environ.get("KEEP_STACK") != "1":
            stack.down(volumes=True)


@contextmanager
def pipeline_added(stack: Stack, name: str, content: str) -> Iterator[str]:
    """Add a pipeline as a person would, by one more YAML, and remove it afterwards; yields its DAG id."""
    path = ROOT / "conf" / "pipeline" / f"{name}.yaml"
    path.write_text(f"# Made by the stack's tests, and removed by them.\n{content}")
    try:
        eventually(lambda: stack.airflow("GET", f"/dags/train_{name}").status_code == 200, 400, 3)
        yield f"train_{name}"
    finally:
        path.unlink()


def approval_added(stack: Stack, name: str, description: str) -> AbstractContextManager[str]:
    """Add a pipeline whose promotions wait for a person's approval; see `pipeline_added`."""
    return pipeline_added(stack, name, f"{ASKING}description: {description}\n")
