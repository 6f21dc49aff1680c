"""Where a run keeps things: the addresses of a profile, never part of the logged configuration."""

from pydantic import BaseModel, ConfigDict


class Profile(BaseModel):
    """The servers or folders behind a run.

    `tracking_uri`  MLflow: `sqlite:///…` or `http://…`
    `artifact_root` where an embedded MLflow keeps artifacts; None lets the server decide
    `store_uri`     the object store: a folder, or `s3://bucket`
    `database_uri`  Waterflow's own tables, by SQLAlchemy: `sqlite:///…` or `postgresql+psycopg2://…`
    `database_uri_file` a file that holds that address, where it carries a password
    `airflow_url`, `mlflow_url`  as a browser reaches them, for links; None where nothing listens
    Credentials come from MLflow's and AWS's own files.
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
