import os
import subprocess
import sys
import tempfile
from pathlib import Path

from support.tracing import commit_all

from waterflow.provenance.git import GitState, git_diff, git_state
from waterflow.provenance.worktree import check_out


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


def test_untracked_modules_of_ones_own_are_uncommitted_changes(tmp_path: Path) -> None:
    """They make the tree dirty, and the diff brings them back, ignored and empty ones too; other files do neither."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "a.txt").write_text("1")
    (root / ".gitignore").write_text("own/\n")
    commit = commit_all(root)
    files = {"own/taxi/__init__.py": "", "own/taxi/models.py": "FACTOR = 2\n"}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "notes.txt").write_text("1")
    own = [root / name for name in files]
    assert git_state(root, {}) == GitState(commit, dirty=False)
    assert git_state(root, {}, own) == GitState(commit, dirty=True)
    (tmp_path / "diff").write_bytes(git_diff(root, own))
    check_out(root, commit, tmp_path / "diff", tmp_path / "tree")
    assert {name: (tmp_path / "tree" / name).read_text() for name in files} == files
    assert not (tmp_path / "tree" / "notes.txt").exists()


def test_a_module_outside_of_the_checkout_is_no_change_of_it(tmp_path: Path) -> None:
    """Git knows nothing of it; its digest alone is in the keys."""
    root = tmp_path / "checkout"
    root.mkdir()
    (tmp_path / "elsewhere.py").write_text("VALUE = 1\n")
    commit_all(root)
    assert git_state(root, {}, [tmp_path / "elsewhere.py"]).dirty is False
    assert git_diff(root, [tmp_path / "elsewhere.py"]) == b""


def test_without_a_checkout_the_commit_comes_from_the_environment(tmp_path: Path) -> None:
    """An image knows the commit that it was built from, not whether a tree is dirty."""
    state = git_state(tmp_path, {"WATERFLOW_GIT_COMMIT": "abc"})
    assert (state.commit, state.dirty) == ("abc", None)
    assert git_state(tmp_path, {}).commit is None


PROGRAM = """\
import os, sys
from pathlib import Path
from waterflow.provenance.git import git_diff, git_state
from waterflow.provenance.worktree import check_out, has_commit
root, scratch = Path(sys.argv[1]), Path(sys.argv[2])
if os.getuid() == 0:  # who may read everything
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
state = git_state(root, {})
check_out(root, state.commit, None, scratch / "tree")
print(state.commit, state.dirty, has_commit(root, state.commit), len(git_diff(root)) > 0,
      b"+NEW = 1" in git_diff(root, [root / "new.py"]), *(scratch / "tree").iterdir())
"""


def test_commit_and_dirty_state_are_known_without_the_configuration() -> None:
    """A task may not read `.git/config`, which can hold a password; it can even check the commit out."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # another user has to get there
        root, scratch = Path(folder) / "checkout", Path(folder) / "scratch"
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        root.mkdir()
        (root / "a.txt").write_text("1")
        for words in (["init", "-q"], ["add", "a.txt"], ["commit", "-q", "-m", "first"], ["gc", "-q"]):
            subprocess.run(["git", *identity, "-C", str(root), *words], check=True, capture_output=True)
        (root / "a.txt").write_text("2")
        (root / "new.py").write_text("NEW = 1\n")
        scratch.mkdir()
        for path, mode in ((Path(folder), 0o755), (root, 0o755), (scratch, 0o777), (root / ".git" / "config", 0)):
            path.chmod(mode)
        environment = os.environ | {"HOME": str(scratch)}
        command = [sys.executable, "-c", PROGRAM, str(root), str(scratch)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    commit, dirty, has, differs, has_new, *files = done.stdout.split()
    assert (len(commit), dirty, has, differs, has_new) == (40, "True", "True", "True", "True")
    assert [Path(file).name for file in sorted(files)] == [".git", "a.txt"]
