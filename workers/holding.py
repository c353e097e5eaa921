"""Holding on to calls: one writer for all the calls of a worker, and the lease of each, whatever is done under it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from itertools import chain, repeat
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakValueDictionary

import structlog

from schema.database import DATABASE_ERRORS, may_pass
from schema.due import Fenced, Lease
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import dialing, holding
from schema.services.dialing import Dial, Wait
from schema.services.holding import Kept, Note
from schema.services.steps import LEASE_S

log = structlog.get_logger("voxforge.calls")
T = TypeVar("T")
P = ParamSpec("P")

TOGETHER = 500
"""Notes in one transaction."""
IN_LINE = 2
"""Steps of one campaign that a worker takes at the same time: they wait for the same rows, the campaign's and the
dialer's, and more of them would only make whoever wants to pause the campaign wait behind them."""
AGAIN_AFTER_S = (0.2, 0.5, 1.0, 2.0)
"""Seconds before a note that the database could not take is tried again; the last for every further try."""


class Scribe:
    """Writes what many calls have to say, in one transaction what came while the one before was written.

    So a note is written at once when nothing else is, and a busy worker needs no more transactions than one that is
    not. One scribe belongs to one event loop.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.is_closing = False
        """The worker lets go of its calls: none is begun any more, and nothing is tried again."""
        self._runtime = runtime
        self._waiting: list[tuple[Note, asyncio.Future[Kept]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._lines: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def line(self, key: str | None) -> AbstractAsyncContextManager[Any]:
        """Where the steps of a campaign's calls queue up, instead of in the database."""
        if key is None or self._runtime.database.writer is not None:  # SQLite's writer takes them together
            return nullcontext()
        return self._lines.setdefault(key, asyncio.Semaphore(IN_LINE))

    async def write(self, note: Note) -> Kept:
        """Write one note of one call. Raises Fenced, DATABASE_ERRORS."""
        kept: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._waiting.append((note, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="scribe")
        return await kept

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:TOGETHER], self._waiting[TOGETHER:]
                await self._write(batch)
        finally:
            self._writing = None

    async def _write(self, batch: list[tuple[Note, asyncio.Future[Kept]]]) -> None:
        try:
            written = await self._runtime.perform(None, holding.write, [note for note, _ in batch])
        except Exception as error:  # noqa: BLE001 (it is for those who wait, each of whom knows what to do)
            if len(batch) > 1 and not may_pass(error):
                for one in batch:  # one of them cannot be written, which is no reason for the others to stop
                    await self._write([one])
                return
            for _, kept in batch:
                if not kept.done():
                    kept.set_exception(error)
            return
        for (note, kept), result in zip(batch, written, strict=True):
            if kept.done():  # whoever waited has been cancelled
                continue
            if result is None:
                kept.set_exception(Fenced(f"Call {note.held.id} is no longer held at version {note.held.version}"))
            else:
                kept.set_result(result)


class Hold:
    """One call's lease, as the last step that was taken under it has left it; one step at a time.

    A step that has begun is finished whoever is cancelled meanwhile, so that `lease` always is what the row says and a
    call that is let go of can be put back: `withdraw`, then `due.put_back`.
    """

    def __init__(self, runtime: Runtime, scribe: Scribe, lease: Lease) -> None:
        self.lease = lease
        self.viewer: Viewer | None = None  # whose call it is, once its row has been read
        self.campaign_id: str | None = None
        self.wanted_over = False  # somebody asked for the call to be ended
        self._untold: str | None = None  # the attempt that has been begun and the carrier has not been told of
        self._runtime = runtime
        self._scribe = scribe
        self._turn = asyncio.Lock()
        self._told = asyncio.Event()
        self._told.set()

    @contextmanager
    def telling_carrier(self) -> Iterator[None]:
        """Inside, the carrier is told to dial: whoever is cut short here cannot know whether it does (L4)."""
        self._untold = None
        self._told.clear()
        try:
            yield
        finally:
            self._told.set()

    async def told(self) -> None:
        """Until it is known what became of what the carrier was told."""
        await self._told.wait()

    @property
    def is_closing(self) -> bool:
        """Whether the worker lets go of its calls, and the carrier is told of no further one."""
        return self._scribe.is_closing

    async def begin(self) -> Dial | Wait | None:
        """`dialing.begin`; when the worker is closing, None, and nothing is written. Raises Fenced, DATABASE_ERRORS."""

        async def begin(tx: Transaction, held: Lease) -> Dial | Wait | None:
            # Asked here, because a call may have waited long for its line, the writer or a connection.
            return None if self.is_closing else await dialing.begin(tx, held)

        return await self.step(begin)

    async def withdraw(self) -> None:
        """Have a call that was begun queued again, if its carrier has certainly not heard of it (L4).

        Any other is left as it is. Raises Fenced, DATABASE_ERRORS.
        """
        if self._untold is not None:
            await self.step(dialing.withdraw, self._untold)
            self._untold = None

    async def step(
        self,
        verb: Callable[Concatenate[Transaction, Lease, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **given: P.kwargs,
    ) -> T:
        """`verb(tx, lease, …)` in a transaction; a lease that it returns, as it is or as `held`, is the new one.

        Tried once: whether a step that failed was committed all the same is not known, and whoever comes when the lease
        ends reads it in the row. Raises Fenced, DATABASE_ERRORS.
        """

        async def step() -> T:
            async with self._turn, self._scribe.line(self.campaign_id):
                result = await self._runtime.perform(self.viewer, verb, self.lease, *args, **given)
                self.lease = _lease_in(result) or self.lease
                if isinstance(result, Dial):
                    self._untold = result.attempt_id
                return result

        return await _finished(step())

    async def write(self, make: Callable[Concatenate[Lease, P], Note], *args: P.args, **given: P.kwargs) -> None:
        """Write `make(lease, …)`, together with the notes of other calls. Raises Fenced, DATABASE_ERRORS.

        What the database cannot take now is tried again while a third of the lease is left: a live conversation does
        not end for it. A note whose commit was lost on its way here is fenced off by itself, and the call taken up when
        its lease ends.
        """
        for pause_s in chain(AGAIN_AFTER_S, repeat(AGAIN_AFTER_S[-1])):
            try:
                await self._write_once(make, *args, **given)
                return
            except DATABASE_ERRORS as error:
                left_s = self.lease.left_s(self._runtime.clock.now()) - pause_s
                if not may_pass(error) or left_s < LEASE_S / 3 or self.is_closing:
                    raise
                log.warning("the call's row cannot be written now", call_id=self.lease.id, error=type(error).__name__)
            await self._runtime.clock.sleep(pause_s)

    async def _write_once(self, make: Callable[Concatenate[Lease, P], Note], *args: P.args, **given: P.kwargs) -> None:
        async def write() -> None:
            async with self._turn:
                kept = await self._scribe.write(make(self.lease, *args, **given))
                self.lease, self.wanted_over = kept.held, kept.wanted_over

        await _finished(write())

    async def through(self, work: Coroutine[Any, Any, T], every_s: float) -> T:
        """Do long work while the lease is renewed. Raises what the work raises, Fenced, DATABASE_ERRORS."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=every_s))[0]:
                await self.write(Note)
            return task.result()
        finally:
            task.cancel()


async def _finished(step: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody else will ask for it
        raise


def _lease_in(result: object) -> Lease | None:
    held = getattr(result, "held", result)
    return held if isinstance(held, Lease) else None
