"""The running domain: settings, clock, database and bell, and the transactions in which everything happens.

`async with runtime.transaction(viewer) as tx` is the only way to write, and `tx.select(Table)` the only place where
a workspace's rows are told from another's. Nobody else commits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast

from sqlalchemy import CursorResult, Select, bindparam, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import Executable
from sqlmodel import col

from schema.bell import Bell, LocalBell
from schema.clock import Clock, SystemClock
from schema.database import Database, open_database
from schema.errors import NotFound
from schema.rules.ids import new_id
from schema.rules.plans import Plan
from schema.secret import load_secret
from schema.settings import Settings
from schema.tables.base import Owned, SoftDeleted, Table
from schema.tables.campaigns import Dialer

T = TypeVar("T", bound=Table)
Own = TypeVar("Own", bound=Owned)
Out = TypeVar("Out")
P = ParamSpec("P")
DIALERS = "dialers"
"""The queue of workspaces' dialers."""

Result: TypeAlias = CursorResult[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whose rows are seen, and with what credentials: a key, a person, or the system itself.

    Scopes and limits hang on the key. `name` is what the audit log calls whoever it is, `address` where they are;
    `digest` is that of the key's text or the session's token, by which it is found again whether they are still good.
    """

    workspace_id: str
    plan: Plan = Plan.STARTER
    key_id: str | None = None
    scopes: Mapping[str, str] | None = None
    user_id: str | None = None
    session_id: str | None = None
    name: str | None = None
    address: str | None = None
    digest: str | None = field(default=None, repr=False)


class Reads:
    """Reading one workspace's rows; `Snapshot` and `Transaction` differ in how they reach the database."""

    def __init__(self, runtime: Runtime, viewer: Viewer | None) -> None:
        self.runtime = runtime
        self.settings = runtime.settings
        self.viewer = viewer
        self.now: datetime = runtime.clock.now()

    @property
    def workspace_id(self) -> str:
        """The workspace; a transaction without a viewer has none and must not get here."""
        if self.viewer is None:
            raise RuntimeError("this transaction has no workspace")
        return self.viewer.workspace_id

    def select(self, table: type[Own], *, deleted: bool = False) -> Select[Own]:
        """This workspace's rows of `table`, without the `deleted` ones unless told."""
        return _owned(table, self.workspace_id, deleted=deleted)

    async def all(self, statement: Select[T]) -> list[T]:
        """Every row of the statement."""
        raise NotImplementedError

    async def first(self, statement: Select[T]) -> T | None:
        """The first row, or None."""
        rows = await self.all(statement.limit(1))
        return rows[0] if rows else None

    async def count(self, statement: Select[Any]) -> int:
        """How many rows the statement has."""
        raise NotImplementedError

    async def get(self, table: type[Own], id: str) -> Own:
        """The row with that id. Raises NotFound, the same for an unknown id and another workspace's (R5)."""
        row = await self.first(self.select(table).where(col(table.id) == id))
        if row is None:
            raise missing(table, id)
        return row


def _owned(table: type[Own], workspace: Any, *, deleted: bool = False) -> Select[Own]:
    """The rows of one workspace: the single place of tenancy."""
    statement = select(table).where(col(table.workspace_id) == workspace)
    if issubclass(table, SoftDeleted) and not deleted:
        return statement.where(col(table.deleted_at).is_(None))
    return statement


def missing(table: type[Table], id: str) -> NotFound:
    """`Agent with id clx… not found` (decision E4)."""
    shown = id if len(id) <= 64 else id[:64] + "…"
    return NotFound(f"{table.NOUN} with id {shown} not found")


class Snapshot(Reads):
    """Reads only; each statement sees what is committed when it runs."""

    async def all(self, statement: Select[T]) -> list[T]:
        return cast("list[T]", await self.runtime.database.read(statement))

    async def count(self, statement: Select[Any]) -> int:
        counted = select(func.count().label("total")).select_from(statement.order_by(None).subquery())
        return int((await self.runtime.database.read(counted))[0].total)


class Transaction(Reads):
    """One unit of work: all of it is committed at the end of the `async with`, or none."""

    def __init__(self, runtime: Runtime, viewer: Viewer | None, session: AsyncSession) -> None:
        super().__init__(runtime, viewer)
        self.session = session
        self._rings: set[str] = set()
        self._wakes = self._frees = False

    async def all(self, statement: Select[T]) -> list[T]:
        return list((await self.session.execute(statement)).scalars())

    async def count(self, statement: Select[Any]) -> int:
        counted = select(func.count()).select_from(statement.order_by(None).subquery())
        return int((await self.session.execute(counted)).scalar_one())

    async def lock(self, table: type[Own], id: str) -> Own:
        """`get`, and nobody else changes the row until this transaction ends."""
        rows = await self.session.execute(_locking(table), {"workspace": self.workspace_id, "id": id})
        row: Own | None = rows.scalars().first()
        if row is None:
            raise missing(table, id)
        return row

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> Result:
        """Run a statement that returns no model; `values` are for what it leaves open, in a list: for many rows."""
        return cast("Result", await self.session.execute(statement, values))

    async def insert_new(self, table: type[T], rows: list[dict[str, Any]]) -> None:
        """Insert many, without those that a unique constraint refuses; sort them, or two of these may deadlock."""
        insert = sqlite.insert if self.runtime.database.is_sqlite else postgresql.insert
        await self.session.execute(insert(table).on_conflict_do_nothing(), rows)

    async def insert_once(self, table: type[T], values: Mapping[str, Any]) -> bool:
        """Insert one row unless a unique constraint refuses it; whether it was new."""
        statement = _inserting(table, self.runtime.database.is_sqlite)
        return (await self.execute(statement, values)).rowcount == 1

    def add(self, row: T) -> T:
        """Insert the row when the transaction flushes."""
        self.session.add(row)
        return row

    def new_id(self) -> str:
        """An id for a row made in this transaction (R5)."""
        return new_id(self.now)

    async def flush(self) -> None:
        """Send what has been added, so that statements see it and constraints speak."""
        await self.session.flush()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is changed inside is sent at its end; if that raises (IntegrityError), only this part is undone."""
        async with self.session.begin_nested():
            yield

    def read_clock(self) -> None:
        """`now` is now: for whoever decides by the time of day after having waited for rows that others held."""
        self.now = self.runtime.clock.now()

    def wake(self) -> None:
        """Have the workspace's dialer look, in this transaction: there may be somebody to call."""
        self._wakes = self._frees = True

    def free_slot(self) -> None:
        """`wake` for a dialer that somebody waits for; one that sleeps without an end has nobody for the slot."""
        self._frees = True

    async def finish(self) -> None:
        """What is done last, so that nobody holds the dialer's row while waiting for another. For `Runtime` only."""
        if not self._frees:
            return
        await self.session.flush()
        if not self.runtime.database.is_sqlite:
            # A look under way has not seen what this transaction does, and may say after it when to look again: whoever
            # wakes waits for its end, since a row that seems to be due already is one that it is about to overwrite.
            await self.execute(_DIALER, {"workspace": self.workspace_id})
        waits = col(Dialer.due_at) > self.now
        woken = await self.execute(
            update(Dialer)
            .where(
                col(Dialer.id) == self.workspace_id, or_(waits, col(Dialer.due_at).is_(None)) if self._wakes else waits
            )
            .values(due_at=self.now)
            .execution_options(synchronize_session=False)
        )
        if woken.rowcount:
            self.ring(DIALERS)

    def ring(self, queue: str) -> None:
        """After the commit, wake whoever works on `queue`; never needed for correctness."""
        self._rings.add(queue)


_DIALER = select(col(Dialer.id)).where(col(Dialer.id) == bindparam("workspace")).with_for_update(key_share=True)


@cache
def _locking(table: type[Own]) -> Select[Own]:
    """Made once, because making it takes as long as running it."""
    return _owned(table, bindparam("workspace")).where(col(table.id) == bindparam("id")).with_for_update(key_share=True)


@cache
def _inserting(table: type[Table], is_sqlite: bool) -> Executable:
    """As above."""
    insert = sqlite.insert if is_sqlite else postgresql.insert
    return insert(table.__table__).on_conflict_do_nothing()  # type: ignore[attr-defined]


class Runtime:
    """Everything the services need, for one event loop."""

    def __init__(self, settings: Settings, clock: Clock, database: Database, bell: Bell, secret: bytes) -> None:
        self.settings = settings
        self.clock = clock
        self.database = database
        self.bell = bell
        self.secret = secret

    @asynccontextmanager
    async def transaction(self, viewer: Viewer | None) -> AsyncIterator[Transaction]:
        """A unit of work for `viewer` (None: for the system, which then names workspaces itself)."""
        async with self.database.gate.hold(), AsyncSession(self.database.engine, expire_on_commit=False) as session:
            tx = Transaction(self, viewer, session)
            yield tx
            await tx.finish()
            await session.commit()
        self._ring(tx)

    async def perform(
        self,
        viewer: Viewer | None,
        verb: Callable[Concatenate[Transaction, P], Coroutine[Any, Any, Out]],
        *args: P.args,
        **given: P.kwargs,
    ) -> Out:
        """`verb(tx, *args, **given)` as a unit of work, on SQLite in one hop and together with others that wait.

        What `transaction` does for a block that waits for nothing but `tx`, in half of the time (`schema.writing`).
        Once begun it is not cut short by a cancellation.
        """
        writer = self.database.writer
        if writer is None:
            async with self.transaction(viewer) as tx:
                return await verb(tx, *args, **given)

        async def work(session: AsyncSession) -> tuple[Transaction, Out]:
            tx = Transaction(self, viewer, session)
            done = await verb(tx, *args, **given)
            await tx.finish()
            return tx, done

        tx, done = await writer.perform(work)
        self._ring(tx)
        return done

    def _ring(self, tx: Transaction) -> None:
        for queue in tx._rings:  # noqa: SLF001
            self.bell.ring(queue)

    def snapshot(self, viewer: Viewer | None) -> Snapshot:
        """Reads for `viewer`; nothing to close."""
        return Snapshot(self, viewer)

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock | None = None, bell: Bell | None = None) -> Runtime:
        """A runtime for the event loop that will use it; connections are made when first needed."""
        return cls(
            settings, clock or SystemClock(), open_database(settings), bell or LocalBell(), load_secret(settings.data)
        )

    async def close(self) -> None:
        """Close the database connections of this loop; the bell belongs to the process."""
        await self.database.close()
