"""DAG runs and their tasks, from Airflow's REST API."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from waterflow.config.profile import Profile

TIMEOUT_SECONDS = 20


class NotAskedError(Exception):
    """Airflow cannot be asked from here. The message is a clause."""


@dataclass(frozen=True)
class DagRun:
    """The states of a DAG run and its tasks. A task's state looks like `train[0] success (attempt 1)`."""

    state: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Airflow:
    """A client with the address and account of a profile."""

    profile: Profile
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    def find_run(self, dag_id: str, run_id: str) -> DagRun | None:
        """Return a DAG run. None when Airflow has none of that name. Raises NotAskedError."""
        path = f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
        run = self._get(path)
        if run is None:
            return None
        listed = (self._get(f"{path}/taskInstances?limit=1000") or {}).get("task_instances", [])
        return DagRun(str(run["state"]), tuple(_task(entry) for entry in listed))

    @cached_property
    def _token(self) -> str:
        user, file = self.profile.airflow_user, self.profile.airflow_password_file
        if self.profile.airflow_api_url is None or user is None or file is None:
            raise NotAskedError(f"profile {self.profile.name} names no API of Airflow")
        try:
            password = Path(file).read_text("utf-8").strip()
        except OSError as error:
            raise NotAskedError(f"the password file {file} cannot be read ({error.strerror})") from error
        answer = self._send("POST", "auth/token", json={"username": user, "password": password})
        if answer.status_code not in (200, 201):
            raise NotAskedError(f"Airflow refuses the account {user!r} (status {answer.status_code})")
        return str(answer.json()["access_token"])

    def _get(self, path: str) -> dict[str, Any] | None:
        answer = self._send("GET", f"api/v2/{path}", headers={"Authorization": f"Bearer {self._token}"})
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise NotAskedError(f"Airflow answers with status {answer.status_code}")
        return dict(answer.json())

    def _send(self, method: str, path: str, **more: Any) -> requests.Response:
        address = (self.profile.airflow_api_url or "").rstrip("/")
        try:
            return self.session.request(method, f"{address}/{path}", timeout=TIMEOUT_SECONDS, **more)
        except requests.RequestException as error:
            raise NotAskedError(f"Airflow at {address} does not answer ({type(error).__name__})") from error


def _task(entry: dict[str, Any]) -> str:
    index = f"[{entry['map_index']}]" if entry.get("map_index", -1) >= 0 else ""
    return f"{entry['task_id']}{index} {entry['state'] or 'not started'} (attempt {entry['try_number']})"
