"""An event loop whose time jumps: as soon as everything waits, it is later. The same program runs the same every time.

Here the loop's own clock is virtual, so that `asyncio.sleep`, `asyncio.timeout` and `asyncio.wait(timeout=…)` wait for
nobody either. There are no threads: what would have gone to one (SQLite, an executor) is done on the spot, so nothing
depends on which of two threads is faster. Sockets have no place here: time would jump while they are waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import aiosqlite.core

T = TypeVar("T")


class Stuck(Exception):
    """Everything waits for something that nobody is going to do."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time, in seconds from 0, moves only when nothing is ready to run: to the next timer."""

    def __init__(self) -> None:
        self._seconds = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        return self._seconds

    def run_in_executor(  # type: ignore[override]  # as the base class has it
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        _settle(future, lambda: func(*args))
        return future

    def _jump(self, seconds: float) -> None:
        self._seconds += seconds


class _Jumping(selectors.DefaultSelector):
    """Where a loop waits: instead of waiting, it jumps."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise Stuck("every task waits, and no timer is set")
        if not ready and timeout is not None and timeout > 0:
            self._jump(timeout)
        return ready


class LoopClock:
    """The `schema.clock.Clock` of the running virtual loop, at whose time 0 it is `start`."""

    def __init__(self, start: datetime) -> None:
        self._start = start

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time, for a program whose only outside world is SQLite."""
    with _sqlite_on_the_spot(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@contextmanager
def _sqlite_on_the_spot() -> Iterator[None]:
    """Connections that aiosqlite makes meanwhile have no thread of their own."""
    names = {"Thread": _NoThread, "SimpleQueue": _OnTheSpot}
    before = {name: getattr(aiosqlite.core, name) for name in names}
    for name, ours in names.items():
        setattr(aiosqlite.core, name, ours)
    try:
        yield
    finally:
        for name, theirs in before.items():
            setattr(aiosqlite.core, name, theirs)


class _NoThread:
    """Instead of the thread of an `aiosqlite.Connection`."""

    def __init__(self, **_: object) -> None:
        self.daemon = True

    def start(self) -> None:
        """There is nothing to start."""


class _OnTheSpot:
    """Instead of the queue to it: what is put in has been done."""

    def put_nowait(self, errand: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = errand
        if future is None:  # a connection that was thrown away, after its loop
            function()
        else:
            _settle(future, function)


def _settle(future: asyncio.Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001 (whoever awaits it gets it)
        future.set_exception(error)
