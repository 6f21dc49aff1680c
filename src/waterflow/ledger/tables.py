"""The tables of ledger and serving; `migrations/` creates them."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Date,
    DateTime,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class Moment(TypeDecorator[datetime]):
    """A time in UTC, stored without its zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the time in UTC."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the time with its zone."""
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


metadata = MetaData()

SCHEMA = "ledger"  # on Postgres, where `owner.py` sets rights; SQLite has none


def _links() -> tuple[Column[Any], Column[Any]]:
    """Return the columns that `chain.py` describes. Rows from before signatures have neither."""
    return Column("previous_digest", String(64)), Column("signature", Text)


# One row: the random id of this ledger. A row signed for another ledger does not count here.
identity = Table("waterflow_ledger_identity", metadata, Column("id", String(32), primary_key=True))

# A row per decision; with (model, sequence) as the key, of two processes that decide at once one is refused.
decisions = Table(
    "waterflow_ledger",
    metadata,
    Column("model", String(255), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16)),
    Column("version", Integer),
    Column("from_version", Integer),
    Column("to_version", Integer),
    Column("reason", Text),
    Column("actor", String(255)),
    Column("run_id", String(64)),
    Column("dag_run_id", String(255)),
    Column("window_start", Moment),
    Column("window_end", Moment),
    Column("verdict", JSON(none_as_null=True)),
    Column("decided_at", Moment),
    Column("model_id", String(64)),
    Column("model_digest", String(64)),
    Column("effective_at", Moment),
    *_links(),
)

# A row per decision that the registry's alias was seen to follow. An alias that differs afterwards was moved by
# somebody else; before, it has not been moved yet.
projections = Table(
    "waterflow_ledger_projection",
    metadata,
    Column("model", String(255), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("projected_at", Moment),
    Column("signature", Text),
)

# A row per look at held-out rows: an evaluation that shows how models do on them.
looks = Table(
    "waterflow_look",
    metadata,
    Column("model", String(255), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("evaluation_key", String(64)),
    Column("run_id", String(64)),
    Column("rows_key", String(255)),
    Column("rows_digest", String(64)),
    Column("rows_bytes", Integer),
    Column("row_count", Integer),
    Column("number", Integer),
    Column("alpha", Float),
    Column("looked_at", Moment),
    *_links(),
)

# A row per sealed file of the prediction log. `source` names the spool file that it was made of, `keep_until` the last
# day on which it is needed.
segments = Table(
    "waterflow_served_segment",
    metadata,
    Column("source", String(128), primary_key=True),
    Column("pipeline", String(255), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("keep_until", Date),
    Column("digest", String(64)),
    Column("size_bytes", BigInteger),
    Column("row_count", Integer),
    Column("first_at", Moment),
    Column("last_at", Moment),
    Column("sealed_at", Moment),
)

# A row per worker that ended: the rows that it took, and what became of them.
served_workers = Table(
    "waterflow_served_worker",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("accepted", BigInteger),
    Column("sealed", BigInteger),
    Column("dropped", BigInteger),
    Column("lost", BigInteger),
    Column("noticed_at", Moment),
)

# A row per outcome. `reference` is what makes it one: a prediction's id, or a key and when its outcome was known.
outcomes = Table(
    "waterflow_outcome",
    metadata,
    Column("pipeline", String(255), primary_key=True),
    Column("reference", String(340), primary_key=True),
    Column("prediction_id", String(64)),
    Column("key", String(255)),
    Column("outcome", Text),  # as JSON
    Column("known_at", Moment),
    Column("received_at", Moment),
    Column("batch", String(32)),
    Column("keep_until", Date),
)
