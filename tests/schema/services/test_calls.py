"""Calls: queued, listed, ended by whoever runs the workspace (decisions L1, L5). `test_dialing` has the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from schema import due
from schema.due import Fenced
from schema.errors import Invalid, NotFound
from schema.rules.calls import CallDirection, CallPhase, CallStatus, EndReason
from schema.runtime import Runtime, Viewer
from schema.services import agents, calls, dialing, do_not_call
from schema.tables import Call, Event
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock

NUMBER = "+15551234567"
UNKNOWN = "c0000000000000000unknown0"


async def told(runtime: Runtime, call: Call) -> list[str]:
    """The types of the call's events, in order."""
    events = await runtime.database.read(select(Event).where(Event.call_id == call.id).order_by(Event.id))
    return [event.type.value for event in events]


@on_both
async def test_a_placed_call_is_queued_and_due_now(runtime: Runtime, viewer: Viewer, act: Act, rings: Rings) -> None:
    """L1: the row is the job."""
    sam, sales = await seeds.agent(runtime, viewer), await seeds.phone_number(runtime, viewer)

    row = await act(calls.place, {"agent_id": sam.id, "phone_number_id": sales.id, "to": NUMBER})

    kept = await calls.get(runtime.snapshot(viewer), row.id)
    now = runtime.clock.now()
    untouched = dict.fromkeys(set(Call.model_fields), None)
    assert {name: getattr(kept, name) for name in Call.model_fields} == {
        **untouched,
        "id": row.id,
        "workspace_id": viewer.workspace_id,
        "status": CallStatus.QUEUED,
        "phase": CallPhase.QUEUED,
        "direction": CallDirection.OUTBOUND,
        "to_number": NUMBER,
        "from_number": sales.phone_number,
        "agent_id": sam.id,
        "phone_number_id": sales.id,
        "attempts_made": 0,
        "hangup_requested": False,
        "due_at": now,
        "version": 0,
        "created_at": now,
        "updated_at": now,
    }
    assert rings.heard == ["calls"]
    assert await told(runtime, row) == []


async def test_a_call_to_a_contact_s_number_is_the_contact_s(runtime: Runtime, viewer: Viewer) -> None:
    person = await seeds.contact(runtime, viewer, phone_number=NUMBER)
    await seeds.contact(runtime, await seeds.workspace(runtime, name="Other"), phone_number=seeds.number())

    assert (await seeds.call(runtime, viewer, to=NUMBER)).contact_id == person.id
    assert (await seeds.call(runtime, viewer)).contact_id is None


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"to": None}, Invalid, "to cannot be null"),
        ({"to": "5551234567"}, Invalid, "to must be a phone number in E.164 such as +15551234567: a plus sign, the"),
        ({"to": "+19005551234"}, Invalid, "to +19005551234 is a premium-rate number, which is never called"),
        ({"agent_id": UNKNOWN}, NotFound, f"Agent with id {UNKNOWN} not found"),
        ({"phone_number_id": UNKNOWN}, NotFound, f"Phone number with id {UNKNOWN} not found"),
        ({"from": NUMBER}, Invalid, "Unknown field 'from'"),
    ],
)
async def test_what_breaks_a_rule_is_refused(
    runtime: Runtime,
    viewer: Viewer,
    act: Act,
    unchanged: Unchanged,
    rings: Rings,
    given: dict[str, Any],
    kind: type[Exception],
    message: str,
) -> None:
    """R9, E5."""
    sam, sales = await seeds.agent(runtime, viewer), await seeds.phone_number(runtime, viewer)
    good = {"agent_id": sam.id, "phone_number_id": sales.id, "to": NUMBER}

    async with unchanged():
        with pytest.raises(kind) as refusal:
            await act(calls.place, {**good, **given})

    assert str(refusal.value).startswith(message)
    assert rings.heard == []


async def test_what_cannot_be_used_is_refused(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    """E5: an inactive agent or number, and a deleted agent."""
    sam, sales = await seeds.agent(runtime, viewer), await seeds.phone_number(runtime, viewer)
    off, silent = await seeds.agent(runtime, viewer, is_active=False), await seeds.phone_number(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(type(silent), silent.id)).is_active = False
    gone = await seeds.agent(runtime, viewer)
    await act(agents.delete, gone.id)

    for agent, number, kind, message in (
        (off, sales, Invalid, f"Agent with id {off.id} is not active"),
        (gone, sales, NotFound, f"Agent with id {gone.id} not found"),
        (sam, silent, Invalid, f"Phone number with id {silent.id} is not active"),
    ):
        async with refused(kind, message):
            await act(calls.place, {"agent_id": agent.id, "phone_number_id": number.id, "to": NUMBER})


@on_both
async def test_a_number_on_the_do_not_call_list_is_refused(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    """L5: this workspace's list."""
    sam, sales = await seeds.agent(runtime, viewer), await seeds.phone_number(runtime, viewer)
    await act(do_not_call.add, {"phone_number": NUMBER})

    async with refused(Invalid, f"{NUMBER} is on the do-not-call list"):
        await act(calls.place, {"agent_id": sam.id, "phone_number_id": sales.id, "to": NUMBER})
    other = await seeds.workspace(runtime, name="Other")
    assert (await seeds.call(runtime, other, to=NUMBER)).status is CallStatus.QUEUED


# --- hanging up ---


@on_both
async def test_hanging_up_on_a_waiting_call_cancels_it(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    row = await seeds.call(runtime, viewer)
    await clock.advance(5)

    over = await act(calls.hang_up, row.id)

    assert (over.status, over.phase, over.end_reason) == (CallStatus.FAILED, CallPhase.DONE, EndReason.CANCELLED)
    assert (over.duration, over.ended_at, over.updated_at, over.due_at) == (0, clock.now(), clock.now(), None)
    assert (over.started_at, over.answered_at, over.hangup_requested) == (None, None, False)
    assert await told(runtime, row) == ["call.failed"]


@on_both
async def test_whoever_was_about_to_dial_it_is_fenced_off(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """P2, L4."""
    row = await seeds.call(runtime, viewer)
    held = await seeds.taken(runtime, row)
    await act(calls.hang_up, row.id)

    with pytest.raises(Fenced):
        async with runtime.transaction(viewer) as tx:
            await dialing.begin(tx, held)

    assert await told(runtime, row) == ["call.failed"]


@pytest.mark.parametrize("stage", [seeds.dialed, seeds.submitted, seeds.answered])
async def test_hanging_up_on_a_call_under_way_is_asked_of_whoever_carries_it(
    runtime: Runtime, viewer: Viewer, act: Act, rings: Rings, unchanged: Unchanged, clock: VirtualClock, stage: Any
) -> None:
    row = await seeds.call(runtime, viewer)
    await stage(runtime, viewer, row)
    before = await calls.get(runtime.snapshot(viewer), row.id)
    rings.heard.clear()
    await clock.advance(1)

    asked = await act(calls.hang_up, row.id)

    assert (asked.hangup_requested, asked.updated_at) == (True, clock.now())
    assert (asked.phase, asked.version, asked.due_at) == (before.phase, before.version, before.due_at)
    assert rings.heard == ["hangups"]
    await clock.advance(1)
    async with unchanged():
        await act(calls.hang_up, row.id)
    assert rings.heard == ["hangups"]


@pytest.mark.parametrize("stage", [seeds.over, seeds.done])
async def test_a_call_that_is_over_stays(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged, rings: Rings, stage: Any
) -> None:
    """L1: final is final."""
    row = await seeds.call(runtime, viewer)
    await stage(runtime, viewer, row)
    rings.heard.clear()

    async with unchanged():
        assert (await act(calls.hang_up, row.id)).status is CallStatus.COMPLETED
    assert rings.heard == []


async def test_another_workspace_s_call_cannot_be_ended(runtime: Runtime, viewer: Viewer, refused: Refused) -> None:
    row = await seeds.call(runtime, viewer)
    other = await seeds.workspace(runtime, name="Other")

    async with refused(NotFound, f"Call with id {row.id} not found"), runtime.transaction(other) as tx:
        await calls.hang_up(tx, row.id)


@on_both
async def test_dropping_what_is_queued_says_how_many(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """P2."""
    campaign = await seeds.campaign(runtime, viewer)
    rows = [await seeds.call(runtime, viewer, campaign_id=campaign.id) for _ in range(3)]
    await seeds.submitted(runtime, viewer, rows[0])

    assert await act(calls.cancel_queued, campaign.id, EndReason.CAMPAIGN_CANCELLED) == 2
    assert await act(calls.cancel_queued, campaign.id, EndReason.CAMPAIGN_CANCELLED) == 0

    assert [await told(runtime, row) for row in rows] == [["call.started"], ["call.failed"], ["call.failed"]]


# --- lists ---


@on_both
async def test_calls_are_listed_newest_first_and_filtered(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    """R3, R4."""
    person = await seeds.contact(runtime, viewer, phone_number=NUMBER)
    campaign = await seeds.campaign(runtime, viewer)
    rows = [await seeds.call(runtime, viewer, to=NUMBER)]
    await clock.advance(3_600.5)
    rows.append(await seeds.call(runtime, viewer, campaign_id=campaign.id))
    await clock.advance(86_400)
    rows.append(await seeds.call(runtime, viewer))
    await seeds.done(runtime, viewer, rows[2])
    tx = runtime.snapshot(viewer)

    async def listed(**filters: Any) -> list[int]:
        page = await calls.list_page(tx, **filters)
        assert page.total == len(page.nodes)
        return [[row.id for row in rows].index(found.id) for found in page.nodes]

    assert await listed() == [2, 1, 0]
    assert await listed(status=CallStatus.QUEUED) == [1, 0]
    assert await listed(status=CallStatus.COMPLETED) == [2]
    assert await listed(agent_id=rows[1].agent_id) == [1]
    assert await listed(campaign_id=campaign.id) == [1]
    assert await listed(contact_id=person.id) == [0]
    assert await listed(start="2025-01-16") == [2]
    assert await listed(end="2025-01-15") == [1, 0]
    assert await listed(start="2025-01-15T15:00:00Z", end="2025-01-15T15:00:00Z") == [1]  # shown in whole seconds
    assert await listed(start="2025-01-15T15:00:00.6Z") == [2]
    assert await listed(agent_id=UNKNOWN) == []
    assert rows[0].created_at == at("2025-01-15T14:00:00Z")


async def test_a_page_is_fifty_unless_told(runtime: Runtime, viewer: Viewer, refused: Refused) -> None:
    row = await seeds.call(runtime, viewer)
    async with runtime.transaction(viewer) as tx:
        for index in range(51):
            tx.add(Call(**{**row.model_dump(), "id": tx.new_id(), "created_at": tx.now + timedelta(seconds=index)}))
    tx = runtime.snapshot(viewer)

    page = await calls.list_page(tx)

    assert (len(page.nodes), page.total, page.limit, page.offset) == (50, 52, 50, 0)
    assert len((await calls.list_page(tx, limit=200)).nodes) == 52
    async with refused(Invalid, "from must not be after to"):
        await calls.list_page(tx, start="2025-01-16", end="2025-01-15")


async def test_a_call_that_waits_is_taken_when_it_is_due(runtime: Runtime, viewer: Viewer) -> None:
    row = await seeds.call(runtime, viewer)

    (held,) = await due.lease(runtime, Call, limit=10, seconds=15)

    assert held.id == row.id
