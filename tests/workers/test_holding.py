"""Holding on to calls: many notes in one transaction, and a lease that is what the row says whatever is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from schema import due
from schema.due import Fenced, Lease
from schema.rules.calls import EndReason
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import calls, dialing, holding
from schema.services.holding import Kept, Note, Rings, Said
from schema.tables import Call
from tests.support import seeds
from tests.support.runtime import on_both
from workers.holding import IN_LINE, Hold, Scribe


@pytest.fixture
async def viewer(runtime: Runtime) -> Viewer:
    return await seeds.workspace(runtime)


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
    results = await asyncio.gather(*(one.write(Note) for one in holds), return_exceptions=True)

    assert [type(result) for result in results] == [OperationalError] * 3
    assert tries <= 2  # not once for each


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
        held.step(dialing.ended, reason=EndReason.CALLEE_HANGUP, ended_at=now, duration_s=3),
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
        await held.step(dialing.ended, reason=EndReason.NO_ANSWER, ended_at=now, duration_s=0)

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
