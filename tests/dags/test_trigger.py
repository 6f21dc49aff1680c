"""Triggers sent to a real Airflow API server: a bad one is refused before there is a DAG run."""

import json
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import BIN, airflow_environment, copy_metadata
from support.projects import free_port, make_project, stop, wait_for, write_pipeline

from waterflow.config.profile import Profile
from waterflow.lineage.airflow_runs import Airflow, NotAskedError
from waterflow.orchestration.trigger_guard import ROUTES

SECRET = "a secret for one test session, long enough for its algorithm, 64 bytes"


class Server:
    """Airflow's REST API, as somebody who may trigger."""

    def __init__(self, port: int) -> None:
        """Take the token that the simple auth manager gives."""
        self.base = f"http://127.0.0.1:{port}"
        self._token = ""
        _, answer = self.send("GET", "/auth/token")
        self._token = answer["access_token"]

    def send(self, method: str, path: str, body: Any = None, **more: str) -> tuple[int, Any]:
        """Send JSON and return status and JSON, of refusals too. `token` and `origin` replace the usual ones."""
        status, _, content = self._request(method, path, body, **more)
        return status, json.loads(content)

    def headers(self, method: str, path: str, **more: str) -> Any:
        """Return the headers of a response."""
        return self._request(method, path, None, **more)[1]

    def task_token(self) -> str:
        """Make the token that Airflow gives a task."""
        from airflow.api_fastapi.auth.tokens import JWTGenerator

        maker = JWTGenerator(
            valid_for=60, audience="urn:airflow.apache.org:task", secret_key=SECRET, algorithm="HS512", issuer=None
        )
        return maker.generate({"sub": str(uuid.uuid4())})

    def _request(
        self, method: str, path: str, body: Any, token: str | None = None, origin: str | None = None
    ) -> tuple[int, Any, bytes]:
        headers = {"Content-Type": "application/json"}
        if token := self._token if token is None else token:
            headers["Authorization"] = f"Bearer {token}"
        if origin:
            headers["Origin"] = origin
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", content, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

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
    write_pipeline(project, "dated", time_column="day", split=None)
    copy_metadata(project.home, shared_folder)
    environment = airflow_environment(
        project.home,
        project.conf,
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__API_AUTH__JWT_SECRET=SECRET,
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


MOMENTS = ["yesterday", "2026-13-01", "2026-02-30", "2026-02-29", "1899-12-31", "2201-01-01", "0001-01-01", 20260101]


@pytest.mark.parametrize(
    ("dag_id", "conf"),
    [
        *(
            ("train_flowers", conf)
            for conf in (
                {"candidates": ["sklearn.svm.SVC"]},
                {"candidates": ["svc"]},
                {"candidates": []},
                {"candidates": ["gaussian_nb", "gaussian_nb"]},
                {"candidates": {"mine": {"estimator": "os.system"}}},
                {"strategy": "os.system"},
                {"strategy": None},
                {"scenario": "../../etc/passwd"},
                {"force": "yes"},
                {"window_end": "2026-02-01"},
                {"window_start": "2026-02-01"},
                {"overrides": ["dataset.path=/etc/passwd"]},
                {"dataset": {"kind": "python", "function": "os.system"}},
                {"features": {"function": "os.system"}},
                {"metrics.own": {"mine": {"function": "os.system", "greater_is_better": True}}},
                {"strategy": "quick", "_target_": "os.system"},
            )
        ),
        *(("train_dated", {name: moment}) for name in ("window_start", "window_end") for moment in MOMENTS),
        ("reconcile_mlflow_runs", {"force": True}),
    ],
    ids=str,
)
def test_a_bad_trigger_is_refused_before_any_task(server: Server, dag_id: str, conf: dict[str, Any]) -> None:
    """The server answers 400 with one line that names the field, and there is no DAG run."""
    before = server.count_runs(dag_id)
    status, answer = server.trigger(dag_id, conf)
    assert status == 400, answer
    assert list(conf)[-1] in answer["detail"]
    assert "valid" in answer["detail"]
    assert "\n" not in answer["detail"]
    assert server.count_runs(dag_id) == before


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"logical_date": None, "conf": ["quick"]}, 400, "conf: ['quick'] is no mapping"),
        ({"logical_date": None, "conf": {"strategy": "x" * 70_000}}, 400, "bytes are more than 65,536"),
        ({"logical_date": None, "conf": {}, "note": "x" * 2**20}, 413, "more than 1,048,576 bytes"),
        ({"conf": {}}, 422, "logical_date: Field required"),
        ({"logical_date": None, "owner": "me"}, 422, "owner: Extra inputs are not permitted"),
        ([], 400, "no mapping"),
        ({"logical_date": "0001-01-01T00:00:00Z"}, 400, "logical_date: the year 1 is not valid; valid: 1900 to 2200"),
        ({"logical_date": 20_000_000_000}, 400, "logical_date: the year 2603 is not valid"),
        ({"logical_date": None, "run_after": "9999-12-31T00:00:00Z"}, 400, "run_after: the year 9999 is not valid"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_body_is_refused_in_one_line(server: Server, body: Any, status: int, said: str) -> None:
    """What is no conf at all, too large, or wrong beside the conf; no dump of a validator reaches the person."""
    answered, answer = server.send("POST", "/api/v2/dags/train_flowers/dagRuns", body)
    assert (answered, said in answer["detail"]) == (status, True), answer
    assert len(answer["detail"]) < 300


@pytest.mark.parametrize("path", ["/api/v2/backfills", "/api/v2/backfills/dry_run"])
def test_a_bad_backfill_is_refused(server: Server, path: str) -> None:
    """The conf of a backfill is that of each of its runs."""
    body = {"dag_id": "train_flowers", "from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-02T00:00:00Z"}
    status, answer = server.send("POST", path, body | {"dag_run_conf": {"candidates": ["svc"]}})
    assert (status, "conf.candidates" in answer["detail"]) == (400, True)
    status, answer = server.send("POST", path, body | {"to_date": "9999-01-02T00:00:00Z"})
    assert (status, answer["detail"]) == (400, "to_date: the year 9999 is not valid; valid: 1900 to 2200")


def test_a_task_cannot_trigger_what_a_person_cannot(server: Server) -> None:
    """The API that tasks use checks the same, and tells a stranger nothing."""
    path = "/execution/dag-runs/train_flowers/manual__by_a_task"
    status, answer = server.send("POST", path, {"conf": {"candidates": ["svc"]}}, token="")
    assert status in (401, 403)
    assert "gaussian_nb" not in json.dumps(answer)
    status, answer = server.send("POST", path, {"conf": {"candidates": ["svc"]}}, token=server.task_token())
    assert (status, "conf.candidates" in answer["detail"]) == (400, True)


@pytest.mark.filterwarnings("ignore:Using .httpx. with:UserWarning")
def test_every_route_with_a_conf_is_guarded() -> None:
    """A version of Airflow that takes a conf elsewhere must not open a way past the check."""
    import re

    from airflow.api_fastapi.core_api.app import init_views
    from airflow.api_fastapi.execution_api.datamodels.dagrun import TriggerDAGRunPayload
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from fastapi import FastAPI

    app = FastAPI()
    init_views(app)
    found = set()
    for prefix, routes in (("", app.routes), ("/execution", execution_api_router.routes)):
        for route in routes:
            body = getattr(route, "body_field", None)
            model = body and body.field_info.annotation
            for kind in [model, *getattr(model, "__args__", ())]:
                fields = getattr(kind, "model_fields", {})
                found |= {(f"{prefix}{route.path}", name) for name in ("conf", "dag_run_conf") if name in fields}
    assert "conf" in TriggerDAGRunPayload.model_fields
    assert found
    for path, field in found:
        plain = re.sub(r"\{\w+\}", "1", path)
        assert [field] == [name for route, name in ROUTES if route.search(plain)], path


@pytest.mark.parametrize("path", ["/", "/api/v2/version", "/api/v2/dags/none", "/execution/none"])
def test_browsers_are_told_what_a_page_may_do(server: Server, path: str) -> None:
    """No frame of another page, no guess of a content's type, no script from elsewhere; also with an error."""
    headers = server.headers("GET", path)
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_a_page_of_another_origin_may_change_nothing(server: Server) -> None:
    """Not even with a session's token, and no answer is shared with it; our own pages and programs may."""
    path, body = "/api/v2/dags/train_flowers", {"is_paused": False}
    for origin in ("https://evil.example", "http://127.0.0.1:5000", "null"):
        assert server.send("PATCH", path, body, origin=origin)[0] == 403
        headers = server.headers("GET", "/api/v2/dags", origin=origin)
        assert not [name for name in headers if name.lower().startswith("access-control-")]
    assert server.send("PATCH", path, body, origin=server.base)[0] == 200
    assert server.send("PATCH", path, body)[0] == 200


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
    before = server.count_runs("train_dated")
    conf = {"strategy": "quick", "candidates": ["gaussian_nb"], "window_end": "2026-02-01", "window_start": None}
    status, answer = server.trigger("train_dated", conf)
    assert status == 200, answer
    assert answer["conf"] == conf
    assert server.count_runs("train_dated") == before + 1


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
