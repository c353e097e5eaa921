"""The database and the carrier's ledger, read from outside while things break, and how long held rows lie still."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from counting import Held, Strike, recovery
from sqlalchemy import func, select
from sqlmodel import col

from schema.database import DATABASE_ERRORS
from schema.rules.calls import CallPhase
from schema.rules.webhooks import DeliveryState
from schema.runtime import Runtime
from schema.services.steps import LEASE_S
from schema.tables import Call, Delivery, Dialer, Job
from tests.support.invariants import broken_invariants

_LOOK_S = 0.1
_JOBS: dict[str, type[Job]] = {table.__name__: table for table in (Call, Delivery, Dialer)}


class Books:
    """What the rows and the ledger say."""

    def __init__(self, runtime: Runtime, data: Path) -> None:
        self._runtime = runtime
        self._ledger = data / "sandbox.db"

    async def calls(self) -> list[Any]:
        """Every call."""
        return await self._runtime.database.read(select(Call))

    async def deliveries(self, *, finished: bool | None = None) -> list[Any]:
        """Every delivery, or only those that are or are not finished."""
        statement = select(Delivery)
        if finished is not None:
            statement = statement.where(
                col(Delivery.due_at).is_(None) if finished else col(Delivery.due_at).is_not(None)
            )
        return await self._runtime.database.read(statement)

    async def unfinished(self) -> int:
        """Calls and deliveries that are not over."""
        calls = select(func.count().label("n")).where(col(Call.phase) != CallPhase.DONE)
        deliveries = select(func.count().label("n")).where(col(Delivery.state) == DeliveryState.PENDING)
        return sum([(await self._runtime.database.read(each))[0].n for each in (calls, deliveries)])

    async def until_finished(self, within_s: float) -> int:
        """Wait; returns what is unfinished when the time is over, 0 if all was done before."""
        deadline = time.monotonic() + within_s
        left = -1
        while time.monotonic() < deadline:
            with suppress(*DATABASE_ERRORS):
                left = await self.unfinished()
            if left == 0:
                return 0
            await asyncio.sleep(0.3)
        return left

    async def held(self, strike: Strike) -> list[Held]:
        """The rows that somebody holds, or that wait for their next try within a lease's time."""
        now, monotonic = self._runtime.clock.now(), time.monotonic()
        until = now + timedelta(seconds=LEASE_S + 1)
        found = []
        for table in _JOBS.values():
            due_at = col(table.due_at)
            statement = select(col(table.id), col(table.version), due_at).where(due_at > now, due_at <= until)
            for row in await self._runtime.database.read(statement):
                ends_at = monotonic + (row.due_at - now).total_seconds()
                found.append(Held(table.__name__, row.id, row.version, ends_at, strike))
        return found

    async def still(self, rows: Sequence[Held]) -> list[Held]:
        """Those of the rows that nobody has touched since."""
        kept = []
        for name, table in _JOBS.items():
            ours = {row.id: row for row in rows if row.table == name}
            for start in range(0, len(ours), 500):
                ids = list(ours)[start : start + 500]
                statement = select(col(table.id), col(table.version)).where(
                    col(table.id).in_(ids), col(table.due_at).is_not(None)
                )
                found = await self._runtime.database.read(statement)
                kept += [ours[row.id] for row in found if row.version == ours[row.id].version]
        return kept

    async def broken(self, *, in_order: bool = True) -> list[str]:
        """Invariants that do not hold; `in_order`: as `wrong_events` says."""
        return await broken_invariants(self._runtime, in_order=in_order)

    def dials(self) -> Counter[str]:
        """How often the carrier dialed each number, by its own ledger."""
        return Counter(number for number, _ in self._legs())

    def attempts(self) -> Counter[str]:
        """How often the carrier dialed each attempt."""
        return Counter(attempt for _, attempt in self._legs())

    def _legs(self) -> list[tuple[str, str]]:
        if not self._ledger.exists():
            return []
        with closing(sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True, timeout=10)) as ledger:
            try:
                return ledger.execute("SELECT to_number, attempt_id FROM dials JOIN legs USING (attempt_id)").fetchall()
            except sqlite3.OperationalError:  # not made yet
                return []

    async def close(self) -> None:
        """Let go of the database."""
        await self._runtime.close()


@dataclass
class Recoveries:
    """Watches the rows that were held when a worker died, until each has moved on."""

    books: Books
    strikes: list[Strike] = field(default_factory=list)
    waiting: list[Held] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    _task: asyncio.Task[None] | None = None

    async def struck(self, strike: Strike) -> None:
        """A worker has died: note what is held."""
        self.strikes.append(strike)
        known = {(row.id, row.version) for row in self.waiting}
        with suppress(*DATABASE_ERRORS):
            self.waiting += [row for row in await self.books.held(strike) if (row.id, row.version) not in known]
        if self._task is None:
            self._task = asyncio.create_task(self._watch())

    async def seconds(self) -> float | None:
        """The slowest recovery, None if nobody died; what has not moved by now is counted up to now."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._note(self.waiting, time.monotonic())
        return self.slowest_s if self.strikes else None

    async def _watch(self) -> None:
        while True:
            with suppress(*DATABASE_ERRORS):
                await self._look()
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        looked_at, before = time.monotonic(), set(self.waiting)
        still = set(await self.books.still(list(before)))
        self.waiting = [row for row in self.waiting if row in still or row not in before]
        self._note([row for row in before if row not in still], looked_at)

    def _note(self, moved: Sequence[Held], moved_at: float) -> None:
        for row in moved:
            took_s = recovery(self.strikes, row, moved_at)
            if took_s > self.slowest_s:
                died = self.strikes.index(row.strike) + 1
                self.slowest_s, self.slowest = took_s, f"{row.table} {row.id}, held at death {died} of these"
