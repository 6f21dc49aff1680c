"""The servers and folders of a run. They are never part of its logged configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from waterflow.errors import ConfigError

NOT_IN_ADDRESSES = frozenset("%?#")


def escape_home(content: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Return a profile whose addresses quote the home.

    SQLAlchemy and MLflow decode `%2F`, and end a path at `?`; a folder may be called so nonetheless.
    """
    if not NOT_IN_ADDRESSES.intersection(str(home)):
        return dict(content)
    plain, quoted = str(home), quote(str(home), safe="/ ")
    changed = {
        name: value.replace(plain, quoted)
        for name, value in content.items()
        if isinstance(value, str) and value.startswith("sqlite:///")
    }
    root = content.get("artifact_root")
    if isinstance(root, str) and root.startswith(plain):
        changed["artifact_root"] = f"file://{quote(root)}"
    return {**content, **changed}


class Profile(BaseModel):
    """The servers or folders behind a run.

    - `tracking_uri`: MLflow, as `sqlite:///…` or `http://…`.
    - `artifact_root`: where an embedded MLflow stores artifacts; None lets the server decide.
    - `store_uri`: the object store, a folder or `s3://bucket`.
    - `database_uri`: SQLAlchemy's URL of Waterflow's own database; `database_uri_file` names a file with it instead.
    - `airflow_url`, `mlflow_url`: for links, as a browser reaches them; None where nothing listens.
    - `airflow_api_url`: Airflow's API as this process reaches it, for `waterflow lineage`; None asks nobody.
      The account is `airflow_user`, its password in `airflow_password_file`.
    - `signing_key_file`: the private key that signs models and records; None where nothing is signed. With
      `make_signing_key` a missing one is made.
    - `public_keys_file`, `public_keys`: the public keys that are trusted, as a file and as text.

    Credentials come from MLflow's and AWS's own files, and from the file of the database.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    tracking_uri: str
    artifact_root: str | None = None
    store_uri: str
    database_uri: str | None = None
    database_uri_file: str | None = None
    airflow_url: str | None = None
    mlflow_url: str | None = None
    airflow_api_url: str | None = None
    airflow_user: str | None = None
    airflow_password_file: str | None = None
    signing_key_file: str | None = None
    make_signing_key: bool = False
    public_keys_file: str | None = None
    public_keys: str | None = None

    def find_database(self) -> str:
        """Return the URL of Waterflow's database, with its password. Raises ConfigError without one."""
        if self.database_uri is not None:
            return self.database_uri
        if self.database_uri_file is None:
            raise ConfigError(f"profile {self.name}: database_uri is missing; add it, or database_uri_file")
        try:
            return Path(self.database_uri_file).read_text("utf-8").strip()
        except OSError as error:
            raise ConfigError(
                f"profile {self.name}: database_uri_file {self.database_uri_file!r} cannot be read "
                f"({error.strerror}); name a readable file by WATERFLOW_DATABASE_URL_FILE"
            ) from error
