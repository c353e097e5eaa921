"""The feed of a workspace's events: all that happens, as it happens, or from where somebody left off.

Events are written whether or not an endpoint wants them, and `retention` deletes them with the log of deliveries.
Their order here is that of their instants, which is not quite that in which they are committed: an event may appear
after a later one has been told. So every look goes back a little, and what has been told is left out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import String, literal, tuple_
from sqlmodel import col

from schema.database import DATABASE_ERRORS, Instant
from schema.rules.ids import made_at
from schema.rules.webhooks import EventType
from schema.runtime import Runtime, Snapshot, Transaction, Viewer
from schema.services.hearing import hearing, looks
from schema.tables import Event

log = structlog.get_logger("voxforge.events")

TOPIC = "events:"
"""Rung with the workspace's id behind it."""
LOOK_EVERY_S = 5.0
"""How long a ring that was lost delays an event, at most."""
GAP_S = 0.1
"""Between two looks that the bell asks for."""
OVERLAP = timedelta(seconds=30)
"""How late an event may appear: how long its transaction takes, and how far the clocks of two hosts are apart."""
_RECENT = timedelta(seconds=2)
"""What a look that the bell asks for goes back: the others go back by `OVERLAP`."""
_PAGE = 1_000
_BODIES = 50
_AGE = tuple_(col(Event.created_at), col(Event.id))


@dataclass(frozen=True, slots=True)
class Happened:
    """One event: its id, which is the `webhook-id` of its deliveries, and the body that they carry."""

    id: str
    type: EventType
    body: bytes


def ring(tx: Transaction) -> None:
    """Something has happened in the workspace, once `tx` is committed."""
    tx.ring(TOPIC + tx.workspace_id)


async def follow(
    runtime: Runtime, viewer: Viewer, *, types: Sequence[EventType] = (), after: str | None = None
) -> AsyncGenerator[list[Happened], None]:
    """What happens from now on, or what has happened since `after`, the id of an event, and then goes on happening.

    Only events of those `types`, if there are any. The first list, which is empty, is there as soon as nothing can be
    missed any more. At least once: what happened up to `OVERLAP` before `after` is told again, because some of it may
    have been committed later.
    """
    with hearing(runtime, TOPIC + viewer.workspace_id) as hearer:
        feed = _Feed(runtime.snapshot(viewer), types)
        now = runtime.clock.now()
        since = (now if after is None else min(now, made_at(after))) - OVERLAP
        if after is None:
            await feed.pass_over(since)
        else:
            feed.seen[after] = made_at(after)
        yield []
        wide = narrow = since  # all before these has been told: `narrow` but for what is committed late
        async with aclosing(looks(hearer, runtime.clock, every_s=LOOK_EVERY_S, gap_s=GAP_S)) as times:
            async for look in times:
                begun = runtime.clock.now()
                try:
                    async for events in feed.unseen(wide if look.is_due else narrow, keep=begun - OVERLAP):
                        yield events
                except DATABASE_ERRORS as error:
                    log.warning("events could not be looked for", error=type(error).__name__)
                    continue
                narrow = begun - _RECENT
                if look.is_due:
                    wide = begun - OVERLAP
                    feed.forget(wide)


class _Feed:
    """One workspace's events, and which of them have been told."""

    def __init__(self, reads: Snapshot, types: Sequence[EventType]) -> None:
        self._reads = reads
        self._types = list(types)
        self.seen: dict[str, datetime] = {}

    async def pass_over(self, since: datetime) -> None:
        """What has happened until now is as good as told."""
        async for rows in self._pages(since):
            self.seen.update((row.id, row.created_at) for row in rows)

    async def unseen(self, since: datetime, *, keep: datetime) -> AsyncGenerator[list[Happened], None]:
        """What has happened since then and has not been told; what is older than `keep` is not remembered as told."""
        async for rows in self._pages(since):
            new = [row for row in rows if row.id not in self.seen]
            for first in range(0, len(new), _BODIES):
                part = new[first : first + _BODIES]
                events = await self._read([row.id for row in part])
                self.seen.update((row.id, row.created_at) for row in part if row.created_at >= keep)
                yield events

    def forget(self, until: datetime) -> None:
        """What has been told of before then: nobody looks there again."""
        self.seen = {id: at for id, at in self.seen.items() if at >= until}

    async def _pages(self, since: datetime) -> AsyncGenerator[list[Any], None]:
        """Ids and instants, oldest first; from the index alone, where events of every type are wanted."""
        wanted = self._reads.select(Event)
        if self._types:
            wanted = wanted.where(col(Event.type).in_(self._types))
        ids = wanted.with_only_columns(col(Event.id), col(Event.created_at))
        ids = ids.order_by(col(Event.created_at), col(Event.id)).limit(_PAGE)
        at, id = since, ""
        while True:
            page = wanted.where(tuple_(literal(at, Instant()), literal(id, String)) < _AGE).limit(_PAGE)
            rows = await self._reads.runtime.database.read(page)
            if rows:
                yield rows
                at, id = rows[-1].created_at, rows[-1].id
            if len(rows) < _PAGE:
                return

    async def _read(self, ids: Sequence[str]) -> list[Happened]:
        """In that order, without those that retention has deleted meanwhile."""
        wanted = self._reads.select(Event).where(col(Event.id).in_(ids))
        statement = wanted.with_only_columns(col(Event.id), col(Event.type), col(Event.body))
        rows = {row.id: row for row in await self._reads.runtime.database.read(statement)}
        return [Happened(id, rows[id].type, bytes(rows[id].body)) for id in ids if id in rows]
