import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from support.projects import (
    candidates,
    copy_database,
    make_project,
    message_of,
    predict_elsewhere,
    request_of,
    write_pipeline,
)

from waterflow import workflow
from waterflow.datasets.loaders import iris
from waterflow.errors import StoreError, TrackingError, WaterflowError
from waterflow.records.promotion import Registered
from waterflow.resources import Resources
from waterflow.tracking import registry

Run = tuple[Resources, Registered]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Run:
    """Run `flowers` once."""
    project = make_project(tmp_path_factory.mktemp("models"))
    copy_database(project, tracking_template)
    resources = workflow.open_resources(project)
    return resources, workflow.run_all(request_of(), resources)


def folder_of(resources: Resources, model_id: str) -> Path:
    """Find the folder that a logged model lies in."""
    return Path(resources.runs.client.get_logged_model(model_id).artifact_location.removeprefix("file://"))


def test_a_model_that_was_logged_predicts_raw_columns(run: Run) -> None:
    """Preprocessing is part of it."""
    resources, registered = run
    model = resources.models.load_model(registered.evaluated.winner.model_id, registered.model)
    assert (model.predict(iris().drop(columns="species")) == iris()["species"]).mean() > 0.9


def test_a_model_lies_in_the_experiment_of_its_run(run: Run) -> None:
    """The MLflow UI shows it beside its run, not in Default."""
    resources, registered = run
    for entry in registered.evaluated.ranked:
        model = resources.runs.client.get_logged_model(entry.model_id)
        assert (model.experiment_id, model.source_run_id) == (registered.experiment_id, entry.run_id)
        assert str(model.status) == "READY"


def test_a_model_has_signature_and_example(run: Run) -> None:
    """Both are of the raw columns."""
    resources, registered = run
    folder = folder_of(resources, registered.evaluated.winner.model_id)
    signature: ModelSignature | None = mlflow.models.Model.load(str(folder)).signature
    assert signature is not None
    assert signature.inputs.input_names() == [name for name in iris().columns if name != "species"]
    assert (folder / "input_example.json").is_file()


def test_requirements_are_those_of_the_lock(run: Run) -> None:
    """Nothing is inferred: each line pins what the lock pins."""
    resources, registered = run
    lines = (folder_of(resources, registered.evaluated.winner.model_id) / "requirements.txt").read_text().split()
    lock = resources.project.lock_file.read_text()
    assert {line.partition("==")[0] for line in lines} >= {"mlflow", "scikit-learn", "pandas", "numpy", "cloudpickle"}
    assert all(f"\n{line} " in lock for line in lines)


def test_a_registered_model_predicts_in_a_fresh_process(run: Run, tmp_path: Path) -> None:
    """MLflow alone loads the champion by its alias; nothing of Waterflow is needed."""
    resources, registered = run
    rows = iris().drop(columns="species").iloc[[0, 149]]
    assert predict_elsewhere(resources.runs.uri, registered.model, rows, tmp_path) == ["setosa", "virginica"]


def test_a_model_of_the_users_own_class_predicts_elsewhere(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its module is in the model, by value, and is not needed there."""
    resources, _ = run
    (tmp_path / "own_estimators.py").write_text(
        "from sklearn.naive_bayes import GaussianNB\n\n\nclass Mine(GaussianNB):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    write_pipeline(resources.project, "own", **candidates(mine="own_estimators.Mine"))
    made = workflow.run_all(request_of("own"), resources)
    assert made.version == 1
    (tmp_path / "own_estimators.py").unlink()
    (tmp_path / "elsewhere").mkdir()
    rows = iris().drop(columns="species").iloc[[0, 149]]
    assert predict_elsewhere(resources.runs.uri, "own", rows, tmp_path / "elsewhere") == ["setosa", "virginica"]


def test_a_category_that_training_never_saw_can_be_predicted(run: Run) -> None:
    """Numbers far out of range are no reason to fail either."""
    resources, registered = run
    model = resources.models.load_model(registered.evaluated.winner.model_id, registered.model)
    strange = pd.DataFrame([[1000.0, 0.0, -5.0, 0.0]], columns=[n for n in iris().columns if n != "species"])
    assert model.predict(strange)[0] in {"setosa", "versicolor", "virginica"}


def test_a_model_that_was_altered_is_not_loaded(run: Run) -> None:
    """A pickle runs code, so its bytes are compared with their signed digest first."""
    resources, registered = run
    model_id = registered.evaluated.ranked[1].model_id
    path = folder_of(resources, model_id) / "model.pkl"
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    message = message_of(lambda: resources.models.load_model(model_id, registered.model), StoreError)
    path.write_bytes(before)
    assert model_id in message
    assert "altered" in message


def test_bytecode_beside_a_model_is_neither_an_alteration_nor_fetched(run: Run, tmp_path: Path) -> None:
    """Python writes it where MLflow loads a model in place, and nobody vouches for it."""
    resources, registered = run
    model_id = registered.evaluated.ranked[1].model_id
    bytecode = folder_of(resources, model_id) / "code" / "__pycache__"
    bytecode.mkdir(parents=True)
    (bytecode / "text_model.cpython-311.pyc").write_bytes(b"anything")
    resources.models.verify(model_id, registered.model)
    fetched = resources.models.fetch_model(model_id, registered.model, tmp_path)
    assert not list(fetched.rglob("__pycache__"))
    shutil.rmtree(bytecode.parent)


def test_a_model_whose_description_is_spoilt_is_an_error_of_ours(run: Run) -> None:
    """MLflow reads it before it reads the pipeline."""
    resources, registered = run
    model_id = registered.evaluated.ranked[1].model_id
    path = folder_of(resources, model_id) / "MLmodel"
    before = path.read_bytes()
    path.write_text("flavors: {}\n")
    message = message_of(lambda: resources.models.load_model(model_id, registered.model), WaterflowError)
    path.write_bytes(before)
    assert len(message.splitlines()) == 1


def test_a_model_whose_files_are_gone_is_named(run: Run, tmp_path: Path) -> None:
    """The message has the model's id."""
    resources, registered = run
    model_id = registered.evaluated.ranked[1].model_id
    folder = folder_of(resources, model_id)
    moved = folder.rename(tmp_path / "moved")
    message = message_of(lambda: resources.models.load_model(model_id, registered.model), StoreError)
    moved.rename(folder)
    assert model_id in message


def test_an_alias_that_nobody_has_is_none(run: Run) -> None:
    """Neither an unknown alias nor an unknown model is an error."""
    resources, registered = run
    assert resources.registry.find_alias(registered.model, "shadow") is None
    assert resources.registry.find_alias("roses", "champion") is None


def test_an_alias_moves_to_another_version(run: Run) -> None:
    """It points to one version at a time."""
    resources, registered = run
    second = registered.evaluated.ranked[1]
    version = resources.registry.register("moving", registered.evaluated.winner.model_id, "r1", "first", {})
    other = resources.registry.register("moving", second.model_id, second.run_id, "second", {})
    for target in (version, other):
        resources.registry.set_alias("moving", "champion", target)
    assert [(entry.version, entry.aliases) for entry in resources.registry.list_versions("moving")] == [
        (2, ("champion",)),
        (1, ()),
    ]


def test_a_model_without_versions_is_named(run: Run) -> None:
    """The message says what would make one."""
    resources, _ = run
    message = message_of(lambda: resources.registry.list_versions("roses"), TrackingError)
    assert "'roses' has no version yet; `waterflow run roses`" in message


def test_every_page_of_the_registry_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is found however many others there are, and so is each of its versions."""
    monkeypatch.setattr(registry, "MAX_PAGE", 2)
    resources, registered = run
    winner = registered.evaluated.winner
    others = [f"page_{number}" for number in range(4)]
    for name in others:
        resources.registry.register(name, winner.model_id, winner.run_id, "", {})
    for number in range(2):
        resources.registry.register(others[0], winner.model_id, f"r{number}", "", {})
    assert set(resources.registry.list_models()) >= {registered.model, *others}
    assert [entry.version for entry in resources.registry.list_versions(others[0])] == [3, 2, 1]
    assert {entry.model for entry in resources.registry.list_all_versions()} >= {registered.model, *others}
