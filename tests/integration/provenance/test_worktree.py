from pathlib import Path

import pytest
from support.projects import message_of
from support.tracing import commit_all, git

from waterflow.errors import ReproduceError
from waterflow.provenance.git import git_diff
from waterflow.provenance.worktree import check_out, find_top, has_commit, moved_paths


def test_a_work_tree_has_the_commit_and_what_was_not_committed(tmp_path: Path) -> None:
    """The checkout itself is left as it is, and nothing is written to its repository."""
    root = tmp_path / "here"
    root.mkdir()
    (root / "a.txt").write_text("1\n")
    commit = commit_all(root)
    (root / "a.txt").write_text("2\n")
    (tmp_path / "diff").write_bytes(git_diff(root))
    (root / "a.txt").write_text("3\n")
    commit_all(root, "two")
    before = sorted((root / ".git").rglob("*"))
    check_out(root, commit, None, tmp_path / "clean")
    check_out(root, commit, tmp_path / "diff", tmp_path / "dirty")
    assert (tmp_path / "clean" / "a.txt").read_text() == "1\n"
    assert (tmp_path / "dirty" / "a.txt").read_text() == "2\n"
    assert (root / "a.txt").read_text() == "3\n"
    assert sorted((root / ".git").rglob("*")) == before
    assert git(root, "worktree", "list").count("\n") == 0


def test_a_linked_work_tree_lends_its_objects_too(tmp_path: Path) -> None:
    """Its `.git` is a file that points elsewhere."""
    root = tmp_path / "here"
    root.mkdir()
    (root / "a.txt").write_text("1\n")
    commit = commit_all(root)
    git(root, "worktree", "add", "-q", str(tmp_path / "linked"))
    check_out(tmp_path / "linked", commit, None, tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_text() == "1\n"


def test_a_commit_is_there_or_not_or_cannot_be_asked_for(tmp_path: Path) -> None:
    """A folder without git knows nothing of commits."""
    root = tmp_path / "here"
    root.mkdir()
    commit = commit_all(root)
    (tmp_path / "plain").mkdir()
    assert (has_commit(root, commit), has_commit(root, "0" * 40)) == (True, False)
    assert has_commit(root, "--version") is False
    assert has_commit(tmp_path / "plain", commit) is None
    assert find_top(tmp_path / "plain") is None


def test_a_commit_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what git says of it."""
    commit_all(tmp_path)
    message = message_of(lambda: check_out(tmp_path, "0" * 40, None, tmp_path / "out"), ReproduceError)
    assert message.startswith("commit 000000000000 cannot be checked out of")


@pytest.mark.parametrize(
    ("entry", "moved"),
    [
        ("src", ["tree/src"]),
        ("later", []),
        (".venv/lib", [".venv/lib"]),
        ("../elsewhere", ["../elsewhere"]),
        ("", []),
    ],
)
def test_paths_of_the_checkout_lead_to_the_work_tree(tmp_path: Path, entry: str, moved: list[str]) -> None:
    """What did not exist then is left out; packages and other folders stay."""
    top = tmp_path / "top"
    for folder in (top / "src", top / "later", top / ".venv" / "lib", top / "tree" / "src", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
    given = [str(top / entry)] if entry else [""]
    assert moved_paths(given, top, top / "tree", top / ".venv") == [str(top / name) for name in moved]
