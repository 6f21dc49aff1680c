"""Three protocols, one model: each answers what the fitted pipeline answers."""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.serving import ROW, RunningService, clients

from waterflow.resources import Resources
from waterflow.tracking.registry import CHAMPION

NAMES = list(ROW)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Return rows as a client has them in JSON, with nulls."""
    frame = clients(40, seed=5)[NAMES].astype({"since": "str"})
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()} for row in frame.to_dict("records")
    ]


@pytest.fixture(scope="module")
def expected(served: Resources, rows: list[dict[str, Any]]) -> tuple[list[str], np.ndarray]:
    """Return labels and probabilities of the registered pipeline for the same rows."""
    champion = served.registry.find_alias("clients", CHAMPION)
    assert champion is not None
    pipeline = served.models.load_model(champion.model_id, "clients")
    frame = pd.DataFrame(rows).astype({"age": "float64", "since": "datetime64[us]"})
    return pipeline.predict(frame).tolist(), pipeline.predict_proba(frame)


def test_records_are_answered_with_the_decision_of_the_model(
    service: RunningService, rows: list[dict[str, Any]], expected: tuple[list[str], np.ndarray]
) -> None:
    """An answer has version, ledger row, threshold, and per row an id, label and probabilities by class."""
    answer = service.predict(*rows).json()
    assert (answer["pipeline"], answer["version"], answer["sequence"]) == ("clients", 1, 1)
    assert answer["decision"] == {"positive": "yes", "threshold": 0.3}
    assert [row["prediction"] for row in answer["predictions"]] == expected[0]
    given = [[row["probabilities"]["no"], row["probabilities"]["yes"]] for row in answer["predictions"]]
    np.testing.assert_allclose(given, expected[1], atol=1e-12)
    assert any(row["prediction"] == "yes" and row["probabilities"]["yes"] < 0.5 for row in answer["predictions"])
    assert len({row["id"] for row in answer["predictions"]}) == len(rows)


def test_columns_are_answered_like_records(
    service: RunningService, rows: list[dict[str, Any]], expected: tuple[list[str], np.ndarray]
) -> None:
    """A list a column is the same request."""
    columns = {name: [row[name] for row in rows] for name in NAMES}
    answer = service.ask("POST", "/v1/models/clients/predict", json={"columns": columns, "keys": ["k"] * len(rows)})
    assert [row["prediction"] for row in answer.json()["predictions"]] == expected[0]


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs", "inputs of lists"])
def test_forms_of_mlflow_are_answered_in_its_form(
    service: RunningService, rows: list[dict[str, Any]], expected: tuple[list[str], np.ndarray], form: str
) -> None:
    """A client of `mlflow models serve` posts what it always did, and reads `predictions`."""
    bodies: dict[str, Any] = {
        "dataframe_split": {"columns": NAMES, "data": [list(row.values()) for row in rows], "index": [0]},
        "dataframe_records": rows,
        "instances": rows,
        "inputs": {name: [row[name] for row in rows] for name in NAMES},
        "inputs of lists": [list(row.values()) for row in rows],
    }
    body = {form.partition(" ")[0]: bodies[form], "params": {}}
    answer = service.ask("POST", "/models/clients/invocations", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == expected[0]
    assert (answer.json()["version"], answer.json()["sequence"]) == (1, 1)


def test_mlflows_own_client_reads_the_answer(service: RunningService, rows: list[dict[str, Any]]) -> None:
    """The response parses as MLflow's scoring client parses it, and /ping and /version answer as its server does."""
    from mlflow.deployments import PredictionsResponse

    answer = service.ask("POST", "/models/clients/invocations", json={"dataframe_records": rows[:3]})
    assert PredictionsResponse.from_json(answer.text).get_predictions("ndarray").shape == (3,)
    assert service.ask("GET", "/models/clients/ping").status_code == 200
    assert service.ask("GET", "/models/clients/version").text.startswith("3.")


def test_the_client_of_triton_reads_metadata_and_infers(
    service: RunningService, rows: list[dict[str, Any]], expected: tuple[list[str], np.ndarray]
) -> None:
    """The Open Inference Protocol works with another project's client, in JSON."""
    httpclient = pytest.importorskip("tritonclient.http")
    client = httpclient.InferenceServerClient(service.url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("clients")
    metadata = client.get_model_metadata("clients")
    assert {entry["name"]: entry["datatype"] for entry in metadata["inputs"]} == {
        "age": "FP64",
        "visits": "FP64",
        "member": "BOOL",
        "city": "BYTES",
        "since": "BYTES",
    }
    known = [row for row in rows if row["city"] is not None][:8]
    kinds = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}
    inputs = []
    for entry in metadata["inputs"]:
        tensor = httpclient.InferInput(entry["name"], [len(known)], entry["datatype"])
        values = [row[entry["name"]] for row in known]
        array = np.array(values, dtype=kinds[entry["datatype"]])
        inputs.append(tensor.set_data_from_numpy(array, binary_data=False))
    outputs = [httpclient.InferRequestedOutput(name, binary_data=False) for name in ("prediction", "probabilities")]
    answer = client.infer("clients", inputs, outputs=outputs, request_id="mine")
    places = [rows.index(row) for row in known]
    assert answer.as_numpy("prediction").tolist() == [expected[0][place] for place in places]
    np.testing.assert_allclose(answer.as_numpy("probabilities"), expected[1][places], atol=1e-12)
    assert answer.get_response()["model_version"] == "1"
    assert answer.get_response()["id"] == "mine"
    client.close()


def test_a_breach_of_the_contract_names_row_column_value_and_rule(service: RunningService) -> None:
    """A request is refused as a whole, and says what would be valid."""
    answer = service.predict(ROW, {**ROW, "age": 130, "city": "Rom"})
    assert answer.status_code == 422
    breaks = answer.json()["error"]["breaks"]
    assert breaks == [
        {"row": 1, "column": "age", "value": "130", "valid": "number from 0 to 120, or null"},
        {"row": 1, "column": "city", "value": "'Rom'", "valid": "one of 'Bern', 'Basel', 'Genf', or null"},
    ]


def test_columns_that_the_model_does_not_take_are_named(service: RunningService) -> None:
    """They are answered, for clients send more than a model needs, and a typing error is seen."""
    assert service.predict({**ROW, "shoe_size": 43}).json()["warnings"] == ["not used: 'shoe_size'"]


def test_a_pipeline_without_a_champion_is_409_and_an_unknown_one_404(service: RunningService) -> None:
    """Each says what to do or what is valid."""
    missing, unknown = service.predict(pipeline="flowers"), service.predict(pipeline="flower")
    assert missing.status_code == 409
    assert "no version was promoted yet" in missing.json()["error"]["message"]
    assert unknown.status_code == 404
    assert unknown.json()["error"]["message"] == "pipeline: 'flower' is not served here; valid: clients, flowers"


def test_the_list_of_models_counts_what_all_workers_answered(service: RunningService) -> None:
    """Requests and refusals of both workers are in the list."""
    time.sleep(1.5)  # workers report each second
    before = service.model()
    for _ in range(10):
        service.predict()
    service.predict({**ROW, "age": "old"})
    service.wait_until(lambda: service.model()["requests"] >= before["requests"] + 11)
    service.wait_until(lambda: service.model()["refused"] >= before["refused"] + 1)
    after = service.model()
    assert after["failed"] == 0
    assert after["workers"] == 2
    assert after["p95_ms"] > 0


def test_the_openapi_description_has_the_columns_and_an_example_that_is_answered(service: RunningService) -> None:
    """It is generated from signature and contract, and its example is a real row."""
    described = service.ask("GET", "/openapi.json").json()
    columns = described["components"]["schemas"]["clients"]["properties"]
    assert columns["age"] | {"description": ""} == {
        "type": ["number", "null"],
        "description": "",
        "minimum": 0,
        "maximum": 120,
    }
    assert columns["since"]["format"] == "date-time"
    content = described["paths"]["/v1/models/clients/predict"]["post"]["requestBody"]["content"]
    example = content["application/json"]["example"]
    assert service.ask("POST", "/v1/models/clients/predict", json=example).status_code == 200


def test_pages_load_nothing_from_elsewhere_and_escape_what_they_show(service: RunningService) -> None:
    """They have a policy that forbids scripts, and show each pipeline's own columns."""
    models, docs = service.ask("GET", "/"), service.ask("GET", "/docs")
    for page in (models, docs):
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "<script" not in page.text
        assert "//" not in page.text.replace(service.url, "")
    assert "version 1" in models.text
    assert "number from 0 to 120, or null" in docs.text
    assert service.ask("GET", "/style.css").headers["Content-Type"].startswith("text/css")
