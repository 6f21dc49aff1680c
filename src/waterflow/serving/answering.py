"""From a request's columns to an answer, whatever the protocol."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from waterflow.errors import first_line
from waterflow.records.serving import Scores
from waterflow.serving.model_loading import ServedModel
from waterflow.serving.prediction_log.frames import new_request_id
from waterflow.serving.row_checks import MISSING, RowBreak

logger = logging.getLogger(__name__)

MAX_ROWS = 100_000
MAX_EXTRA_SHOWN = 10


class RequestError(Exception):
    """A request that is refused. `status` is HTTP's, `breaks` are the values at fault."""

    def __init__(self, status: int, message: str, breaks: Sequence[RowBreak] = ()) -> None:
        super().__init__(message)
        self.status, self.breaks = status, breaks


@dataclass(frozen=True)
class AskedRows:
    """The rows of a request, as columns. `keys` are the caller's names of the rows."""

    columns: Mapping[str, Sequence[Any]]
    rows: int
    keys: Sequence[str | None] | None = None

    @classmethod
    def of_records(cls, records: Any, names: Sequence[str], place: str, keys: Any = None) -> "AskedRows":
        """Turn a list of objects into columns. Raises RequestError for anything else."""
        if not isinstance(records, list) or not records:
            raise RequestError(422, f"{place}: it has no rows; send a list of one object a row")
        check_row_count(len(records))
        for row, record in enumerate(records):
            if not isinstance(record, dict):
                raise RequestError(422, f"{place}: row {row} is no object; send one object a row, by column")
        wanted = {name: [record.get(name, MISSING) for record in records] for name in names}
        unknown = {name: [None] for record in records[:1] for name in record if name not in wanted}
        absent = [name for name, values in wanted.items() if all(value is MISSING for value in values)]
        for name in absent:
            del wanted[name]
        return cls(wanted | unknown, len(records), check_keys(keys, len(records)))

    @classmethod
    def of_columns(cls, columns: Any, place: str, keys: Any = None) -> "AskedRows":
        """Check that columns are lists of one length. Raises RequestError where not."""
        if not isinstance(columns, dict) or not columns:
            raise RequestError(422, f"{place}: it has no columns; send an object of one list a column")
        for name, values in columns.items():
            if not isinstance(values, list):
                raise RequestError(422, f"{place}: column {name!r} is no list; send one value a row")
        lengths = {len(values) for values in columns.values()}
        if len(lengths) > 1:
            counts = ", ".join(f"{name!r} has {len(values)}" for name, values in list(columns.items())[:5])
            raise RequestError(422, f"{place}: columns differ in length ({counts}); send one value a row in each")
        (rows,) = lengths
        if rows == 0:
            raise RequestError(422, f"{place}: it has no rows; send at least one")
        check_row_count(rows)
        return cls(columns, rows, check_keys(keys, rows))


@dataclass(frozen=True)
class Answer:
    """The answered rows of one request. What is recorded of them is derived from it."""

    model: ServedModel
    asked: AskedRows
    columns: Mapping[str, Sequence[Any]]
    scores: Scores
    ids: list[str]
    at: datetime
    seconds: float
    warnings: list[str] = field(default_factory=list)


Observer = Callable[[Answer], None]


def answer(model: ServedModel, asked: AskedRows) -> Answer:
    """Check and predict rows.

    Raises BadRowsError for rows that are refused, RequestError for rows that the model fails on.
    """
    started = time.perf_counter()
    checked = model.checks.check(asked.columns, asked.rows)
    try:
        scores = model.predict(checked.columns)
    except Exception as error:
        version = model.assignment.version
        logger.exception("%s version %d fails on a request", version.pipeline, version.version)
        raise RequestError(
            422, f"version {version.version} cannot answer these rows: {type(error).__name__}: {first_line(error)}"
        ) from error
    seconds = time.perf_counter() - started
    warnings = [str(breach) for breach in checked.warnings]
    extra = [name for name in asked.columns if name not in checked.columns]
    if extra:
        more = ", …" if len(extra) > MAX_EXTRA_SHOWN else ""
        warnings.append(f"not used: {', '.join(map(repr, extra[:MAX_EXTRA_SHOWN]))}{more}")
    request_id = new_request_id()
    ids = [f"{request_id}-{row}" for row in range(asked.rows)]
    return Answer(model, asked, checked.columns, scores, ids, datetime.now(UTC), seconds, warnings)


def class_names(classes: Sequence[Any]) -> list[str]:
    """Return the names of classes as keys of JSON. Booleans are `false` and `true`."""
    return [str(name).lower() if isinstance(name, bool) else str(name) for name in classes]


def check_row_count(rows: int) -> None:
    """Raise RequestError for more rows than one request may have."""
    if rows > MAX_ROWS:
        raise RequestError(413, f"{rows} rows; a request may have {MAX_ROWS}: send several, or use `waterflow predict`")


def check_keys(keys: Any, rows: int) -> list[str | None] | None:
    """Return the caller's names of the rows. Raises RequestError unless they are texts, one a row."""
    if keys is None:
        return None
    if isinstance(keys, list) and len(keys) == rows and all(key is None or isinstance(key, str) for key in keys):
        return keys
    raise RequestError(422, f"keys: send a list of {rows} texts, one a row, or leave it out")
