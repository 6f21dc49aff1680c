import subprocess
from pathlib import Path

from waterflow.provenance.git import git_state


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
