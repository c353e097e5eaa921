"""The history of the database, in Alembic's order: upgrade to its head, and ask where a database stands."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from schema.database import open_database
from schema.settings import Settings

_HERE = Path(__file__).parent
_LOCK = 8_146_201  # PostgreSQL's advisory lock: one upgrade at a time, however many hosts start together


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    return config


def head() -> str:
    """The newest revision this code knows."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


async def upgrade(settings: Settings) -> tuple[str | None, str]:
    """Bring the database to the newest revision; safe to run again and from several hosts. Returns (before, after)."""
    if settings.dialect == "sqlite":
        settings.sqlite_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.sqlite_path.touch(mode=0o600)  # it holds the secrets that webhooks are signed with
    database = open_database(settings)
    try:
        async with database.gate.hold(), database.engine.begin() as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await database.close()


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    before = _revision(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before, head()


async def current(settings: Settings) -> str | None:
    """The revision a database is at, None if it has none."""
    database = open_database(settings)
    try:
        async with database.engine.connect() as connection:
            return await connection.run_sync(_revision)
    finally:
        await database.close()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
