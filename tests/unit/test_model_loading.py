"""One function loads models: whatever else could run the code of a file is listed here."""

import ast
from collections.abc import Iterator
from pathlib import Path

import waterflow

SOURCE = Path(waterflow.__file__).parent
PICKLES = {"cloudpickle", "dill", "joblib", "pickle", "shelve", "skops", "torch"}
READERS = {"load", "loads", "load_model", "Unpickler", "read_pickle", "unpickle"}
# (module, call): `ModelStore` and `load_signed` verify the files first; the others read what their parent wrote, or are
# called by MLflow.
ALLOWED = {
    ("estimators/bert/inference.py", "cloudpickle.loads"),  # by the format of fine-tuned models
    ("estimators/served_model.py", "cloudpickle.loads"),  # by plain MLflow, and by the format of our models
    ("promotion/serving_check.py", "pickle.load"),  # the held-out rows, which its parent wrote
    ("promotion/serving_check.py", "pyfunc.load_model"),  # of files that `staging` had fetched and verified
    ("tracking/model_files.py", "pickle.load"),  # after `check_signed`
    ("tracking/model_formats.py", "mlflow.sklearn.load_model"),
}


def loading_calls() -> Iterator[tuple[str, str]]:
    """Yield each call that loads a pickle or one of MLflow's models, by module."""
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = ast.unparse(node.func)
                top, last = name.partition(".")[0], node.func.attr
                is_pickle = top in PICKLES and last in READERS
                is_mlflow = last == "load_model" and not name.startswith(("resources.models.", "ModelStore("))
                if (
                    is_pickle
                    or is_mlflow
                    or last == "read_pickle"
                    or any(k.arg == "allow_pickle" for k in node.keywords)
                ):
                    yield path.relative_to(SOURCE).as_posix(), name
            elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PICKLES | {"mlflow"}:
                for alias in node.names:
                    if alias.name in READERS:
                        yield path.relative_to(SOURCE).as_posix(), f"{node.module}.{alias.name}"


def test_nothing_else_loads_models_or_pickles() -> None:
    """A new call that runs code from files has to go through `ModelStore`, or to be argued for here."""
    assert set(loading_calls()) == ALLOWED


def test_only_what_verifies_files_calls_a_format() -> None:
    """A format loads what it is given, so nothing else may know the formats."""
    importers = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "model_formats import" in path.read_text("utf-8")
    }
    assert importers == {"tracking/model_files.py", "tracking/model_store.py"}
