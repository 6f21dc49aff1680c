"""One server for all of these tests, with what the pipelines' account made in it."""

from collections.abc import Iterator

import pytest
from support.mlflow_attacks import API, Champion
from support.mlflow_server import ADMIN, PASSWORD, READER, SERVICE, STRANGER, MLflowServer, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """A server with accounts: a reader of everything, and one without any right."""
    with running_server(tmp_path_factory.mktemp("mlflow"), MLFLOW_MAX_UPLOAD_MB="3") as running:
        for name in (SERVICE, READER, STRANGER):
            body = {"username": name, "password": PASSWORD}
            assert running.ask(ADMIN, "POST", f"{API}/users/create", json=body).ok
        assert running.account(READER, "all")[0] == 0
        yield running


@pytest.fixture(scope="session")
def champion(server: MLflowServer) -> Champion:
    """A champion as a pipeline leaves it."""

    def made(path: str, **body: object) -> dict:
        answer = server.ask(SERVICE, "POST", f"{API}/{path}", json=body)
        assert answer.ok, answer.text
        return answer.json()

    experiment_id = made("experiments/create", name="waterflow/water")["experiment_id"]
    run = made("runs/create", experiment_id=experiment_id, tags=[{"key": "secret", "value": "of-the-run"}])["run"]
    run_id = run["info"]["run_id"]
    rows = {"name": "rows-of-water", "digest": "1", "source_type": "local", "source": "{}"}
    made("runs/log-inputs", run_id=run_id, datasets=[{"dataset": rows}])
    model = made("logged-models", experiment_id=experiment_id, name="forest", source_run_id=run_id)["model"]["info"]
    made("registered-models/create", name="water")
    source = f"models:/{model['model_id']}"
    made("model-versions/create", name="water", source=source, run_id=run_id, model_id=model["model_id"])
    made("registered-models/alias", name="water", alias="champion", version="1")
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/{experiment_id}/{run_id}/artifacts/card.md"
    assert server.ask(SERVICE, "PUT", artifact, data=b"the card").ok
    return Champion(experiment_id, run_id, model["model_id"], artifact)
