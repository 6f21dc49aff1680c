"""The stack behind TLS, as its clients see it. The authority that signed its certificate is a private one."""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import mlflow
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import SSLError
from mlflow.exceptions import MlflowException
from support.authority import Authority
from support.compose import Stack, assert_hardened, command, eventually

pytestmark = pytest.mark.stack
DOMAIN = "waterflow.test"
HTTPS_PORT, HTTP_PORT = int(os.environ.get("TLS_PORT", "28443")), int(os.environ.get("TLS_HTTP_PORT", "28480"))
PAGES = ("airflow", "mlflow", "console", "serving")
SERVERS = (*PAGES, "store")


def address(server: str) -> str:
    """Return a server's public address."""
    return f"https://{server}.{DOMAIN}:{HTTPS_PORT}"


@dataclass
class Clients:
    """What a person has who trusts the authority, and knows the generated passwords."""

    stack: Stack
    authority: Path

    def ask(self, method: str, server: str, path: str = "/", **more: Any) -> requests.Response:
        """Send a request to a server's public address."""
        more = {"verify": str(self.authority), "allow_redirects": False} | more
        return requests.request(method, address(server) + path, timeout=60, **more)

    def airflow(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Call Airflow's API as its admin."""
        login = {"username": "admin", "password": self.stack.secret("airflow_admin_password")}
        token = self.ask("POST", "airflow", "/auth/token", json=login).json()["access_token"]
        answer = self.ask(method, "airflow", f"/api/v2{path}", headers={"Authorization": f"Bearer {token}"}, **more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def store(self, signature_version: str) -> Any:
        """Open the object store with DVC's key."""
        return boto3.client(
            "s3",
            endpoint_url=address("store"),
            verify=str(self.authority),
            aws_access_key_id=self.stack.secret("dvc_access_key"),
            aws_secret_access_key=self.stack.secret("dvc_secret_key"),
            region_name="us-east-1",
            config=Config(signature_version=signature_version),
        )


@pytest.fixture(scope="module")
def clients(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """The clients of the stack, which gets `docker-compose.tls.yml` for the rest of the session."""
    folder, authority = tmp_path_factory.mktemp("tls"), Authority()
    authority.issue(folder, DOMAIN, f"*.{DOMAIN}")
    folder.chmod(0o755)
    stack.settings |= {
        "COMPOSE_FILE": "docker-compose.yml:docker-compose.tls.yml",
        "WATERFLOW_DOMAIN": DOMAIN,
        "TLS_ADDRESS": "127.0.0.1",
        "TLS_PORT": str(HTTPS_PORT),
        "TLS_HTTP_PORT": str(HTTP_PORT),
        "TLS_CERTIFICATES": str(folder),
    }
    stack.compose("build", "proxy")
    stack.up()
    resolve = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *more, **named: resolve("127.0.0.1" if DOMAIN in str(host) else host, *more, **named),
        )
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE"):
            patch.delenv(variable, raising=False)
        yield Clients(stack, authority.write_certificate(folder / "authority.pem"))


@pytest.fixture(scope="module")
def dag_run_id(clients: Clients) -> str:
    """The id of a finished run of train_iris that was triggered through the proxy."""
    run = clients.airflow("POST", "/dags/train_iris/dagRuns", json={"conf": {}, "logical_date": None})["dag_run_id"]
    path = f"/dags/train_iris/dagRuns/{run}"
    eventually(lambda: clients.airflow("GET", path)["state"] == "success", timeout_seconds=400)
    return str(run)


@pytest.fixture
def tracking(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    """MLflow's own client, as a notebook sets it up for a private authority."""
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(clients.authority))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", clients.stack.secret("mlflow_admin_password"))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return mlflow.MlflowClient(address("mlflow"))


# What works


def test_a_login_through_https_sets_secure_cookies(clients: Clients) -> None:
    """A person logs in by the form; no cookie is ever sent over plain HTTP, and every redirect stays at the address."""
    start = clients.ask("GET", "airflow", "/api/v2/auth/login")
    assert start.headers["Location"] == f"{address('airflow')}/auth/login/"
    form = clients.ask("GET", "airflow", "/auth/login/")
    field = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert field
    answer = clients.ask(
        "POST",
        "airflow",
        "/auth/login/",
        data={
            "username": "admin",
            "password": clients.stack.secret("airflow_admin_password"),
            "csrf_token": field.group(1),
        },
        cookies=form.cookies,
        headers={"Origin": address("airflow"), "Referer": start.headers["Location"]},
    )
    assert answer.status_code == 302
    assert {cookie.name for cookie in answer.cookies} == {"_token", "session"}
    for cookie in [*form.cookies, *answer.cookies]:
        assert cookie.secure, cookie.name
        assert cookie.has_nonstandard_attr("HttpOnly"), cookie.name
        assert cookie.domain == f"airflow.{DOMAIN}"


def test_other_pages_set_secure_cookies(clients: Clients) -> None:
    """The console of the store marks its cookie, though it does not know of TLS itself."""
    login = {
        "accessKey": clients.stack.secret("minio_root_user"),
        "secretKey": clients.stack.secret("minio_root_password"),
    }
    answer = clients.ask("POST", "console", "/api/v1/login", json=login)
    assert [cookie.secure for cookie in answer.cookies] == [True]


def test_links_lead_to_the_public_address(clients: Clients, tracking: mlflow.MlflowClient, dag_run_id: str) -> None:
    """A task links to its run, the navigation to MLflow, and the run in MLflow back to Airflow."""
    run = f"/dags/train_iris/dagRuns/{dag_run_id}"
    task = next(
        task for task in clients.airflow("GET", f"{run}/taskInstances")["task_instances"] if task["task_id"] == "train"
    )
    links = clients.airflow("GET", f"{run}/taskInstances/train/links?map_index={task['map_index']}")["extra_links"]
    assert links["MLflow run"].startswith(f"{address('mlflow')}/#/experiments/")
    plugins = clients.airflow("GET", "/plugins")["plugins"]
    assert any(
        view["href"].startswith(f"{address('mlflow')}/#") for plugin in plugins for view in plugin["external_views"]
    )
    experiment = tracking.get_experiment_by_name("waterflow/iris")
    tagged = tracking.search_runs([experiment.experiment_id], f"tags.`waterflow.dag_run_id` = '{dag_run_id}'")
    assert tagged
    for entry in tagged:
        assert entry.data.tags["waterflow.airflow_url"].startswith(f"{address('airflow')}/dags/train_iris/runs/")


def test_artifacts_pass_through_the_proxy(tracking: mlflow.MlflowClient, tmp_path: Path) -> None:
    """MLflow's client, which trusts the authority by its setting, uploads 64 MB and downloads the same bytes."""
    upload = tmp_path / "upload.bin"
    upload.write_bytes(bytes(range(256)) * 250_000)
    run = tracking.create_run(tracking.create_experiment(f"tls-{uuid4()}"))
    tracking.log_artifact(run.info.run_id, str(upload))
    downloaded = tracking.download_artifacts(run.info.run_id, upload.name, str(tmp_path / "."))
    assert Path(downloaded).read_bytes() == bytes(range(256)) * 250_000


@pytest.mark.parametrize(("version", "parameter"), [("s3", "Signature"), ("s3v4", "X-Amz-Signature")])
def test_the_store_serves_keys_and_presigned_addresses(clients: Clients, version: str, parameter: str) -> None:
    """A client with DVC's key writes an object; an address that it signed opens it, and no log keeps the signature."""
    store = clients.store(version)
    store.put_object(Bucket="dvc", Key="tls test", Body=b"water")
    signed = store.generate_presigned_url("get_object", Params={"Bucket": "dvc", "Key": "tls test"})
    assert requests.get(signed, verify=str(clients.authority), timeout=30).content == b"water"
    store.delete_object(Bucket="dvc", Key="tls test")
    logs = clients.stack.compose("logs", "proxy").stdout
    assert f"{parameter}=hidden" in logs
    assert re.search(rf"{parameter}=([^&]+)", signed).group(1) not in logs


# What is refused


@pytest.mark.parametrize("server", SERVERS)
def test_plain_http_is_redirected(clients: Clients, server: str) -> None:
    """The same page over HTTPS, whatever its method."""
    plain = f"http://{server}.{DOMAIN}:{HTTP_PORT}/a?b=c"
    answer = requests.post(plain, allow_redirects=False, timeout=30)
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"{address(server)}/a?b=c"


def test_no_plain_port_is_left(clients: Clients) -> None:
    """Only the proxy is published."""
    published = {
        entry["Config"]["Labels"]["com.docker.compose.service"]
        for entry in clients.stack.containers()
        if any((entry["NetworkSettings"]["Ports"] or {}).values())
    }
    assert published == {"proxy"}
    stack = clients.stack
    for port in (stack.airflow_port, stack.mlflow_port, stack.minio_port, stack.console_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_another_host_is_refused(clients: Clients) -> None:
    """Neither answered nor redirected, on either port, nor where the request goes to the bare address."""
    other = {"Host": "evil.example"}
    for server in SERVERS:
        assert clients.ask("GET", server, headers=other).status_code == 421
    plain = requests.get(f"http://mlflow.{DOMAIN}:{HTTP_PORT}/", headers=other, timeout=30, allow_redirects=False)
    assert plain.status_code == 421
    # An address tells no name, so the certificate cannot be for it; who does not mind is refused all the same.
    by_address = requests.get(f"https://127.0.0.1:{HTTPS_PORT}/", verify=False, timeout=30)  # noqa: S501
    assert by_address.status_code == 421


def test_clients_refuse_an_unknown_authority(
    clients: Clients, tracking: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was not told to trust the authority sends nothing."""
    with pytest.raises(requests.exceptions.SSLError):
        clients.ask("GET", "airflow", verify=True)
    monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
    with pytest.raises(MlflowException, match="CERTIFICATE_VERIFY_FAILED"):
        tracking.get_experiment("0")
    with pytest.raises(SSLError):
        boto3.client(
            "s3", endpoint_url=address("store"), aws_access_key_id="a", aws_secret_access_key="b"
        ).list_buckets()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_refused(clients: Clients) -> None:
    """A client that can do nothing better than TLS 1.1 gets no connection; one with 1.2 does."""

    def connect(newest: ssl.TLSVersion) -> str | None:
        context = ssl.create_default_context(cafile=str(clients.authority))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
        with (
            socket.create_connection(("127.0.0.1", HTTPS_PORT), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=f"mlflow.{DOMAIN}") as secured,
        ):
            return secured.version()

    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
        connect(ssl.TLSVersion.TLSv1_1)
    assert connect(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"


@pytest.mark.parametrize("server", SERVERS)
def test_every_answer_tells_browsers_to_stay_on_https(clients: Clients, server: str) -> None:
    """Every server's answers say so, forbid guessing of types, and name no software; pages cannot be framed."""
    headers = clients.ask("GET", server).headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in ("strict-origin-when-cross-origin", "same-origin")
    assert "Server" not in headers
    if server in PAGES:
        assert headers["X-Frame-Options"] in ("SAMEORIGIN", "DENY")
        assert "Content-Security-Policy" in headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost:9", f"https://console.{DOMAIN}:{HTTPS_PORT}", "null"]
)
def test_a_page_of_another_origin_changes_and_reads_nothing(clients: Clients, origin: str) -> None:
    """What would change something is refused, and no answer is marked as readable for it; MLflow's own page works."""
    more: dict[str, Any] = {
        "json": {"max_results": 1},
        "auth": ("admin", clients.stack.secret("mlflow_admin_password")),
    }
    path = "/ajax-api/2.0/mlflow/experiments/search"
    assert clients.ask("POST", "mlflow", path, headers={"Origin": origin}, **more).status_code == 403
    assert clients.ask("POST", "mlflow", path, headers={"Origin": address("mlflow")}, **more).status_code == 200
    assert clients.ask("POST", "airflow", "/auth/token", headers={"Origin": origin}, json={}).status_code == 403
    for server in SERVERS:
        headers = clients.ask("GET", server, headers={"Origin": origin}).headers
        assert "Access-Control-Allow-Origin" not in headers, server


def test_a_client_cannot_choose_the_address_that_is_logged(clients: Clients) -> None:
    """Airflow knows a client by the connection to the proxy, not by what its headers claim."""
    claimed = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    answer = clients.ask("GET", "airflow", "/api/v2/auth/login", headers=claimed)
    assert answer.headers["Location"] == f"{address('airflow')}/auth/login/"
    assert "203.0.113.9" not in clients.stack.compose("logs", "airflow-apiserver").stdout


def test_a_request_that_is_too_large_ends_at_the_proxy(clients: Clients) -> None:
    """Airflow takes no uploads: 10 MB are more than any of its forms send."""
    answer = clients.ask("POST", "airflow", "/auth/token", data=b" " * 11_000_000)
    assert answer.status_code in (413, 502)


def test_the_proxy_is_hardened(clients: Clients) -> None:
    """Like every other container: no rights, a read-only root, bounds, and no process of root."""
    proxy = next(
        entry
        for entry in clients.stack.containers()
        if entry["Config"]["Labels"]["com.docker.compose.service"] == "proxy"
    )
    assert_hardened(proxy)
    users = {row.split()[1] for row in command("docker", "top", proxy["Id"], "-eo", "pid,uid").stdout.splitlines()[1:]}
    assert users
    assert "0" not in users
