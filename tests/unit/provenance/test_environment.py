from pathlib import Path

from support.projects import CHECKOUT

from waterflow.provenance.environment import environment_digest, locked_versions, model_requirements

LOCK = CHECKOUT / "requirements.lock"


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
