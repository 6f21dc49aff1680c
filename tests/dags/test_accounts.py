"""Accounts on a real API server with the stack's own settings: who gets in, until when, and who may do what."""

import configparser
import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import BIN, airflow_environment, copy_metadata
from support.projects import CHECKOUT, free_port, make_project, stop, wait_for

SECRET = "a secret for one test session, long enough for its algorithm, 64 bytes"
SETTINGS = ("api_auth", "fab", "api")
SCRIPT = CHECKOUT / "docker" / "airflow" / "bin" / "add_user.py"
DAG_RUNS = "/api/v2/dags/train_flowers/dagRuns"
QUESTION = f"{DAG_RUNS}/none/taskInstances/approve/-1/hitlDetails"
ANSWERS = f"{DAG_RUNS}/none/taskInstances/approve/xcomEntries"


class Response:
    """A response to one request; redirects are not followed."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.text = status, headers, body.decode(errors="replace")

    @property
    def json(self) -> Any:
        """Return the body."""
        return json.loads(self.text)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leave redirects to the caller."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


class Browser:
    """A client with cookies."""

    def __init__(self, base: str) -> None:
        self.base, self.cookies = base, dict[str, str]()

    def send(self, method: str, path: str, form: dict[str, str] | None = None) -> Response:
        """Send a request with the cookies, and keep those of the response."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        content = None if form is None else urllib.parse.urlencode(form).encode()
        response = send(self.base, method, path, content, headers)
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                self.cookies[name] = morsel.value
        self.cookies = {name: value for name, value in self.cookies.items() if value}
        return response

    def login(self, name: str, password: str) -> "Browser":
        """Log in as a person does, up to the token of the UI."""
        page = self.send("GET", "/auth/login/")
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
        assert found, page.text[:2000]
        form = {"csrf_token": found[1], "username": name, "password": password}
        assert self.send("POST", "/auth/login/", form).status == 302
        self.send("GET", "/auth/")
        return self


class Server:
    """An API server with the project's auth manager."""

    def __init__(self, base: str, environment: dict[str, str]) -> None:
        self.base, self._environment = base, environment

    def user(self, *words: str) -> str:
        """Run the script behind `make user` and return what it printed."""
        done = self.run(str(SCRIPT), *words)
        return done.stdout.strip() + done.stderr.strip()

    def add(self, people: dict[str, str]) -> dict[str, str]:
        """Give people accounts, all in one process, and return their passwords."""
        program = "import runpy, sys; main = runpy.run_path(sys.argv[1])['main']; "
        program += "[main(*person.split('=')) for person in sys.argv[2:]]"
        done = self.run("-c", program, str(SCRIPT), *(f"{name}={role}" for name, role in people.items()))
        lines = [line for line in done.stdout.splitlines() if ", password " in line]
        return {line.partition(",")[0]: line.rpartition(" ")[2] for line in lines}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run Python with this server's settings."""
        command = [sys.executable, "-W", "ignore", *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=200)

    def token(self, name: str, password: str) -> str:
        """Return a token of the API."""
        answer = self.call("POST", "/auth/token", body={"username": name, "password": password})
        assert answer.status == 201, answer.text
        return str(answer.json["access_token"])

    def call(self, method: str, path: str, token: str = "", body: Any = None) -> Response:
        """Call the API with a token."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return send(self.base, method, path, None if body is None else json.dumps(body).encode(), headers)


def send(base: str, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Response:
    """Send a request and return its response, of refusals too."""
    request = urllib.request.Request(f"{base}{path}", content, headers, method=method)  # noqa: S310
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=60) as answer:
            return Response(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, error.headers, error.read())


def shipped_settings() -> dict[str, str]:
    """Return the stack's settings of sessions and accounts as environment variables."""
    settings = configparser.ConfigParser()
    settings.read(CHECKOUT / "docker" / "airflow" / "airflow.cfg")
    return {
        f"AIRFLOW__{section.upper()}__{name.upper()}": value
        for section in SETTINGS
        for name, value in settings[section].items()
        if not name.endswith("_cmd")
    } | {"AIRFLOW__CORE__AUTH_MANAGER": settings["core"]["auth_manager"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, shared_folder: Path) -> Iterator[Server]:
    """Start an API server that knows one DAG; no scheduler runs anything."""
    folder = tmp_path_factory.mktemp("accounts")
    project = make_project(folder)
    copy_metadata(project.home, shared_folder)
    port = free_port()
    base = f"http://localhost:{port}"
    secrets = {"AIRFLOW__API_AUTH__JWT_SECRET": SECRET, "AIRFLOW__API__SECRET_KEY": SECRET}
    environment = airflow_environment(
        project.home, project.conf, **shipped_settings(), **secrets, AIRFLOW__API__BASE_URL=base
    )
    for words in (["db", "migrate"], ["dags", "reserialize"]):
        done = subprocess.run(
            [str(BIN / "airflow"), *words], env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
    command = [str(BIN / "airflow"), "api-server", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            wait_for(f"{base}/api/v2/version", process)
            yield Server(base, environment)
        finally:
            stop(process)
            print((folder / "log").read_text()[-5000:])


@pytest.fixture(scope="module")
def people(server: Server) -> dict[str, str]:
    """Give everybody of these tests an account, and return the passwords."""
    names = ("leaving", "returning", "program", "known", "brief", "guessed", "other")
    return server.add(
        {f"one-{role}": role for role in ALLOWED} | dict.fromkeys(names, "Viewer") | {"removed": "Op", "demoted": "Op"}
    )


def test_a_stranger_learns_nothing_from_a_refusal(server: Server) -> None:
    """Without a token a bad conf is answered like a good one."""
    for conf in ({"candidates": ["svc"]}, {}):
        answer = server.call("POST", DAG_RUNS, body={"logical_date": None, "conf": conf})
        assert (answer.status, answer.json) == (401, {"detail": "Not authenticated"})


ALLOWED = {
    "Viewer": set(),
    "Trigger": {"trigger"},
    "Approver": {"approve"},
    "User": {"trigger", "pause"},
    "Op": {"trigger", "pause", "approve"},
    "Admin": {"trigger", "pause", "approve", "forge", "forge again", "drop"},
}


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_do_what_its_name_says(server: Server, people: dict[str, str], role: str) -> None:
    """Everybody sees; whoever may not act is answered 403."""
    token = server.token(f"one-{role}", people[f"one-{role}"])
    answers = {
        "trigger": server.call("POST", DAG_RUNS, token, {"logical_date": None, "conf": {"strategy": "quick"}}),
        "pause": server.call("PATCH", "/api/v2/dags/train_flowers", token, {"is_paused": False}),
        "approve": server.call("PATCH", QUESTION, token, {"chosen_options": ["Approve"]}),
        "forge": server.call("POST", ANSWERS, token, {"key": "return_value", "value": "{}"}),
        "forge again": server.call("PATCH", f"{ANSWERS}/return_value", token, {"value": "{}"}),
        "drop": server.call("DELETE", f"{ANSWERS}/return_value", token),
    }
    assert server.call("GET", "/api/v2/dags/train_flowers", token).status == 200
    assert {name for name, answer in answers.items() if answer.status != 403} == ALLOWED[role]
    assert answers["approve"].status in (403, 404)  # 404: there is no such question


def test_a_logout_ends_the_session_and_its_tokens(server: Server, people: dict[str, str]) -> None:
    """Copies of the cookies open nothing afterwards, however the person logged out."""
    password = people["leaving"]
    for logout in ("/api/v2/auth/logout", "/auth/logout", "/auth/logout/"):
        browser = Browser(server.base).login("leaving", password)
        thief = Browser(server.base)
        thief.cookies = dict(browser.cookies)
        made = thief.send("GET", "/auth/")
        assert made.status == 302
        assert thief.send("GET", "/api/v2/dags").status == 200
        browser.send("GET", logout)
        assert server.call("GET", "/api/v2/dags", thief.cookies["_token"]).status == 403
        assert thief.send("GET", "/api/v2/dags").status == 403
        assert thief.send("GET", "/api/v2/dags").status == 401  # the cookie was taken away
        assert "login" in thief.send("GET", "/auth/users/userinfo/").headers.get("Location", "")


def test_a_new_login_does_not_revive_old_tokens(server: Server, people: dict[str, str]) -> None:
    """The browser comes back with its old cookie; a token of before stays dead."""
    password = people["returning"]
    browser = Browser(server.base).login("returning", password)
    old = browser.cookies["_token"]
    browser.send("GET", "/api/v2/auth/logout")
    browser.login("returning", password)
    assert server.call("GET", "/api/v2/dags", old).status == 403
    assert server.call("GET", "/api/v2/dags", browser.cookies["_token"]).status == 200


def test_a_token_of_the_api_can_be_revoked(server: Server, people: dict[str, str]) -> None:
    """A program logs out with its token; other tokens of the person go on."""
    password = people["program"]
    first, second = server.token("program", password), server.token("program", password)
    server.call("GET", "/api/v2/auth/logout", first)
    assert server.call("GET", "/api/v2/dags", first).status == 403
    assert server.call("GET", "/api/v2/dags", second).status == 200


def test_a_removed_person_is_refused_at_once(server: Server, people: dict[str, str]) -> None:
    """Tokens and sessions alike; and nobody of that name is left."""
    password = people["removed"]
    token = server.token("removed", password)
    browser = Browser(server.base).login("removed", password)
    assert browser.send("GET", "/api/v2/dags").status == 200
    assert server.user("removed", "--remove") == "removed is removed"
    assert server.call("GET", "/api/v2/dags", token).status == 403
    assert browser.send("GET", "/api/v2/dags").status == 403
    answer = server.call("POST", "/auth/token", body={"username": "removed", "password": password})
    assert answer.status == 401
    assert "there is no account 'removed'" in server.user("removed", "--remove")


def test_a_demoted_person_is_refused_at_once(server: Server, people: dict[str, str]) -> None:
    """The role of this moment counts, not that of the login."""
    token = server.token("demoted", people["demoted"])
    assert server.call("PATCH", "/api/v2/dags/train_flowers", token, {"is_paused": False}).status == 200
    script = (
        "from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder as open_builder\n"
        "from airflow.utils.providers_configuration_loader import providers_configuration_loaded\n"
        "@providers_configuration_loaded\n"
        "def demote():\n"
        "    with open_builder() as builder:\n"
        "        user = builder.sm.find_user('demoted')\n"
        "        user.roles = [builder.sm.find_role('Viewer')]\n"
        "        builder.sm.update_user(user)\n"
        "demote()\n"
    )
    assert server.run("-c", script).returncode == 0
    assert server.call("PATCH", "/api/v2/dags/train_flowers", token, {"is_paused": False}).status == 403
    assert server.call("GET", "/api/v2/dags", token).status == 200


def test_a_new_password_ends_every_token(server: Server, people: dict[str, str]) -> None:
    """As it is given after a password became known."""
    token = server.token("known", people["known"])
    server.add({"known": "Viewer"})
    assert server.call("GET", "/api/v2/dags", token).status == 403


def test_tokens_are_short_lived(server: Server, people: dict[str, str]) -> None:
    """Half an hour at most, for programs too."""
    import jwt

    password = people["brief"]
    for path in ("/auth/token", "/auth/token/cli"):
        answer = server.call("POST", path, body={"username": "brief", "password": password})
        claims = jwt.decode(answer.json["access_token"], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] <= 1800


def test_failed_logins_are_slowed_down(server: Server, people: dict[str, str]) -> None:
    """After five failures even the right password waits, by API and form; another account does not."""
    password, other = people["guessed"], people["other"]
    wrong = [server.call("POST", "/auth/token", body={"username": "guessed", "password": "wrong"}) for _ in range(12)]
    assert [answer.status for answer in wrong[:5]] == [401] * 5
    assert 429 in [answer.status for answer in wrong[5:]]  # a slow machine takes longer than the first wait
    answer = server.call("POST", "/auth/token", body={"username": "Guessed", "password": password})
    assert (answer.status, "try again in" in answer.json["detail"]) == (429, True)
    assert int(answer.headers["Retry-After"]) > 0
    browser = Browser(server.base)
    page = browser.send("GET", "/auth/login/")
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found
    form = {"csrf_token": found[1], "username": "guessed", "password": password}
    assert browser.send("POST", "/auth/login/", form).status == 429
    assert server.token("other", other)


def test_the_admin_cannot_be_removed(server: Server) -> None:
    """The next start would make the account again."""
    assert "'admin' stays" in server.user("admin", "--remove")
