"""A live sandbox leg as its carrier sees it: its time line, its events, its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from schema.clock import Clock
from schema.rules.calls import EndReason
from workers.carriers.base import Answered, CarrierEvent, Ended, Ending, Ringing
from workers.carriers.sandbox_ledger import Ledger, LegRow, instant
from workers.carriers.sandbox_media import EPSILON_S, SandboxMedia
from workers.carriers.sandbox_numbers import SCENARIOS, Callbacks

LATE_S = 2.0
"""How late a late callback is, in call seconds."""


class SandboxLeg:
    """`LegSession` of the sandbox; `media` is the callee's ear and mouth."""

    def __init__(
        self, ledger: Ledger, clock: Clock, speed: float, row: LegRow, on_close: Callable[[SandboxLeg], None]
    ) -> None:
        self.reference = row.reference
        self.row = row
        self.speed = speed
        self.clock = clock
        self.ending: Ending | None = None
        self.scenario = SCENARIOS[row.scenario]
        self._ledger = ledger
        self._on_close = on_close
        self._epoch = clock.now().timestamp() - clock.monotonic()
        self._closed = False
        self._waiters: dict[asyncio.Future[None], None] = {}  # woken in the order in which they came
        self.media = SandboxMedia(self)

    # --- time ---

    def at(self, instant_s: float) -> float:
        """A ledger instant on the monotonic clock."""
        return instant_s - self._epoch

    def instant_s(self) -> float:
        """Now, as the ledger writes it."""
        return self._epoch + self.clock.monotonic()

    async def wait_until(self, at: float | None, also: asyncio.Task[None] | None = None) -> None:
        """Until that moment of the monotonic clock (None: for ever), or `also` is done, or the leg over or closed."""
        if self.ending is not None or self._closed or (also is not None and also.done()):
            return
        seconds = None if at is None else at - self.clock.monotonic()
        if seconds is not None and seconds <= EPSILON_S:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake(_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        self._waiters[waiter] = None
        sleeper = None if seconds is None else asyncio.ensure_future(self.clock.sleep(seconds))
        if sleeper is not None:
            sleeper.add_done_callback(wake)
        if also is not None:
            also.add_done_callback(wake)
        try:
            await waiter
        finally:
            del self._waiters[waiter]
            if sleeper is not None:
                sleeper.cancel()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    # --- the end ---

    async def end(self, reason: EndReason, *, to: str | None = None, quietly: bool = False) -> None:
        """End the leg at the carrier; `quietly`: its own process does not hear of it (49)."""
        duration_s = self.media.elapsed_s()
        row = await self._ledger.end(self.reference, self.instant_s(), reason, duration_s=duration_s, to=to)
        if row is not None and not quietly:
            self.over(row)

    async def hung_up_elsewhere(self, row: LegRow) -> None:
        """Another process hung up: the ledger gets the exact duration, which only we know."""
        self.over(await self._ledger.settle(row, self.media.elapsed_s()))

    def over(self, row: LegRow) -> None:
        """The ledger says that the leg has ended."""
        if self.ending is None:
            self.row = row
            self.ending = row.ending(float("inf"), self.speed)
            self._wake()

    async def progress(self, said: str, position_s: float, at: float) -> None:
        """Keep in the ledger how far the conversation has come: where a process that attaches after a crash goes on."""
        if not await self._ledger.progress(self.reference, said, position_s, self._epoch + at):
            row = await self._ledger.by_reference(self.reference)
            if row is not None and self.ending is None:
                await self.hung_up_elsewhere(row)

    async def answered(self) -> bool:
        """Wait until the callee has answered; False if it ends before that."""
        if self.row.answered_at is not None:
            await self.wait_until(self.at(self.row.answered_at))
        elif self.row.ended_at is not None:
            await self.wait_until(self.at(self.row.ended_at))
            self.over(self.row)
        return self.ending is None and not self._closed

    # --- LegSession ---

    async def events(self) -> AsyncIterator[CarrierEvent]:
        """The leg's events, from the first on; event ids are the same on every repetition and in every process."""
        disorderly = self.scenario.callbacks is Callbacks.DISORDERLY
        ringing = await self._ringing()
        if ringing and not disorderly:
            yield ringing
        answered = await self._picked_up()
        if answered and disorderly:
            await self._late()
            for event in (answered, ringing, answered):
                if event:
                    yield event
        elif answered:
            yield answered
        ended = await self._ended()
        if ended and disorderly:
            await self._late()
            yield ended
            for repeated in (answered, ringing):
                if repeated:
                    yield repeated
        if ended:
            yield ended

    async def _ringing(self) -> Ringing | None:
        if self.row.ringing_at is not None:
            await self.wait_until(self.at(self.row.ringing_at))
        at = self.row.ringing_at  # None again, if it was cancelled before
        if at is None or self._closed:
            return None
        return Ringing(f"{self.reference}:ringing", self.reference, instant(at))

    async def _picked_up(self) -> Answered | None:
        await self.answered()
        at = self.row.answered_at
        if at is None or self._closed:
            return None
        return Answered(f"{self.reference}:answered", self.reference, instant(at), self.row.answered_by)

    async def _ended(self) -> Ended | None:
        """Wait for the end; a call in which nobody has anything to say ends at its maximum duration all the same."""
        if self.scenario.callbacks is Callbacks.NO_FINAL and self.row.answered_at is not None:
            await self._let_go()
            return None
        while await self.answered():
            limit_at = self.media.limit_at()
            if limit_at <= self.clock.monotonic() + EPSILON_S:
                await self.end(EndReason.MAX_DURATION)
            else:
                await self.wait_until(limit_at)
        if self.ending is None:
            return None
        return Ended(f"{self.reference}:ended", self.reference, self.ending.at, self.ending)

    async def _late(self) -> None:
        """A callback takes its time, whatever has become of the leg."""
        await self.clock.sleep(LATE_S / self.speed)

    async def _let_go(self) -> None:
        while not self._closed:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters[waiter] = None
            try:
                await waiter
            finally:
                del self._waiters[waiter]

    async def close(self) -> None:
        self._closed = True
        self._wake()
        self._on_close(self)
