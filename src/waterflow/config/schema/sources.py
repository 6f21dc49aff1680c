"""Where a pipeline's rows come from."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from waterflow.config.schema.base import Section


class CsvSource(Section):
    """A CSV file with a header, read by pandas. `path` is relative to the project, `s3://…` or `https://…`."""

    kind: Literal["csv"]
    path: str
    separator: str = ","


class ParquetSource(Section):
    """A Parquet file. `path` is relative to the project, `s3://…` or `https://…`."""

    kind: Literal["parquet"]
    path: str


class SqlSource(Section):
    """The rows of a query, over a SQLAlchemy URL.

    `url` contains no password, because the configuration is stored with every run; `url_env` names an environment
    variable that holds the whole URL, or, with the suffix `_FILE`, the path of a file that does.
    """

    kind: Literal["sql"]
    query: str
    url: str | None = None
    url_env: str | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give exactly one of url, url_env")
        if self.url and re.search(r"://[^:/@]*:.+@|[?&]\w*pass\w*=", self.url):
            raise ValueError(
                "url: it holds a password, and this file is stored with every run; "
                "put the URL into an environment variable and name that by url_env"
            )
        return self


class PackageSource(Section):
    """A data set shipped with a package. `loader` is the name of its loader in `waterflow.datasets.loaders`."""

    kind: Literal["package"]
    loader: str


class DvcSource(Section):
    """A CSV or Parquet file tracked by DVC.

    It is given by its path in the repository and a git revision. `repo` is the repository's folder, relative to the
    project, or its address; by default the project's own. Without `rev` the workspace is read.
    """

    kind: Literal["dvc"]
    path: str
    rev: str | None = None
    repo: str | None = None
    separator: str = ","

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if not re.search(r"\.(parquet|csv(\.\w+)?)$", self.path):
            raise ValueError(f"path: {self.path!r} ends neither in .csv nor in .parquet")
        if self.repo and re.search(r"://[^:/@]*:.+@", self.repo):
            raise ValueError("repo: it holds a password, and this file is stored with every run; let git keep it")
        if self.repo and "://" in self.repo and self.rev is None:
            raise ValueError("rev: a repository elsewhere has no workspace to read; name a commit, tag or branch")
        return self


SOURCE_KINDS = ("csv", "parquet", "sql", "package", "dvc")
Source = Annotated[CsvSource | ParquetSource | SqlSource | PackageSource | DvcSource, Field(discriminator="kind")]
