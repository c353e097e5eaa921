"""Alembic's entry: it runs on the connection that `schema.migrations.upgrade` hands over."""

from __future__ import annotations

from alembic import context

import schema.tables  # noqa: F401 (makes the tables known)
from schema.database import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table by rebuilding it
    compare_type=True,
    transaction_per_migration=False,
)
context.run_migrations()
