"""Hearing the bell on an event loop: whoever waits for news of a topic is told of it, whatever thread rings.

A ring may be lost (`schema.bell`): those who wait look every few seconds as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from schema.bell import Bell
from schema.clock import Clock
from schema.runtime import Runtime

MOST = 5_000
"""Topics that are kept for somebody who does not ask; more are forgotten, as a ring may be."""


class Hearer:
    """What one who waits has heard: `news` is set, and `topics` says of what."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.topics: set[str] = set()

    def hear(self, topic: str) -> None:
        """On the loop."""
        if len(self.topics) < MOST:
            self.topics.add(topic)
        self.news.set()

    def take(self) -> set[str]:
        """What has been heard since the last time."""
        heard, self.topics = self.topics, set()
        self.news.clear()
        return heard

    async def wait(self, clock: Clock, seconds: float) -> bool:
        """Until there is news, but no longer than that; whether there is."""
        if not self.news.is_set():
            waiting = [asyncio.ensure_future(self.news.wait()), asyncio.ensure_future(clock.sleep(seconds))]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()
        return self.news.is_set()


@dataclass(frozen=True, slots=True)
class Look:
    """A time to look: at what has been heard of, or (`is_due`) at whatever may have been missed, too."""

    topics: set[str]
    is_due: bool


async def looks(hearer: Hearer, clock: Clock, *, every_s: float, gap_s: float) -> AsyncGenerator[Look, None]:
    """When to look: now, at once when there is news but no more often than `gap_s`, and every `every_s` anyway."""
    looked, heard = clock.monotonic(), -gap_s
    yield Look(hearer.take(), is_due=True)
    while True:
        left = looked + every_s - clock.monotonic()
        is_due = left <= 0 or not await hearer.wait(clock, left)
        if is_due:
            looked = clock.monotonic()
        else:
            await clock.sleep(heard + gap_s - clock.monotonic())
            heard = clock.monotonic()
        yield Look(hearer.take(), is_due)


@contextmanager
def hearing(runtime: Runtime, topic: str, *, every: bool = False) -> Iterator[Hearer]:
    """While the block runs, hear of that topic, or of `every` topic that begins with it."""
    ears = _ears_of(runtime)
    hearers = (ears.prefixes if every else ears.topics).setdefault(topic, set())
    hearer = Hearer()
    hearers.add(hearer)
    try:
        yield hearer
    finally:
        hearers.discard(hearer)
        ears.forget(topic)


class _Ears:
    """Who waits for what, on one event loop."""

    def __init__(self, bell: Bell) -> None:
        self._loop = asyncio.get_running_loop()
        self.topics: dict[str, set[Hearer]] = {}
        self.prefixes: dict[str, set[Hearer]] = {}
        bell.listen(self._heard)

    def forget(self, topic: str) -> None:
        """If nobody waits for it any more."""
        for known in (self.topics, self.prefixes):
            if topic in known and not known[topic]:
                del known[topic]

    def _heard(self, topic: str) -> None:
        """On whatever thread rings."""
        if topic in self.topics or topic.startswith(tuple(self.prefixes)):
            with suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._tell, topic)

    def _tell(self, topic: str) -> None:
        for hearer in self.topics.get(topic, ()):
            hearer.hear(topic)
        for prefix, hearers in self.prefixes.items():
            if topic.startswith(prefix):
                for hearer in hearers:
                    hearer.hear(topic)


_ears: WeakKeyDictionary[Runtime, _Ears] = WeakKeyDictionary()


def _ears_of(runtime: Runtime) -> _Ears:
    if runtime not in _ears:
        _ears[runtime] = _Ears(runtime.bell)
    return _ears[runtime]
