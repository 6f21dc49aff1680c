"""What a service answers is on record, whatever happens to its workers; outcomes are posted to it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.serving import ROW, RunningService, kill, running_service, write_clients

from waterflow.resources import Resources
from waterflow.serving.prediction_log.reading import read_predictions

TOKENS = {"predict": "p" * 32, "outcomes": "o" * 32}
FEATURES = ["age", "visits"]


def recorded(resources: Resources) -> Any:
    """Read what was answered in the last hour."""
    now = datetime.now(UTC)
    index, store = resources.prediction_index, resources.store
    return read_predictions("clients", now - timedelta(hours=1), now + timedelta(minutes=1), index=index, store=store)


def bearer(right: str) -> dict[str, str]:
    """Return the header of a token."""
    return {"Authorization": f"Bearer {TOKENS[right]}"}


@pytest.fixture(scope="module")
def logging_two_columns(served: Resources) -> Resources:
    """Let the pipeline record two of its columns."""
    write_clients(served.project, serving={"log": {"columns": FEATURES, "keep_days": 7}})
    return served


def test_answers_are_on_record_though_a_worker_is_killed(logging_two_columns: Resources) -> None:
    """Each of 60 rows, with its key and what may be kept; of two workers one was killed on the way."""
    answers: list[dict[str, Any]] = []
    with running_service(logging_two_columns.project, "--workers", "2") as service:
        service.wait_until(lambda: service.model()["version"] == 1)
        for number in range(20):
            body = {
                "records": [ROW, {**ROW, "visits": number}, {**ROW, "city": None}],
                "keys": [f"c{number}", None, None],
            }
            done = service.ask("POST", "/v1/models/clients/predict", json=body)
            assert done.status_code == 200, done.text
            answers += done.json()["predictions"]
            if number == 10:
                time.sleep(0.3)
                kill(service.workers()[1])
    rows = recorded(logging_two_columns)
    assert set(rows["id"]) == {entry["id"] for entry in answers}
    assert len(rows) == 60
    assert [name for name in rows if name.startswith("feature.")] == [f"feature.{name}" for name in FEATURES]
    by_id = rows.set_index("id")
    for entry in answers:
        assert by_id.loc[entry["id"], "prediction"] == entry["prediction"]
        assert by_id.loc[entry["id"], "probability.yes"] == entry["probabilities"]["yes"]
    assert rows["key"].dropna().tolist() == [f"c{number}" for number in range(20)]
    assert (rows[["version", "sequence", "arm"]] == [1, 1, "champion"]).all(axis=None)
    assert sum(totals.lost for totals in logging_two_columns.prediction_index.list_workers()) == 0


@pytest.fixture(scope="module")
def guarded(logging_two_columns: Resources, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Start a service that wants tokens."""
    tokens: Path = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text("".join(f"{right} {token}\n" for right, token in TOKENS.items()))
    with running_service(logging_two_columns.project, "--tokens", str(tokens)) as service:
        predict = {"headers": bearer("predict"), "json": {"records": [ROW]}}
        service.wait_until(lambda: service.ask("POST", "/v1/models/clients/predict", **predict).ok)
        yield service


def post(service: RunningService, content: Any, right: str = "outcomes", pipeline: str = "clients") -> Any:
    """Post outcomes."""
    return service.ask("POST", f"/v1/models/{pipeline}/outcomes", json=content, headers=bearer(right))


def test_outcomes_are_posted_and_joined(guarded: RunningService, logging_two_columns: Resources) -> None:
    """By the id of the answer; again changes nothing; a contradiction is named and the rest recorded."""
    predict = {"headers": bearer("predict"), "json": {"records": [ROW, ROW]}}
    first, second = guarded.ask("POST", "/v1/models/clients/predict", **predict).json()["predictions"]
    told = post(guarded, {"outcomes": [{"id": first["id"], "outcome": "yes"}]})
    assert (told.status_code, told.json()) == (200, {"recorded": 1, "repeated": 0, "refused": []})
    both = [{"id": first["id"], "outcome": "no"}, {"id": second["id"], "outcome": "no"}]
    told = post(guarded, {"outcomes": both}).json()
    assert told["recorded"] == 1
    assert "contradicts" in told["refused"][0]["reason"]
    since, today = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC).date()
    known = logging_two_columns.prediction_index.find_outcomes("clients", since, today)
    assert {entry.prediction_id: entry.outcome for entry in known} == {first["id"]: '"yes"', second["id"]: '"no"'}
    assert {entry.keep_until for entry in known} == {today + timedelta(days=7)}


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ([], 422),
        ({"outcomes": [1]}, 422),
        ({"outcomes": [{"id": "x"}]}, 422),
        ({"outcomes": [{"id": "x", "outcome": 1, "known_at": "soon"}]}, 422),
        ({"outcomes": [{"key": 5, "outcome": 1}]}, 422),
        ({"outcomes": [], "more": 1}, 422),
        ({"outcomes": [{"id": "x", "outcome": 1}] * 10_001}, 413),
    ],
)
def test_bodies_of_another_form_are_refused(guarded: RunningService, content: Any, status: int) -> None:
    """With what is valid, and never as an error of the service."""
    assert post(guarded, content).status_code == status


def test_the_token_that_predicts_posts_no_outcomes(guarded: RunningService) -> None:
    """Nor does anybody post outcomes of a pipeline that is not served."""
    outcome = {"outcomes": [{"key": "c", "outcome": 1}]}
    assert post(guarded, outcome, "predict").status_code == 403
    assert guarded.ask("POST", "/v1/models/clients/outcomes", json=outcome).status_code == 401
    assert post(guarded, outcome, pipeline="roses").status_code == 404
