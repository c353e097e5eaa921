"""Virtual time for tests: a clock that waits for nobody, and that jumps only when there is nothing else left to do."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

import aiosqlite

_abroad: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Future[Any]]] = WeakKeyDictionary()


def _track(future: asyncio.Future[Any]) -> None:
    """Remember a future that another thread will resolve, until it does."""
    futures = _abroad.setdefault(future.get_loop(), set())
    futures.add(future)
    future.add_done_callback(futures.discard)


def _watch_threads() -> None:
    """Have aiosqlite and `run_in_executor` report what they have under way; anything else the clock cannot see."""
    execute = aiosqlite.Connection._execute
    connect = aiosqlite.Connection._connect
    stop = aiosqlite.Connection.stop
    run_in_executor = asyncio.BaseEventLoop.run_in_executor

    def tracked(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(method)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            errand: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            _track(errand)
            try:
                return await method(*args, **kwargs)
            finally:
                errand.cancel()

        return wrapper

    def tracked_stop(self: aiosqlite.Connection) -> asyncio.Future[Any] | None:
        future = stop(self)
        if future is not None:
            _track(future)
        return future

    def tracked_run(self: asyncio.BaseEventLoop, *args: Any) -> asyncio.Future[Any]:
        future = run_in_executor(self, *args)
        _track(future)
        return future

    aiosqlite.Connection._execute = tracked(execute)  # type: ignore[assignment, method-assign]
    aiosqlite.Connection._connect = tracked(connect)  # type: ignore[assignment]
    aiosqlite.Connection.stop = tracked_stop  # type: ignore[method-assign]
    asyncio.BaseEventLoop.run_in_executor = tracked_run  # type: ignore[assignment, method-assign]


_watch_threads()


class VirtualClock:
    """A `schema.clock.Clock` whose time moves only when told to, or (`auto=True`) when everything waits for it.

    With `auto`, as soon as the event loop has nothing ready and no SQLite statement or executor job is under way, time
    jumps to the earliest wake-up. Sleepers wake in the order of their wake-up times, ties in the order they went to
    sleep, so a run is the same every time. What the clock cannot see is real sockets and `asyncio.sleep`: hold it
    (`with clock.held(): …`) around those, or use `auto=False` and `await clock.advance(seconds)`.
    """

    def __init__(self, start: datetime = datetime(2025, 1, 15, 14, 0, tzinfo=UTC), *, auto: bool = False) -> None:
        self._start = start
        self._seconds = 0.0
        self._auto = auto
        self._holds = 0
        self._checking = False
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), future))
        self._check_soon()
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on, waking whoever is due on the way, each at its own instant, and wait until all is quiet."""
        target = self._seconds + seconds
        await settled()
        while (due := self._earliest()) is not None and due <= target:
            self._jump()
            await settled()
        self._seconds = max(self._seconds, target)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No automatic jumps inside the block."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._auto and self._sleepers:
                self._check_soon()

    @property
    def sleepers(self) -> int:
        """How many tasks wait for this clock."""
        self._earliest()
        return len(self._sleepers)

    def _earliest(self) -> float | None:
        while self._sleepers and self._sleepers[0][2].done():  # cancelled meanwhile
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def _jump(self) -> None:
        if (due := self._earliest()) is not None:
            self._seconds = max(self._seconds, due)
            _, _, future = heapq.heappop(self._sleepers)
            future.set_result(None)

    def _check_soon(self) -> None:
        if self._auto and not self._checking:
            self._checking = True
            asyncio.get_running_loop().call_soon(self._check)

    def _check(self) -> None:
        """Jump if the loop has nothing else to do; otherwise look again once it may have."""
        self._checking = False
        if self._holds or self._earliest() is None:
            return
        loop = asyncio.get_running_loop()
        if loop._ready:  # type: ignore[attr-defined]
            self._check_soon()
        elif errands := _abroad.get(loop):
            next(iter(errands)).add_done_callback(lambda _: self._check_soon())
        else:
            self._jump()
            self._check_soon()


async def settled() -> None:
    """Wait until the running loop has nothing ready and no errand in another thread."""
    loop = asyncio.get_running_loop()
    quiet = 0
    while quiet < 2:
        await asyncio.sleep(0)
        if errands := _abroad.get(loop):
            await asyncio.wait(tuple(errands))
            quiet = 0
        else:
            quiet = 0 if loop._ready else quiet + 1  # type: ignore[attr-defined]
