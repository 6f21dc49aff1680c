import pytest
from support.projects import write_pipeline

from waterflow.cli.completion import complete_overrides, complete_pipelines, complete_references
from waterflow.config.project import Project


@pytest.fixture(autouse=True)
def _here(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.root)


def test_pipelines_are_completed(project: Project) -> None:
    """By their beginning."""
    write_pipeline(project, "roses")
    assert complete_pipelines("") == ["flowers", "roses"]
    assert complete_pipelines("ro") == ["roses"]


def test_models_are_completed_with_their_aliases() -> None:
    """A model has its pipeline's name."""
    assert complete_references("flo") == ["flowers", "flowers@champion", "flowers@challenger"]
    assert complete_references("flowers@ch") == ["flowers@champion", "flowers@challenger"]


def test_choices_of_a_group_are_completed() -> None:
    """As overrides."""
    assert complete_overrides("strategy=q") == ["strategy=quick"]


def test_outside_a_project_nothing_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell shows no error while one types."""
    monkeypatch.setenv("WATERFLOW_CONF", "/nowhere")
    assert complete_pipelines("") == complete_references("") == complete_overrides("") == []
