"""The row is the job: lease due rows, and settle what became of them.

A row of a `Job` table is work. `due_at` is when somebody must look at it even if nobody says anything, None when it is
finished; `version` is the fence. A lease moves `due_at` into the future and bumps `version`; a result is written only
where the version is still the holder's, so a worker that lost its lease cannot write. One mechanism is the retry
ladder, lease expiry, crash recovery and the watchdog of a call that never ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Select, Update, bindparam, func, select, update
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import col

from schema.runtime import Runtime, Transaction
from schema.tables.base import Job


class Fenced(Exception):
    """Somebody else holds the row now, or it is finished: what this holder did must not be written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one row until `until`."""

    id: str
    version: int
    until: datetime

    def left_s(self, now: datetime) -> float:
        """Seconds that remain."""
        return (self.until - now).total_seconds()


async def lease(
    runtime: Runtime, table: type[Job], *, limit: int, seconds: float, where: Sequence[ColumnElement[bool]] = ()
) -> list[Lease]:
    """Take up to `limit` due rows, oldest first, for `seconds`; `where` leaves out those not wanted now."""
    await _follow_clock(runtime, table, seconds)
    now = runtime.clock.now()
    due = select(col(table.id)).where(col(table.due_at) <= now, *where).order_by(col(table.due_at)).limit(limit)
    if not runtime.database.is_sqlite:
        until = now + timedelta(seconds=seconds)
        taken = await runtime.database.execute(_taking(table, due.with_for_update(skip_locked=True), until))
        return [Lease(row.id, row.version, until) for row in taken]
    if not await runtime.database.read(due.limit(1)):
        return []  # a probe costs no write lock
    return await runtime.perform(None, _take, table, due, seconds)


_STRADDLED_S = 10.0  # a transaction that began before the clock was set back may write its instants so much later
_AFTERMATH_S = 90.0  # leases, and the first step of the ladder, reach no further


@dataclass(slots=True)
class _Look:
    """When a queue was last looked at, and when its clock was seen to have been set back: what it would have said."""

    at: datetime
    monotonic: float
    before: datetime | None = None
    seen: float = 0.0


_looks: WeakKeyDictionary[Runtime, dict[type[Job], _Look]] = WeakKeyDictionary()


async def _follow_clock(runtime: Runtime, table: type[Job], lease_s: float) -> None:
    """What was due when the clock was set back is due now: else it would wait for as long as the clock was wrong.

    For a while the clock as it was is followed, too, for what was written by it and is due soon. Rows due by less than
    a lease from now are left: others may hold them by the clock as it is. What was to come later keeps its instant.
    """
    now, monotonic = runtime.clock.now(), runtime.clock.monotonic()
    looks = _looks.setdefault(runtime, {})
    look = looks.setdefault(table, _Look(now, monotonic))
    unchanged, held_until = look.at + timedelta(seconds=monotonic - look.monotonic), now + timedelta(seconds=lease_s)
    if unchanged > held_until:
        await _bring_back(runtime, table, held_until, unchanged)
        look.before, look.seen = unchanged, monotonic
    elif look.before is not None and monotonic - look.seen < _AFTERMATH_S:
        after = max(held_until, look.before - timedelta(seconds=_STRADDLED_S))
        await _bring_back(runtime, table, after, look.before + timedelta(seconds=monotonic - look.seen))
    look.at, look.monotonic = now, monotonic


async def _bring_back(runtime: Runtime, table: type[Job], after: datetime, until: datetime) -> None:
    due_at = col(table.due_at)
    left = select(col(table.id)).where(due_at > after, due_at <= until)
    if await runtime.database.read(left.limit(1)):
        await runtime.perform(None, _make_due, table, left)


async def _make_due(tx: Transaction, table: type[Job], left: Select[str]) -> None:
    if not tx.runtime.database.is_sqlite:
        left = left.with_for_update(skip_locked=True)
    rows = left.cte("left_behind")
    statement = update(table).where(col(table.id).in_(select(rows.c.id))).values(due_at=tx.now)
    await tx.execute(statement.execution_options(synchronize_session=False))


async def _take(tx: Transaction, table: type[Job], due: Select[str], seconds: float) -> list[Lease]:
    until = tx.now + timedelta(seconds=seconds)
    return [Lease(id, version, until) for id, version in (await tx.execute(_taking(table, due, until))).all()]


def _taking(table: type[Job], due: Select[str], until: datetime) -> ReturningUpdate[str, int]:
    # PostgreSQL may run a subquery again for every row, and then finds others than the first time; a CTE runs once.
    taken = due.cte("taken")
    target = table.__table__  # type: ignore[attr-defined]
    return (
        update(target)
        .where(target.c.id.in_(select(taken.c.id)))
        .values(version=target.c.version + 1, due_at=until)
        .returning(target.c.id, target.c.version)
    )


async def settle(tx: Transaction, table: type[Job], held: Lease, *, due_at: datetime | None, **values: Any) -> Lease:
    """Write a result and say when the row is due again (None: finished). Raises Fenced if the lease was lost."""
    values = {"due_at": due_at, **values}
    row = {"held_id": held.id, "held_version": held.version, **values}
    if (await tx.execute(_settling(table, tuple(values)), row)).rowcount != 1:
        raise Fenced(f"{table.NOUN} {held.id} is no longer held at version {held.version}")
    return Lease(held.id, held.version + 1, due_at or held.until)


async def renew(tx: Transaction, table: type[Job], held: Lease, *, seconds: float) -> Lease:
    """Hold on for another `seconds`. Raises Fenced."""
    return await settle(tx, table, held, due_at=tx.now + timedelta(seconds=seconds))


async def settle_many(tx: Transaction, table: type[Job], results: Sequence[tuple[Lease, dict[str, Any]]]) -> None:
    """`settle` for many rows in one statement; each result names `due_at` and the same further columns.

    A row that is no longer held is left alone and nobody is told: lock and compare the versions first to know.
    """
    if not results:
        return
    in_order = sorted(results, key=lambda result: result[0].id)  # or two of these may deadlock
    rows = [{"held_id": held.id, "held_version": held.version, **values} for held, values in in_order]
    await tx.execute(_settling(table, tuple(results[0][1])), rows)


@cache
def _settling(table: type[Job], names: tuple[str, ...]) -> Update:
    """The fenced update of those columns; made once, because making it takes as long as running it."""
    target = table.__table__  # type: ignore[attr-defined]  # the plain table: the session's own bulk update knows no fence
    named: dict[str, Any] = {name: bindparam(name) for name in names}
    return (
        update(target)
        .where(target.c.id == bindparam("held_id"), target.c.version == bindparam("held_version"))
        .values(version=target.c.version + 1, **named)
    )


async def put_back(runtime: Runtime, table: type[Job], leases: Sequence[Lease]) -> None:
    """Make leased rows due again now: nobody is going to work on them. Those no longer held are left alone."""
    if leases:
        await runtime.perform(None, _put_back, table, leases)


async def _put_back(tx: Transaction, table: type[Job], leases: Sequence[Lease]) -> None:
    await settle_many(tx, table, [(held, {"due_at": tx.now}) for held in leases])


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much of a queue is due, and for how long the oldest has waited (seconds): the two numbers that matter."""

    due: int
    oldest_s: float


async def backlog(runtime: Runtime, table: type[Job]) -> Backlog:
    """The backlog of one table; on PostgreSQL and SQLite one indexed read."""
    now = runtime.clock.now()
    due_at = col(table.due_at)
    statement = select(func.count().label("due"), func.min(due_at).label("oldest")).where(due_at <= now)
    row = (await runtime.database.read(statement))[0]
    return Backlog(row.due, max(0.0, (now - row.oldest).total_seconds()) if row.oldest else 0.0)
