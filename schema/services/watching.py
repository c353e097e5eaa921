"""Watching a call: its state now, and again after each commit that has changed it, until it is over.

Whoever changes a call rings for it (`changed`). A ring may be lost, so the calls that are watched are looked at every
few seconds as well: one query for all of a process, however many watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from sqlalchemy import select
from sqlmodel import col

from schema.database import DATABASE_ERRORS
from schema.rules.calls import CallPhase
from schema.runtime import Runtime, Transaction, Viewer
from schema.services.hearing import hearing
from schema.tables import Call

log = structlog.get_logger("voxforge.watching")

TOPIC = "call:"
CAMPAIGN = "campaign:"
DELIVERIES = "deliveries:"
LOOK_EVERY_S = 5.0
_TOGETHER = 1_000
_UNSEEN = {"due_at", "version", "dial_at", "hangup_requested"}
"""What nobody is shown; a lease that is renewed is no news."""


def changed(tx: Transaction, *ids: str) -> None:
    """Those calls are not what they were, once `tx` is committed."""
    for id in ids:
        tx.ring(TOPIC + id)


def campaign_changed(tx: Transaction, id: str) -> None:
    """So is that campaign."""
    tx.ring(CAMPAIGN + id)


def deliveries_changed(tx: Transaction, *endpoint_ids: str) -> None:
    """So are deliveries to those endpoints."""
    for id in endpoint_ids:
        tx.ring(DELIVERIES + id)


async def states(runtime: Runtime, viewer: Viewer, id: str) -> AsyncGenerator[Call, None]:
    """The call as it is, then as it becomes; what changes while somebody is slow to ask is told once.

    Ends after the state that is final. Raises NotFound.
    """
    with _lookout_of(runtime).watching(runtime, id) as watcher:
        shown = None
        while True:
            watcher.news.clear()
            row = await runtime.snapshot(viewer).get(Call, id)
            watcher.stamp = _stamp(row)
            if (seen := _seen(row)) != shown:
                shown = seen
                yield row
                if row.phase is CallPhase.DONE:
                    return
            await watcher.news.wait()


class _Watcher:
    def __init__(self, news: asyncio.Event) -> None:
        self.news = news
        self.stamp: tuple[Any, ...] | None = None


class _Lookout:
    """Who watches which call, on one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[_Watcher]] = {}
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, runtime: Runtime, id: str) -> Iterator[_Watcher]:
        with hearing(runtime, TOPIC + id) as hearer:
            watcher = _Watcher(hearer.news)
            self._watchers.setdefault(id, set()).add(watcher)
            if self._looking is None:
                self._looking = asyncio.create_task(self._look(runtime), name="calls that are watched")
            try:
                yield watcher
            finally:
                self._watchers[id].discard(watcher)
                if not self._watchers[id]:
                    del self._watchers[id]
                if not self._watchers:
                    self._looking.cancel()
                    self._looking = None

    async def _look(self, runtime: Runtime) -> None:
        while True:
            await runtime.clock.sleep(LOOK_EVERY_S)
            ids = sorted(self._watchers)
            try:
                for first in range(0, len(ids), _TOGETHER):
                    await self._compare(runtime, ids[first : first + _TOGETHER])
            except DATABASE_ERRORS as error:
                log.warning("calls that are watched could not be looked at", error=type(error).__name__)

    async def _compare(self, runtime: Runtime, ids: list[str]) -> None:
        statement = select(col(Call.id), col(Call.version), col(Call.updated_at)).where(col(Call.id).in_(ids))
        for row in await runtime.database.read(statement):
            for watcher in self._watchers.get(row.id, ()):
                if watcher.stamp is not None and watcher.stamp != _stamp(row):
                    watcher.news.set()


_lookouts: WeakKeyDictionary[Runtime, _Lookout] = WeakKeyDictionary()


def _lookout_of(runtime: Runtime) -> _Lookout:
    if runtime not in _lookouts:
        _lookouts[runtime] = _Lookout()
    return _lookouts[runtime]


def _stamp(row: Any) -> tuple[Any, ...]:
    return row.version, row.updated_at


def _seen(row: Call) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in Call.model_fields if name not in _UNSEEN)
