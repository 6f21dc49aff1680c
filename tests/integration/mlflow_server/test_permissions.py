"""What accounts without rights try against a champion, in every form that MLflow's API has; and what still works."""

import pytest
from support.mlflow_attacks import AJAX, API, ATTACKS, Champion, attacks
from support.mlflow_server import ADMIN, READER, SERVICE, STRANGER, MLflowServer

OURS = "waterflow/water"


@pytest.mark.parametrize("account", [READER, STRANGER])
@pytest.mark.parametrize("attack", ATTACKS)
def test_accounts_of_people_change_nothing(server: MLflowServer, champion: Champion, attack: str, account: str) -> None:
    """Neither a reader nor a stranger may, however the request is written."""
    method, path, body = attacks(champion, account)[attack]
    assert server.ask(account, method, path, json=body).status_code == 403
    assert server.ask(READER, "GET", champion.artifact).content == b"the card"
    alias = server.ask(READER, "GET", f"{API}/registered-models/alias?name=water&alias=champion")
    assert alias.json()["model_version"]["source"] == f"models:/{champion.model_id}"


READS = {
    "run": f"{API}/runs/get?run_id={{run}}",
    "run by its page's name": f"{AJAX}/runs/get?run_uuid={{run}}",
    "experiment": f"{API}/experiments/get?experiment_id={{experiment}}",
    "experiment by name": f"{API}/experiments/get-by-name?experiment_name={OURS}",
    "metrics": f"{API}/metrics/get-history?run_id={{run}}&metric_key=f1",
    "metrics of many": f"{AJAX}/metrics/get-history-bulk?run_id={{run}}&metric_key=f1",
    "artifacts": f"{API}/artifacts/list?run_id={{run}}",
    "artifact of the page": "/get-artifact?run_id={run}&path=card.md",
    "artifact": "/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/card.md",
    "folder of artifacts": "/api/2.0/mlflow-artifacts/artifacts?path={experiment}/{run}/artifacts",
    "logged model": f"{API}/logged-models/{{model}}",
    "files of a logged model": f"{AJAX}/logged-models/{{model}}/artifacts/directories",
    "registered model": f"{API}/registered-models/get?name=water",
    "version": f"{API}/model-versions/get?name=water&version=1",
    "alias": f"{API}/registered-models/alias?name=water&alias=champion",
}


def filled(path: str, champion: Champion) -> str:
    """Fill ids into an address."""
    return path.format(run=champion.run_id, experiment=champion.experiment_id, model=champion.model_id)


@pytest.mark.parametrize("what", sorted(READS))
def test_a_stranger_reads_nothing_and_a_reader_reads_it(server: MLflowServer, champion: Champion, what: str) -> None:
    """The same address is refused to the one and answered to the other."""
    path = filled(READS[what], champion)
    assert server.ask(STRANGER, "GET", path).status_code == 403
    assert server.ask(READER, "GET", path).status_code == 200


SEARCHES = {
    "experiments": (f"{API}/experiments/search", {"max_results": 10}),
    "runs": (f"{API}/runs/search", {"experiment_ids": ["{experiment}"]}),
    "runs by what they hide": (
        f"{AJAX}/runs/search",
        {"experiment_ids": ["{experiment}"], "filter": "tags.secret LIKE 'of%'"},
    ),
    "logged models": (f"{API}/logged-models/search", {"experiment_ids": ["{experiment}"]}),
    "data sets": (f"{AJAX}/experiments/search-datasets", {"experiment_ids": ["{experiment}"]}),
}


@pytest.mark.parametrize("what", sorted(SEARCHES))
def test_a_search_shows_a_stranger_nothing(server: MLflowServer, champion: Champion, what: str) -> None:
    """No search names what its account may not read, and a reader finds it by the same search."""
    path, body = SEARCHES[what]
    body = {key: [champion.experiment_id] if key == "experiment_ids" else value for key, value in body.items()}
    hidden = (OURS, champion.run_id, champion.model_id, "of-the-run", "rows-of-water")
    shown = {account: server.ask(account, "POST", path, json=body).text for account in (READER, STRANGER)}
    assert any(name in shown[READER] for name in hidden)
    assert not any(name in shown[STRANGER] for name in hidden)


@pytest.mark.parametrize(
    "path", ["registered-models/search", "model-versions/search", "model-versions/search?filter=name%3D'water'"]
)
def test_the_registry_shows_a_stranger_nothing(server: MLflowServer, champion: Champion, path: str) -> None:
    """Names of models, versions and their runs are left out of what a stranger finds."""
    assert "water" in server.ask(READER, "GET", f"{API}/{path}").text
    found = server.ask(STRANGER, "GET", f"{API}/{path}")
    assert found.status_code in (200, 403)
    assert champion.run_id not in found.text
    assert "registered_models" not in found.text
    assert "model_versions" not in found.text


GRAPHQL = {
    "run": 'query A { mlflowGetRun(input: {runId: "%(run)s"}) { run { info { runUuid } data { tags { value } } } } }',
    "experiment": 'query A { mlflowGetExperiment(input: {experimentId: "%(experiment)s"}) { experiment { name } } }',
    "runs": 'query A { mlflowSearchRuns(input: {experimentIds: ["%(experiment)s"]}) { runs { info { runUuid } } } }',
    "versions": "query A { mlflowSearchModelVersions(input: {filter: \"name='water'\"}) { modelVersions { runId } } }",
    "artifacts": 'query A { mlflowListArtifacts(input: {runId: "%(run)s"}) { files { path } } }',
}


@pytest.mark.parametrize("what", sorted(GRAPHQL))
def test_graphql_keeps_to_the_same_permissions(server: MLflowServer, champion: Champion, what: str) -> None:
    """A stranger's query finds nothing that the same query shows to a reader."""
    query = GRAPHQL[what] % {"run": champion.run_id, "experiment": champion.experiment_id}
    body = {"query": query, "operationName": "A"}
    wanted = {"experiment": OURS, "artifacts": "card.md"}.get(what, champion.run_id)
    assert wanted in server.ask(READER, "POST", "/graphql", json=body).text
    assert wanted not in server.ask(STRANGER, "POST", "/graphql", json=body).text


@pytest.mark.parametrize("location", ["s3://mlflow/1/x", "file:///tmp", "/tmp/x", "mlflow-artifacts:/1", "dbfs:/x"])
@pytest.mark.parametrize("spelling", ["artifact_location", "artifactLocation"])
@pytest.mark.parametrize("account", [SERVICE, ADMIN])
def test_nobody_chooses_where_artifacts_lie(server: MLflowServer, location: str, spelling: str, account: str) -> None:
    """Not even the pipelines' account or an admin makes an experiment over files that exist."""
    answer = server.ask(account, "POST", f"{API}/experiments/create", json={"name": "waterflow/x", spelling: location})
    assert answer.status_code == 400
    assert "leave it out" in answer.text


@pytest.mark.parametrize(
    "source",
    [
        "s3://mlflow/1/models/m-1/artifacts",
        "file:///tmp",
        "/tmp",
        "dbfs:/x",
        "http://127.0.0.1/x",
        "mlflow-artifacts:/1/../2",
        "mlflow-artifacts://evil.example/1/x",
        "mlflow-artifacts:/1/%2e%2e/2",
        "models:/water/1",
        "models:/water@champion",
        "runs:/{run}/model",
    ],
)
@pytest.mark.parametrize("account", [SERVICE, ADMIN])
def test_a_version_serves_files_of_this_server_alone(
    server: MLflowServer, champion: Champion, source: str, account: str
) -> None:
    """Sources outside the server's root, or that name it in another way, are refused to everyone."""
    body = {"name": "water", "source": filled(source, champion), "run_id": champion.run_id}
    assert server.ask(account, "POST", f"{API}/model-versions/create", json=body).status_code == 400
    found = server.ask(READER, "GET", f"{API}/model-versions/search?filter=name%3D'water'").json()["model_versions"]
    assert [entry["version"] for entry in found] == ["1"]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(server: MLflowServer, champion: Champion, method: str) -> None:
    """A method that MLflow's own validators do not know reaches nothing."""
    assert server.ask(STRANGER, method, f"{API}/runs/get?run_id={champion.run_id}").status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "null"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_site_is_refused(server: MLflowServer, origin: str, method: str) -> None:
    """The password that a browser remembers opens nothing to other pages, not even to those of this machine."""
    answer = server.ask(ADMIN, method, f"{API}/experiments/search?max_results=1", headers={"Origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_this_server_is_answered(server: MLflowServer) -> None:
    """MLflow's own UI sends its address with what it posts."""
    body = {"max_results": 1}
    answer = server.ask(READER, "POST", f"{API}/experiments/search", json=body, headers={"Origin": server.url})
    assert answer.status_code == 200


def test_the_ui_opens_on_models(server: MLflowServer) -> None:
    """The first page chooses the view of model training for who has not chosen."""
    assert "machine_learning" in server.ask(STRANGER, "GET", "/").text
