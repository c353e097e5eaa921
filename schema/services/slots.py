"""Slots: how many calls a workspace has under way, how many it may have, and what waits (decision K6).

A slot is nothing but a call's row in a phase of `LIVE`, which somebody holds a lease on: when a worker dies the lease
runs out, another takes the call to its end, and the slot is free. There is no counter that could leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlmodel import col

from schema.rules.calls import LIVE, CallPhase, WaitReason
from schema.rules.plans import PLANS
from schema.runtime import Snapshot
from schema.tables import Call, Delivery, Dialer, Workspace

WATCH_S = 60.0
"""How long a dialer sleeps at most while somebody waits for a slot; that it is woken does not depend on it."""


@dataclass(frozen=True, slots=True)
class Report:
    """How busy a workspace is. `oldest_due_at`: since when its oldest due work has waited for a worker."""

    slots_used: int
    slots_total: int
    calls_queued: int
    calls_waiting: int
    oldest_due_at: datetime | None
    next_look_at: datetime | None


def look_within(dialer: Dialer, now: datetime, seconds: float) -> None:
    """Have the dialer look in that many seconds, if it would not before; `dialer` is locked."""
    latest = now + timedelta(seconds=seconds)
    if dialer.due_at is None or dialer.due_at > latest:
        dialer.due_at = latest


def open_calls(workspace_id: str) -> Select[CallPhase, WaitReason | None, str | None, int]:
    """Calls that are not over, counted by phase, what they wait for, and campaign."""
    return (
        select(col(Call.phase), col(Call.waiting_for), col(Call.campaign_id), func.count().label("calls"))
        .where(
            col(Call.workspace_id) == workspace_id,
            col(Call.ended_at).is_(None),
            col(Call.phase).in_([*LIVE, CallPhase.QUEUED, CallPhase.WAITING]),
        )
        .group_by(col(Call.phase), col(Call.waiting_for), col(Call.campaign_id))
    )


async def report(tx: Snapshot) -> Report:
    """The workspace's slots, and the oldest of its work that is due."""
    read = tx.runtime.database.read
    counted = await read(open_calls(tx.workspace_id))
    workspace = (await read(select(Workspace).where(col(Workspace.id) == tx.workspace_id)))[0]
    dialer = (await read(select(Dialer).where(col(Dialer.id) == tx.workspace_id)))[0]
    oldest = [await _oldest_due(tx, table) for table in (Call, Delivery)]
    return Report(
        slots_used=sum(row.calls for row in counted if row.phase in LIVE),
        slots_total=PLANS[workspace.plan].concurrent_calls,
        calls_queued=sum(row.calls for row in counted if row.phase is CallPhase.QUEUED),
        calls_waiting=sum(row.calls for row in counted if row.phase is CallPhase.WAITING),
        oldest_due_at=min((instant for instant in oldest if instant is not None), default=None),
        next_look_at=dialer.due_at,
    )


async def live_calls(tx: Snapshot) -> Mapping[str, int]:
    """Calls under way, by campaign."""
    live: dict[str, int] = {}
    for row in await tx.runtime.database.read(open_calls(tx.workspace_id)):
        if row.phase in LIVE and row.campaign_id is not None:
            live[row.campaign_id] = live.get(row.campaign_id, 0) + row.calls
    return live


async def _oldest_due(tx: Snapshot, table: type[Call | Delivery]) -> datetime | None:
    instant: datetime | None = (await tx.runtime.database.read(oldest_due(tx, table)))[0].oldest
    return instant


def oldest_due(tx: Snapshot, table: type[Call | Delivery]) -> Select[datetime | None]:
    """Since when the oldest due row waits, among the due ones.

    Not by the workspace's index, which SQLite prefers to that of due rows, and reads all calls that ever were.
    """
    return select(func.min(col(table.due_at)).label("oldest")).where(
        col(table.workspace_id).concat("") == tx.workspace_id, col(table.due_at) <= tx.now
    )
