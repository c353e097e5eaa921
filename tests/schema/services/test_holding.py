"""Notes of many calls in one transaction: each is fenced by itself, and nothing moves a call back (L1)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema.due import Lease
from schema.rules.calls import AnsweredBy, CallPhase, EndReason
from schema.runtime import Runtime, Viewer
from schema.services import calls, endings, holding
from schema.services.holding import IsAnswered, Kept, Note, Rings, Said
from schema.services.steps import LEASE_S
from schema.tables import Call
from tests.schema.conftest import Act, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

LINES = [{"role": "agent", "text": "Hello\0!", "start": 0.4, "end": 1.2}]


async def read(runtime: Runtime, id: str) -> Any:
    return (await runtime.database.read(select(Call).where(col(Call.id) == id)))[0]


async def submitted(runtime: Runtime, viewer: Viewer) -> Lease:
    return await seeds.submitted(runtime, viewer, await seeds.call(runtime, viewer))


def over(held: Lease, by: int = 1) -> Lease:
    """The lease as it was before, or will be."""
    return Lease(held.id, held.version + by, held.until)


@on_both
async def test_what_happened_to_each_is_written_and_its_lease_renewed(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    kept, rings, answered, said = [await submitted(runtime, viewer) for _ in range(4)]
    await clock.advance(4)
    now = clock.now()

    results = await act(
        holding.write,
        [
            Note(kept),
            Rings(rings),
            IsAnswered(answered, now - timedelta(seconds=1), AnsweredBy.HUMAN),
            Said(said, LINES),
        ],
    )

    until = now + timedelta(seconds=LEASE_S)
    assert results == [
        Kept(Lease(held.id, held.version + 1, until), wanted_over=False) for held in (kept, rings, answered, said)
    ]
    rows = [await read(runtime, held.id) for held in (kept, rings, answered, said)]
    assert [row.phase for row in rows] == [
        CallPhase.SUBMITTED,
        CallPhase.RINGING,
        CallPhase.ANSWERED,
        CallPhase.SUBMITTED,
    ]
    assert [(row.due_at, row.version) for row in rows] == [(until, one.held.version) for one in results]
    assert (rows[2].answered_at, rows[2].answered_by) == (now - timedelta(seconds=1), AnsweredBy.HUMAN)
    assert rows[3].transcript == [{**LINES[0], "text": "Hello\ufffd!"}]
    assert [row.updated_at == now for row in rows] == [False, True, True, True]


@on_both
async def test_of_a_call_that_is_somebody_else_s_nothing_is_written(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged
) -> None:
    held = await submitted(runtime, viewer)
    gone = Lease("c" + "0" * 24, 3, held.until)

    async with unchanged():
        results = await act(holding.write, [Said(over(held), LINES), Rings(over(held, -1)), Note(gone)])

    assert results == [None, None, None]


@on_both
async def test_a_lost_lease_keeps_nobody_else_s_note_from_being_written(
    runtime: Runtime, viewer: Viewer, act: Act
) -> None:
    lost, held = await submitted(runtime, viewer), await submitted(runtime, viewer)

    first, second = await act(holding.write, [Said(over(lost), LINES), Said(held, LINES)])

    assert (first, second is not None) == (None, True)
    assert ((await read(runtime, lost.id)).transcript, bool((await read(runtime, held.id)).transcript)) == (None, True)


@pytest.mark.parametrize("phase", [CallPhase.RINGING, CallPhase.ANSWERED, CallPhase.PROCESSING])
async def test_what_is_said_late_or_twice_moves_nothing_back(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, phase: CallPhase
) -> None:
    """L1: it is nothing but a renewal."""
    held = await submitted(runtime, viewer)
    answer = IsAnswered(held, clock.now(), AnsweredBy.HUMAN)
    if phase is CallPhase.RINGING:
        (kept,) = await act(holding.write, [Rings(held)])
    else:
        (kept,) = await act(holding.write, [answer])
    held = kept.held
    if phase is CallPhase.PROCESSING:
        end: dict[str, Any] = {"reason": EndReason.CALLEE_HANGUP, "ended_at": clock.now(), "duration_s": 1}
        held = await act(endings.ended, held, **end)
    before = await read(runtime, held.id)
    await clock.advance(1)

    (kept,) = await act(holding.write, [Rings(held)])
    if phase is not CallPhase.RINGING:
        (kept,) = await act(holding.write, [IsAnswered(kept.held, clock.now(), AnsweredBy.FAX)])

    row = await read(runtime, held.id)
    assert (row.phase, row.answered_at, row.answered_by) == (phase, before.answered_at, before.answered_by)
    assert row.updated_at == before.updated_at
    assert row.due_at == clock.now() + timedelta(seconds=LEASE_S)


@on_both
async def test_whoever_keeps_a_call_learns_that_somebody_wants_it_ended(
    runtime: Runtime, viewer: Viewer, act: Act
) -> None:
    one, other = await submitted(runtime, viewer), await submitted(runtime, viewer)
    await act(calls.hang_up, one.id)

    results = await act(holding.write, [Note(one), Note(other)])

    assert [kept.wanted_over for kept in results] == [True, False]
    assert await holding.wanted_over(runtime, [one.id, other.id]) == [one.id]
