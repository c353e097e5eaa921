"""The two databases behind one face: column types, the write connection with its gate, and reads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

import asyncpg
from sqlalchemy import DateTime, Dialect, Engine, MetaData, String, event, exc
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.sql import Executable
from sqlalchemy.types import TypeDecorator

from schema.reading import PostgresReader, Reader, SqliteReader, StatementCache
from schema.settings import Settings
from schema.writing import SqliteWriter

# What a database that is away, restarting or overloaded raises, from the engine and from the readers' drivers.
DATABASE_ERRORS: tuple[type[Exception], ...] = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection that is lost in the middle of a question may say
    sqlite3.Error,
    OSError,
    TimeoutError,
)

# What is wrong with a statement or its values, and would be wrong again.
_OUR_FAULT: tuple[type[Exception], ...] = (
    exc.IntegrityError,
    exc.DataError,
    exc.ProgrammingError,
    exc.NotSupportedError,
    asyncpg.DataError,
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
)
_FAULTY_STATES = ("21", "22", "23", "42")
"""Classes of SQLSTATE: cardinality, data, constraint, syntax or access."""


def may_pass(error: Exception) -> bool:
    """Whether one of DATABASE_ERRORS is the database's state (away, restarting, full, locked), which may be over soon.

    False for what is wrong with the statement or its values: trying again would fail again.
    """
    if isinstance(error, exc.SQLAlchemyError) and not isinstance(error, exc.DBAPIError):
        return isinstance(error, exc.TimeoutError | exc.DisconnectionError)
    causes = [error, getattr(error, "orig", None), getattr(getattr(error, "orig", None), "__cause__", None)]
    states = [str(getattr(cause, "sqlstate", None) or "") for cause in causes]
    return not any(isinstance(cause, _OUR_FAULT) for cause in causes) and not any(
        state.startswith(_FAULTY_STATES) for state in states
    )


NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime: `timestamptz` on PostgreSQL; on SQLite text of fixed width, so that it sorts."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(DateTime(timezone=True) if dialect.name == "postgresql" else String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone cannot be stored")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)  # asyncpg's first and last instants are naive


class EnumText(TypeDecorator[StrEnum]):
    """An enum kept as its text."""

    impl = String(32)
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind
        self._members = {member.value: member for member in kind}

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self._members[value]


class WriterGate:
    """One writer at a time in this process, first come first served, across threads and event loops.

    SQLite has one write lock and no queue for it: without this, writers poll and some starve.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = False
        self._waiting: deque[Future[None]] = deque()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        ticket: Future[None] = Future()
        with self._lock:
            if self._held:
                self._waiting.append(ticket)
            else:
                self._held = True
                ticket.set_result(None)
        try:
            if not ticket.done():
                await asyncio.wrap_future(ticket)
        except asyncio.CancelledError:
            # Cancelled while waiting: leave the queue, or hand on a turn that arrived at the same moment.
            with self._lock:
                had_turn = not ticket.cancel() and not ticket.cancelled()
            if had_turn:
                self._hand_on()
            raise
        try:
            yield
        finally:
            self._hand_on()

    def _hand_on(self) -> None:
        with self._lock:
            while self._waiting:
                ticket = self._waiting.popleft()
                if ticket.set_running_or_notify_cancel():
                    ticket.set_result(None)
                    return
            self._held = False


class OpenGate:
    """No gate: PostgreSQL has row locks."""

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        yield


class Database:
    """The engine, reader, gate and (on SQLite) writer of one event loop; an engine shared by two loops fails."""

    def __init__(
        self, engine: AsyncEngine, reader: Reader, gate: WriterGate | OpenGate, writer: SqliteWriter | None = None
    ) -> None:
        self.engine = engine
        self.gate = gate
        self.writer = writer
        self.dialect = engine.dialect
        self._reader = reader
        self._statements = StatementCache(engine.dialect)

    @property
    def is_sqlite(self) -> bool:
        return self.dialect.name == "sqlite"

    async def read(self, statement: Executable, values: Mapping[str, Any] | None = None) -> list[Any]:
        """Rows with named attributes, read outside any transaction in one hop to the driver.

        A statement that is made once, with `values` for what it leaves open, takes half of the time to prepare.
        """
        prepared = self._statements.prepare(statement, values)
        return prepared.rows(await self._reader.fetch(prepared.sql, prepared.parameters))

    async def execute(self, statement: Executable) -> list[Any]:
        """What one statement that writes returns, in one hop and committed by itself; not on SQLite, which reads here.

        Saves three questions to the server: is it there, begin, commit.
        """
        return await self.read(statement)

    async def close(self) -> None:
        """Close every connection of this loop."""
        if self.writer is not None:
            await self.writer.close()
        await self._reader.close()
        await self.engine.dispose()


_gates: dict[str, WriterGate] = {}


def open_database(settings: Settings) -> Database:
    """Connect lazily to the database that the settings name; one for each event loop."""
    if settings.dialect == "sqlite":
        path = str(settings.sqlite_path.resolve())
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=0, pool_timeout=60)
        _configure_sqlite(engine.sync_engine, settings.sqlite_synchronous)
        _begin_immediate(engine.sync_engine)
        gate = _gates.setdefault(path, WriterGate())
        writer = SqliteWriter(path, gate, partial(_configure_sqlite, synchronous=settings.sqlite_synchronous))
        return Database(engine, SqliteReader(path), gate, writer)
    dsn = settings.database_url.get_secret_value() if settings.database_url else "postgresql://"

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(dsn, timeout=10, command_timeout=60)

    # asyncpg reads the URL itself, so that it may carry what libpq knows, such as `sslmode`.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, pool_size=10, max_overflow=10, pool_pre_ping=True
    )
    return Database(engine, PostgresReader(dsn), OpenGate())


def _configure_sqlite(engine: Engine, synchronous: str) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000", f"synchronous={synchronous}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "invalidate")
    def invalidate(connection: Any, _record: Any, _error: Any) -> None:
        # A task that was cancelled inside a transaction: closing alone may leave the write lock with a statement that
        # somebody's traceback still holds, and every write of this process would wait for it.
        if connection is not None:
            connection.rollback()


def _begin_immediate(engine: Engine) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        # A read lock that is upgraded later is how "database is locked" is made: take the write lock at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
