"""Feeds performers with due rows on one event loop, as the broker's consumers and the stage do with threads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import col

from schema import due
from schema.runtime import Runtime
from schema.tables import Job
from workers.broker import WorkQueue, broker
from workers.stage import MakePerformer, Performer

_SPINS = 1_000


class Spinning(Exception):
    """Rows are due again and again without time moving on."""


@dataclass(slots=True)
class _Post:
    """One queue, who works on it, and how many rows more may be in work."""

    queue: WorkQueue
    performer: Performer
    free: int

    @property
    def table(self) -> type[Job]:
        return self.queue.table


class Pump:
    """Leases what is due, queue by queue in a fixed order, and waits for the next instant or a ring.

    `spins`: how often it leases at one and the same instant before that is taken for a fault.
    """

    def __init__(self, runtime: Runtime, makers: Sequence[MakePerformer], *, spins: int = _SPINS) -> None:
        self._runtime = runtime
        self._spins = spins
        self._attention = asyncio.Event()
        self._posts: dict[str, _Post] = {}
        for make in makers:
            self._employ(make)
        runtime.bell.listen(self._rung)

    def _employ(self, make: MakePerformer) -> None:
        name = ""

        def done(places: int) -> None:
            self._posts[name].free += places
            self._attention.set()

        performer = make(self._runtime, done)
        name = performer.queue
        self._posts[name] = _Post(broker.queues[name], performer, performer.places)

    async def run(self, until: datetime) -> None:
        """Work until no row is left to be looked at, or it is `until`. Raises Spinning."""
        clock, spins, at = self._runtime.clock, 0, None
        while (now := clock.now()) < until:
            self._attention.clear()
            if await self._lease():
                spins, at = (spins + 1 if now == at else 0), now
                if spins > self._spins:
                    raise Spinning(f"rows are due again and again at {now}")
                await asyncio.sleep(0)  # let them begin
                continue
            looks = [look for post in self._posts.values() if (look := await self._next_look(post)) is not None]
            if not looks and not any(self._in_work(post) for post in self._posts.values()):
                return
            await self._wait(min([until, *looks]))

    async def close(self) -> None:
        """Have the performers let go of what they have."""
        for post in self._posts.values():
            await post.performer.close(10.0)

    async def _lease(self) -> int:
        leased = 0
        for post in self._posts.values():
            leases = await due.lease(
                self._runtime,
                post.table,
                limit=min(post.queue.batch, post.free),
                seconds=post.performer.lease_s,
                where=post.performer.busy(),
            )
            if leases:
                post.free -= len(leases)
                post.performer.take(leases)
            leased += len(leases)
        return leased

    async def _next_look(self, post: _Post) -> datetime | None:
        """The next instant at which a row is due; one that is due already waits for a place, which will ring."""
        due_at = col(post.table.due_at)
        earliest = select(func.min(due_at).label("at")).where(due_at > self._runtime.clock.now())
        look: datetime | None = (await self._runtime.database.read(earliest))[0].at
        return look

    def _in_work(self, post: _Post) -> bool:
        return post.free < post.performer.places

    async def _wait(self, until: datetime) -> None:
        seconds = (until - self._runtime.clock.now()).total_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._attention.wait()

    def _rung(self, topic: str) -> None:
        self._attention.set()
        if topic not in self._posts:
            for post in self._posts.values():
                hear = getattr(post.performer, "hear", None)
                if hear is not None:
                    hear(topic)
