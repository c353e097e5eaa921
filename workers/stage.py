"""The stage: one event loop in a thread of its own, where deliveries and live calls run as tasks.

A thread for each hanging endpoint or live call does not scale, so actors only hand leased rows over. Places bound how
much runs at once; a consumer leases no more rows than there are free places, which is the backpressure.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import structlog
import uvloop

from schema import due
from schema.bell import Bell
from schema.clock import Clock
from schema.due import Lease
from schema.runtime import Runtime
from schema.settings import Settings
from workers.broker import WorkQueue

log = structlog.get_logger("voxforge.workers")
T = TypeVar("T")

_CALL_TIMEOUT_S = 30.0
# The stage, the server's own loop and the databases' threads hand work to one another all the time. Python lets a busy
# thread keep its lock for 5 ms, so a unit of work that changes threads twenty times took a tenth of a second.
_SWITCH_S = 0.0005


class Performer(Protocol):
    """Works on one queue's rows, on the stage's loop."""

    queue: str
    places: int
    lease_s: float

    def take(self, leases: Sequence[Lease]) -> None:
        """Start work on leased rows; each place is given back through `done` when its row has been dealt with."""

    def busy(self) -> Sequence[Any]:
        """Conditions on the table that keep rows from being leased now."""

    async def close(self, timeout_s: float) -> None:
        """Finish or let go of what is under way, so that no row stays leased."""


MakePerformer = Callable[[Runtime, Callable[[int], None]], Performer]
"""From a runtime of the stage's loop and `done(places)`; `done(0)` asks for another look at the queue."""


Chore = Callable[[Runtime], Coroutine[Any, Any, None]]
"""What is done now and then and waits for no row: runs until it is cancelled, and raises nothing."""


class Places:
    """How many rows of one queue may be worked on at once, counted across threads."""

    def __init__(self) -> None:
        self.free = 0
        self._lock = threading.Lock()
        self.attention = threading.Event()

    def reserve(self, wanted: int) -> int:
        """Up to `wanted` places; clears `attention` first, so that what happens from now on is not missed."""
        self.attention.clear()
        with self._lock:
            taken = min(wanted, self.free)
            self.free -= taken
        return taken

    def release(self, places: int) -> None:
        """Give places back in which rows have been dealt with; whoever waits for one is woken.

        None given back means that there may be rows that could not be leased before.
        """
        with self._lock:
            was_full = self.free == 0
            self.free += places
        if was_full or not places:
            self.attention.set()

    def give_back(self, places: int) -> None:
        """Give places back for which there were no rows, which is no reason to look again."""
        with self._lock:
            self.free += places


class Stage:
    """Runs performers; `start` raises what keeps them from starting, `stop` leaves no row leased.

    `chores` run beside them. `failed` is called, on the stage's thread, when it ends although nobody stopped it.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        bell: Bell,
        performers: Sequence[MakePerformer],
        *,
        chores: Sequence[Chore] = (),
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._bell = bell
        self._makers = performers
        self._chores = chores
        self._failed = failed
        self._performers: dict[str, Performer] = {}
        self._places: dict[str, Places] = {}
        self._thread = threading.Thread(target=self._run, name="stage", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stopping: asyncio.Event | None = None
        self._stop_timeout_s = 10.0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.runtime: Runtime | None = None

    def start(self) -> None:
        """Start the loop and wait until it is ready."""
        sys.setswitchinterval(_SWITCH_S)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        self._bell.listen(self._rung)

    def stop(self, timeout_s: float = 10.0) -> None:
        """Let work under way come to rest within `timeout_s` seconds, and end the thread."""
        if self.loop is None or self._stopping is None or not self._thread.is_alive():
            return
        self._stop_timeout_s = timeout_s
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout_s + 1)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._perform())
        except BaseException as error:
            self._failure = error
            if self._ready.is_set():
                log.exception("the stage has failed")
                self._failed()
            self._ready.set()

    async def _perform(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.runtime = Runtime.open(self._settings, clock=self._clock, bell=self._bell)
        chores: list[asyncio.Task[None]] = []
        try:
            for make in self._makers:
                places = Places()
                performer = make(self.runtime, places.release)
                places.free = performer.places
                self._performers[performer.queue] = performer
                self._places[performer.queue] = places
            chores += [asyncio.create_task(chore(self.runtime)) for chore in self._chores]
            self._ready.set()
            await self._stopping.wait()
            await asyncio.gather(*(one.close(self._stop_timeout_s) for one in self._performers.values()))
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await self.runtime.close()

    def _rung(self, queue: str) -> None:
        places = self._places.get(queue)
        if places is not None:
            places.attention.set()
        elif self.loop is not None:
            with suppress(RuntimeError):  # the loop has been closed
                self.loop.call_soon_threadsafe(self._tell, queue)

    def _tell(self, topic: str) -> None:
        for performer in self._performers.values():
            hear = getattr(performer, "hear", None)
            if hear is not None:
                hear(topic)

    # --- what the broker's threads ask (workers.broker.Floor) ---

    def reserve(self, queue: str, wanted: int) -> int:
        return self._places[queue].reserve(wanted)

    def release(self, queue: str, places: int) -> None:
        self._places[queue].give_back(places)

    def wait(self, queue: str, seconds: float) -> None:
        self._places[queue].attention.wait(seconds)

    def lease(self, queue: WorkQueue, limit: int) -> list[Lease]:
        performer = self._performers[queue.name]

        async def take() -> list[Lease]:
            runtime = self._own_runtime()
            return await due.lease(runtime, queue.table, limit=limit, seconds=performer.lease_s, where=performer.busy())

        return self._call(take())

    def put_back(self, queue: WorkQueue, leases: Sequence[Lease]) -> None:
        try:
            self._call(due.put_back(self._own_runtime(), queue.table, leases))
        except Exception as error:  # noqa: BLE001 (they come back by themselves when their leases run out)
            log.warning("could not put rows back", queue=queue.name, error=type(error).__name__)

    def hand_over(self, queue: str, leases: Sequence[Lease]) -> None:
        """Start work on leased rows; their places have been reserved."""
        if self.loop is None:
            raise RuntimeError("the stage has not been started")
        self.loop.call_soon_threadsafe(self._performers[queue].take, leases)

    def _own_runtime(self) -> Runtime:
        if self.runtime is None:
            raise RuntimeError("the stage has not been started")
        return self.runtime

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self.loop is None:
            raise RuntimeError("the stage has not been started")
        done = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return done.result(_CALL_TIMEOUT_S)
        finally:
            done.cancel()  # of what is done, nothing
