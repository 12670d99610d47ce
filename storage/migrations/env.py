"""Runs the migrations on the connection that `storage.database` hands over."""

from alembic import context

from storage import review_tables  # noqa: F401  (its tables belong to the metadata too)
from storage.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
