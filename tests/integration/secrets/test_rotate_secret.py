"""Secrets that are made again: `docker/secrets/rotate_secret.py` with `make_secrets.py`, on folders of a test."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPTS = Path(__file__).parents[3] / "docker" / "secrets"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Both scripts after a first start, with every file owned by whoever runs the test."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import make_secrets
    import rotate_secret

    root = tmp_path / "secrets"
    for consumer in make_secrets.OWNER:
        (root / consumer).mkdir(parents=True)
    for module in (make_secrets, rotate_secret):
        monkeypatch.setattr(module, "ROOT", root)
        monkeypatch.setattr(module, "ADMIN", root / "admin")
    monkeypatch.setattr(make_secrets, "OWNER", dict.fromkeys(make_secrets.OWNER, os.getuid()))
    for name in ("DATABASES", "STORE_DATA", "RECORDS"):
        if hasattr(make_secrets, name):
            (tmp_path / name).mkdir()
            monkeypatch.setattr(make_secrets, name, tmp_path / name)
    umask = os.umask(0o077)  # The scripts set it for their process, which here is that of other tests too.
    make_secrets.main()
    yield SimpleNamespace(root=root, make=make_secrets.main, rotate=rotate_secret.main)
    os.umask(umask)
    for name in ("make_secrets", "rotate_secret"):
        sys.modules.pop(name)


def read_all(root: Path) -> dict[str, str]:
    """Return every file's content by its path."""
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


def test_a_rotated_secret_is_new_for_all_its_consumers(secrets: SimpleNamespace) -> None:
    """The value and every file that contains it change together; no other file does."""
    before = read_all(secrets.root)
    secrets.rotate("waterflow_database_password")
    secrets.make()
    after = read_all(secrets.root)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "admin/waterflow_database_password",
        "postgres/waterflow_password",
        "airflow/waterflow_database_url",
    }
    assert after["postgres/waterflow_password"] in after["airflow/waterflow_database_url"]


def test_a_rotation_that_was_cut_short_leaves_one_value(secrets: SimpleNamespace) -> None:
    """Consumers that lost their files get the old value again while it is still there."""
    before = read_all(secrets.root)
    (secrets.root / "postgres" / "waterflow_password").unlink()
    secrets.make()
    assert read_all(secrets.root) == before


@pytest.mark.parametrize("name", ["postgres_database_password", "airflow_fernet_key", "", "../admin"])
def test_a_secret_that_no_start_replaces_stays(secrets: SimpleNamespace, name: str) -> None:
    """It is refused with the list of those that can be rotated, and nothing changes."""
    before = read_all(secrets.root)
    with pytest.raises(SystemExit, match="airflow_jwt_secret"):
        secrets.rotate(name)
    assert read_all(secrets.root) == before
