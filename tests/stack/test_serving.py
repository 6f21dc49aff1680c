"""Champions answer in the stack: behind tokens, with a right to read, and while the servers around are away."""

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect, sync_playwright
from support.compose import ROOT, Stack, assert_hardened, eventually

pytestmark = pytest.mark.stack
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS") or ROOT / ".waterflow" / "screenshots")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PREDICT = "/v1/models/iris/predict"


class Serving:
    """The service as a client on this machine sees it."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self.url = stack, f"http://127.0.0.1:{stack.serving_port}"

    def ask(self, method: str, path: str, right: str | None = "predict", **more: Any) -> requests.Response:
        """Send a request with the token of a right."""
        headers = {"Authorization": f"Bearer {self._stack.secret(f'serving_{right}_token')}"} if right else {}
        return requests.request(method, self.url + path, timeout=30, **{"headers": headers} | more)

    def predict(self) -> requests.Response:
        """Ask for the prediction of one flower."""
        return self.ask("POST", PREDICT, json={"records": [self.flower()]})

    def flower(self) -> dict[str, Any]:
        """Return the example of the served schema."""
        described = self.ask("GET", "/v1/models/iris").json()
        return dict(described["example"]["records"][0])


@pytest.fixture(scope="module")
def serving(stack: Stack, iris_run: str) -> Serving:
    """Wait until the champion of the first run answers."""
    found = Serving(stack)
    eventually(lambda: found.ask("GET", "/v1/models/iris").status_code == 200, 60)
    return found


@contextmanager
def constant_requests(serving: Serving) -> Iterator[list[int]]:
    """Ask without a pause while the block runs; yields the statuses."""
    statuses: list[int] = []
    ends, flower = threading.Event(), serving.flower()

    def ask() -> None:
        while not ends.wait(0.02):
            try:
                statuses.append(serving.ask("POST", PREDICT, json={"records": [flower]}).status_code)
            except requests.RequestException:
                statuses.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield statuses
    finally:
        ends.set()
        thread.join()


def test_the_champion_of_a_dag_run_answers_with_the_row_of_the_ledger(serving: Serving, stack: Stack) -> None:
    """The service has followed the promotion by itself."""
    answer = serving.predict().json()
    assert str(answer["version"]) == stack.aliases()["champion"]
    assert answer["sequence"] >= 1
    assert answer["predictions"][0]["prediction"] in ("setosa", "versicolor", "virginica")


def test_nothing_is_told_without_a_token(serving: Serving) -> None:
    """Health alone is open; a browser is asked for the token as a password."""
    for path in ("/", "/docs", "/openapi.json", "/v1/models", "/v2/models/iris"):
        answer = serving.ask("GET", path, right=None)
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert serving.ask("POST", PREDICT, right=None, json={}).status_code == 401
    assert serving.ask("POST", PREDICT, right=None, headers={"Authorization": "Bearer no"}, json={}).status_code == 401
    assert serving.ask("GET", "/v2/health/live", right=None).status_code == 200
    token = serving._stack.secret("serving_predict_token")
    assert serving.ask("GET", "/", right=None, auth=("anybody", token)).status_code == 200


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_the_pages_in_a_browser(serving: Serving, stack: Stack, scheme: Any, width: int) -> None:
    """After the token, models and columns are there, on a phone too, and nothing is missing or complained of."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH; install the distribution's package chromium")
    token = {"username": "me", "password": stack.secret("serving_predict_token")}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        viewport: Any = {"width": width, "height": 900}
        page = chromium.new_page(viewport=viewport, color_scheme=scheme, http_credentials=token)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        for path, text in (("/", re.compile("version [0-9]")), ("/docs", "number")):
            page.goto(serving.url + path, timeout=60_000)
            expect(page.get_by_text(text).first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=SCREENSHOTS / f"serving-{path.strip('/') or 'models'}-{scheme}-{width}.png")
        chromium.close()
    assert complaints == []


def test_the_port_is_on_loopback_alone_and_the_container_hardened(stack: Stack) -> None:
    """It has no right to spare, and its root cannot be written."""
    (container,) = [
        entry for entry in stack.containers() if entry["Config"]["Labels"]["com.docker.compose.service"] == "serving"
    ]
    assert_hardened(container)
    assert container["Config"]["User"] not in ("", "0", "root")
    bindings = [binding for port in container["NetworkSettings"]["Ports"].values() for binding in port or []]
    assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}
    mounts = {mount["Destination"]: mount["RW"] for mount in container["Mounts"]}
    assert mounts == {"/run/secrets": False, "/opt/waterflow": False, "/var/lib/waterflow": True}


def test_the_service_has_no_key_that_signs_and_no_password_of_tasks(stack: Stack) -> None:
    """Its secrets are its own: tokens, reading accounts, public keys."""
    names = stack.inside("serving", "ls", "/run/secrets").split()
    assert sorted(names) == [
        "aws_credentials",
        "mlflow_credentials",
        "public_keys",
        "tokens",
        "waterflow_database_url",
    ]
    assert stack.secret("signing_key").strip() not in stack.inside(
        "serving", "cat", *(f"/run/secrets/{n}" for n in names)
    )


def test_the_service_may_neither_move_an_alias_nor_write_a_decision(stack: Stack, serving: Serving) -> None:
    """MLflow, Postgres and the store refuse it."""
    auth = ("serving", stack.secret("mlflow_serving_password"))
    moved = stack.mlflow(
        "POST", "/registered-models/alias", json={"name": "iris", "alias": "champion", "version": "1"}, auth=auth
    )
    assert moved.status_code == 403
    assert stack.mlflow("GET", "/registered-models/get", params={"name": "iris"}, auth=auth).status_code == 200
    decided = stack.sql(
        "waterflow_serving",
        "waterflow",
        "INSERT INTO ledger.waterflow_ledger (model, sequence) VALUES ('iris', 99)",
        False,
    )
    assert "permission denied" in decided.stderr
    store = stack.s3("serving")
    assert store.list_objects_v2(Bucket="waterflow")["KeyCount"] > 0
    for call in (
        lambda: store.put_object(Bucket="waterflow", Key="ledger/forged", Body=b""),
        lambda: store.delete_object(Bucket="waterflow", Key=stack.keys("waterflow")[0]),
        lambda: store.list_objects_v2(Bucket="mlflow"),
    ):
        with pytest.raises(store.exceptions.ClientError, match="AccessDenied"):
            call()


def test_a_rollback_and_a_promotion_are_followed_under_requests(serving: Serving, stack: Stack) -> None:
    """A second version takes over and the first comes back, each within seconds; no request fails."""
    before = serving.predict().json()["version"]
    with constant_requests(serving) as statuses:
        run_id = stack.trigger("train_iris", {"strategy": "rigorous"})
        assert stack.wait("train_iris", run_id) == "success"
        newest = max(int(entry["version"]) for entry in stack.versions())
        stack.mlflow(
            "POST", "/registered-models/alias", json={"name": "iris", "alias": "champion", "version": str(newest)}
        )
        eventually(lambda: serving.predict().json()["version"] == newest, 10, 0.1)
        stack.mlflow(
            "POST", "/registered-models/alias", json={"name": "iris", "alias": "champion", "version": str(before)}
        )
        eventually(lambda: serving.predict().json()["version"] == before, 3, 0.1)
    assert set(statuses) == {200}


def test_a_minute_without_mlflow_store_and_database_fails_no_request(serving: Serving, stack: Stack) -> None:
    """The list of models says what is away; a restart meanwhile answers from the cache of verified models."""
    with constant_requests(serving) as statuses:
        stack.compose("stop", "--timeout", "5", "mlflow", "minio", "postgres")
        try:
            eventually(lambda: "does not answer" in str(serving.ask("GET", "/v1/models").json()["problem"]), 60)
            threading.Event().wait(30)
        finally:
            count = len(statuses)
    assert count > 100
    assert set(statuses) == {200}
    try:
        stack.compose("restart", "serving")
        eventually(lambda: _answers(serving), 90)
    finally:
        stack.compose("start", "postgres", "minio", "mlflow")
    eventually(lambda: serving.ask("GET", "/v1/models").json()["problem"] is None, 120)
    stack.up()  # the tests after this one find all services healthy


def _answers(serving: Serving) -> bool:
    try:
        return serving.predict().status_code == 200
    except (requests.RequestException, KeyError):
        return False
