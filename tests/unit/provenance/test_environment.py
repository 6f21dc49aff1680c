import shutil
from importlib import metadata
from pathlib import Path

import pytest
from support.projects import CHECKOUT

from waterflow.provenance import environment
from waterflow.provenance.environment import (
    environment_digest,
    environment_facts,
    installed_pins,
    locked_versions,
    model_requirements,
)

LOCK = CHECKOUT / "requirements.lock"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of installed packages, on the path."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def install(site: Path, name: str, version: str, package: str, *requirements: str) -> None:
    """Write what an installer leaves of a distribution, in place of an earlier version."""
    for earlier in site.glob(f"{name}-*.dist-info"):
        shutil.rmtree(earlier)
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {entry}" for entry in requirements)]
    (folder / "METADATA").write_text("\n".join(lines) + "\n\nA description.\n")
    (folder / "RECORD").write_text(f"{package}/__init__.py,,\n{name}-{version}.dist-info/METADATA,,\n")
    for cached in (environment._installed, environment._owners, environment._requirements):
        cached.cache_clear()


def test_an_upgraded_package_is_another_environment(site: Path) -> None:
    """Packages count as they are installed, by the name of what installed them, whatever a lock file says."""
    install(site, "forest_cpu", "1.0", "forest")
    before = environment_facts(["forest"])
    install(site, "forest_cpu", "1.1", "forest")
    after = environment_facts(["forest"])
    assert (before["forest-cpu"], after["forest-cpu"]) == ("1.0", "1.1")


def test_requirements_of_a_package_count(site: Path) -> None:
    """They run as well; extras and what another platform needs do not."""
    install(site, "leaf", "2.0", "leaf")
    install(site, "paint", "1.0", "paint")
    install(site, "wintree", "1.0", "wintree")
    install(site, "forest", "1.0", "forest", "leaf>=1", "paint; extra == 'color'", "wintree; sys_platform == 'win32'")
    assert set(environment_facts(["forest"])) == {"python", "platform", "forest", "leaf"}


def test_what_is_installed_is_pinned_as_in_a_lock_file(site: Path, tmp_path: Path) -> None:
    """A project without a lock file records packages and their requirements, and its models name them."""
    install(site, "leaf", "2.0", "leaf")
    install(site, "forest", "1.0", "forest", "leaf>=1")
    assert installed_pins(["forest"]) == "forest==1.0\nleaf==2.0\n"
    requirements = model_requirements(tmp_path / "none.lock", "forest.Model")
    assert {"forest==1.0", f"numpy=={metadata.version('numpy')}"} <= set(requirements)


def test_a_package_that_is_not_reached_does_not_count(site: Path) -> None:
    """An upgrade elsewhere computes nothing again, and neither does a name that nothing installed."""
    install(site, "forest", "1.0", "forest")
    before = environment_facts(["forest"])
    install(site, "paint", "2.0", "paint")
    assert environment_facts(["forest", "nowhere"]) == before


def test_the_lock_file_is_part_of_what_a_run_records(tmp_path: Path) -> None:
    """One upgraded package is another environment."""
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.0\n")
    before = environment_digest(lock)
    lock.write_text("numpy==2.1\n")
    assert environment_digest(lock) != before
    assert environment_digest(tmp_path / "none.lock") != before


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
    """An estimator that is not scikit-learn's adds its own package."""
    named = model_requirements(LOCK, "matplotlib.anything.Model")
    assert [entry for entry in named if entry.startswith("matplotlib==")]


def test_requirements_of_a_fine_tuned_model_come_from_its_extras_lock_too() -> None:
    """It is loaded elsewhere by the same torch and transformers."""
    named = model_requirements(LOCK, "waterflow.estimators.bert.BertClassifier")
    assert {line.partition("==")[0] for line in named} >= {"scikit-learn", "torch", "transformers"}
