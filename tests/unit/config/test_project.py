from pathlib import Path

from support.projects import CHECKOUT, message_of

from waterflow.config.project import Project, find_project
from waterflow.errors import ConfigError


def test_the_nearest_conf_above_the_working_directory_is_the_project(project: Project) -> None:
    """A command finds its project from any folder inside it."""
    deep = project.root / "notebooks" / "2026"
    deep.mkdir(parents=True)
    found = find_project({}, start=deep)
    assert found.conf == project.conf
    assert found.home == project.root / ".waterflow"


def test_the_environment_names_another_project(project: Project) -> None:
    """A container says where its project is mounted."""
    assert find_project({"WATERFLOW_CONF": str(project.conf)}, start=Path("/")).root == project.root


def test_the_environment_moves_what_is_written(project: Project, tmp_path: Path) -> None:
    """`WATERFLOW_HOME` leaves the project itself untouched."""
    found = find_project({"WATERFLOW_HOME": str(tmp_path / "elsewhere")}, start=project.root)
    assert found.home == tmp_path / "elsewhere"


def test_a_conf_without_pipelines_is_refused(tmp_path: Path) -> None:
    """The message shows the value of the variable."""
    message = message_of(lambda: find_project({"WATERFLOW_CONF": str(tmp_path)}), ConfigError)
    assert repr(str(tmp_path)) in message
    assert "pipeline/" in message


def test_outside_of_any_project_the_checkout_is_used(tmp_path: Path) -> None:
    """An editable install still finds the examples."""
    assert find_project({}, start=tmp_path).root == CHECKOUT
