"""Holding on to calls: many notes in one transaction, and a lease that is what the row says whatever is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from schema import due
from schema.due import Fenced, Lease
from schema.rules.calls import EndReason
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import (
    calls,
    endings,
    holding,
    steps,
)
from schema.services.holding import Kept, Note, Rings, Said
from schema.tables import Call
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock
from workers.holding import IN_LINE, Hold, Scribe


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many notes each transaction wrote."""
    sizes: list[int] = []
    write = holding.write

    async def counting(tx: Transaction, notes: Sequence[Note]) -> list[Kept | None]:
        sizes.append(len(notes))
        return await write(tx, notes)

    monkeypatch.setattr(holding, "write", counting)
    return sizes


async def hold(runtime: Runtime, viewer: Viewer, scribe: Scribe, stage: Any = seeds.submitted) -> Hold:
    row = await seeds.call(runtime, viewer)
    held = Hold(runtime, scribe, await stage(runtime, viewer, row))
    held.viewer = viewer
    return held


async def version(runtime: Runtime, viewer: Viewer, held: Hold) -> int:
    return (await calls.get(runtime.snapshot(viewer), held.lease.id)).version


async def test_the_first_note_is_written_at_once_and_those_that_come_meanwhile_together(
    runtime: Runtime, viewer: Viewer, batches: list[int]
) -> None:
    scribe = Scribe(runtime)
    holds = [await hold(runtime, viewer, scribe) for _ in range(6)]

    await asyncio.gather(*(one.write(Rings) for one in holds))

    assert sum(batches) == 6
    assert len(batches) <= 2
    assert [one.lease.version for one in holds] == [await version(runtime, viewer, one) for one in holds]


async def test_a_note_of_a_call_that_is_somebody_else_s_is_fenced_alone(runtime: Runtime, viewer: Viewer) -> None:
    scribe = Scribe(runtime)
    lost, kept = [await hold(runtime, viewer, scribe) for _ in range(2)]
    lost.lease = Lease(lost.lease.id, lost.lease.version - 1, lost.lease.until)

    results = await asyncio.gather(lost.write(Note), kept.write(Note), return_exceptions=True)

    assert [type(result) for result in results] == [Fenced, type(None)]
    assert kept.lease.version == await version(runtime, viewer, kept)


async def test_a_note_that_cannot_be_written_keeps_no_other_from_being_written(
    runtime: Runtime, viewer: Viewer
) -> None:
    """A fault of ours in one call must not end hundreds."""
    scribe = Scribe(runtime)
    broken, kept = [await hold(runtime, viewer, scribe) for _ in range(2)]

    results = await asyncio.gather(
        broken.write(Said, [{"role": "agent", "text": object()}]), kept.write(Rings), return_exceptions=True
    )

    assert isinstance(results[0], Exception)
    assert results[1] is None
    assert kept.lease.version == await version(runtime, viewer, kept)


async def test_a_database_that_is_away_is_told_to_all_who_wait(
    runtime: Runtime, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe = Scribe(runtime)
    holds = [await hold(runtime, viewer, scribe) for _ in range(3)]
    tries = 0

    async def away(tx: Transaction, notes: Sequence[Note]) -> list[Kept | None]:
        nonlocal tries
        tries += 1
        raise OperationalError("", {}, Exception("disk I/O error"))

    monkeypatch.setattr(holding, "write", away)
    results = await asyncio.gather(*(scribe.write(Note(one.lease)) for one in holds), return_exceptions=True)

    assert [type(result) for result in results] == [OperationalError] * 3
    assert tries <= 2  # not once for each


# --- a note that cannot be written now ---


class Flaky:
    """Writes, but for the first tries, which fail with that error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: VirtualClock, times: int, error: Exception) -> None:
        self.tried_at: list[float] = []
        self._clock, self._times, self._error = clock, times, error
        self._write = holding.write
        monkeypatch.setattr(holding, "write", self.write)

    async def write(self, tx: Transaction, notes: Sequence[Note]) -> list[Kept | None]:
        self.tried_at.append(self._clock.monotonic())
        if len(self.tried_at) <= self._times:
            raise self._error
        return await self._write(tx, notes)


AWAY = OperationalError("", {}, Exception("the connection was lost"))


async def test_a_note_is_written_when_the_database_is_back(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await hold(runtime, viewer, Scribe(runtime))
    flaky = Flaky(monkeypatch, clock, 3, AWAY)

    writing = asyncio.create_task(held.write(Said, [{"role": "agent", "text": "Hello"}]))
    await clock.advance(2)
    await writing

    row = await calls.get(runtime.snapshot(viewer), held.lease.id)
    assert flaky.tried_at == pytest.approx([0, 0.2, 0.7, 1.7])
    assert (row.version, row.transcript) == (held.lease.version, [{"role": "agent", "text": "Hello"}])


async def test_a_note_is_given_up_while_a_third_of_the_lease_is_left(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await hold(runtime, viewer, Scribe(runtime))
    before = held.lease
    flaky = Flaky(monkeypatch, clock, 100, AWAY)

    writing = asyncio.create_task(held.write(Rings))
    await clock.advance(steps.LEASE_S)
    with pytest.raises(OperationalError):
        await writing

    assert flaky.tried_at == pytest.approx([0, 0.2, 0.7, 1.7, 3.7, 5.7, 7.7])
    assert (held.lease, await version(runtime, viewer, held)) == (before, before.version)


@pytest.mark.parametrize("fault", [IntegrityError("", {}, Exception("CHECK constraint failed")), ValueError("ours")])
async def test_a_note_that_would_fail_again_is_tried_once(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    held = await hold(runtime, viewer, Scribe(runtime))
    flaky = Flaky(monkeypatch, clock, 100, fault)

    with pytest.raises(type(fault)):
        await held.write(Rings)

    assert flaky.tried_at == [0]


async def test_a_note_is_tried_once_by_a_worker_that_is_closing(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    scribe = Scribe(runtime)
    held = await hold(runtime, viewer, scribe)
    flaky = Flaky(monkeypatch, clock, 100, AWAY)
    scribe.is_closing = True

    with pytest.raises(OperationalError):
        await held.write(Rings)

    assert flaky.tried_at == [0]


@on_both
async def test_a_note_that_was_written_though_nobody_was_told_is_fenced_off(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose version is in the row cannot be told: the call is taken up when its lease ends, with what was said."""
    held = await hold(runtime, viewer, Scribe(runtime))
    perform, lost = runtime.perform, [AWAY]

    async def losing_the_answer(*args: Any, **given: Any) -> Any:
        done = await perform(*args, **given)
        if lost:
            raise lost.pop()
        return done

    monkeypatch.setattr(runtime, "perform", losing_the_answer)

    writing = asyncio.create_task(held.write(Said, [{"role": "agent", "text": "Hello"}]))
    while not clock.sleepers:  # noqa: ASYNC110 (until it pauses)
        await asyncio.sleep(0)
    await clock.advance(0.2)
    with pytest.raises(Fenced):
        await writing

    row = await calls.get(runtime.snapshot(viewer), held.lease.id)
    assert (row.version, row.transcript) == (held.lease.version + 1, [{"role": "agent", "text": "Hello"}])


# --- turns, and being cut short ---


async def test_somebody_who_wants_the_call_ended_is_known_after_the_next_note(runtime: Runtime, viewer: Viewer) -> None:
    held = await hold(runtime, viewer, Scribe(runtime))
    async with runtime.transaction(viewer) as tx:
        await calls.hang_up(tx, held.lease.id)

    await held.write(Rings)

    assert held.wanted_over


async def test_steps_and_notes_take_turns_each_under_the_lease_that_the_one_before_left(
    runtime: Runtime, viewer: Viewer
) -> None:
    held = await hold(runtime, viewer, Scribe(runtime), seeds.answered)
    now = runtime.clock.now()

    await asyncio.gather(
        held.write(Said, [{"role": "agent", "text": "Hello"}]),
        held.write(Note),
        held.step(endings.ended, reason=EndReason.CALLEE_HANGUP, ended_at=now, duration_s=3),
        held.write(Note),
    )

    row = await calls.get(runtime.snapshot(viewer), held.lease.id)
    assert (row.version, row.end_reason) == (held.lease.version, EndReason.CALLEE_HANGUP)
    assert row.transcript == [{"role": "agent", "text": "Hello"}]


@pytest.mark.parametrize("turns", range(8))
async def test_whatever_is_cancelled_the_call_can_be_put_back(runtime: Runtime, viewer: Viewer, turns: int) -> None:
    """A step that has begun is finished, and its lease known; one that has not leaves the lease as it was."""
    held = await hold(runtime, viewer, Scribe(runtime))

    async def work() -> None:
        await held.write(Rings)
        await held.write(Said, [])
        now = runtime.clock.now()
        await held.step(endings.ended, reason=EndReason.NO_ANSWER, ended_at=now, duration_s=0)

    task = asyncio.create_task(work())
    for _ in range(turns * 2):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await due.put_back(runtime, Call, [held.lease])

    row = await calls.get(runtime.snapshot(viewer), held.lease.id)
    assert row.due_at in {runtime.clock.now(), None}
    assert row.due_at is not None or row.end_reason is EndReason.NO_ANSWER


async def test_long_work_is_done_while_the_lease_is_renewed(runtime: Runtime, viewer: Viewer) -> None:
    class Watched(Hold):
        renewals = 0

        async def write(self, make: Any, *args: Any, **given: Any) -> None:
            await super().write(make, *args, **given)
            self.renewals += 1
            if self.renewals == 3:
                renewed.set()

    renewed = asyncio.Event()
    row = await seeds.call(runtime, viewer)
    held = Watched(runtime, Scribe(runtime), await seeds.submitted(runtime, viewer, row))

    async def work() -> str:
        await renewed.wait()
        return "done"

    assert await held.through(work(), 0.001) == "done"
    assert held.lease.version == await version(runtime, viewer, held)


async def test_long_work_for_a_call_that_is_somebody_else_s_is_given_up(runtime: Runtime, viewer: Viewer) -> None:
    held = await hold(runtime, viewer, Scribe(runtime))
    held.lease = Lease(held.lease.id, held.lease.version - 1, held.lease.until)
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(Fenced):
        await held.through(work(), 0.001)

    await asyncio.wait_for(cancelled.wait(), 5)


@on_both
async def test_few_steps_of_a_campaign_are_in_the_database_at_a_time(runtime: Runtime, viewer: Viewer) -> None:
    """The others would lock its rows one after the other, and whoever pauses the campaign would wait behind them."""
    scribe = Scribe(runtime)
    holds = [await hold(runtime, viewer, scribe) for _ in range(6)]
    begun: dict[str | None, int] = {}
    most: dict[str | None, int] = {}
    goes_on = asyncio.Event()

    async def verb(tx: Transaction, held: Lease, campaign_id: str | None) -> Lease:
        begun[campaign_id] = begun.get(campaign_id, 0) + 1
        most[campaign_id] = max(most.get(campaign_id, 0), begun[campaign_id])
        if len(begun) == 3 and sum(begun.values()) >= 2 + IN_LINE:
            goes_on.set()
        if runtime.database.writer is None:
            await goes_on.wait()  # those of others get there, however long this campaign's take
        begun[campaign_id] -= 1
        return held

    steps = []
    for one, campaign_id in zip(holds, ["a", "a", "a", "a", "b", None], strict=True):
        one.campaign_id = campaign_id
        steps.append(one.step(verb, campaign_id))
    await asyncio.gather(*steps)

    assert most["a"] <= IN_LINE
    assert begun == {"a": 0, "b": 0, None: 0}
