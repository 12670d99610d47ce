"""Alembic's migrations, run from code by `storage.database.migrate`."""
