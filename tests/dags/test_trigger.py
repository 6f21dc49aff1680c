"""Triggers sent to a real Airflow API server: a bad one is refused before there is a DAG run."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import BIN, airflow_environment, give_metadata
from support.projects import free_port, make_project, stop, wait_for, write_pipeline

from waterflow.config.profile import Profile
from waterflow.lineage.airflow_runs import Airflow, NotAskedError


class Server:
    """Airflow's REST API, as somebody who may trigger."""

    def __init__(self, port: int) -> None:
        """Take the token that the simple auth manager gives."""
        self.base = f"http://127.0.0.1:{port}"
        self._token = ""
        _, answer = self.send("GET", "/auth/token")
        self._token = answer["access_token"]

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send JSON; gives status and JSON, of refusals too."""
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", content, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> tuple[int, Any]:
        """Trigger a DAG with values of its form."""
        return self.send("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})

    def count_runs(self, dag_id: str) -> int:
        """Count a DAG's runs."""
        return int(self.send("GET", f"/api/v2/dags/{dag_id}/dagRuns")[1]["total_entries"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Iterator[Server]:
    """Start an API server that knows the DAGs of a small project; no scheduler runs anything."""
    folder = tmp_path_factory.mktemp("trigger")
    project = make_project(folder)
    write_pipeline(project, "broken").write_text("target: [species\n")
    give_metadata(project.home, shared_folder)
    environment = airflow_environment(
        project.home,
        project.conf,
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__API_AUTH__JWT_SECRET="a secret for one test session, long enough for its algorithm, 64 bytes",
    )
    done = subprocess.run(
        [str(BIN / "airflow"), "dags", "reserialize"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    port = free_port()
    command = [str(BIN / "airflow"), "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            wait_for(f"http://127.0.0.1:{port}/api/v2/version", process)
            yield Server(port)
        finally:
            stop(process)


@pytest.mark.parametrize(
    "conf",
    [
        {"candidates": ["sklearn.svm.SVC"]},
        {"candidates": ["os.system"]},
        {"candidates": ["svc"]},
        {"candidates": []},
        {"candidates": ["gaussian_nb", "gaussian_nb"]},
        {"candidates": {"mine": {"estimator": "os.system"}}},
        {"strategy": "os.system"},
        {"strategy": "thorough"},
        {"window_start": "yesterday"},
        {"window_end": "2026-13-01"},
        {"window_end": "2026-02-30"},
    ],
    ids=str,
)
def test_a_bad_trigger_is_refused_before_any_task(server: Server, conf: dict[str, Any]) -> None:
    """The server answers with what is wrong, and there is no DAG run."""
    before = server.count_runs("train_flowers")
    status, answer = server.trigger("train_flowers", conf)
    assert 400 <= status < 500, answer
    assert next(iter(conf)) in json.dumps(answer)
    assert server.count_runs("train_flowers") == before


def test_lineage_finds_a_dag_run_with_its_tasks(server: Server, tmp_path: Path) -> None:
    """By the API; one that was deleted is told from one that nobody can be asked for."""
    _, answer = server.trigger("train_flowers", {"strategy": "quick"})
    (tmp_path / "password").write_text("any\n")
    profile = Profile(
        name="stack",
        tracking_uri="sqlite:///none.db",
        store_uri="store",
        airflow_api_url=server.base,
        airflow_user="any",
        airflow_password_file=str(tmp_path / "password"),
    )
    found = Airflow(profile).find_run("train_flowers", answer["dag_run_id"])
    assert found is not None
    assert found.state == "queued"
    assert Airflow(profile).find_run("train_flowers", "manual__none") is None
    for changes, said in (
        ({"airflow_password_file": str(tmp_path / "none")}, "cannot be read"),
        ({"airflow_api_url": f"http://127.0.0.1:{free_port()}"}, "does not answer"),
        ({"airflow_api_url": None}, "names no API of Airflow"),
    ):
        with pytest.raises(NotAskedError, match=said):
            Airflow(profile.model_copy(update=changes)).find_run("train_flowers", "manual__none")


def test_a_good_trigger_makes_a_dag_run(server: Server) -> None:
    """Names of the form and a window are taken as they are."""
    before = server.count_runs("train_flowers")
    conf = {"strategy": "quick", "candidates": ["gaussian_nb"], "window_end": "2026-02-01"}
    status, answer = server.trigger("train_flowers", conf)
    assert status == 200, answer
    assert answer["conf"] == conf
    assert server.count_runs("train_flowers") == before + 1


def test_a_broken_pipeline_is_shown_with_its_tag(server: Server) -> None:
    """A person finds it in the list of DAGs, beside those that work."""
    status, answer = server.send("GET", "/api/v2/dags?tags=broken")
    assert status == 200
    assert [dag["dag_id"] for dag in answer["dags"]] == ["train_broken"]
    assert server.send("GET", "/api/v2/importErrors")[1]["total_entries"] == 0


def test_the_page_of_a_broken_pipeline_names_the_line(server: Server) -> None:
    """The error stands in its documentation."""
    _, answer = server.send("GET", "/api/v2/dags/train_broken/details")
    assert "conf/pipeline/broken.yaml:2: this is no YAML" in answer["doc_md"]
