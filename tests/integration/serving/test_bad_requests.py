"""Whatever a client sends, it gets a refusal of one line that names what is wrong, and the service goes on."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from support.serving import ROW, RunningService, running_service

from waterflow.resources import Resources

PATHS = ("/v1/models/clients/predict", "/models/clients/invocations", "/v2/models/clients/infer")
NO_JSON = [
    b"", b" ", b"{", b"[", b'{"records": [', b"records", b"\xff\xfe", b"\x00", b'{"records": [NaN}',
    b"{'records': []}", b"{} {}",
    b'{"a": 1e99999}', b'{"a": Infinity}', b'{"a": "\\ud800"}', b'{"a": NaN, "b": "\\ud800"}', b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"NaN": ' * 100_000, b"<xml/>", b"a=1&b=2", b"\x1f\x8b\x08\x00", b'{"records": [{"age": 1,}]}', b"-", b"01",
    b'"' + b"a" * 10, b"nul",
]  # fmt: skip
VALUES: list[Any] = [
    True, "41", "", [], [1], {}, {"a": 1}, 10**30, -(10**400), 1e308, "NaN", "Infinity", "\u0000", "a" * 100_000,
    [[[]]], "2024-13-45", "9" * 5_000,
    -1, 1e-320, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-05-01T12:00:00+99:00", 0.5, "🦆",
]  # fmt: skip
SHAPES: list[Any] = [
    None, 1, "text", [], {}, [1], [[1]], [None], {"records": None}, {"records": []}, {"records": {}},
    {"records": [1]}, {"records": [[]]},
    {"records": [ROW], "columns": {}}, {"records": [ROW], "more": 1}, {"records": [ROW], "keys": 1},
    {"records": [ROW], "keys": [1]},
    {"records": [ROW], "keys": []}, {"columns": []}, {"columns": {}}, {"columns": {"age": 1}},
    {"columns": {"age": [1], "city": []}},
    {"columns": {"age": []}}, {"records": [{}]}, {"records": [{"age": None}]}, {"dataframe_split": []},
    {"dataframe_split": {}},
    {"dataframe_split": {"columns": ["age"], "data": 1}}, {"dataframe_split": {"columns": [1], "data": [[1]]}},
    {"dataframe_split": {"columns": ["age", "age"], "data": [[1, 2]]}},
    {"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}},
    {"dataframe_split": {"columns": list(ROW), "data": []}}, {"dataframe_records": 1}, {"dataframe_records": [1]},
    {"instances": 1},
    {"instances": [1, 2]}, {"instances": [[1, 2]]}, {"inputs": 1}, {"inputs": {}}, {"inputs": {"age": 1}},
    {"instances": [ROW], "inputs": {}},
    {"inputs": [1]}, {"inputs": [{}]}, {"inputs": [{"name": 1}]}, {"inputs": [{"name": "age"}]},
    {"inputs": [{"name": "age", "data": 1}]},
    {"inputs": [{"name": "age", "data": [1], "shape": [2], "datatype": "FP64"}]},
    {"inputs": [{"name": "age", "data": [1], "shape": [1], "datatype": "FP128"}]},
    {"inputs": [{"name": "age", "data": [1], "shape": [1], "datatype": ["FP64"]}]},
    {"inputs": [{"name": "age", "data": [1], "shape": [1], "datatype": "FP64"}] * 2},
    {"inputs": [{"name": "age", "data": [[1, 2]], "shape": [1, 2], "datatype": "FP64"}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def service(served: Resources) -> Iterator[RunningService]:
    """Start a service that takes a megabyte."""
    with running_service(served.project, "--max-body-mb", "1", "clients") as running:
        running.wait_until(lambda: running.model()["version"] is not None)
        yield running


@pytest.fixture(autouse=True)
def _it_goes_on(service: RunningService) -> Iterator[None]:
    """Answer a good request after the bad ones, without an error in the log or a failure in the counts."""
    yield
    assert service.predict().status_code == 200
    assert service.model()["failed"] == 0
    assert "Traceback" not in service.log.read_text("utf-8")


def wrapped(row: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a body of one row in the form of a protocol."""
    if path == PATHS[0]:
        return {"records": [row]}
    if path == PATHS[1]:
        return {"dataframe_records": [row]}
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in row.items()]
    return {"inputs": inputs}


def post(service: RunningService, path: str, body: bytes) -> tuple[int, str]:
    """Send a body; return status and the message of the refusal, in whichever protocol."""
    answer = service.ask("POST", path, data=body, headers={"Content-Type": "application/json"})
    if answer.status_code == 200:
        return 200, ""
    content = answer.json()
    error = content.get("error", content.get("message"))
    message = error["message"] if isinstance(error, dict) else error
    assert "\n" not in message
    assert len(message) < 2_000
    assert "Traceback" not in answer.text
    return answer.status_code, message


@pytest.mark.parametrize("path", PATHS)
def test_what_is_no_json_is_400(service: RunningService, path: str) -> None:
    """Cut short, not text, too deep, out of range: all are refused as no JSON."""
    assert {body[:20]: post(service, path, body)[0] for body in NO_JSON} == {body[:20]: 400 for body in NO_JSON}


@pytest.mark.parametrize("path", PATHS)
def test_json_of_another_form_is_422(service: RunningService, path: str) -> None:
    """The refusal says what to send."""
    for shape in SHAPES:
        status, message = post(service, path, json.dumps(shape).encode())
        assert status == 422, (shape, message)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("column", list(ROW))
def test_a_value_of_another_type_is_422_and_named(service: RunningService, path: str, column: str) -> None:
    """Each value that a column cannot hold is refused, naming row and column; the others are answered."""
    refused = 0
    for value in VALUES:
        status, message = post(service, path, json.dumps(wrapped({**ROW, column: value}, path)).encode())
        assert status in (200, 422), (value, message)
        if status == 422:
            refused += 1
            assert message.startswith(f"row 0, column {column!r}: "), message
            assert "; valid: " in message
    assert refused >= len(VALUES) / 2


def test_a_missing_column_is_named(service: RunningService) -> None:
    """It is said once, not for each row."""
    rows = [{name: value for name, value in ROW.items() if name != "visits"}] * 3
    answer = service.predict(*rows)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "column 'visits': it is missing; valid: number, or null"


def test_a_missing_value_is_named_by_its_row(service: RunningService) -> None:
    """One row of several lacks it."""
    answer = service.predict(ROW, {name: value for name, value in ROW.items() if name != "visits"})
    assert answer.json()["error"]["message"] == "row 1, column 'visits': it is missing; valid: number, or null"


def test_nan_of_some_clients_is_a_null(service: RunningService) -> None:
    """Python's own JSON writes it for a missing number."""
    body = json.dumps({"records": [{**ROW, "age": float("nan")}]}).encode()
    assert post(service, PATHS[0], body)[0] == 200
    assert service.predict({**ROW, "age": None}).status_code == 200


def test_a_body_above_the_limit_is_413_declared_or_not(service: RunningService) -> None:
    """It is refused before all of it arrived, also when its length is not told."""
    large = b" " * 2**20 + b"{}"
    assert service.ask("POST", PATHS[0], data=large).status_code == 413
    assert service.ask("POST", PATHS[0], data=iter([large[: 2**19]] * 4)).status_code == 413


def test_compressed_and_binary_bodies_are_415(service: RunningService) -> None:
    """A body that expands on arrival is not taken."""
    assert service.ask("POST", PATHS[0], data=b"{}", headers={"Content-Encoding": "gzip"}).status_code == 415
    assert (
        service.ask("POST", PATHS[2], data=b"{}", headers={"Inference-Header-Content-Length": "2"}).status_code == 415
    )


def test_unknown_paths_methods_and_versions_name_what_is_valid(service: RunningService) -> None:
    """Nothing is answered in plain text or with a page of the framework."""
    assert service.ask("GET", PATHS[0]).json()["error"]["message"] == "method: 'GET'; valid: POST"
    assert "valid: /" in service.ask("GET", "/nothing").json()["error"]["message"]
    assert service.ask("POST", "/docs").status_code == 405
    assert service.ask("POST", "/v2/models/clients/versions/7/infer", json={}).json() == {
        "error": "version: '7' of clients is not served; valid: 1"
    }
    for path in (
        "/v1/models/../predict",
        "/v1/models/%2e%2e/predict",
        "/v1/models/%00/predict",
        "/v1/models/a%2fb/predict",
    ):
        assert service.ask("POST", path, json={}).status_code == 404, path


def test_requests_that_are_no_http_end_without_harm(service: RunningService) -> None:
    """A line of noise, and a body that never comes, cost one connection."""
    for sent in (
        b"\x16\x03\x01\x00\r\n\r\n",
        b"POST /v1/models/clients/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
    ):
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
            connection.sendall(sent)


def test_a_page_of_somebody_else_is_403(service: RunningService) -> None:
    """A browser cannot be made to ask by another page, nor by a name that points to this machine."""
    page = service.ask("POST", PATHS[0], json={"records": [ROW]}, headers={"Origin": "https://evil.example"})
    name = service.ask("GET", "/docs", headers={"Host": "evil.example:8000"})
    assert (page.status_code, name.status_code) == (403, 403)
