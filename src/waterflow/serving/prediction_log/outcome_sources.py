"""Outcomes from a file or a query."""

from pathlib import PurePath
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from waterflow.config.compose import compose_pipeline
from waterflow.config.schema import Source
from waterflow.data.sources.reading import read_source
from waterflow.errors import ConfigError, DataError
from waterflow.records.prediction_log import PostedOutcome, RecordedOutcomes
from waterflow.resources import Resources
from waterflow.serving.prediction_log.outcomes import record_outcomes
from waterflow.stores.open import copy_object

KINDS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".xlsx": "excel"}
COLUMNS = ("id", "key", "outcome", "known_at")


def record_outcomes_from(pipeline: str, source: str, url_env: str | None, resources: Resources) -> RecordedOutcomes:
    """Record the outcomes in a file or query.

    Raises ConfigError for an input that is neither, DataError where columns are missing or unknown, and what
    `read_source` raises.
    """
    rows = read_source(_source_of(source, url_env), resources.project, copy_object).frame
    unknown = [name for name in rows.columns if name not in COLUMNS]
    if unknown or "outcome" not in rows or not {"id", "key"} & set(rows.columns):
        raise DataError(
            f"outcomes: {source!r} has the columns {', '.join(map(repr, rows.columns))}; valid: outcome, known_at, and "
            "id or key; rename or select them"
        )
    settings = compose_pipeline(resources.project, pipeline, ()).serving.log
    posted = [PostedOutcome(**_plain(row)) for row in rows.to_dict("records")]
    return record_outcomes(pipeline, posted, resources.prediction_index, keep_days=settings.keep_days)


def _source_of(source: str, url_env: str | None) -> Any:
    if url_env is not None:
        given = {"kind": "sql", "query": source, "url_env": url_env}
    elif PurePath(source).suffix in KINDS:
        given = {"kind": KINDS[PurePath(source).suffix], "path": source}
    else:
        raise ConfigError(
            f"INPUT: {source!r} is no file that ends in {', '.join(KINDS)}; give one, or a SQL query with --url-env"
        )
    return TypeAdapter[Any](Source).validate_python(given)


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a row's values as an outcome has them. Ids and keys are texts; a time without a zone is one in UTC."""
    found = {str(name): value for name, value in row.items() if not pd.isna(value)}
    posted: dict[str, Any] = {name: str(found[name]) for name in ("id", "key") if name in found}
    if "known_at" in found:
        moment = pd.Timestamp(found["known_at"])
        posted["known_at"] = (moment.tz_localize("UTC") if moment.tzinfo is None else moment).to_pydatetime()
    outcome: Any = found.get("outcome")
    return {**posted, "outcome": outcome.item() if hasattr(outcome, "item") else outcome}
