"""What every fault has: an installation that runs, a receiver with endpoints, work, and the count at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from backends import Backends
from books import Books, Recoveries
from counting import Outcome, Strike, altered, copies, dialed_too_often, in_flight
from installing import Reaper, Site, new_site
from points import Point, numbers, points
from receiving import Receiver, receiving
from telling import Teller
from working import MIXED, Api, Calls, Campaign, Work, lost, make_endpoints

DEADLINE_S = 90.0
"""What is not finished so long after the last fault is stuck: leases last 12 s, the ladder here 8 s."""

_LOOK_S = 0.05
_SHOWN = 5  # of the lost, in the report


class Stalled(Exception):
    """The work does not go on: there is nothing more to strike at."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, in one or both modes. `speed`: of the sandbox's calls; `quickly`: the modes of a quick run."""

    name: str
    act: Callable[[Scene], Awaitable[None]]
    modes: tuple[str, ...] = ("embedded", "scaled")
    quickly: tuple[str, ...] = ("scaled",)
    endpoints: int = 1
    speed: float = 20
    sets_clock: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """What the faults of one run have in common."""

    seed: int
    quick: bool
    directory: Path
    reaper: Reaper
    backends: Backends | None
    teller: Teller


@dataclass
class Scene:
    """One fault in one mode, while it is played."""

    run: Run
    fault: Fault
    site: Site
    api: Api
    books: Books
    receiver: Receiver
    endpoints: dict[str, str]
    recoveries: Recoveries
    outcome: Outcome
    clock: Path
    strikes: list[Strike] = field(default_factory=list)
    works: Sequence[Work] = ()

    @property
    def paths(self) -> list[str]:
        """Where the receiver gets them, in order."""
        return list(self.endpoints.values())

    def size(self, full: int, quick: int) -> int:
        """One of the two."""
        return quick if self.run.quick else full

    def say(self, text: str) -> None:
        """How far it has come."""
        self.run.teller.say(text)

    def points(self, count: int, work: Work, victims: Sequence[str]) -> list[Point]:
        """Where to strike: the same for the same seed, in both modes."""
        return points(self.run.seed, self.fault.name, count=count, work=work.total, victims=victims)

    def calls(self, total: int, rate: float, endings: Sequence[str] = MIXED, spread: float = 0.0) -> Calls:
        """Single calls, `rate` a second, to numbers with those endings; with `spread`, at odds."""
        given = numbers(self.run.seed, self.fault.name, endings, half=0)
        return Calls(self.site, self.api, self.books, given, total, rate, spread)

    def campaign(self, total: int, concurrency: int, *, attempts: int = 1) -> Campaign:
        """A campaign to numbers of every kind, whose busy ones are called up to `attempts` times."""
        given = islice(numbers(self.run.seed, self.fault.name, MIXED, half=1), total)
        return Campaign(self.site, self.api, self.books, list(given), concurrency, attempts)

    def mixture(self, *, attempts: int = 1) -> tuple[Calls, Campaign]:
        """Both at once, for faults that strike a few times."""
        size = self.size(50, 30)
        return self.calls(size, rate=5), self.campaign(size, concurrency=5, attempts=attempts)

    @property
    def what(self) -> str:
        """The work, in words."""
        return ", ".join(f"{work.total} {work.noun}" for work in self.works)

    @asynccontextmanager
    async def under_way(self, *works: Work) -> AsyncIterator[None]:
        """Begin the work; when the block ends, wait until all of it is finished, and count."""
        self.works = works
        try:
            for work in works:
                await work.begin()
            try:
                yield
            except Stalled as stalled:
                self.wrong(str(stalled))
            await self._conclude()
        finally:
            for work in works:
                await work.cancel()

    def wrong(self, sentence: str) -> None:
        """Note what no number says."""
        self.outcome.wrong.append(sentence)

    async def until(self, work: Work, progress: int) -> None:
        """Wait for the work to come so far. Raises Stalled when that takes too long, Unwell when nobody asks for it."""
        work.allow(progress)
        deadline = time.monotonic() + DEADLINE_S
        while work.progress < progress:
            work.check()
            if time.monotonic() > deadline:
                raise Stalled(f"{work.progress} of {work.total} {work.noun}, and no further within {DEADLINE_S:g} s")
            await asyncio.sleep(_LOOK_S)

    async def strike(self, strike: Strike) -> None:
        """Note a death or a freeze; the rows that a worker held are watched until they move on."""
        self.strikes.append(strike)
        if self.site.members[strike.victim].works:
            await self.recoveries.struck(strike)

    async def _conclude(self) -> None:
        for work in self.works:
            await work.placed()
        self.say("waiting until all is finished")
        deadline = time.monotonic() + DEADLINE_S
        left = -1
        while left and time.monotonic() < deadline:
            left = await self.books.until_finished(deadline - time.monotonic())
            left = left or sum([await work.unfinished() for work in self.works])
        self.outcome.stuck = max(0, left)
        await self._count()

    async def _count(self) -> None:
        outcome, requests, dials = self.outcome, self.receiver.requests(), self.books.dials()
        missing = lost(await self.books.calls(), self.works, self.paths, requests, dials)
        allowed = {number: tries for work in self.works for number, tries in work.allowed_dials().items()}
        again = [attempt for attempt, count in self.books.attempts().items() if count > 1]
        outcome.lost = len(missing)
        outcome.twice = len({*dialed_too_often(dials, allowed), *again})
        outcome.copies = copies(requests)
        outcome.in_flight = in_flight(requests, self.strikes)
        outcome.recovery_s, outcome.slowest = await self.recoveries.seconds(), self.recoveries.slowest
        outcome.lost_ones = missing[:_SHOWN]
        outcome.wrong += [f"{count} deliveries with another body"] if (count := altered(requests)) else []
        outcome.wrong += [*self.api.wrong, *await self.books.broken(in_order=not self.fault.sets_clock)]


@asynccontextmanager
async def playing(run: Run, fault: Fault, mode: str) -> AsyncIterator[Scene]:
    """An installation that is ready for the fault, and gone when the block ends. Raises Unwell."""
    directory = run.directory / f"{fault.name}-{mode}"
    settings = {"VOXFORGE_SANDBOX_SPEED": f"{fault.speed:g}", **fault.settings}
    urls = run.backends.fresh() if run.backends is not None and mode == "scaled" else None
    site = new_site(directory, run.reaper, settings, urls)
    books = Books(await site.prepare(), site.data)
    clock = directory / "clock"
    clock.write_text("0")
    api = Api(site)
    try:
        with receiving(directory, run.seed) as receiver:
            await site.start(clock=clock if fault.sets_clock else None)
            endpoints = await make_endpoints(api, receiver, fault.endpoints)
            outcome = Outcome(fault.name, mode)
            yield Scene(run, fault, site, api, books, receiver, endpoints, Recoveries(books), outcome, clock)
    finally:
        await site.stop()
        await api.close()
        await books.close()
