"""Reading and appending to the ledger, on SQLite or Postgres."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property

from sqlalchemy import Table, insert, select, union
from sqlalchemy.exc import IntegrityError

from waterflow.errors import LedgerConflict, LedgerError, first_line
from waterflow.ledger.chain import Breaks, Chain, Columns, Link, find_breaks, link_rows, why_unsigned
from waterflow.ledger.database import open_engine, translated
from waterflow.ledger.marks import LedgerMarks
from waterflow.ledger.migrate import ensure_tables
from waterflow.ledger.rows import decision_columns, decision_of, look_columns, look_of
from waterflow.ledger.tables import decisions, identity, looks, projections
from waterflow.provenance.hashing import digest_of
from waterflow.provenance.signing import Keyring, Statement
from waterflow.records.evaluation import Verdict
from waterflow.records.promotion import Decision, DecisionKind, Look
from waterflow.records.run import Window


class Ledger:
    """The decisions on every model's champion, in order; append-only.

    Rows are chained and signed (`chain.py`). Of a model with a row that does not verify nothing is read: LedgerError
    names the row. Other models do not notice.
    """

    def __init__(self, url: str, keys: Keyring, marks: LedgerMarks | None = None) -> None:
        """Connect to the database, and create or migrate the tables.

        Raises UnreachableError when the database does not answer, StoreError when its file cannot be used,
        LedgerError when it refuses, ConfigError on an invalid address.
        """
        self._engine, self._shown = open_engine(url)
        self._keys, self._marks = keys, marks
        with translated(self._shown):
            ensure_tables(self._engine)

    @cached_property
    def id(self) -> str:
        """The random id of this ledger. All its signatures name it."""
        with translated(self._shown), self._engine.connect() as connection:
            return str(connection.execute(select(identity.c.id)).scalar())

    def head(self, model: str) -> Decision | None:
        """Return the newest decision on a model."""
        return next(reversed(self.entries(model)), None)

    def entries(self, model: str) -> list[Decision]:
        """Return the decisions on a model, oldest first. Raises LedgerError where a row does not verify."""
        rows = self._read_verified(decisions, model)
        with _readable(model):
            return [decision_of(row) for row in rows]

    def unverified_entries(self, model: str) -> list[Decision]:
        """Return the decisions on a model whoever wrote them. Raises LedgerError for rows that are none."""
        with _readable(model):
            return [decision_of(row) for row in self._read(decisions, model)]

    def unverified_looks(self, model: str) -> list[Look]:
        """Return the looks at a model's rows whoever wrote them. Raises LedgerError for rows that are none."""
        with _readable(model):
            return [look_of(row) for row in self._read(looks, model)]

    def models(self) -> list[str]:
        """Return the names of models with decisions or looks."""
        query = union(select(decisions.c.model), select(looks.c.model))
        with translated(self._shown), self._engine.connect() as connection:
            return sorted(map(str, connection.execute(query).scalars()))

    def find_decision(self, model: str, run_id: str) -> Decision | None:
        """Return the decision on the version of an MLflow run."""
        found = (row for row in self.entries(model) if row.run_id == run_id and row.kind != "canary")
        return next(found, None)

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
        accepts_unsigned: bool = False,
    ) -> Decision:
        """Append the row that follows `after`, the newest known row.

        It vouches for all rows before it; with `accepts_unsigned` even for rows that no trusted key signed.

        Raises LedgerConflict when another row was appended meanwhile, or when the run has its decision; LedgerError
        where rows before it do not verify; SignatureError without a signing key.
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
        self._append(decisions, decision_columns(decision), accepts_unsigned=accepts_unsigned)
        return decision

    def looks(self, model: str) -> list[Look]:
        """Return the looks at a model's held-out rows, oldest first. Raises LedgerError where one does not verify."""
        rows = self._read_verified(looks, model)
        with _readable(model):
            return [look_of(row) for row in rows]

    def append_look(self, look: Look, *, accepts_unsigned: bool = False) -> None:
        """Append a look.

        Raises LedgerConflict when another one has its sequence, or its evaluation, and else what `append` raises.
        """
        self._append(looks, look_columns(look), accepts_unsigned=accepts_unsigned)

    def verify(self, model: str) -> Breaks:
        """Return what is wrong with a model's rows and marks."""
        problems, notes = [], []
        for table, what in ((decisions, ""), (looks, "looks: ")):
            try:
                links = self._link(table, self._read(table, model))
            except LedgerError as error:
                problems.append(f"{what}{error}")
                continue
            found = find_breaks(links)
            lost = self._marks.find_lost(links, self._chain(table, model), self._keys) if self._marks else []
            problems += [what + line for line in (*found.problems, *lost)]
            notes += [what + line for line in found.notes]
        return Breaks(problems + self._find_forged_projections(model), notes)

    def raw_texts(self, model: str) -> list[str]:
        """Return all columns of a model's rows, as text. They need not verify."""
        rows = [*self._read(decisions, model), *self._read(looks, model)]
        return [str(value) for row in rows for value in row.values()]

    def mark_projected(self, decision: Decision) -> None:
        """Record that the registry's alias follows a decision; idempotent."""
        row = {"model": decision.model, "sequence": decision.sequence, "projected_at": datetime.now(UTC)}
        signature = self._keys.sign(self._projection(row))
        with translated(self._shown):
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(projections).values(**row, signature=signature))
            except IntegrityError:
                return

    def is_projected(self, decision: Decision) -> bool:
        """Return whether the alias has followed this decision. Following a later one counts, too."""
        rows = self._read(projections, decision.model)
        return any(row["sequence"] >= decision.sequence and not self._why_forged(row) for row in rows)

    def _chain(self, table: Table, model: str) -> Chain:
        return Chain(self.id, table.name, model)

    def _read(self, table: Table, model: str) -> list[Columns]:
        query = select(table).where(table.c.model == model).order_by(table.c.sequence)
        with _readable(model), translated(self._shown), self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _link(self, table: Table, rows: Sequence[Columns]) -> list[Link]:
        return link_rows(rows, self._chain(table, rows[0]["model"]), self._keys) if rows else []

    def _read_verified(self, table: Table, model: str) -> list[Columns]:
        rows = self._read(table, model)
        self._require_verified(self._link(table, rows), model)
        return rows

    def _require_verified(self, links: Sequence[Link], model: str) -> None:
        problems = find_breaks(links).problems
        if problems:
            raise LedgerError(
                f"ledger of {model}: {problems[0]}; `waterflow ledger {model} --verify` lists all, and "
                "docs/explanation/ledger.md says how to go on"
            )

    def _append(self, table: Table, columns: Columns, *, accepts_unsigned: bool) -> None:
        """Sign a row and insert it behind the newest one.

        Rows never change, and the key (model, sequence) lets one of two authors insert: so the row that is read here is
        the one before the row that is inserted, without a lock.
        """
        model, sequence = columns["model"], columns["sequence"]
        chain, links = self._chain(table, model), self._link(table, self._read(table, model))
        if sequence != len(links) + 1:
            raise _conflict(model, sequence)
        previous = links[-1].digest if links else chain.genesis
        linked = {column.name: columns.get(column.name) for column in table.columns} | {"previous_digest": previous}
        digest = chain.digest(linked, previous)
        linked["signature"] = self._keys.sign(chain.statement(sequence, digest))
        new = Link(sequence, digest, True, linked["signature"], "")
        self._require_verified([*links, new] if accepts_unsigned else links, model)
        self._mark(chain, links[-1:])  # whoever wrote the row before may have been stopped before it did
        with translated(self._shown):
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(table).values(**linked))
            except IntegrityError as error:
                raise _conflict(model, sequence) from error
        self._mark(chain, [new])

    def _mark(self, chain: Chain, links: Sequence[Link]) -> None:
        for link in links:
            if self._marks and link.signature and not link.unsigned:
                self._marks.write(chain, link.sequence, link.digest, link.signature)

    def _projection(self, row: Columns) -> Statement:
        projected_at = digest_of(row["projected_at"].isoformat(timespec="microseconds"))
        return Statement(projections.name, row["model"], f"{self.id}/{row['sequence']}", projected_at)

    def _why_forged(self, row: Columns) -> str:
        if row["signature"] is None:  # from before signatures: the tables take no other
            return ""
        return why_unsigned(self._projection(row), row["signature"], self._keys)

    def _find_forged_projections(self, model: str) -> list[str]:
        found = ((row["sequence"], self._why_forged(row)) for row in self._read(projections, model))
        return [f"row {number}: its mark of the alias is not this ledger's: {why}" for number, why in found if why]


@contextmanager
def _readable(model: str) -> Iterator[None]:
    """Raise LedgerError for values that cannot be read."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        raise LedgerError(f"ledger of {model}: a row cannot be read ({first_line(error)})") from error


def _conflict(model: str, sequence: int) -> LedgerConflict:
    return LedgerConflict(f"ledger of {model}: row {sequence} was written meanwhile; read it and try again")
