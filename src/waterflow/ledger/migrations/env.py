"""Alembic's entry. Runs on the connection, and in the transaction, that `waterflow.ledger.migrate` hands over."""

from alembic import context

from waterflow.ledger.migrate import VERSION_TABLE
from waterflow.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
