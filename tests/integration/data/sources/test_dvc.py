import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.dvc_repository import PATH, add, dvc_command, forget, make_repository, run
from support.projects import free_port, message_of
from support.s3_server import BUCKET, KEY, SECRET, s3_server

from waterflow.config.project import Project
from waterflow.config.schema import DvcSource
from waterflow.data.sources.dvc import find_python
from waterflow.data.sources.reading import read_source
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError, UnreachableError
from waterflow.stores.open import copy_object


@dataclass(frozen=True)
class Tracked:
    """A project whose folder is a DVC repository, and its two commits."""

    project: Project
    first: str
    second: str

    @property
    def root(self) -> Path:
        """The folder."""
        return self.project.root


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Make the repository once."""
    dvc_command()
    folder = tmp_path_factory.mktemp("dvc")
    (folder / "project").mkdir()
    return folder, *make_repository(folder / "project", folder / "remote")


@pytest.fixture
def tracked(tmp_path: Path, template: tuple[Path, str, str]) -> Tracked:
    """Return a copy of the repository and its remote, in a project without pipelines."""
    folder, first, second = template
    shutil.copytree(folder, tmp_path / "dvc")
    root = tmp_path / "dvc" / "project"
    settings = root / ".dvc" / "config"
    settings.write_text(settings.read_text().replace(str(folder), str(root.parent)))  # the commits name the other place
    return Tracked(Project(conf=root / "conf", home=tmp_path / "home"), first, second)


def source_of(rev: str | None = None, path: str = PATH, repo: str | None = None) -> DvcSource:
    """Name the tracked file at a revision."""
    return DvcSource(kind="dvc", path=path, rev=rev, repo=repo)


def rows_of(source: DvcSource, tracked: Tracked) -> int:
    """Count the rows that are read."""
    return len(read_source(source, tracked.project, copy_object).frame)


def revision_of(source: DvcSource, tracked: Tracked) -> str | None:
    """Return the revision that is read."""
    return read_source(source, tracked.project, copy_object).facts.revision


def refusal(source: DvcSource, tracked: Tracked, kind: type[Exception] = DataError) -> str:
    """Return the line with which a source is refused."""
    return message_of(lambda: read_source(source, tracked.project, copy_object), kind)


def test_a_revision_is_read_whatever_the_workspace_holds(tracked: Tracked) -> None:
    """A commit, or what git calls it; the facts for lineage name the commit and the md5 that DVC noted."""
    for rev, commit, rows in (
        (tracked.first, tracked.first, 120),
        ("HEAD~1", tracked.first, 120),
        ("main", tracked.second, 150),
    ):
        loaded = read_source(source_of(rev), tracked.project, copy_object)
        assert len(loaded.frame) == rows
        content = iris().head(rows).to_csv(index=False).encode()
        facts = loaded.facts
        assert (facts.kind, facts.where, facts.revision) == ("dvc", f"dvc:{PATH}@{rev}", commit)
        assert facts.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_the_workspace_is_read_as_it_is(tracked: Tracked) -> None:
    """What is not committed shows in the revision."""
    assert rows_of(source_of(), tracked) == 150
    assert revision_of(source_of(), tracked) == tracked.second
    iris().head(30).to_csv(tracked.root / PATH, index=False)
    assert rows_of(source_of(), tracked) == 30
    assert revision_of(source_of(), tracked) == f"{tracked.second}-dirty"


@pytest.mark.parametrize("rev", [None, "HEAD~1"])
def test_what_is_not_here_is_pulled(tracked: Tracked, rev: str | None) -> None:
    """Without cache and file, the remote has it: the one that the repository names now, whatever that commit named."""
    forget(tracked.root)
    assert rows_of(source_of(rev), tracked) == (120 if rev else 150)


def test_another_repository_is_read_at_a_revision(tracked: Tracked, tmp_path: Path) -> None:
    """By its folder or by its address, whose cache is not here."""
    elsewhere = Tracked(Project(conf=tmp_path / "conf", home=tmp_path), "", "")
    assert rows_of(source_of("HEAD~1", repo=str(tracked.root)), elsewhere) == 120
    assert rows_of(source_of("HEAD~1", repo=tracked.root.as_uri()), elsewhere) == 120


def test_a_project_below_the_repository_s_root_has_its_own_paths(tracked: Tracked) -> None:
    """Paths start at the project, as those of files do."""
    below = Tracked(Project(conf=tracked.root / "data" / "conf", home=tracked.project.home), "", "")
    assert rows_of(source_of("HEAD~1", path="flowers.csv"), below) == 120


def test_a_parquet_file_is_read(tracked: Tracked) -> None:
    """The ending says which it is."""
    iris().to_parquet(tracked.root / "data" / "flowers.parquet")
    run(tracked.root, "dvc", "add", "-q", "data/flowers.parquet")
    source = source_of(path="data/flowers.parquet")
    assert rows_of(source, tracked) == 150
    assert revision_of(source, tracked) == f"{tracked.second}-dirty"


def test_an_unknown_revision_is_named(tracked: Tracked) -> None:
    """With what a revision can be."""
    message = refusal(source_of("v9"), tracked, ConfigError)
    assert message.startswith("dataset.rev: 'v9' is no revision of")
    assert "name a commit, tag or branch" in message


def test_a_path_that_is_not_there_is_named(tracked: Tracked) -> None:
    """At which revision, and what shows those that are."""
    message = refusal(source_of("main", path="data/trees.csv"), tracked)
    assert "'data/trees.csv' is not there at revision 'main'" in message
    assert "dvc list" in message


def test_a_file_that_dvc_does_not_track_is_named(tracked: Tracked) -> None:
    """Git alone has it, or nobody."""
    (tracked.root / "data" / "own.csv").write_text("a\n1\n")
    message = refusal(source_of(path="data/own.csv"), tracked)
    assert "'data/own.csv' is not tracked by DVC in the workspace; run `dvc add data/own.csv`" in message


def test_a_cache_without_the_file_needs_a_remote(tracked: Tracked) -> None:
    """No remote at all, and one that was never pushed to."""
    forget(tracked.root)
    shutil.rmtree(tracked.root.parent / "remote")
    assert "neither in the cache nor in remote 'there'; run `dvc push`" in refusal(source_of("main"), tracked)
    run(tracked.root, "dvc", "remote", "remove", "there")
    assert "has no default remote; run `dvc remote add -d NAME URL`" in refusal(source_of(), tracked)


def test_altered_bytes_are_not_believed(tracked: Tracked) -> None:
    """What the remote gives is compared with the md5 that the commit names."""
    forget(tracked.root)
    for path in (tracked.root.parent / "remote").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_text("a,b\n1,2\n")
    assert "were altered or cut short" in refusal(source_of("main"), tracked)


def test_a_folder_without_git_or_dvc_is_named(tracked: Tracked, tmp_path: Path) -> None:
    """Both commands that are missing are in the line."""
    bare = Tracked(Project(conf=tmp_path / "bare" / "conf", home=tmp_path / "home"), "", "")
    bare.root.mkdir()
    assert "run `git init` and `dvc init` there" in refusal(source_of(), bare, ConfigError)
    run(bare.root, "dvc", "init", "-q", "--no-scm")
    (bare.root / "data").mkdir()
    iris().to_csv(bare.root / PATH, index=False)
    run(bare.root, "dvc", "add", "-q", PATH)
    assert "is not in a git repository" in refusal(source_of(), bare, ConfigError)


def test_data_before_the_first_commit_can_be_read(tracked: Tracked, tmp_path: Path) -> None:
    """Their md5 names them; no commit does."""
    fresh = Tracked(Project(conf=tmp_path / "fresh" / "conf", home=tmp_path / "home"), "", "")
    (fresh.root / "data").mkdir(parents=True)
    iris().to_csv(fresh.root / PATH, index=False)
    for command in (("git", "init", "-q"), ("dvc", "init", "-q"), ("dvc", "add", "-q", PATH)):
        run(fresh.root, *command)
    assert rows_of(source_of(), fresh) == 150
    assert revision_of(source_of(), fresh) == "uncommitted"


def test_without_dvc_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes `kind: dvc` first learns what is missing."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    message = message_of(lambda: find_python({"PATH": str(tmp_path)}), ConfigError)
    assert message == "dataset.kind: dvc is not installed; `make install-dvc` installs it (docs/how-to/dvc.md)"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"path": "data/flowers.xlsx"}, "ends neither in .csv nor in .parquet"),
        ({"repo": "https://me:secret@host/x.git", "rev": "main"}, "it holds a password"),
        ({"repo": "https://host/x.git"}, "no workspace to read"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(changes: dict[str, str], says: str) -> None:
    """Before anything is read."""
    with pytest.raises(ValueError, match=says):
        DvcSource(**{"kind": "dvc", "path": PATH, **changes})


@pytest.fixture(scope="module")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Return the port of an S3 server with one empty bucket."""
    with s3_server(tmp_path_factory.mktemp("seaweedfs")) as port:
        yield port


def test_a_bucket_is_a_remote(s3_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`dvc push` there, then a read that pulls: endpoint and keys by the environment, as on the stack.

    An endpoint on the loopback in the repository's own settings, which a container cannot reach, gives way.
    """
    tracked = Tracked(Project(conf=tmp_path / "project" / "conf", home=tmp_path / "home"), "", "")
    tracked.root.mkdir()
    make_repository(tracked.root, f"s3://{BUCKET}/dvc")
    (tmp_path / "keys").write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    address, keys = f"http://127.0.0.1:{s3_port}", {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys")}
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    run(tracked.root, "dvc", "push", "-q", "--all-commits", **keys, AWS_ENDPOINT_URL_S3=address)
    forget(tracked.root)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
    monkeypatch.setenv("WATERFLOW_DVC_CREDENTIALS_FILE", str(tmp_path / "keys"))
    assert rows_of(source_of("HEAD~1"), tracked) == 120
    forget(tracked.root)
    run(tracked.root, "dvc", "remote", "modify", "--local", "there", "endpointurl", f"http://localhost:{free_port()}")
    assert rows_of(source_of(), tracked) == 150
    forget(tracked.root)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert "does not answer" in refusal(source_of(), tracked, UnreachableError)


def test_a_branch_that_moves_is_read_again(tracked: Tracked) -> None:
    """The facts are those of the last read."""
    source = source_of("main")
    assert rows_of(source, tracked) == 150
    third = add(tracked.root, 90, "90 irises")
    assert rows_of(source, tracked) == 90
    assert revision_of(source, tracked) == third
