"""Writes in one hop to the driver: on SQLite a unit of work runs whole in a thread, and those that wait run together.

SQLAlchemy's async session hands every statement over to a thread and back; each time the thread waits for Python's
lock, and whoever holds the database's one write lock waits with it. In one hop a unit takes half of the processor time,
and how long it holds the lock does not depend on how busy the event loop is (decision 0009). Units that
come while others run share the next transaction, each in a savepoint: many together when it is busy, at once when not.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

T = TypeVar("T")
Work = Callable[[AsyncSession], Coroutine[Any, Any, T]]
"""A unit of work: waits for nothing but its session."""

TOGETHER_S = 0.02
"""How long a transaction goes on taking up units that wait: nobody else writes meanwhile."""


class Gate(Protocol):
    """Who may write now."""

    def hold(self) -> AbstractAsyncContextManager[None]:
        """Inside, nobody else does."""


@dataclass(slots=True, eq=False)
class _Unit:
    work: Work[Any]
    outcome: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None

    def tell(self) -> None:
        """What came of it, to whoever waits."""
        if self.error is not None:
            self.outcome.set_exception(self.error)
        else:
            self.outcome.set_result(self.value)


class SqliteWriter:
    """The units of one event loop, performed by one thread over one connection."""

    def __init__(self, path: str, gate: Gate, configure: Callable[[Engine], None]) -> None:
        self._engine = create_engine(f"sqlite:///{path}", pool_size=1, max_overflow=0, pool_reset_on_return=None)
        configure(self._engine)
        # Transactions and savepoints are ours to begin and end, in plain SQL, which takes a twentieth of the time.
        self._engine.dialect.do_commit = _nothing  # type: ignore[method-assign, assignment]
        self._engine.dialect.do_rollback = _nothing  # type: ignore[method-assign, assignment]
        self._gate = gate
        self._thread: ThreadPoolExecutor | None = None
        self._waiting: deque[_Unit] = deque()
        self._performing: asyncio.Task[None] | None = None

    async def perform(self, work: Work[T]) -> T:
        """Do `work` and commit it; what it raises undoes it, and nobody else's.

        Cancelled before it has begun, nothing happens; after that it is done all the same, before the cancellation
        passes on: half a transaction cannot be taken back from another thread.
        """
        unit = _Unit(work, asyncio.get_running_loop().create_future())
        self._waiting.append(unit)
        if self._performing is None:
            self._performing = asyncio.create_task(self._perform(), name="writer")
        try:
            return cast("T", await asyncio.shield(unit.outcome))
        except asyncio.CancelledError:
            try:
                self._waiting.remove(unit)
            except ValueError:
                await asyncio.wait({unit.outcome})
                unit.outcome.exception()
            raise

    async def close(self) -> None:
        """Let what has begun end, and close the connection."""
        if self._performing is not None:
            await asyncio.wait({self._performing})
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
            self._thread.shutdown()
            self._thread = None

    async def _perform(self) -> None:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "writer")
        try:
            while self._waiting:
                async with self._gate.hold():
                    done = await loop.run_in_executor(self._thread, self._transact)
                for unit in done:
                    unit.tell()
        finally:
            self._performing = None

    # --- in the thread ---

    def _transact(self) -> list[_Unit]:
        """One transaction of those that wait; returns them, each with what came of it."""
        taken: list[_Unit] = []
        try:
            with self._engine.connect() as connection:
                driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
                driver.execute("BEGIN IMMEDIATE")
                try:
                    until = time.monotonic() + TOGETHER_S
                    while self._waiting and (not taken or time.monotonic() < until):
                        taken.append(self._waiting.popleft())
                        _do(taken[-1], connection, driver)
                    driver.execute("COMMIT")
                finally:
                    if driver.in_transaction:
                        driver.execute("ROLLBACK")
        except Exception as error:  # noqa: BLE001 (whatever it is, it happened to all of them)
            taken = taken or [self._waiting.popleft() for _ in range(len(self._waiting))]
            for unit in taken:
                unit.error = unit.error or error
        return taken


def _nothing(_connection: object) -> None:
    """What there is for SQLAlchemy to commit or to roll back."""


def _do(unit: _Unit, connection: Connection, driver: sqlite3.Connection) -> None:
    """One unit, in a savepoint of its own. Raises what ends the whole transaction."""
    driver.execute("SAVEPOINT unit")
    with Session(connection, expire_on_commit=False) as session:
        try:
            unit.value = at_once(unit.work(cast("AsyncSession", _Inline(session))))
            session.commit()
        except BaseException as error:  # noqa: BLE001 (it is for whoever waits for the unit)
            unit.error = error
    if (
        unit.error is not None and driver.in_transaction
    ):  # some errors undo the whole transaction: the next line says so
        driver.execute("ROLLBACK TO unit")
    driver.execute("RELEASE unit")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for. Raises RuntimeError for one that waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    work.close()
    raise RuntimeError("a unit of work waited for something that is not its session")


class _Inline:
    """A session of the thread that it is used in, with the face of an AsyncSession, as far as services use it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.add = session.add
        self.add_all = session.add_all

    async def execute(self, *args: Any, **given: Any) -> Any:
        return self._session.execute(*args, **given)

    async def flush(self) -> None:
        self._session.flush()

    async def refresh(self, row: Any) -> None:
        self._session.refresh(row)

    async def delete(self, row: Any) -> None:
        self._session.delete(row)

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        with self._session.begin_nested():
            yield
