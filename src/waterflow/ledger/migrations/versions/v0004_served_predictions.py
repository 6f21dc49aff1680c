"""The index of the prediction log, and outcomes. Rights keep them append-only for who serves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables of the prediction log."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "waterflow_served_segment",
        sa.Column("source", sa.String(128), primary_key=True),
        sa.Column("pipeline", sa.String(255), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("keep_until", sa.Date, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("first_at", moment, nullable=False),
        sa.Column("last_at", moment, nullable=False),
        sa.Column("sealed_at", moment, nullable=False),
        sa.Index("waterflow_served_segment_by_time", "pipeline", "day"),
    )
    op.create_table(
        "waterflow_served_worker",
        sa.Column("worker", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("accepted", "sealed", "dropped", "lost")),
        sa.Column("noticed_at", moment, nullable=False),
    )
    op.create_table(
        "waterflow_outcome",
        sa.Column("pipeline", sa.String(255), primary_key=True),
        sa.Column("reference", sa.String(340), primary_key=True),
        sa.Column("prediction_id", sa.String(64)),
        sa.Column("key", sa.String(255)),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("known_at", moment, nullable=False),
        sa.Column("received_at", moment, nullable=False),
        sa.Column("batch", sa.String(32), nullable=False),
        sa.Column("keep_until", sa.Date, nullable=False),
        sa.Index("waterflow_outcome_by_time", "pipeline", "known_at"),
        sa.CheckConstraint("(prediction_id IS NULL) <> (key IS NULL)", name="waterflow_outcome_of_one_prediction"),
    )


def downgrade() -> None:
    """Raise an error: a command does not discard records."""
    raise NotImplementedError("the ledger is not migrated back; restore a backup instead")
