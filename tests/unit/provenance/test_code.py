import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.projects import CHECKOUT, config_of

from waterflow.provenance.code import (
    SOURCE_ROOT,
    action_key,
    code_digest,
    digest_of,
    environment_digest,
    git_state,
    imported_modules,
    locked_versions,
    model_requirements,
    user_modules,
)

LOCK = CHECKOUT / "requirements.lock"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Write a little package: `step` imports `near` at its top and `far.inner` inside a function."""
    files = {
        "__init__": "",
        "step": "import waterflow.near\n\n\ndef run():\n    from waterflow.far import inner\n    return inner.VALUE\n",
        "near": "from pathlib import Path\nVALUE = 1\n",
        "far/__init__": "",
        "far/inner": "VALUE = 1\n",
        "stranger": "VALUE = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "waterflow" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_are_followed_into_functions(tree: Path) -> None:
    """A module that is imported late decides as much as one that is imported early."""
    assert imported_modules("waterflow.step", tree) == [
        "waterflow.far",
        "waterflow.far.inner",
        "waterflow.near",
        "waterflow.step",
    ]


@pytest.mark.parametrize("name", ["step", "near", "far/inner"])
def test_the_code_digest_changes_with_each_module_it_reaches(tree: Path, name: str) -> None:
    """An edit of a helper is an edit of the step."""
    before = code_digest("waterflow.step", tree)
    path = tree / "waterflow" / f"{name}.py"
    path.write_text(path.read_text() + "\nVALUE = 2\n")
    assert code_digest("waterflow.step", tree) != before


def test_the_code_digest_stays_when_another_module_changes(tree: Path) -> None:
    """An edit elsewhere computes nothing again."""
    before = code_digest("waterflow.step", tree)
    (tree / "waterflow" / "stranger.py").write_text("VALUE = 2\n")
    assert code_digest("waterflow.step", tree) == before


@pytest.mark.parametrize("module", ["waterflow.training.fitting", "waterflow.scoring.metrics"])
def test_fitting_reaches_neither_tracking_nor_plots(module: str) -> None:
    """An edit of a picture fits nothing again."""
    reached = imported_modules(module, SOURCE_ROOT)
    assert not [name for name in reached if "tracking" in name or "plots" in name or "steps" in name]
    assert "waterflow.config.schema" in reached or module.endswith("metrics")


def test_a_module_of_the_users_own_has_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of one's own estimator is seen; the lock file answers for installed ones."""
    path = tmp_path / "own_estimator_code.py"
    path.write_text("class Mine: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = user_modules("own_estimator_code.Mine")
    path.write_text("class Mine: pass\n")
    assert before
    assert user_modules("own_estimator_code.Mine") != before
    assert user_modules("sklearn.svm.SVC") == {}


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


@pytest.mark.parametrize(
    "other",
    [
        ("evaluate", {"a": 1}, "code", "env"),
        ("train", {"a": 2}, "code", "env"),
        ("train", {"a": 1}, "edited", "env"),
        ("train", {"a": 1}, "code", "upgraded"),
    ],
)
def test_each_input_changes_the_action_key(other: tuple[str, dict[str, int], str, str]) -> None:
    """Step, inputs, code and environment all count."""
    assert action_key(*other) != action_key("train", {"a": 1}, "code", "env")


def test_the_order_of_keys_does_not_change_a_digest() -> None:
    """The same content has one name."""
    assert digest_of({"a": 1, "b": [2, "ü"]}) == digest_of({"b": [2, "ü"], "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])


def test_the_environment_changes_with_the_lock_file(tmp_path: Path) -> None:
    """One upgraded package is another environment."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.0\n")
    before = environment_digest(lock)
    lock.write_text("numpy==2.1\n")
    assert environment_digest(lock) != before
    assert environment_digest(tmp_path / "none.lock") != before


def test_the_lock_of_an_extra_counts_where_an_estimator_needs_it(tmp_path: Path) -> None:
    """Another torch is another environment for BERT, and for nothing else."""
    lock, bert = tmp_path / "requirements.lock", "waterflow.estimators.bert.BertClassifier"
    lock.write_text("numpy==2.4.6\n")
    before = environment_digest(lock, bert), environment_digest(lock, "sklearn.svm.SVC")
    (tmp_path / "requirements-bert.lock").write_text("torch==2.15.0\n")
    assert environment_digest(lock, bert) != before[0]
    assert environment_digest(lock, "sklearn.svm.SVC") == before[1] == environment_digest(lock)


def test_versions_are_those_of_this_python_and_platform(tmp_path: Path) -> None:
    """Lines of the universal lock for other machines are left out."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "numpy==2.0 \\\n    --hash=sha256:00\n"
        "pywin32==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
        "# comment==1\n"
    )
    assert locked_versions(lock) == {"numpy": "2.0"}
    assert locked_versions(tmp_path / "none.lock") == {}


def test_requirements_of_a_model_stand_in_the_lock() -> None:
    """What a model needs elsewhere is exactly what it was trained with."""
    lines = LOCK.read_text().splitlines()
    requirements = model_requirements(LOCK, "sklearn.svm.SVC")
    assert {entry.partition("==")[0] for entry in requirements} >= {"mlflow", "scikit-learn", "pandas", "numpy"}
    for entry in requirements:
        assert any(line.startswith((f"{entry} ", f"{entry};")) for line in lines), entry


def test_requirements_of_another_librarys_model_name_it() -> None:
    """An estimator that is not scikit-learn's brings its own package along."""
    named = model_requirements(LOCK, "matplotlib.anything.Model")
    assert [entry for entry in named if entry.startswith("matplotlib==")]


def test_requirements_of_a_fine_tuned_model_come_from_its_extras_lock_too() -> None:
    """It is loaded elsewhere by the same torch and transformers."""
    named = model_requirements(LOCK, "waterflow.estimators.bert.BertClassifier")
    assert {line.partition("==")[0] for line in named} >= {"scikit-learn", "torch", "transformers"}


def test_git_tells_commit_and_dirty_state(tmp_path: Path) -> None:
    """A tracked file that was edited makes the tree dirty; an untracked one does not."""

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "a.txt").write_text("1")
    git("add", "a.txt")
    git("commit", "-q", "-m", "first")
    (tmp_path / "untracked.txt").write_text("1")
    clean = git_state(tmp_path, {})
    (tmp_path / "a.txt").write_text("2")
    edited = git_state(tmp_path, {})
    assert clean.commit is not None
    assert len(clean.commit) == 40
    assert (clean.dirty, edited.dirty) == (False, True)


def test_without_a_checkout_the_commit_comes_from_the_environment(tmp_path: Path) -> None:
    """An image knows the commit that it was built from, not whether a tree is dirty."""
    state = git_state(tmp_path, {"WATERFLOW_GIT_COMMIT": "abc"})
    assert (state.commit, state.dirty) == ("abc", None)
    assert git_state(tmp_path, {}).commit is None


def test_a_module_of_the_user_counts_with_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of a helper that the user's estimator module imports, relatively here, changes the digest."""
    package = tmp_path / "ours_imported"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text("from . import helper\n\n\nclass Model:\n    factor = helper.FACTOR\n")
    (package / "helper.py").write_text("FACTOR = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = user_modules("ours_imported.models.Model")
    (package / "helper.py").write_text("FACTOR = 2\n")
    assert user_modules("ours_imported.models.Model") != before
