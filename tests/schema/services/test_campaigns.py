"""Campaigns and who is enrolled in them (decisions P1 to P6)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from schema.errors import Invalid, NotFound
from schema.rules.calls import CallPhase, CallStatus, EndReason
from schema.rules.campaigns import CampaignStatus
from schema.runtime import Runtime, Viewer
from schema.services import agents, calls, campaigns, enrolment
from schema.tables import Call, Campaign, Event
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.seeds import at
from tests.support.time import VirtualClock

ACTIVE, PAUSED, COMPLETED, CANCELLED = CampaignStatus
UNKNOWN = "c0000000000000000unknown0"
NINE_TO_FIVE = {"start": "09:00", "end": "17:00"}


@on_both
async def test_a_new_campaign_has_the_documents_defaults(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """P1, P4, P5."""
    sam, sales = await seeds.agent(runtime, viewer), await seeds.phone_number(runtime, viewer)

    row = await act(campaigns.create, {"name": "Spring", "agent_id": sam.id, "phone_number_id": sales.id})

    kept = await campaigns.get(runtime.snapshot(viewer), row.id)
    now = runtime.clock.now()
    assert {name: getattr(kept, name) for name in Campaign.model_fields} == {
        "id": row.id,
        "workspace_id": viewer.workspace_id,
        "name": "Spring",
        "status": ACTIVE,
        "agent_id": sam.id,
        "phone_number_id": sales.id,
        "scheduled_start": now,
        "timezone": "UTC",
        "window_start": None,
        "window_end": None,
        "call_days": None,
        "contact_window_start": None,
        "contact_window_end": None,
        "max_concurrent_calls": 1,
        "retry_policy": {"max_attempts": 1, "delay_minutes": [], "on": ["busy", "no-answer", "voicemail"]},
        "calls_total": 0,
        "calls_completed": 0,
        "cursor": 0,
        "created_at": now,
        "updated_at": now,
    }
    assert campaigns.call_window(kept) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": None}, "name cannot be null"),
        ({"agent_id": ""}, "agentId must be an id"),
        ({"timezone": "Mars/Olympus"}, "timezone must be an IANA time zone such as America/New_York"),
        ({"call_window": {"start": "09:00"}}, "callWindow must have start and end"),
        ({"call_window": {"start": "09:00", "end": "09:00"}}, "callWindow.start and callWindow.end must differ"),
        (
            {"call_window": {"start": "9:00", "end": "17:00"}},
            "callWindow.start must be a time such as 09:00, from 00:00 to 23:59",
        ),
        (
            {"call_window": {"start": "09:00", "end": "24:00"}},
            "callWindow.end must be a time such as 09:00, from 00:00 to 23:59",
        ),
        ({"max_concurrent_calls": 0}, "maxConcurrentCalls must be between 1 and 1000"),
        ({"max_concurrent_calls": 1_001}, "maxConcurrentCalls must be between 1 and 1000"),
        ({"retry_policy": []}, "retryPolicy must be an object"),
        ({"retry_policy": {"max_attempts": 6}}, "retryPolicy.maxAttempts must be between 1 and 5"),
        ({"retry_policy": {"max_attempts": 2}}, "retryPolicy.delayMinutes must have at least one delay"),
        (
            {"retry_policy": {"max_attempts": 2, "delay_minutes": [1, 2]}},
            "retryPolicy.delayMinutes must have at most one delay for each retry",
        ),
        (
            {"retry_policy": {"max_attempts": 2, "delay_minutes": [0]}},
            "retryPolicy.delayMinutes must be between 1 and 10080",
        ),
        (
            {"retry_policy": {"max_attempts": 2, "delay_minutes": [1], "on": ["rejected"]}},
            "retryPolicy.on must contain only: busy, no-answer, voicemail",
        ),
        ({"status": "paused"}, "Unknown field 'status'"),
        ({"calls_total": 5}, "Unknown field 'callsTotal'"),
    ],
)
async def test_what_breaks_a_rule_is_refused(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, given: dict[str, Any], message: str
) -> None:
    sam, sales = await seeds.agent(runtime, viewer), await seeds.phone_number(runtime, viewer)
    good = {"name": "Spring", "agent_id": sam.id, "phone_number_id": sales.id}

    async with refused(Invalid, message):
        await act(campaigns.create, {**good, **given})


async def test_what_it_refers_to_must_exist_and_be_usable(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused
) -> None:
    """E5: an id that does not exist is not found; one that cannot be used is invalid."""
    sam, sales = await seeds.agent(runtime, viewer), await seeds.phone_number(runtime, viewer)
    off = await seeds.agent(runtime, viewer, is_active=False)
    theirs = await seeds.agent(runtime, await seeds.workspace(runtime, name="Other"))
    good = {"name": "Spring", "agent_id": sam.id, "phone_number_id": sales.id}

    for field, noun, id in (
        ("agent_id", "Agent", UNKNOWN),
        ("agent_id", "Agent", theirs.id),
        ("phone_number_id", "Phone number", sam.id),
        ("contact_ids", "Contact", UNKNOWN),
    ):
        async with refused(NotFound, f"{noun} with id {id} not found"):
            await act(campaigns.create, {**good, field: [id] if field == "contact_ids" else id})
    async with refused(Invalid, f"Agent with id {off.id} is not active"):
        await act(campaigns.create, {**good, "agent_id": off.id})


# --- moves (P2) ---


@pytest.mark.parametrize(
    ("start", "end", "allowed"),
    [
        (ACTIVE, PAUSED, True),
        (ACTIVE, COMPLETED, True),
        (ACTIVE, CANCELLED, True),
        (PAUSED, ACTIVE, True),
        (PAUSED, COMPLETED, True),
        (PAUSED, CANCELLED, True),
        *((final, other, False) for final in (COMPLETED, CANCELLED) for other in CampaignStatus if other != final),
    ],
)
async def test_moves(
    runtime: Runtime,
    viewer: Viewer,
    act: Act,
    refused: Refused,
    clock: VirtualClock,
    start: CampaignStatus,
    end: CampaignStatus,
    allowed: bool,
) -> None:
    """P2, E3."""
    row = await seeds.campaign(runtime, viewer)
    await act(campaigns.update, row.id, {"status": start})
    await clock.advance(1)

    if allowed:
        moved = await act(campaigns.update, row.id, {"status": end})
        assert (moved.status, moved.updated_at) == (end, clock.now())
    else:
        message = f"Campaign cannot go from {start.value} to {end.value}: {start.value} is final"
        async with refused(Invalid, message):
            await act(campaigns.update, row.id, {"status": end})


@pytest.mark.parametrize("status", CampaignStatus)
async def test_the_status_it_has_may_be_set_again(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged, clock: VirtualClock, status: CampaignStatus
) -> None:
    """P2: 200, and nothing has changed."""
    row = await seeds.campaign(runtime, viewer)
    await act(campaigns.update, row.id, {"status": status})
    await clock.advance(1)

    async with unchanged():
        await act(campaigns.update, row.id, {"status": status.value})


@pytest.mark.parametrize("status", [COMPLETED, CANCELLED])
async def test_a_finished_campaign_cannot_be_edited(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, status: CampaignStatus
) -> None:
    """P6."""
    row = await seeds.campaign(runtime, viewer)
    person = await seeds.contact(runtime, viewer)
    await act(campaigns.update, row.id, {"status": status})

    async with refused(Invalid, f"A {status.value} campaign cannot be changed"):
        await act(campaigns.update, row.id, {"name": "Summer"})
    async with refused(Invalid, f"A {status.value} campaign takes no contacts"):
        await act(enrolment.add, row.id, await enrolment.checked([person.id]))


@pytest.mark.parametrize("status", [ACTIVE, PAUSED])
async def test_an_open_campaign_can_be_edited(
    runtime: Runtime, viewer: Viewer, act: Act, status: CampaignStatus
) -> None:
    """P6; R6: absent stays, null clears."""
    row = await seeds.campaign(runtime, viewer, call_window=NINE_TO_FIVE, timezone="Europe/Berlin")
    await act(campaigns.update, row.id, {"status": status})
    policy = {"max_attempts": 3, "delay_minutes": [5, 60], "on": ["busy", "busy"]}

    edited = await act(
        campaigns.update, row.id, {"name": "Summer", "max_concurrent_calls": 1_000, "retry_policy": policy}
    )

    assert (edited.name, edited.max_concurrent_calls, edited.status) == ("Summer", 1_000, status)
    assert edited.retry_policy == {"max_attempts": 3, "delay_minutes": [5, 60], "on": ["busy"]}
    assert campaigns.call_window(edited) == NINE_TO_FIVE
    assert edited.timezone == "Europe/Berlin"
    assert campaigns.call_window(await act(campaigns.update, row.id, {"call_window": None})) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"call_window": {"start": "09:00", "end": "09:00"}}, "callWindow.start and callWindow.end must differ"),
        ({"timezone": None}, "timezone cannot be null"),
        ({"agent_id": UNKNOWN}, "Unknown field 'agentId'"),
        ({"scheduled_start": None}, "Unknown field 'scheduledStart'"),
        ({"status": "active!"}, "status must be one of: active, paused, completed, cancelled"),
    ],
)
async def test_a_refused_edit_changes_nothing(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, given: dict[str, Any], message: str
) -> None:
    row = await seeds.campaign(runtime, viewer)

    async with refused(Invalid, message):
        await act(campaigns.update, row.id, {"name": "Summer", **given})


@on_both
async def test_cancelling_drops_what_is_queued_and_nothing_else(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """P2: each with its reason, and the workspace is told."""
    row = await seeds.campaign(runtime, viewer)
    await seeds.endpoint(runtime, viewer)
    queued = [await seeds.call(runtime, viewer, campaign_id=row.id) for _ in range(2)]
    live = await seeds.call(runtime, viewer, campaign_id=row.id)
    await seeds.answered(runtime, viewer, live)
    single = await seeds.call(runtime, viewer)

    await act(campaigns.update, row.id, {"status": "cancelled"})

    tx = runtime.snapshot(viewer)
    for call in queued:
        kept = await calls.get(tx, call.id)
        assert (kept.status, kept.end_reason, kept.due_at) == (
            CallStatus.FAILED,
            EndReason.CAMPAIGN_CANCELLED,
            None,
        )
    assert (await calls.get(tx, live.id)).phase is CallPhase.ANSWERED
    assert (await calls.get(tx, single.id)).phase is CallPhase.QUEUED
    told = [event.call_id for event in await runtime.database.read(select(Event)) if event.type == "call.failed"]
    assert sorted(told) == sorted(call.id for call in queued)


async def test_pausing_leaves_calls_under_way(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """P2."""
    row = await seeds.campaign(runtime, viewer)
    live = await seeds.call(runtime, viewer, campaign_id=row.id)
    await seeds.answered(runtime, viewer, live)

    await act(campaigns.update, row.id, {"status": "paused"})

    assert (await calls.get(runtime.snapshot(viewer), live.id)).phase is CallPhase.ANSWERED


@pytest.mark.parametrize(
    ("given", "status", "expected"),
    [
        ({}, ACTIVE, None),
        ({"scheduled_start": at("2025-01-16T08:00:00Z")}, ACTIVE, at("2025-01-16T08:00:00Z")),
        ({"scheduled_start": at("2025-01-16T08:00:00Z")}, PAUSED, None),
        ({"scheduled_start": at("2025-01-14T08:00:00Z")}, ACTIVE, None),
        ({"call_window": NINE_TO_FIVE}, ACTIVE, None),
        ({"call_window": NINE_TO_FIVE, "timezone": "Asia/Tokyo"}, ACTIVE, at("2025-01-16T00:00:00Z")),
        ({"call_window": {"start": "22:00", "end": "02:00"}}, ACTIVE, at("2025-01-15T22:00:00Z")),
        (
            {"scheduled_start": at("2025-01-16T18:00:00Z"), "call_window": NINE_TO_FIVE},
            ACTIVE,
            at("2025-01-17T09:00:00Z"),
        ),
    ],
)
async def test_an_active_campaign_says_when_it_dials_next(
    runtime: Runtime, viewer: Viewer, act: Act, given: dict[str, Any], status: CampaignStatus, expected: object
) -> None:
    """P1, at 2025-01-15T14:00:00Z."""
    row = await seeds.campaign(runtime, viewer, **given)
    row = await act(campaigns.update, row.id, {"status": status})

    assert campaigns.next_dial(row, runtime.clock.now()) == expected


async def test_campaigns_are_listed_newest_first_and_by_status(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    ids = [(await seeds.campaign(runtime, viewer)).id for _ in range(3)]
    await act(campaigns.update, ids[1], {"status": "paused"})
    tx = runtime.snapshot(viewer)

    assert [row.id for row in (await campaigns.list_page(tx)).nodes] == ids[::-1]
    assert [row.id for row in (await campaigns.list_page(tx, status=PAUSED)).nodes] == [ids[1]]


async def test_who_is_enrolled_is_listed_a_hundred_at_a_time(
    runtime: Runtime, viewer: Viewer, refused: Refused
) -> None:
    people = await seeds.contact_list(runtime, viewer, 120)
    row = await seeds.campaign(runtime, viewer, contact_ids=people)
    tx = runtime.snapshot(viewer)

    first = await campaigns.enrolled_page(tx, row.id)
    rest = await campaigns.enrolled_page(tx, row.id, limit=200, offset=100)

    assert [each.contact_id for each in first.nodes + rest.nodes] == people
    assert (len(first.nodes), first.total) == (100, 120)
    other = runtime.snapshot(await seeds.workspace(runtime, name="Other"))
    async with refused(NotFound, f"Campaign with id {row.id} not found"):
        await campaigns.enrolled_page(other, row.id)


async def test_a_campaign_s_agent_may_be_switched_off_later(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await seeds.campaign(runtime, viewer)
    await act(agents.update, row.agent_id, {"is_active": False})

    assert (await act(campaigns.update, row.id, {"name": "Summer"})).name == "Summer"


async def test_queued_calls_of_other_workspaces_are_left(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    other = await seeds.workspace(runtime, name="Other")
    theirs = await seeds.call(runtime, other)
    row = await seeds.campaign(runtime, viewer)

    await act(campaigns.update, row.id, {"status": "cancelled"})

    (kept,) = await runtime.database.read(select(Call).where(Call.id == theirs.id))
    assert kept.phase is CallPhase.QUEUED
