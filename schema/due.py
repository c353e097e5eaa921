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
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, update
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
    now = runtime.clock.now()
    due = select(col(table.id)).where(col(table.due_at) <= now, *where).order_by(col(table.due_at)).limit(limit)
    if runtime.database.is_sqlite:
        if not await runtime.database.read(due.limit(1)):
            return []  # a probe costs no write lock
    else:
        due = due.with_for_update(skip_locked=True)
    # PostgreSQL may run a subquery again for every row, and then finds others than the first time; a CTE runs once.
    taken = due.cte("taken")
    async with runtime.transaction(None) as tx:
        until = tx.now + timedelta(seconds=seconds)
        statement = (
            update(table)
            .where(col(table.id).in_(select(taken.c.id)))
            .values(version=table.version + 1, due_at=until)
            .returning(col(table.id), col(table.version))
            .execution_options(synchronize_session=False)
        )
        return [Lease(id, version, until) for id, version in (await tx.execute(statement)).all()]


async def settle(tx: Transaction, table: type[Job], held: Lease, *, due_at: datetime | None, **values: Any) -> Lease:
    """Write a result and say when the row is due again (None: finished). Raises Fenced if the lease was lost."""
    statement = (
        update(table)
        .where(col(table.id) == held.id, col(table.version) == held.version)
        .values(version=held.version + 1, due_at=due_at, **values)
        .execution_options(synchronize_session=False)
    )
    if (await tx.execute(statement)).rowcount != 1:
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
    named: dict[str, Any] = {name: bindparam(name) for name in results[0][1]}
    target = table.__table__  # type: ignore[attr-defined]  # the plain table: the session's own bulk update knows no fence
    statement = (
        update(target)
        .where(target.c.id == bindparam("held_id"), target.c.version == bindparam("held_version"))
        .values(version=target.c.version + 1, **named)
    )
    await tx.execute(statement, rows)


async def put_back(runtime: Runtime, table: type[Job], leases: Sequence[Lease]) -> None:
    """Make leased rows due again now: nobody is going to work on them. Those no longer held are left alone."""
    if leases:
        async with runtime.transaction(None) as tx:
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
