"""An MLflow account without rights against a champion on the stack: what is refused, and what still works."""

import json
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support.compose import Stack, command
from support.mlflow_attacks import API, Champion, attacks

pytestmark = pytest.mark.stack
READER, STRANGER = "rita", "sam"
Ask = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def ask(stack: Stack) -> Ask:
    """Send a request as one of the accounts; `make mlflow-user` gives people theirs."""
    passwords = {"airflow": stack.secret("mlflow_service_password"), "admin": stack.secret("mlflow_admin_password")}
    for name, read in ((READER, "iris"), (STRANGER, "none")):
        passwords[name] = account(stack, name, read).split()[-1]

    def send(name: str, method: str, path: str, **more: object) -> requests.Response:
        return requests.request(method, stack.mlflow_url + path, auth=(name, passwords[name]), timeout=120, **more)

    return send


@pytest.fixture(scope="module")
def champion(stack: Stack, iris_run: str) -> Champion:
    """The champion that the first run of iris promoted."""
    version = stack.aliases()["champion"]
    found = next(entry for entry in stack.versions() if entry["version"] == version)
    parent, *_ = stack.runs(iris_run)
    info = parent["info"]
    folder = f"/api/2.0/mlflow-artifacts/artifacts/{info['experiment_id']}/{info['run_id']}/artifacts"
    model_id = found["source"].removeprefix("models:/")
    return Champion(info["experiment_id"], info["run_id"], model_id, f"{folder}/model_card.md", "iris")


def account(stack: Stack, name: str, read: str = "", remove: str = "", password: str = "") -> str:
    """Run what `make mlflow-user` runs."""
    return stack.inside("mlflow", "with-secrets", "account", name, read, remove, password)


def test_no_attack_of_an_account_changes_a_champion(stack: Stack, ask: Ask, champion: Champion) -> None:
    """Each is refused, to a reader and to a stranger; the champion, its files and its ledger stay as they were."""
    card = ask(READER, "GET", champion.artifact).content
    assert card.startswith(b"This model predicts")
    before = stack.versions()
    for name in (READER, STRANGER):
        for attack, (method, path, body) in attacks(champion, name).items():
            assert ask(name, method, path, json=body).status_code == 403, f"{attack} by {name}"
    assert ask(READER, "GET", champion.artifact).content == card
    assert stack.versions() == before
    verified = stack.compose("run", "--rm", "cli", "waterflow", "ledger", "iris", "--verify")
    assert verified.returncode == 0


def test_a_reader_sees_runs_versions_and_files(ask: Ask, champion: Champion) -> None:
    """A person with READ works with the UI as before; a stranger sees empty lists."""
    runs = {"experiment_ids": [champion.experiment_id], "max_results": 10}
    for name, sees in ((READER, True), (STRANGER, False)):
        found = ask(name, "POST", f"{API}/runs/search", json=runs)
        assert (champion.run_id in found.text) is sees
        models = ask(name, "GET", f"{API}/registered-models/search")
        assert ('"iris"' in models.text) is sees
        assert ask(name, "GET", f"/get-artifact?run_id={champion.run_id}&path=model_card.md").ok is sees
        assert ask(name, "GET", "/").ok


def test_a_file_is_sent_and_a_folder_is_not(ask: Ask, champion: Champion) -> None:
    """A folder fetched as a whole could fill the disk of the server."""
    folder = champion.artifact.rpartition("/")[0]
    refused = ask(READER, "GET", folder)
    assert refused.status_code == 400
    assert "is a folder" in refused.text
    assert ask(READER, "GET", f"/get-artifact?run_id={champion.run_id}&path=verdict").status_code == 400
    assert ask("airflow", "GET", champion.artifact).ok


def test_nobody_places_artifacts_elsewhere(ask: Ask, champion: Champion) -> None:
    """The pipelines' account and the admin neither."""
    for name in ("airflow", "admin"):
        for location in ("s3://mlflow/1", "file:///tmp", f"mlflow-artifacts:/{champion.experiment_id}"):
            body = {"name": "waterflow/x", "artifact_location": location}
            assert ask(name, "POST", f"{API}/experiments/create", json=body).status_code == 400
        for source in ("s3://mlflow/1/x", "file:///tmp", "mlflow-artifacts:/1/../2/x"):
            version = {"name": "iris", "source": source, "run_id": champion.run_id}
            assert ask(name, "POST", f"{API}/model-versions/create", json=version).status_code == 400


def test_many_uploads_at_once_end_nothing(stack: Stack, ask: Ask, champion: Champion) -> None:
    """83 files of 20 MB at once, more than the container's memory: all arrive, the server lives, no scratch is left."""
    folder = champion.artifact.rpartition("/")[0]
    content = bytes(20_000_000)

    def upload(number: int) -> int:
        return ask("airflow", "PUT", f"{folder}/many/{number}.bin", data=content).status_code

    with ThreadPoolExecutor(83) as threads:
        statuses = list(threads.map(upload, range(83)))
    assert statuses == [200] * 83
    for number in range(83):
        assert ask("airflow", "DELETE", f"{folder}/many/{number}.bin").ok
    state = json.loads(command("docker", "inspect", stack.service_id("mlflow")).stdout)[0]
    assert not state["State"]["OOMKilled"]
    assert state["RestartCount"] == 0
    assert stack.inside("mlflow", "find", "/var/scratch", "-type", "f") == ""


def test_a_removed_person_is_refused_at_once(stack: Stack, ask: Ask) -> None:
    """Also with a password that the server has just verified."""
    assert ask(STRANGER, "GET", f"{API}/users/current").ok
    account(stack, STRANGER, remove="1")
    assert ask(STRANGER, "GET", f"{API}/users/current").status_code == 401


def test_guessing_the_admins_password_is_slowed_down(stack: Stack, ask: Ask) -> None:
    """After five wrong passwords most guesses are not looked at; the admin, who was let in before, still is."""
    assert ask("admin", "GET", f"{API}/users/current").ok
    guesses = [
        requests.get(
            f"{stack.mlflow_url}{API}/users/current",
            headers={"Authorization": f"Basic {b64encode(f'admin:guess-{number}'.encode()).decode()}"},
            timeout=30,
        ).status_code
        for number in range(20)
    ]
    assert set(guesses) == {401, 429}
    assert guesses.count(401) < 10
    assert ask("admin", "GET", f"{API}/users/current").ok


def test_the_pipelines_train_as_before(stack: Stack, champion: Champion) -> None:
    """After all that, a run is trained, compared with the champion, and tracked."""
    run_id = stack.trigger("train_iris", {"strategy": "quick"})
    assert stack.wait("train_iris", run_id) == "success"
    assert stack.runs(run_id)
