"""Dialing through the graph: how busy a workspace is, what holds a call back, and numbers that can be changed."""

from __future__ import annotations

from typing import Any

import pytest

from schema.errors import NotFound
from schema.rules.calls import EndReason
from schema.rules.plans import Plan
from schema.runtime import Runtime, Viewer
from schema.services import do_not_call, phone_numbers
from tests.schema.conftest import Act
from tests.schema.graph.conftest import Ask
from tests.support import seeds
from tests.support.dialers import Workers
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

UPDATE = """mutation ($id: ID!, $input: UpdatePhoneNumberInput!) {
    updatePhoneNumber(id: $id, input: $input) { name isActive callsPerSecond updatedAt } }"""
CREATE = """mutation ($input: CreatePhoneNumberInput!) {
    createPhoneNumber(input: $input) { phoneNumber name carrier isActive callsPerSecond } }"""
CAMPAIGN = """query ($id: ID!, $at: DateTime) { campaign(id: $id) { status callsTotal callsCompleted callsInProgress
    callDays contactWindow { start end } nextDialAt
    preflight(at: $at) { at callable onDoNotCallList outsideHours invalid duplicate } } }"""
CONTACTS = """query ($id: ID!) { campaignContacts(id: $id) {
    nodes { status attempts nextAttemptAt waitingFor endReason finishedAt contact { phoneNumber } } } }"""
OUTCOMES = "query ($id: ID!) { campaign(id: $id) { outcomes { status endReason contacts } } }"
WHO = """query ($id: ID!, $status: CampaignContactStatus, $endReason: EndReason) {
    campaignContacts(id: $id, status: $status, endReason: $endReason) { total nodes { status endReason } } }"""
DIALER = "{ dialer { slotsUsed slotsTotal callsQueued callsWaiting oldestDueAt nextLookAt } }"


@pytest.fixture
def workers(runtime: Runtime, viewer: Viewer, clock: VirtualClock) -> Workers:
    return Workers(runtime, viewer, clock)


def messages(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["message"], error["extensions"]["code"]) for error in answer["errors"]]


@on_both
async def test_how_busy_the_workspace_is(ask: Ask, runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    await seeds.plan(runtime, viewer, Plan.STARTER)
    await workers.tick()
    for _ in range(3):
        await seeds.call(runtime, viewer)
    idle = await ask(DIALER)
    await workers.work()

    assert idle["data"]["dialer"] == {
        "slotsUsed": 0,
        "slotsTotal": 2,
        "callsQueued": 3,
        "callsWaiting": 0,
        "oldestDueAt": "2025-01-15T14:00:00Z",
        "nextLookAt": None,
    }
    assert (await ask(DIALER))["data"]["dialer"] == {
        "slotsUsed": 2,
        "slotsTotal": 2,
        "callsQueued": 0,
        "callsWaiting": 1,
        "oldestDueAt": None,
        "nextLookAt": "2025-01-15T14:01:00Z",
    }


@on_both
async def test_a_campaign_under_way(ask: Ask, runtime: Runtime, viewer: Viewer, act: Act, workers: Workers) -> None:
    """Every refusal and every wait with its reason, and preflight for those who are left."""
    people = [await seeds.contact(runtime, viewer, phone_number=f"+1213555012{digit}") for digit in range(4)]
    people.append(await seeds.contact(runtime, viewer, phone_number="+12135550199", timezone="Asia/Tokyo"))
    campaign = await workers.new_campaign(
        [person.id for person in people],
        contact_window={"start": "06:00", "end": "17:00"},
        call_days=["wednesday", "thursday"],
        max_concurrent_calls=2,
        retry_policy={"max_attempts": 2, "delay_minutes": [30], "on": ["busy"]},
    )
    await act(do_not_call.add, {"phone_number": people[0].phone_number})
    before = await ask(CAMPAIGN, id=campaign.id)
    first, _ = await workers.work()
    await workers.over(first, EndReason.BUSY)
    await workers.work()

    assert before["data"]["campaign"]["preflight"] == {
        "at": "2025-01-15T14:00:00Z",
        "callable": 3,
        "onDoNotCallList": 1,
        "outsideHours": 1,
        "invalid": 0,
        "duplicate": 0,
    }
    after = (await ask(CAMPAIGN, id=campaign.id, at="2025-01-16T00:00:00Z"))["data"]["campaign"]
    assert after == {
        "status": "ACTIVE",
        "callsTotal": 5,
        "callsCompleted": 1,
        "callsInProgress": 2,
        "callDays": ["wednesday", "thursday"],
        "contactWindow": {"start": "06:00", "end": "17:00"},
        "nextDialAt": None,
        "preflight": {
            "at": "2025-01-16T00:00:00Z",
            "callable": 4,
            "onDoNotCallList": 0,
            "outsideHours": 0,
            "invalid": 0,
            "duplicate": 0,
        },
    }
    nodes = (await ask(CONTACTS, id=campaign.id))["data"]["campaignContacts"]["nodes"]
    assert [(one["status"], one["attempts"], one["waitingFor"], one["endReason"]) for one in nodes] == [
        ("FINISHED", 0, None, "BLOCKED_DO_NOT_CALL"),
        ("WAITING", 1, "RETRY", "BUSY"),
        ("CALLING", 1, None, None),
        ("CALLING", 1, None, None),
        ("PENDING", 0, None, None),
    ]
    assert nodes[1]["nextAttemptAt"] == "2025-01-15T14:30:00Z"
    assert nodes[0]["finishedAt"] == "2025-01-15T14:00:00Z"
    outcomes = (await ask(OUTCOMES, id=campaign.id))["data"]["campaign"]["outcomes"]
    assert [(one["contacts"], one["status"], one["endReason"]) for one in outcomes] == [
        (2, "CALLING", None),
        (1, "FINISHED", "BLOCKED_DO_NOT_CALL"),
        (1, "PENDING", None),
        (1, "WAITING", "BUSY"),
    ]
    for filters, expected in (
        ({"status": "CALLING"}, [("CALLING", None)] * 2),
        ({"endReason": "BUSY"}, [("WAITING", "BUSY")]),
        ({"status": "FINISHED", "endReason": "BUSY"}, []),
    ):
        found = (await ask(WHO, id=campaign.id, **filters))["data"]["campaignContacts"]
        assert [(one["status"], one["endReason"]) for one in found["nodes"]] == expected
        assert found["total"] == len(expected)


@on_both
async def test_a_contact_whose_call_is_held_back_is_shown_to_wait(ask: Ask, workers: Workers) -> None:
    """It has not been called yet, and when its campaign is cancelled it never was."""
    campaign = await workers.new_campaign(1)
    await workers.tick()

    async def shown() -> tuple[Any, ...]:
        [one] = (await ask(CONTACTS, id=campaign.id))["data"]["campaignContacts"]["nodes"]
        return one["status"], one["attempts"], one["waitingFor"], one["nextAttemptAt"], one["endReason"]

    assert await shown() == ("CALLING", 1, None, None, None)
    await workers.update(campaign, status="paused")
    await workers.work()
    assert await shown() == ("WAITING", 0, "CAMPAIGN_PAUSED", None, None)
    assert (await ask(OUTCOMES, id=campaign.id))["data"]["campaign"]["outcomes"] == [
        {"status": "WAITING", "endReason": None, "contacts": 1}
    ]
    for status, total in (("WAITING", 1), ("CALLING", 0)):
        assert (await ask(WHO, id=campaign.id, status=status))["data"]["campaignContacts"]["total"] == total
    await workers.update(campaign, status="cancelled")
    assert await shown() == ("FINISHED", 0, None, None, "CAMPAIGN_CANCELLED")


async def test_what_a_queued_call_waits_for(ask: Ask, runtime: Runtime, viewer: Viewer, workers: Workers) -> None:
    await seeds.plan(runtime, viewer, Plan.STARTER)
    rows = [await seeds.call(runtime, viewer) for _ in range(3)]
    await workers.work()

    answers = [await ask("query ($id: ID!) { call(id: $id) { status waitingFor } }", id=row.id) for row in rows]

    assert [answer["data"]["call"] for answer in answers[1:]] == [
        {"status": "QUEUED", "waitingFor": None},
        {"status": "QUEUED", "waitingFor": "PLAN_LIMIT"},
    ]


# --- numbers ---


async def test_a_number_is_added(ask: Ask) -> None:
    given = {"phoneNumber": "+15551234567", "name": " Sales ", "callsPerSecond": 5}

    assert await ask(CREATE, input=given) == {
        "data": {
            "createPhoneNumber": {
                "phoneNumber": "+15551234567",
                "name": "Sales",
                "carrier": "sandbox",
                "isActive": True,
                "callsPerSecond": 5,
            }
        }
    }
    assert messages(await ask(CREATE, input=given)) == [("Phone number +15551234567 is there already", "BAD_REQUEST")]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, ("Sales", True, 5)),
        ({"callsPerSecond": None}, ("Sales", True, None)),
        ({"callsPerSecond": 1_000, "isActive": False}, ("Sales", False, 1_000)),
        ({"name": "Support"}, ("Support", True, 5)),
    ],
)
async def test_a_number_is_changed(
    ask: Ask, runtime: Runtime, viewer: Viewer, sent: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    """R6."""
    row = await seeds.phone_number(runtime, viewer, calls_per_second=5)

    answer = (await ask(UPDATE, id=row.id, input=sent))["data"]["updatePhoneNumber"]

    assert (answer["name"], answer["isActive"], answer["callsPerSecond"]) == expected


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"callsPerSecond": 0}, "callsPerSecond must be between 1 and 1000 calls per second"),
        ({"callsPerSecond": 1_001}, "callsPerSecond must be between 1 and 1000 calls per second"),
        ({"isActive": None}, "isActive cannot be null"),
        ({"name": ""}, "name must not be empty"),
    ],
)
async def test_a_refused_change_changes_nothing(
    ask: Ask, runtime: Runtime, viewer: Viewer, sent: dict[str, Any], message: str
) -> None:
    row = await seeds.phone_number(runtime, viewer, calls_per_second=5)

    assert messages(await ask(UPDATE, id=row.id, input={"name": "Other", **sent})) == [(message, "BAD_REQUEST")]

    kept = await phone_numbers.get(runtime.snapshot(viewer), row.id)
    assert (kept.name, kept.calls_per_second, kept.is_active) == ("Sales", 5, True)


# --- tenancy ---


async def test_another_workspaces_ids_are_not_found(ask: Ask, runtime: Runtime, viewer: Viewer) -> None:
    """R5: the same words as for an id that nobody has."""
    other = await seeds.workspace(runtime, name="Other")
    number = await seeds.phone_number(runtime, other)
    campaign = await seeds.campaign(runtime, other)
    for id in (number.id, "c0000000000000000unknown0"):
        assert messages(await ask(UPDATE, id=id, input={"isActive": False})) == [
            (f"Phone number with id {id} not found", "NOT_FOUND")
        ]
    for document in (CAMPAIGN, CONTACTS):
        assert messages(await ask(document, id=campaign.id)) == [
            (f"Campaign with id {campaign.id} not found", "NOT_FOUND")
        ]
    assert (await phone_numbers.get(runtime.snapshot(other), number.id)).is_active
    with pytest.raises(NotFound):
        await phone_numbers.get(runtime.snapshot(viewer), number.id)


@pytest.mark.parametrize(
    ("document", "variables", "scopes", "missing"),
    [
        (UPDATE, {"id": "c1", "input": {}}, {"phone-numbers": "read"}, "phone-numbers"),
        (CREATE, {"input": {"phoneNumber": "+15551234567", "name": "x"}}, {"phone-numbers": "read"}, "phone-numbers"),
        (DIALER, {}, {"calls": "none"}, "calls"),
    ],
)
async def test_scopes(
    ask: Ask, viewer: Viewer, document: str, variables: dict[str, Any], scopes: dict[str, str], missing: str
) -> None:
    """K2."""
    limited = Viewer(viewer.workspace_id, viewer.plan, "key", scopes)

    answer = await ask(document, as_=limited, **variables)

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    assert missing in answer["errors"][0]["message"]
