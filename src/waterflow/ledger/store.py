"""Reading and appending to the ledger, on SQLite or Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Row, Table, create_engine, event, insert, make_url, select, union
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import NullPool

from waterflow.errors import (
    ConfigError,
    LedgerConflict,
    LedgerError,
    StoreError,
    UnreachableError,
    WaterflowError,
    first_line,
)
from waterflow.ledger.migrate import ensure_tables
from waterflow.ledger.tables import decisions, looks, projections
from waterflow.records.data import Blob
from waterflow.records.evaluation import Verdict
from waterflow.records.promotion import Decision, DecisionKind, Look
from waterflow.records.run import Window


class Ledger:
    """The decisions on every model's champion, in order; append-only."""

    def __init__(self, url: str) -> None:
        """Connect to the database, and create or migrate the tables.

        Raises UnreachableError when the database does not answer, StoreError when its file cannot be used,
        LedgerError when it refuses, ConfigError on an invalid address.
        """
        self._engine, self._shown = _engine_of(url)
        with self._translated():
            ensure_tables(self._engine)

    def head(self, model: str) -> Decision | None:
        """Return the newest decision on a model."""
        return next(iter(self.entries(model, newest=1)), None)

    def entries(self, model: str, newest: int | None = None) -> list[Decision]:
        """Return the decisions on a model, oldest first. `newest` limits them."""
        query = select(decisions).where(decisions.c.model == model).order_by(decisions.c.sequence.desc())
        with self._translated(), self._engine.connect() as connection:
            rows = connection.execute(query.limit(newest)).all()
        return [_decision(row) for row in reversed(rows)]

    def models(self) -> list[str]:
        """Return the names of models with decisions or looks."""
        query = union(select(decisions.c.model), select(looks.c.model))
        with self._translated(), self._engine.connect() as connection:
            return sorted(connection.execute(query).scalars())

    def find_decision(self, model: str, run_id: str) -> Decision | None:
        """Return the decision on the version of an MLflow run."""
        query = select(decisions).where(
            decisions.c.model == model, decisions.c.run_id == run_id, decisions.c.kind != "canary"
        )
        with self._translated(), self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _decision(row)

    def append(
        self,
        after: Decision | None,
        *,
        model: str,
        kind: DecisionKind,
        version: int | None,
        to_version: int | None,
        reason: str,
        actor: str,
        run_id: str | None = None,
        dag_run_id: str | None = None,
        window: Window | None = None,
        verdict: Verdict | None = None,
        model_id: str | None = None,
        model_digest: str | None = None,
        effective_at: datetime | None = None,
    ) -> Decision:
        """Append the row that follows `after`, the newest known row.

        Raises LedgerConflict when another row was appended meanwhile, or when the run has its decision.
        """
        now = datetime.now(UTC)
        decision = Decision(
            model=model,
            sequence=after.sequence + 1 if after else 1,
            kind=kind,
            from_version=after.to_version if after else None,
            to_version=to_version,
            version=version,
            reason=reason,
            actor=actor[:255],
            run_id=run_id,
            dag_run_id=dag_run_id,
            window=window if window and (window.start or window.end) else None,
            verdict=verdict,
            decided_at=max(now, after.decided_at) if after else now,  # clocks of two machines may differ
            model_id=model_id,
            model_digest=model_digest,
            effective_at=effective_at,
        )
        self._insert(decisions, _columns(decision))
        return decision

    def looks(self, model: str) -> list[Look]:
        """Return the looks at a model's held-out rows, oldest first."""
        query = select(looks).where(looks.c.model == model).order_by(looks.c.sequence)
        with self._translated(), self._engine.connect() as connection:
            return [_look(row) for row in connection.execute(query)]

    def append_look(self, look: Look) -> None:
        """Append a look.

        Raises LedgerConflict when another one has its sequence, or its evaluation.
        """
        columns = look.model_dump(exclude={"rows"})
        rows = {"rows_key": look.rows.key, "rows_digest": look.rows.digest, "rows_bytes": look.rows.size_bytes}
        self._insert(looks, columns | rows)

    def mark_projected(self, decision: Decision) -> None:
        """Record that the registry's alias follows a decision; idempotent."""
        row = {"model": decision.model, "sequence": decision.sequence, "projected_at": datetime.now(UTC)}
        with self._translated():
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(projections).values(**row))
            except IntegrityError:
                return

    def is_projected(self, decision: Decision) -> bool:
        """Return whether the alias has followed this decision. Following a later one counts, too."""
        query = select(projections.c.sequence).where(
            projections.c.model == decision.model, projections.c.sequence >= decision.sequence
        )
        with self._translated(), self._engine.connect() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _insert(self, table: Table, columns: dict[str, Any]) -> None:
        with self._translated():
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(table).values(**columns))
            except IntegrityError as error:
                raise LedgerConflict(
                    f"ledger of {columns['model']}: row {columns['sequence']} was written meanwhile; "
                    "read it and try again"
                ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except WaterflowError:
            raise
        except DBAPIError as error:
            raise _explained(error, self._shown) from error


def _engine_of(url: str) -> tuple[Engine, str]:
    try:
        address = make_url(url)
    except ArgumentError as error:  # its message would show what may hold a password
        raise ConfigError(
            "profile.database_uri: it is no address of SQLAlchemy's; write it like sqlite:////home/me/waterflow.db"
        ) from error
    is_file = address.get_backend_name() == "sqlite"
    seconds = {"timeout": 60} if is_file else {"connect_timeout": 10}
    engine = create_engine(address, poolclass=NullPool, connect_args=seconds)
    if is_file:
        # Else Python's driver begins transactions when it sees fit, and not before it changes tables.
        event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    return engine, address.render_as_string(hide_password=True)


def _explained(error: DBAPIError, shown: str) -> WaterflowError:
    reason = first_line(error.orig) or type(error).__name__
    refused = ("authentication failed", "does not exist", "permission denied")
    if isinstance(error, OperationalError) and not any(word in str(error.orig) for word in refused):
        if shown.startswith("sqlite") and "locked" not in reason:
            return StoreError(f"ledger at {shown}: {reason}; check space and rights")
        return UnreachableError(f"ledger at {shown} does not answer ({reason}); is the database up?")
    return LedgerError(f"ledger at {shown}: {reason}; check the address and the rights of its role")


def _columns(decision: Decision) -> dict[str, Any]:
    plain = decision.model_dump(exclude={"window", "verdict"})
    window = decision.window or Window()
    verdict = decision.verdict and decision.verdict.to_json()
    return plain | {"window_start": window.start, "window_end": window.end, "verdict": verdict}


def _decision(row: Row[Any]) -> Decision:
    content = dict(row._mapping)
    start, end = content.pop("window_start"), content.pop("window_end")
    return Decision.model_validate(content | {"window": Window(start=start, end=end) if start or end else None})


def _look(row: Row[Any]) -> Look:
    content = dict(row._mapping)
    key, digest, size_bytes = (content.pop(f"rows_{name}") for name in ("key", "digest", "bytes"))
    return Look.model_validate(content | {"rows": Blob(key=key, digest=digest, size_bytes=size_bytes)})
