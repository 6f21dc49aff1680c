"""Accounts by command: what they may read, when they end, and how fast passwords can be guessed."""

import http.client
import time
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from support.mlflow_attacks import API, Champion
from support.mlflow_server import ADMIN, PASSWORD, SERVICE, MLflowServer

ME = f"{API}/users/current"


def test_a_new_account_reads_nothing_until_told(server: MLflowServer, champion: Champion) -> None:
    """Permissions by the command count at the next request, in both directions."""
    password = server.new_account("ann")
    path = f"{API}/runs/get?run_id={champion.run_id}"
    seen = []
    for read in (None, "water", "none", "all", "none"):
        if read:
            assert server.account("ann", read)[0] == 0
        seen.append(server.ask("ann", "GET", path, password=password).status_code)
    assert seen == [403, 200, 403, 200, 403]


def test_a_reader_of_one_pipeline_reads_no_other(server: MLflowServer, champion: Champion) -> None:
    """Neither by ids nor by paths that lead out of the experiment, however they are encoded."""
    other = server.ask(SERVICE, "POST", f"{API}/experiments/create", json={"name": "waterflow/salary"}).json()
    target = f"{other['experiment_id']}/r/artifacts/salaries.csv"
    artifacts = "/api/2.0/mlflow-artifacts/artifacts"
    assert server.ask(SERVICE, "PUT", f"{artifacts}/{target}", data=b"secret").ok
    password = server.new_account("bob", "water")
    own = f"{champion.experiment_id}/{champion.run_id}/artifacts"
    up = [f"{own}/../../../{target}", f"{own}/%2e%2e/%2e%2e/%2e%2e/{target}", f"{own}/..%2f..%2f..%2f{target}"]
    up += [f"{own}/%252e%252e/%252e%252e/%252e%252e/{target}", f"/{target}", f"{own}\\..\\..\\..\\{target}"]
    up += [f"./{target}", target.replace("/r/", "//r/"), f"{own}/..;/..;/..;/{target}", target]
    assert raw_get(server, f"{artifacts}/{own}/card.md", "bob", password)[0] == 200
    for path in up:
        status, body = raw_get(server, f"{artifacts}/{path}", "bob", password)
        assert status >= 400, path
        assert b"secret" not in body
    listed = server.ask("bob", "GET", f"{artifacts}?path={other['experiment_id']}", password=password)
    assert listed.status_code == 403
    page = f"/get-artifact?run_id={champion.run_id}&path=../../../{target}"
    assert server.ask("bob", "GET", page, password=password).status_code >= 400


def raw_get(server: MLflowServer, path: str, name: str, password: str) -> tuple[int, bytes]:
    """Send a path as it stands; `requests` would tidy it."""
    token = b64encode(f"{name}:{password}".encode()).decode()
    with closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_removed_account_is_refused_at_once(server: MLflowServer) -> None:
    """Its verified password is not remembered beyond the account, nor does a new account of that name inherit."""
    password = server.new_account("carl", "all")
    assert server.ask("carl", "GET", ME, password=password).status_code == 200
    assert server.account("carl", "", "1") == (0, "carl removed\n")
    assert server.ask("carl", "GET", ME, password=password).status_code == 401
    again = server.new_account("carl")
    assert server.ask("carl", "GET", ME, password=password).status_code == 401
    search = server.ask("carl", "GET", f"{API}/experiments/search?max_results=100", password=again)
    assert "waterflow/" not in search.text


def test_a_new_password_ends_the_old_one(server: MLflowServer) -> None:
    """The next request with the old password is refused."""
    old = server.new_account("dora", "all")
    assert server.ask("dora", "GET", ME, password=old).status_code == 200
    new = server.account("dora", "", "", "new")[1].split()[-1]
    assert [server.ask("dora", "GET", ME, password=word).status_code for word in (old, new)] == [401, 200]


def test_a_person_changes_their_own_password(server: MLflowServer) -> None:
    """With the current one, as MLflow's UI asks for it."""
    old = server.new_account("elsa")
    body = {"username": "elsa", "password": "a-password-of-elsa", "current_password": old}
    changed = server.ask("elsa", "PATCH", f"{API}/users/update-password", password=old, json=body)
    assert changed.status_code == 200
    assert server.ask("elsa", "GET", ME, password="a-password-of-elsa").status_code == 200


def test_guessing_is_slowed_down_and_locks_nobody_out(server: MLflowServer) -> None:
    """After five failures guesses wait, ever longer; who was already let in goes on, and so does everybody else."""
    password = server.new_account("fred")
    assert server.ask("fred", "GET", ME, password=password).status_code == 200
    guesses = [server.ask("fred", "GET", ME, password=f"guess-{number}") for number in range(8)]
    assert [guess.status_code for guess in guesses] == [401] * 5 + [429] * 3
    assert int(guesses[-1].headers["retry-after"]) >= 1
    assert server.ask("fred", "GET", ME, password=password).status_code == 200
    assert server.ask(SERVICE, "GET", ME).status_code == 200
    for number in range(6):  # a success forgets the failures; so these are five more, and a wait
        refused = server.ask("fred", "GET", ME, password=f"more-{number}")
    time.sleep(int(refused.headers["retry-after"]))
    assert server.ask("fred", "GET", ME, password="after the wait").status_code == 401


def test_guesses_at_the_same_time_gain_nothing(server: MLflowServer) -> None:
    """Of thirty at once, five are looked at; the right password of another account, sent as often, is."""
    server.new_account("gail")
    password = server.new_account("hugh")
    with ThreadPoolExecutor(30) as pool:
        guesses = pool.map(lambda number: server.ask("gail", "GET", ME, password=f"g-{number}").status_code, range(30))
        assert Counter(guesses) == {401: 5, 429: 25}
        right = pool.map(lambda _: server.ask("hugh", "GET", ME, password=password).status_code, range(30))
        assert set(right) == {200}


def test_an_unknown_name_is_slowed_down_too(server: MLflowServer) -> None:
    """Nobody learns from the answers which names exist."""
    assert [server.ask("nobody", "GET", ME, password="x").status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_long_name_is_remembered_by_its_beginning(server: MLflowServer) -> None:
    """Made-up names of any length fill no memory."""
    names = [f"{'n' * 512}{number}" for number in range(6)]
    assert [server.ask(name, "GET", ME, password="x").status_code for name in names] == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((ADMIN, "all"), "belongs to the stack"),
        ((SERVICE, "", "1"), "belongs to the stack"),
        (("", "all"), "is no name of an account"),
        (("gina", "nonsense"), "has no experiment waterflow/nonsense"),
        (("nobody", "", "1"), "has no account 'nobody'"),
    ],
)
def test_a_wrong_command_says_what_is_right(
    server: MLflowServer, champion: Champion, words: tuple[str, ...], said: str
) -> None:
    """In one line, and nothing is made."""
    code, answer = server.account(*words)
    assert code == 1
    assert said in answer
    assert len(answer.splitlines()) == 1
    users = server.ask(ADMIN, "GET", f"{API}/users/list").text
    assert '"gina"' not in users
    assert server.ask(SERVICE, "GET", ME, password=PASSWORD).status_code == 200
