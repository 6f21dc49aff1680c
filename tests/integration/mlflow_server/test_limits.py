"""How much may be sent and kept, whatever lengths are announced."""

import asyncio
import select
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

import mlflow.server
import pytest
import requests
from support.mlflow_attacks import API, Champion
from support.mlflow_server import PASSWORD, READER, SERVICE, STRANGER, Body, MLflowServer, Receive, RefusedError, Send

MEGABYTE = 1_000_000
PEOPLES_TRANSFERS_AT_ONCE = 24


def test_an_upload_that_is_too_long_is_refused(server: MLflowServer, champion: Champion) -> None:
    """By its announced length, before it is read."""
    answer = announce(server, champion.artifact.replace("card.md", "large.bin"), 4 * MEGABYTE)
    assert answer.startswith("HTTP/1.1 413")


def test_an_upload_of_unknown_length_ends_at_the_bound(server: MLflowServer, champion: Champion) -> None:
    """Nothing of it is kept, neither as an artifact nor in the scratch folder."""

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(100_000)

    path = champion.artifact.replace("card.md", "endless.bin")
    with suppress(OSError):  # the server may close the connection while the client is sending
        assert server.ask(SERVICE, "PUT", path, data=chunks()).status_code == 413
    assert server.ask(SERVICE, "GET", path).status_code in (404, 500)
    assert list(Path(server.environment["TMPDIR"]).rglob("endless.bin")) == []


def test_a_body_that_is_no_artifact_is_bounded(server: MLflowServer, champion: Champion) -> None:
    """MLflow keeps such a body in memory."""
    assert announce(server, f"{API}/runs/log-batch", 5 * MEGABYTE, "POST").startswith("HTTP/1.1 413")
    large = [{"key": f"m{number}", "value": 1, "timestamp": 0, "step": 0} for number in range(1000)]
    body = {"run_id": champion.run_id, "metrics": large}
    assert server.ask(SERVICE, "POST", f"{API}/runs/log-batch", json=body).status_code == 200


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10"])
def test_a_length_that_is_none_is_refused(server: MLflowServer, champion: Champion, length: str) -> None:
    """And does not end the server."""
    assert announce(server, champion.artifact, length).split()[1] in ("400", "413")
    assert server.ask(READER, "GET", f"{API}/users/current").status_code == 200


@pytest.mark.parametrize("account", [STRANGER, SERVICE])
@pytest.mark.parametrize("what", ["experiments", "runs", "logged-models", "registered-models", "model-versions"])
def test_a_search_of_many_clauses_is_refused(server: MLflowServer, champion: Champion, what: str, account: str) -> None:
    """A hundred joins ended the database, for whoever asked; twenty are answered."""
    where = {"experiment_ids": [champion.experiment_id]} if what in ("runs", "logged-models") else {"max_results": 10}
    method, kind = ("GET", "params") if what in ("registered-models", "model-versions") else ("POST", "json")

    def search(**clauses: object) -> requests.Response:
        return server.ask(account, method, f"{API}/{what}/search", **{kind: {**where, **clauses}})

    filters = [f"tags.t{number}='x'" for number in range(21)]
    orders = [{"field_name": "name"} if what == "logged-models" else "name"] * 21
    for clause, too_many in (("filter", {"filter": "and\t".join(filters)}), ("order_by", {"order_by": orders})):
        refused = search(**too_many)
        assert refused.status_code == 400
        assert f"{clause} has 21 clauses; at most 20 are accepted" in refused.json()["message"]
    assert search(filter=" AND ".join(filters[:20])).status_code == 200


def test_transfers_of_an_account_wait_for_one_another(server: MLflowServer, champion: Champion) -> None:
    """The server asks for six bodies; for the seventh when one of them is there. Another account does not wait."""
    path = champion.artifact.replace("card.md", "waiting/{}.bin")
    announced = ("Content-Length: 1", "Expect: 100-continue")
    uploads = [open_request(server, "PUT", path.format(number), *announced) for number in range(6)]
    for upload in uploads:
        assert upload.recv(1000).startswith(b"HTTP/1.1 100 ")
    with open_request(server, "PUT", path.format(6), *announced) as seventh:
        seventh.settimeout(1)
        with pytest.raises(TimeoutError):
            seventh.recv(1000)
        assert server.ask(READER, "GET", champion.artifact).status_code == 200
        seventh.settimeout(30)
        for upload in uploads:
            upload.sendall(b"x")
            assert upload.recv(1000).startswith(b"HTTP/1.1 200 ")
            upload.close()
        assert seventh.recv(1000).startswith(b"HTTP/1.1 100 ")


def test_more_uploads_than_may_run_at_once_all_arrive(server: MLflowServer, champion: Champion) -> None:
    """Those that wait are not refused, and none leaves scratch."""
    path = champion.artifact.replace("card.md", "many/{}.bin")
    statuses: list[int] = []

    def upload(number: int) -> None:
        statuses.append(server.ask(SERVICE, "PUT", path.format(number), data=bytes(2 * MEGABYTE)).status_code)

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 30
    assert list(Path(server.environment["TMPDIR"]).rglob("*.bin")) == []


def test_a_slow_reader_does_not_fill_the_memory(server: MLflowServer, champion: Champion) -> None:
    """Who asks for files and does not read them makes the server keep a few chunks, not the files."""
    path = champion.artifact.replace("card.md", "slow.bin")
    assert server.ask(SERVICE, "PUT", path, data=bytes(3 * MEGABYTE - 1)).ok
    process = server.process_id
    before = resident_bytes(process)
    page = f"/get-artifact?run_id={champion.run_id}&path=slow.bin"
    waiting = [open_request(server, "GET", page, account=READER) for _ in range(60)]
    assert server.ask(SERVICE, "GET", f"{API}/users/current").status_code == 200
    assert resident_bytes(process) - before < 60 * MEGABYTE
    for connection in waiting:
        connection.close()
    assert server.ask(READER, "GET", page).content == bytes(3 * MEGABYTE - 1)


def test_slow_downloads_of_many_people_hold_up_nobody(server: MLflowServer, champion: Champion) -> None:
    """Together they hold fewer threads than the server has; others wait for none of them."""
    folder = Path(server.environment["MLFLOW_ARTIFACTS_DESTINATION"], champion.experiment_id, champion.run_id)
    with (folder / "artifacts" / "large.bin").open("wb") as file:
        file.truncate(8 * MEGABYTE)  # more than connections keep
    page = f"/get-artifact?run_id={champion.run_id}&path=large.bin"
    people = {f"slow-{number}": server.new_account(f"slow-{number}", "all") for number in range(7)}
    waiting = [
        open_request(server, "GET", page, account=name, password=password)
        for name, password in people.items()
        for _ in range(6)
    ]
    while len(select.select(waiting, [], [], 60)[0]) < PEOPLES_TRANSFERS_AT_ONCE:
        time.sleep(0.1)
    time.sleep(3)  # for more than these to begin, were they let
    assert server.ask(SERVICE, "GET", f"{API}/users/current", timeout=10).status_code == 200
    for connection in waiting:
        connection.close()


def test_slow_readers_of_pages_hold_up_nobody(server: MLflowServer) -> None:
    """Whoever asks for the UI's scripts needs no account, and may take as long as they like."""
    scripts = Path(mlflow.server.__file__).parent.glob("js/build/static/js/main.*.js")
    path = f"/static-files/static/js/{next(scripts).name}"
    waiting = [open_request(server, "GET", path) for _ in range(60)]
    time.sleep(2)  # until each has begun
    assert server.ask(SERVICE, "GET", f"{API}/users/current", timeout=10).status_code == 200
    for connection in waiting:
        connection.close()


def test_large_bodies_of_an_account_wait_for_one_another(server: MLflowServer) -> None:
    """Four are received at once; small ones, and large ones of others, do not wait."""
    announced = ("Content-Length: 200000", "Expect: 100-continue")
    bodies = [open_request(server, "POST", f"{API}/runs/search", *announced, account=READER) for _ in range(4)]
    for body in bodies:
        assert body.recv(1000).startswith(b"HTTP/1.1 100 ")
    with open_request(server, "POST", f"{API}/runs/search", *announced, account=READER) as fifth:
        fifth.settimeout(1)
        with pytest.raises(TimeoutError):
            fifth.recv(1000)
        assert server.ask(READER, "GET", f"{API}/users/current").status_code == 200
        with open_request(server, "POST", f"{API}/runs/log-batch", *announced) as other:
            assert other.recv(1000).startswith(b"HTTP/1.1 100 ")
        for body in bodies:
            body.close()
        fifth.settimeout(30)
        assert fifth.recv(1000).startswith(b"HTTP/1.1 100 ")


@pytest.mark.parametrize(("has_begun", "expected"), [(True, [200]), (False, [])])
def test_an_answer_that_has_begun_is_not_begun_again(has_begun: bool, expected: list[int]) -> None:
    """A body that grows too long meanwhile cuts it off; before, the request is refused."""
    sent: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"too long", "more_body": True}

    async def send(message: Mapping[str, object]) -> None:
        sent.append(int(str(message["status"])))

    async def app(_scope: object, receive: Receive, send: Send) -> None:
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()

    with nullcontext() if has_begun else pytest.raises(RefusedError):
        asyncio.run(Body(receive, send, limit=3).serve(app, {}))
    assert sent == expected


def resident_bytes(process: int) -> int:
    """Return the memory of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096


def open_request(
    server: MLflowServer, method: str, path: str, *headers: str, account: str = SERVICE, password: str = PASSWORD
) -> socket.socket:
    """Send the head of a request, and read nothing. The operating system keeps little of the answer."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect((host, int(port)))
    token = b64encode(f"{account}:{password}".encode()).decode()
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", f"Authorization: Basic {token}", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


def announce(server: MLflowServer, path: str, length: int | str, method: str = "PUT") -> str:
    """Announce a body without sending it; return the first line of the answer."""
    with open_request(server, method, path, f"Content-Length: {length}") as connection:
        return connection.recv(1000).decode().partition("\r\n")[0]
