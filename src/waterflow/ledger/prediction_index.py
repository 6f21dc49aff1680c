"""The index of the prediction log. It lists sealed files, ended workers and outcomes; rows are only inserted."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy import Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from waterflow.ledger.chain import Columns
from waterflow.ledger.database import open_engine, translated
from waterflow.ledger.migrate import ensure_tables
from waterflow.ledger.tables import outcomes, segments, served_workers
from waterflow.records.prediction_log import Outcome, SealedSegment, WorkerTotals

CHUNK = 500  # SQLite takes about 32,000 parameters in a statement


class PredictionIndex:
    """The sealed files of the prediction log, and known outcomes."""

    def __init__(self, url: str) -> None:
        """Connect to the database, and create or migrate the tables. Raises what `Ledger` raises."""
        self._engine, self._shown = open_engine(url)
        with translated(self._shown):
            ensure_tables(self._engine)

    def add_segment(self, segment: SealedSegment) -> None:
        """Insert a sealed file; idempotent."""
        self._insert(segments, [segment.model_dump() | {"sealed_at": datetime.now(UTC)}])

    def find_segments(self, pipeline: str, since: date, until: date, today: date) -> list[SealedSegment]:
        """Return a pipeline's files of some days, oldest first. Both days are included; expired files are not."""
        query = (
            select(segments)
            .where(segments.c.pipeline == pipeline, segments.c.day >= since, segments.c.day <= until)
            .where(segments.c.keep_until >= today)
            .order_by(segments.c.day, segments.c.first_at, segments.c.source)
        )
        with translated(self._shown), self._engine.connect() as connection:
            return [_segment_of(dict(row)) for row in connection.execute(query).mappings()]

    def kept_segments(self, today: date) -> list[SealedSegment]:
        """Return the files of all pipelines that are still kept."""
        query = select(segments).where(segments.c.keep_until >= today)
        with translated(self._shown), self._engine.connect() as connection:
            return [_segment_of(dict(row)) for row in connection.execute(query).mappings()]

    def count_sealed(self, worker: str) -> int:
        """Return how many of a worker's rows were sealed."""
        query = select(func.sum(segments.c.row_count)).where(
            segments.c.source.startswith(f"{worker}/", autoescape=True)
        )
        with translated(self._shown), self._engine.connect() as connection:
            return int(connection.execute(query).scalar() or 0)

    def add_worker(self, totals: WorkerTotals) -> None:
        """Insert the totals of a worker that ended; idempotent."""
        self._insert(served_workers, [totals.model_dump() | {"noticed_at": datetime.now(UTC)}])

    def list_workers(self) -> list[WorkerTotals]:
        """Return the totals of ended workers. They are in the order in which their end was noticed."""
        query = select(served_workers).order_by(served_workers.c.noticed_at)
        with translated(self._shown), self._engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return [WorkerTotals.model_validate({key: row[key] for key in WorkerTotals.model_fields}) for row in rows]

    def add_outcomes(self, batch: str, added: Sequence[Outcome]) -> list[tuple[Outcome, str]]:
        """Insert the outcomes that are new. Returns all that are recorded now, each with its batch.

        The database lets one of two writers insert, so both see the same outcome afterwards.
        """
        recorded: list[tuple[Outcome, str]] = []
        for start in range(0, len(added), CHUNK):
            chunk = added[start : start + CHUNK]
            now = datetime.now(UTC)
            self._insert(outcomes, [_outcome_columns(entry) | {"batch": batch, "received_at": now} for entry in chunk])
            query = select(outcomes).where(
                outcomes.c.pipeline == chunk[0].pipeline, outcomes.c.reference.in_([row.reference for row in chunk])
            )
            with translated(self._shown), self._engine.connect() as connection:
                recorded += [(_outcome_of(dict(row)), row["batch"]) for row in connection.execute(query).mappings()]
        return recorded

    def find_outcomes(self, pipeline: str, since: datetime, today: date) -> list[Outcome]:
        """Return a pipeline's outcomes known since a time, oldest first."""
        query = (
            select(outcomes)
            .where(outcomes.c.pipeline == pipeline, outcomes.c.known_at >= since, outcomes.c.keep_until >= today)
            .order_by(outcomes.c.known_at, outcomes.c.reference)
        )
        with translated(self._shown), self._engine.connect() as connection:
            return [_outcome_of(dict(row)) for row in connection.execute(query).mappings()]

    def remove_expired_outcomes(self, today: date) -> int:
        """Delete outcomes that need not be kept any more. Returns their number; who serves may not do this."""
        with translated(self._shown), self._engine.begin() as connection:
            return connection.execute(outcomes.delete().where(outcomes.c.keep_until < today)).rowcount

    def _insert(self, table: Table, rows: Sequence[Columns]) -> None:
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        with translated(self._shown), self._engine.begin() as connection:
            connection.execute(dialect.insert(table).values(list(rows)).on_conflict_do_nothing())


def _segment_of(row: Columns) -> SealedSegment:
    return SealedSegment.model_validate({key: row[key] for key in SealedSegment.model_fields})


def _outcome_columns(entry: Outcome) -> dict[str, object]:
    return entry.model_dump() | {"reference": entry.reference}


def _outcome_of(row: Columns) -> Outcome:
    return Outcome.model_validate({key: row[key] for key in Outcome.model_fields})
