from pathlib import Path

import pytest
from sqlalchemy import make_url
from support.projects import message_of

from waterflow.config.compose import compose_profile
from waterflow.config.profile import Profile
from waterflow.config.project import Project
from waterflow.errors import ConfigError

BASE = {"name": "mine", "tracking_uri": "sqlite:///mlflow.db", "store_uri": "store"}


def test_the_embedded_database_lies_below_the_home(project: Project) -> None:
    """One file, beside MLflow's."""
    assert compose_profile(project).find_database() == f"sqlite:///{project.home}/waterflow.db"


def test_the_stacks_database_is_read_from_a_file(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address holds a password, so it stands in no YAML."""
    (tmp_path / "url").write_text("postgresql+psycopg2://waterflow:secret@postgres/waterflow\n")
    monkeypatch.setenv("WATERFLOW_PROFILE", "stack")
    monkeypatch.setenv("WATERFLOW_DATABASE_URL_FILE", str(tmp_path / "url"))
    profile = compose_profile(project)
    assert profile.find_database() == "postgresql+psycopg2://waterflow:secret@postgres/waterflow"
    assert ":secret@" not in repr(profile)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the variable that names it."""
    profile = Profile(**BASE, database_uri_file=str(tmp_path / "none"))
    message = message_of(profile.find_database, ConfigError)
    assert f"{tmp_path}/none" in message
    assert "WATERFLOW_DATABASE_URL_FILE" in message


def test_a_profile_without_a_database_says_so() -> None:
    """A profile of one's own may be from before there was one."""
    assert "database_uri is missing" in message_of(Profile(**BASE).find_database, ConfigError)


def test_a_home_may_be_called_like_a_part_of_an_address(project: Project, tmp_path: Path) -> None:
    """SQLAlchemy and MLflow decode `%2F` and end a path at `?`, so addresses spell it."""
    home = tmp_path / "a%2Fb ?c#"
    profile = compose_profile(Project(conf=project.conf, home=home))
    assert make_url(profile.find_database()).database == f"{home}/waterflow.db"
    assert profile.artifact_root == f"file://{tmp_path}/a%252Fb%20%3Fc%23/mlartifacts"
    assert profile.store_uri == f"{home}/store"
