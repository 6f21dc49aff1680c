"""A champion in a notebook, and where nothing of Waterflow is installed."""

from pathlib import Path

import numpy as np
import pytest
from support.projects import message_of, predict_elsewhere
from support.serving import clients, train_champion, write_clients

import waterflow
from waterflow.config.project import Project
from waterflow.errors import ConfigError, DataError
from waterflow.resources import Resources
from waterflow.tracking.registry import CHAMPION


@pytest.fixture
def project(served: Resources, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Work in the project's folder."""
    monkeypatch.chdir(served.project.root)
    monkeypatch.setenv("WATERFLOW_HOME", str(served.project.home))
    return served.project


def test_load_champion_predicts_as_the_registered_pipeline(project: Project, served: Resources) -> None:
    """By alias or number; frames, dictionaries and further columns are taken; the threshold is the model's."""
    champion = served.registry.find_alias("clients", CHAMPION)
    assert champion is not None
    pipeline = served.models.load_model(champion.model_id, "clients")
    rows = clients(30, seed=7)
    for reference in ("clients", "clients@1", "clients@champion"):
        loaded = waterflow.load_champion(reference)
        assert loaded.version == 1
        assert [column.name for column in loaded.signature] == ["age", "visits", "member", "city", "since"]
        assert loaded.predict(rows).tolist() == pipeline.predict(rows.drop(columns="buys")).tolist()
    probabilities = loaded.predict_proba(rows.astype({"since": "str"}).to_dict("records"))
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(rows.drop(columns="buys")))
    assert loaded.classes == ("no", "yes")
    assert set(loaded.predict(rows)[probabilities[:, 1] >= 0.3]) == {"yes"}


def test_what_is_missing_is_named(project: Project) -> None:
    """A column, a version, a pipeline."""
    loaded = waterflow.load_champion("clients")
    assert "'visits' missing; clients takes age, visits" in message_of(
        lambda: loaded.predict(clients(3).drop(columns="visits")), DataError
    )
    assert "MLflow has no 'clients@9'" in message_of(lambda: waterflow.load_champion("clients@9"), ConfigError)
    with pytest.raises(AttributeError, match="no attribute 'load_challenger'"):
        _ = waterflow.load_challenger


def test_a_served_version_loads_by_mlflow_alone(served: Resources, tmp_path: Path) -> None:
    """In an environment without Waterflow, `mlflow.pyfunc` predicts what the service answers."""
    write_clients(served.project, "undated", features=["age", "visits", "member", "city"])  # JSON has no times
    train_champion(served, "undated", "undated")
    champion = waterflow.load_champion("undated", tracking_uri=served.profile.tracking_uri, public_keys=_keys(served))
    rows = clients(20, seed=9).drop(columns=["buys", "since"])
    elsewhere = predict_elsewhere(served.profile.tracking_uri, "undated", rows, tmp_path)
    assert elsewhere == champion.predict(rows).tolist()


def _keys(resources: Resources) -> str:
    return ",".join(sorted(resources.keyring.public_keys))
