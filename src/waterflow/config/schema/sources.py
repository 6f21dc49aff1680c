"""Where a pipeline's rows come from."""

import codecs
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from waterflow.config.schema.base import Section
from waterflow.config.schema.contract import ContractType

TimeUnit = Literal["s", "ms", "us", "ns"]
Word = Annotated[str, BeforeValidator(lambda word: str(word) if isinstance(word, int | float) else word)]
Character = Annotated[str, Field(min_length=1, max_length=1)]


class ReadingSection(Section):
    """How values are read, whatever the source.

    `dtype` states the type of a column that the contract does not; `time_format` is a format of `strptime`,
    `time_unit` the unit of times that are numbers since 1970, each for all times or by column. `na_values` are words
    and numbers that count as null.
    """

    dtype: dict[str, ContractType] = Field(default_factory=dict)
    time_format: str | dict[str, str] | None = None
    time_unit: TimeUnit | dict[str, TimeUnit] | None = None
    day_first: bool | None = None
    na_values: tuple[Word, ...] = ()


class CsvSection(ReadingSection):
    """How a CSV file is written. What is not stated is detected on the whole file.

    `separator`, `decimal` and `thousands` are one character, `quote` too, or empty for none. `names` replaces the names
    of the header. `comment` begins lines that are skipped, after `skip_rows` lines at the top. With `keep_default_na:
    true` words such as NA and None are null in text too, with `false` nowhere; by default they are null beside numbers,
    times and booleans.
    """

    separator: Character | None = None
    encoding: str | None = None
    decimal: Character | None = None
    thousands: Character | None = None
    quote: Character | Literal[""] = '"'
    comment: str | None = None
    skip_rows: Annotated[int, Field(ge=0)] = 0
    header: bool = True
    names: tuple[str, ...] | None = None
    keep_default_na: bool | None = None
    true_values: tuple[Word, ...] = ()
    false_values: tuple[Word, ...] = ()

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str | None) -> str | None:
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError as error:
            raise ValueError(
                f"{encoding!r} is no encoding that Python knows, such as utf-8, cp1252 or utf-16"
            ) from error
        return encoding

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        for first, second in (("decimal", "thousands"), ("separator", "quote")):
            if getattr(self, first) is not None and getattr(self, first) == getattr(self, second):
                raise ValueError(f"{first} and {second} are both {getattr(self, first)!r}; they must differ")
        if not self.header and self.names is None:
            raise ValueError("header: a file without a header needs names, one for each column")
        return self


class CsvSource(CsvSection):
    """CSV files. `path` is a file, a folder or a glob, relative to the project; or `s3://…` or `https://…`."""

    kind: Literal["csv"]
    path: str


class ParquetSource(ReadingSection):
    """Parquet files. `path` is a file, a folder or a glob, relative to the project; or `s3://…` or `https://…`."""

    kind: Literal["parquet"]
    path: str


class JsonLinesSource(ReadingSection):
    """Files with one JSON object per line. `path` is as for Parquet."""

    kind: Literal["jsonl"]
    path: str


class ExcelSource(ReadingSection):
    """Excel workbooks (`.xlsx`); `path` as for Parquet.

    `sheet` is a name; by default the only sheet. `skip_rows` rows stand above the header.
    """

    kind: Literal["excel"]
    path: str
    sheet: str | None = None
    skip_rows: Annotated[int, Field(ge=0)] = 0


class DuckdbSource(ReadingSection):
    """The rows of a DuckDB query over files. It reads like `select * from 'data/*.parquet'`.

    `database` is a DuckDB database, relative to the project; its tables can be named in the query.
    """

    kind: Literal["duckdb"]
    query: str
    database: str | None = None


class SqlSource(ReadingSection):
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


class PythonSource(ReadingSection):
    """The rows that a function returns. `function` is its dotted path, `params` are further arguments.

    It is called with the window, as `function(start=…, end=…, **params)`, two times in UTC or None.
    """

    kind: Literal["python"]
    function: str
    params: dict[str, Any] = Field(default_factory=dict)


class DvcSource(CsvSection):
    """A CSV or Parquet file tracked by DVC.

    It is given by its path in the repository and a git revision. `repo` is the repository's folder, relative to the
    project, or its address; by default the project's own. Without `rev` the workspace is read.
    """

    kind: Literal["dvc"]
    path: str
    rev: str | None = None
    repo: str | None = None

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if not re.search(r"\.(parquet|csv(\.\w+)?)$", self.path):
            raise ValueError(f"path: {self.path!r} ends neither in .csv nor in .parquet")
        if self.repo and re.search(r"://[^:/@]*:.+@", self.repo):
            raise ValueError("repo: it holds a password, and this file is stored with every run; let git keep it")
        if self.repo and "://" in self.repo and self.rev is None:
            raise ValueError("rev: a repository elsewhere has no workspace to read; name a commit, tag or branch")
        return self


FileSource = CsvSource | ParquetSource | JsonLinesSource | ExcelSource
SOURCE_KINDS = ("csv", "parquet", "jsonl", "excel", "duckdb", "sql", "package", "dvc", "python")
Source = Annotated[
    FileSource | DuckdbSource | SqlSource | PackageSource | DvcSource | PythonSource, Field(discriminator="kind")
]


def setting_for(setting: Any, column: str) -> Any:
    """Return a column's setting. It is one value for all columns, or a mapping."""
    return setting.get(column) if isinstance(setting, dict) else setting
