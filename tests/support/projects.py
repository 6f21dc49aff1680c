"""Small projects for tests: a `conf/` with the checkout's own groups, pipelines written from Python, real rows."""

import hashlib
import json
import random
import shutil
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig
from waterflow.datasets.loaders import iris
from waterflow.records.run import Origin, RunRequest, Window
from waterflow.resources import Resources

CHECKOUT = Path(__file__).resolve().parents[2]

FLOWERS: dict[str, Any] = {
    "defaults": [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb", "logistic_regression"]}],
    "description": "Which iris is this?",
    "dataset": {"kind": "csv", "path": "data/flowers.csv"},
    "target": "species",
    "task": "classification",
    "split": {"kind": "stratified", "seed": 3},
    "metrics": {"main": "f1_macro", "show": ["accuracy", "log_loss"]},
    "tuning": {"trials": 0},
    "gate": {"metric": "accuracy", "at_least": 0.6},
}


def make_project(folder: Path, *, home: Path | None = None) -> Project:
    """Make a project with the checkout's models, strategies and profiles, and `conf/pipeline/flowers.yaml`."""
    root = folder / "project"
    for group in ("model", "profile", "scenario", "strategy"):
        shutil.copytree(CHECKOUT / "conf" / group, root / "conf" / group)
    shutil.copy(CHECKOUT / "conf" / "config.yaml", root / "conf")
    shutil.copy(CHECKOUT / "requirements.lock", root)
    (root / "conf" / "pipeline").mkdir()
    (root / "data").mkdir()
    project = Project(conf=root / "conf", home=home or folder / "home")
    write_rows(project, iris())
    write_pipeline(project, "flowers")
    return project


def copy_database(project: Project, template: Path) -> None:
    """Copy the ready-made MLflow database into a project's home."""
    project.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, project.home / "mlflow.db")


def write_rows(project: Project, frame: pd.DataFrame, name: str = "flowers.csv") -> Path:
    """Write rows below `data/`, as CSV."""
    path = project.root / "data" / name
    frame.to_csv(path, index=False)
    return path


def write_pipeline(project: Project, name: str, base: Mapping[str, Any] = FLOWERS, **changes: Any) -> Path:
    """Write a pipeline's YAML: `base` with some of its keys replaced; a key set to None is left out."""
    content = {key: value for key, value in {**base, **changes}.items() if value is not None}
    path = project.conf / "pipeline" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return path


def candidates(**named: str | dict[str, Any]) -> dict[str, Any]:
    """Return the two keys of a pipeline that lists its estimators itself: `nb="sklearn.naive_bayes.GaussianNB"`."""
    listed = {name: {"estimator": given} if isinstance(given, str) else given for name, given in named.items()}
    return {"defaults": [{"/strategy": "balanced"}], "candidates": listed}


def name_of(test: str) -> str:
    """Return a pipeline's name for a test: the same in every process, unlike Python's own `hash`."""
    return f"p{hashlib.sha256(test.encode()).hexdigest()[:12]}"


def config_of(**changes: Any) -> PipelineConfig:
    """Build a validated configuration without any YAML."""
    content: dict[str, Any] = {
        "name": "flowers",
        "dataset": FLOWERS["dataset"],
        "target": "species",
        "task": "classification",
        "candidates": {"nb": {"estimator": "sklearn.naive_bayes.GaussianNB"}},
        "strategy": {"name": "balanced", "select_on": "validation", "validation_fraction": 0.2, "promotable": True},
        "metrics": {"main": "accuracy"},
    }
    return PipelineConfig.model_validate({**content, **changes})


def request_of(pipeline: str = "flowers", run_id: str = "run_1", **changes: Any) -> RunRequest:
    """Ask for a run the way the command line does."""
    window = changes.pop("window", Window(end=None))
    return RunRequest(pipeline=pipeline, origin=Origin(runner="cli", run_id=run_id), window=window, **changes)


def predict_elsewhere(uri: str, model: str, rows: pd.DataFrame, folder: Path) -> list[Any]:
    """Let MLflow load a champion where Waterflow is not installed, and predict raw columns; returns its answer."""
    rows.to_json(folder / "rows.json", orient="records")
    venv.EnvBuilder(symlinks=True).create(folder / "elsewhere")
    # A plain line is a path: the links to this checkout among the packages are not followed.
    (packages,) = (folder / "elsewhere" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    program = (
        "import importlib.util, json, sys\n"
        "assert importlib.util.find_spec('waterflow') is None\n"
        "import mlflow, pandas as pd\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model(f'models:/{sys.argv[2]}@champion')\n"
        "rows = pd.DataFrame(json.load(open(sys.argv[3])))\n"
        "print(json.dumps(model.predict(rows).tolist()))\n"
    )
    command = [
        str(folder / "elsewhere" / "bin" / "python"),
        "-I",
        "-W",
        "ignore",
        "-c",
        program,
        uri,
        model,
        str(folder / "rows.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def free_ports(count: int) -> list[int]:
    """Find ports on which nothing listens, no two alike.

    They lie below the range from which the kernel takes the ports of outgoing connections (32768 and up), for else
    one of those may take a port between the moment that it is found and the moment that a server binds it.
    """
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            candidate = held.enter_context(closing(socket.socket()))
            try:
                candidate.bind(("127.0.0.1", random.randint(15000, 32000)))  # noqa: S311  # nothing to keep secret
            except OSError:
                continue
            found.append(int(candidate.getsockname()[1]))
        return found


def free_port() -> int:
    """Find a port on which nothing listens."""
    return free_ports(1)[0]


def wait_for(url: str, process: subprocess.Popen[bytes], timeout_seconds: float = 120) -> None:
    """Wait until a server that a fixture started answers; fails when its process ends or time runs out."""
    limit = time.monotonic() + timeout_seconds
    while time.monotonic() < limit:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # http on 127.0.0.1
                return
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
                return
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer after {timeout_seconds} s")


def stop(process: subprocess.Popen[bytes], grace_seconds: float = 20) -> None:
    """End a server that a fixture started, and wait for it."""
    process.terminate()
    try:
        process.wait(timeout=grace_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def message_of(call: Callable[[], object], kind: type[Exception]) -> str:
    """Return the message of the error that a call raises, held to one line."""
    try:
        call()
    except kind as error:
        message = str(error)
        assert "\n" not in message, f"more than one line: {message}"
        assert message
        return message
    raise AssertionError(f"no {kind.__name__} was raised")


def left_behind(resources: Resources) -> list[str]:
    """List what a failed run must not leave: versions of models, with their aliases, and runs that still run."""
    client = resources.runs.client
    versions = [f"{entry.name} version {entry.version}" for entry in client.search_model_versions()]
    experiments = [entry.experiment_id for entry in client.search_experiments()]
    running = client.search_runs(experiments, "attributes.status = 'RUNNING'")
    return versions + [f"run {run.info.run_name}" for run in running]
