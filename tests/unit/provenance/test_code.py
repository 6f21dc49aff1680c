from pathlib import Path
from typing import Any

import pytest
from support.projects import config_of

from waterflow.provenance.code import trace_estimator, trace_imports


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write a little package: `step` imports `near` and pandas at its top, and `far.inner` inside a function."""
    files = {
        "__init__": "",
        "step": "import ours.near, pandas\n\n\ndef run():\n    from ours.far import inner\n    return inner.VALUE\n",
        "near": "from pathlib import Path\nVALUE = 1\n",
        "far/__init__": "",
        "far/inner": "VALUE = 1\n",
        "stranger": "VALUE = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "ours" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_followed_into_functions_and_packages(tree: Path) -> None:
    """A module that is imported late decides as much as one that is imported early, and so do its packages."""
    closure = trace_imports(["ours.step"], [tree])
    assert sorted(closure.files) == ["ours", "ours.far", "ours.far.inner", "ours.near", "ours.step"]
    assert closure.packages == {"pandas"}


@pytest.mark.parametrize("name", ["step", "near", "far/inner", "far/__init__", "__init__"])
def test_the_digests_change_with_each_module_that_is_reached(tree: Path, name: str) -> None:
    """An edit of a helper, or of the package around it, is an edit of the step."""
    before = trace_imports(["ours.step"], [tree]).digests()
    path = tree / "ours" / f"{name}.py"
    path.write_text(path.read_text() + "\nVALUE = 2\n")
    assert trace_imports(["ours.step"], [tree]).digests() != before


def test_the_digests_stay_when_another_module_changes(tree: Path) -> None:
    """An edit elsewhere computes nothing again."""
    before = trace_imports(["ours.step"], [tree]).digests()
    (tree / "ours" / "stranger.py").write_text("VALUE = 2\n")
    assert trace_imports(["ours.step"], [tree]).digests() == before


@pytest.mark.parametrize("module", ["waterflow.training.fitting", "waterflow.scoring.metrics"])
def test_fitting_reaches_neither_tracking_nor_plots(module: str) -> None:
    """An edit of a picture fits nothing again."""
    reached = trace_imports([module]).files
    assert not [name for name in reached if "tracking" in name or "plots" in name or "steps" in name]
    assert "waterflow.config.schema" in reached or module.endswith("metrics")


def test_a_module_of_the_users_own_has_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of one's own estimator is seen; installed ones count as packages."""
    path = tmp_path / "own_estimator_code.py"
    path.write_text("class Mine: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = trace_estimator("own_estimator_code.Mine").digests()
    path.write_text("class Mine: pass\n")
    assert before
    assert trace_estimator("own_estimator_code.Mine").digests() != before
    assert trace_estimator("sklearn.svm.SVC") == trace_imports(["sklearn"])
    assert trace_estimator("sklearn.svm.SVC").packages == {"sklearn"}


def test_an_own_module_under_another_root_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that lies on another entry of the path is imported like one beside the estimator."""
    for name in ("models", "helpers"):
        (tmp_path / name).mkdir()
        monkeypatch.syspath_prepend(tmp_path / name)
    (tmp_path / "models" / "own_rooted.py").write_text("import own_helper\n\n\nclass Mine: ...\n")
    helper = tmp_path / "helpers" / "own_helper.py"
    helper.write_text("FACTOR = 1\n")
    before = trace_estimator("own_rooted.Mine").digests()
    helper.write_text("FACTOR = 2\n")
    assert trace_estimator("own_rooted.Mine").digests() != before


@pytest.mark.parametrize(
    "changes",
    [
        {"description": "Other words"},
        {"owner": "someone"},
        {"tags": ["x"]},
        {"schedule": {"cron": "@daily", "start": "2026-01-01"}},
        {"gate": {"metric": "accuracy", "at_least": 0.9}},
        {"metrics": {"main": "f1_macro"}},
        {
            "candidates": {
                "nb": {"estimator": "sklearn.naive_bayes.GaussianNB"},
                "svc": {"estimator": "sklearn.svm.SVC"},
            }
        },
    ],
)
def test_settings_that_decide_no_fit_leave_its_section_alone(changes: dict[str, Any]) -> None:
    """Words, schedule, promotion and other candidates fit nothing again."""
    assert config_of(**changes).train_section("nb") == config_of().train_section("nb")


@pytest.mark.parametrize(
    "changes",
    [
        {"candidates": {"nb": {"estimator": "sklearn.naive_bayes.GaussianNB", "params": {"var_smoothing": 0.1}}}},
        {"candidates": {"nb": {"estimator": "sklearn.naive_bayes.BernoulliNB"}}},
        {"seed": 3},
        {"features": ["petal_width_cm"]},
        {"drop": ["petal_width_cm"]},
        {"preprocessing": [{"select": {"type": "numeric"}}]},
        {"strategy": {"name": "quick", "select_on": "test", "promotable": False}},
    ],
)
def test_settings_that_decide_a_fit_change_its_section(changes: dict[str, Any]) -> None:
    """Parameters, seed, columns, preprocessing and what selection looks at are what a fit is made from."""
    assert config_of(**changes).train_section("nb") != config_of().train_section("nb")


def test_a_module_of_the_user_counts_with_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of a helper that the user's estimator module imports, relatively here, changes the digest."""
    package = tmp_path / "ours_imported"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text("from . import helper\n\n\nclass Model:\n    factor = helper.FACTOR\n")
    (package / "helper.py").write_text("FACTOR = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = trace_estimator("ours_imported.models.Model").digests()
    (package / "helper.py").write_text("FACTOR = 2\n")
    assert trace_estimator("ours_imported.models.Model").digests() != before
