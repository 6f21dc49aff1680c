"""A server that stops between the facts of a model or run and its files."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from support.keys import SIGNING_KEY
from support.projects import message_of

from waterflow.config.profile import Profile
from waterflow.errors import UnreachableError
from waterflow.tracking.model_files import model_statement
from waterflow.tracking.model_store import ModelStore
from waterflow.tracking.runs import RunStore
from waterflow.tracking.tags import MODEL_FILES_DIGEST, MODEL_SIGNATURE, RECORD_FILE

DIGEST = "0" * 64
TAGS = {MODEL_FILES_DIGEST: DIGEST, MODEL_SIGNATURE: SIGNING_KEY.sign(model_statement("flowers", "m-1", DIGEST))}
TIMES = {"creation_timestamp_ms": 0, "last_updated_timestamp_ms": 0}
MODEL = {"model_id": "m-1", "experiment_id": "1", "name": "tree", "status": "LOGGED_MODEL_READY", **TIMES}
RUN = {"run_id": "r-1", "experiment_id": "1", "status": "FINISHED", "start_time": 1, "lifecycle_stage": "active"}
ANSWERS = {
    "/logged-models/m-1": {
        "model": {
            "info": {
                **MODEL,
                "artifact_uri": "mlflow-artifacts:/1/m-1",
                "tags": [{"key": name, "value": value} for name, value in TAGS.items()],
            },
            "data": {},
        }
    },
    "/runs/get": {"run": {"info": {**RUN, "artifact_uri": "mlflow-artifacts:/1/r-1"}, "data": {}}},
}


class FactsOnly(BaseHTTPRequestHandler):
    """Answer with a model or a run, for the last time."""

    def do_GET(self) -> None:
        """Send what `ANSWERS` has. Any other path is answered by an empty object."""
        found = next((answer for name, answer in ANSWERS.items() if name in self.path), None)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found or {}).encode())
        if found:
            self.server.server_close()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def answer_until_closed(server: HTTPServer) -> None:
    """Answer requests, until one closes the socket."""
    while server.fileno() != -1:
        server.handle_request()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunStore]:
    """Connect to a server that answers for one model or run, and is down from then on."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = HTTPServer(("127.0.0.1", 0), FactsOnly)
    server.timeout = 0.2
    thread = Thread(target=answer_until_closed, args=(server,), daemon=True)
    thread.start()
    uri = f"http://127.0.0.1:{server.server_port}"
    yield RunStore(Profile(name="down", tracking_uri=uri, store_uri="none", public_keys=SIGNING_KEY.public_key))
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    "read",
    [
        lambda runs: ModelStore(runs).verify("m-1", "flowers"),
        lambda runs: ModelStore(runs).load_model("m-1", "flowers"),
        lambda runs: runs.read_verified(runs.get_run("r-1"), RECORD_FILE),
        lambda runs: runs.read_records(runs.get_run("r-1")),
    ],
    ids=["verify", "load_model", "read_verified", "read_records"],
)
def test_files_of_a_server_that_went_down_are_worth_a_retry(runs: RunStore, read: Callable[[RunStore], object]) -> None:
    """They count neither as altered nor as gone."""
    assert f"MLflow at {runs.uri} does not answer" in message_of(lambda: read(runs), UnreachableError)
