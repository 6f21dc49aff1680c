"""A pickle in MLflow runs in no container, even if the account that put it there may change everything in MLflow."""

import pickle
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from support.compose import Stack

from waterflow.provenance.hashing import digest_of, sha256_of

pytestmark = pytest.mark.stack

MARK = "/var/lib/waterflow/strange"  # on the volume that the scheduler and cli share


class Mine:
    """An object whose pickle leaves a mark where it is loaded."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[list[str]]]:
        """Touch the mark in place of being restored."""
        return subprocess.call, (["touch", MARK],)


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[MlflowClient]:
    """MLflow with all rights, as whoever found the admin's password has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", stack.secret("mlflow_admin_password"))
        yield MlflowClient(stack.mlflow_url)


@pytest.fixture(scope="module")
def strange(stack: Stack, iris_run: str, client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the version of a strange model under the name `iris`, on which the alias champion is."""
    honest = client.get_model_version_by_alias("iris", "champion")
    before = client.get_logged_model(honest.source.removeprefix("models:/"))
    folder = tmp_path_factory.mktemp("strange")
    (folder / "model.pkl").write_bytes(pickle.dumps(Mine()))
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n"
        "  sklearn:\n    pickled_model: model.pkl\n    serialization_format: cloudpickle\n"
    )
    digests = {path.name: sha256_of(path) for path in Path(folder).iterdir()}
    own = {"waterflow.sha256": digests["model.pkl"], "waterflow.files_sha256": digest_of(digests)}
    model = client.create_logged_model(
        before.experiment_id, name="mine", source_run_id=before.source_run_id, tags={**before.tags, **own}
    )
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    tags = {**honest.tags, "waterflow.model_id": model.model_id, "waterflow.selected_model_id": model.model_id}
    made = client.create_model_version("iris", f"models:/{model.model_id}", tags=tags, model_id=model.model_id)
    client.set_registered_model_alias("iris", "champion", made.version)
    return str(made.version)


def is_marked(stack: Stack) -> bool:
    """Whether the pickle was loaded anywhere."""
    return "strange" in stack.inside("airflow-scheduler", "ls", "/var/lib/waterflow")


def cli(stack: Stack, *words: str) -> subprocess.CompletedProcess:
    """Run a command in `cli`."""
    return stack.compose("run", "--rm", "-T", "cli", "waterflow", *words, check=False)


@pytest.mark.parametrize("words", [("reproduce", "iris@{}"), ("lineage", "iris@{}"), ("audit", "iris")])
def test_commands_load_no_strange_model(stack: Stack, strange: str, words: tuple[str, ...]) -> None:
    """They say what is not vouched for, and end with 1."""
    done = cli(stack, *(word.format(strange) for word in words))
    assert not is_marked(stack)
    assert done.returncode == 1
    assert "vouches" in done.stdout + done.stderr  # a table may break the line
    assert "Traceback" not in done.stderr


def test_a_run_beside_a_strange_champion_succeeds(stack: Stack, strange: str) -> None:
    """It is compared with the ledger's champion, to which the alias goes back."""
    run_id = stack.trigger("train_iris", {"force": True})
    assert stack.wait("train_iris", run_id) == "success"
    assert not is_marked(stack)
    assert stack.aliases()["champion"] != strange
    parent, *_ = stack.runs(run_id)
    assert parent["tags"].get("waterflow.verdict")


def test_another_pipeline_is_not_concerned(stack: Stack, strange: str) -> None:
    """It trains, and its champion counts."""
    run_id = stack.trigger("train_water", {"strategy": "quick"})
    assert stack.wait("train_water", run_id, timeout_seconds=600) == "success"


def test_the_private_key_is_where_steps_run_alone(stack: Stack) -> None:
    """No other container has its volume."""
    having = {
        entry["Config"]["Labels"]["com.docker.compose.service"]
        for entry in stack.containers()
        if any(mount.get("Name") == f"{stack.project}_secrets-signing" for mount in entry["Mounts"])
    }
    assert having <= {"airflow-scheduler", "cli", "secrets"}
    assert "airflow-scheduler" in having
    assert stack.inside("airflow-scheduler", "stat", "-c", "%a %u", "/run/signing/signing_key").split() == [
        "400",
        "50000",
    ]


def test_a_rotated_key_leaves_what_was_signed_valid(stack: Stack, iris_run: str) -> None:
    """Who has public keys alone is given the old one and the new one."""
    before = cli(stack, "keys", "show", "--public").stdout.strip()
    program = ("run", "--rm", "--no-deps", "-T", "secrets", "python3", "-I", "/opt/secrets/signing_keys.py", "rotate")
    assert "signs from now on" in stack.compose(*program).stdout
    after = cli(stack, "keys", "show", "--public").stdout.strip().split(",")
    assert before in after
    assert len(after) == len(before.split(",")) + 1
    assert cli(stack, "lineage", "iris@1").returncode == 0
