"""Campaigns that are dialed, as a caller of the REST API sees them (P1–P6, L5, K6)."""

from __future__ import annotations

from typing import Any

import pytest

from schema.rules.calls import EndReason
from schema.rules.plans import Plan
from tests.support import seeds
from tests.support.api import Api, error
from tests.support.dialers import Workers
from tests.support.runtime import on_both

pytestmark = on_both
NUMBERS = ["+12125550101", "+12125550102", "+12125550103"]


@pytest.fixture
def workers(api: Api) -> Workers:
    return Workers(api.runtime, api.viewer, api.clock)


async def created(api: Api, numbers: list[str], **given: Any) -> str:
    """The id of a campaign of those numbers."""
    agent = await seeds.agent(api.runtime, api.viewer)
    sales = await seeds.phone_number(api.runtime, api.viewer)
    made = await api.post("/campaigns", {"name": "C", "agentId": agent.id, "phoneNumberId": sales.id, **given})
    assert made.status_code == 201, made.text
    id: str = made.json()["id"]
    if numbers:
        enrolled = await api.post(
            f"/campaigns/{id}/contacts", {"contacts": [{"phoneNumber": each} for each in numbers]}
        )
        assert enrolled.status_code == 200, enrolled.text
    return id


async def campaign(api: Api, id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(f"/campaigns/{id}")).json()
    return found


async def contacts(api: Api, id: str) -> list[tuple[Any, ...]]:
    names = "status", "attempts", "waitingFor", "endReason"
    return [tuple(one[name] for name in names) for one in (await api.get(f"/campaigns/{id}/contacts")).json()]


async def test_from_enrolment_to_completion(api: Api, workers: Workers) -> None:
    id = await created(api, NUMBERS, maxConcurrentCalls=2)

    first, second = await workers.work()
    under_way = await campaign(api, id)
    await workers.answered_and_over(first)
    await workers.over(second, EndReason.BUSY)
    (third,) = await workers.work()
    half_way = await campaign(api, id)
    await workers.over(third, EndReason.NO_ANSWER)

    names = "status", "callsTotal", "callsCompleted", "callsInProgress"
    seen = [tuple(one[name] for name in names) for one in (under_way, half_way, await campaign(api, id))]
    assert seen == [("active", 3, 0, 2), ("active", 3, 2, 1), ("completed", 3, 3, 0)]
    listed = (await api.get("/calls", params={"campaignId": id})).json()["calls"]
    assert sorted((call["to"], call["status"]) for call in listed) == [
        (NUMBERS[0], "completed"),
        (NUMBERS[1], "failed"),
        (NUMBERS[2], "failed"),
    ]
    assert await contacts(api, id) == [
        ("finished", 1, None, "callee-hangup"),
        ("finished", 1, None, "busy"),
        ("finished", 1, None, "no-answer"),
    ]


async def test_refusals_and_waits_say_why(api: Api, workers: Workers) -> None:
    """L5: skipped, with the reason."""
    id = await created(
        api,
        NUMBERS,
        contactWindow={"start": "09:00", "end": "17:00"},
        retryPolicy={"maxAttempts": 2, "delayMinutes": [30], "on": ["busy"]},
    )
    await api.post("/do-not-call", {"phoneNumber": NUMBERS[0]})
    (person,) = (await api.get("/contacts", params={"phoneNumber": NUMBERS[2]})).json()
    await api.patch(f"/contacts/{person['id']}", {"timezone": "Asia/Tokyo"})

    (dial,) = await workers.work()
    await workers.over(dial, EndReason.BUSY)
    await workers.work()

    assert await contacts(api, id) == [
        ("finished", 0, None, "blocked-do-not-call"),
        ("waiting", 1, "retry", "busy"),
        ("waiting", 0, "contact-window", None),
    ]
    times = [one["nextAttemptAt"] for one in (await api.get(f"/campaigns/{id}/contacts")).json()]
    assert times == [None, "2025-01-15T14:30:00Z", "2025-01-16T00:00:00Z"]


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_calls_over_the_plan_wait_queued_and_say_so(api: Api, workers: Workers) -> None:
    """K6: 201, not an error; served as they came."""
    agent = await seeds.agent(api.runtime, api.viewer)
    sales = await seeds.phone_number(api.runtime, api.viewer)
    posted = [await api.post("/calls", {"agentId": agent.id, "phoneNumberId": sales.id, "to": to}) for to in NUMBERS]
    dials = await workers.work()

    assert [response.status_code for response in posted] == [201, 201, 201]
    last = (await api.get(f"/calls/{posted[2].json()['id']}")).json()
    assert (last["status"], last["waitingFor"], last["endReason"]) == ("queued", "plan-limit", None)
    await workers.over(dials[0])
    (dial,) = await workers.work()
    assert dial.held.id == last["id"]


async def test_pause_resume_and_cancel(api: Api, workers: Workers) -> None:
    """P2."""
    id = await created(api, NUMBERS)
    await workers.tick()
    assert (await api.patch(f"/campaigns/{id}", {"status": "paused"})).json()["status"] == "paused"
    assert await workers.work() == []
    (queued,) = (await api.get("/calls", params={"campaignId": id})).json()["calls"]
    held = (await api.get(f"/calls/{queued['id']}")).json()
    assert (held["status"], held["waitingFor"]) == ("queued", "campaign-paused")

    assert (await api.patch(f"/campaigns/{id}", {"status": "active"})).json()["status"] == "active"
    (dial,) = await workers.work()
    assert dial.held.id == queued["id"]
    await workers.over(dial)
    await workers.tick()
    await api.patch(f"/campaigns/{id}", {"status": "cancelled"})

    assert await workers.work() == []
    newest = (await api.get("/calls", params={"campaignId": id, "limit": 1})).json()["calls"][0]
    dropped = (await api.get(f"/calls/{newest['id']}")).json()
    assert (dropped["status"], dropped["endReason"], dropped["waitingFor"]) == ("failed", "campaign-cancelled", None)
    assert error(await api.patch(f"/campaigns/{id}", {"status": "active"})) == (
        400,
        "BAD_REQUEST",
        "Campaign cannot go from cancelled to active: cancelled is final",
    )


async def test_a_complete_campaign_takes_nobody(api: Api, workers: Workers) -> None:
    """P3."""
    id = await created(api, NUMBERS[:1])
    await workers.work(lambda _: EndReason.NO_ANSWER)

    refused = await api.post(f"/campaigns/{id}/contacts", {"contacts": [{"phoneNumber": NUMBERS[1]}]})

    assert error(refused) == (400, "BAD_REQUEST", "A completed campaign takes no contacts")
    assert (await campaign(api, id))["callsTotal"] == 1


async def test_before_the_window_it_says_when(api: Api, workers: Workers) -> None:
    """P1, P4, P6."""
    id = await created(api, NUMBERS, callWindow={"start": "15:00", "end": "17:00"}, callDays=["wednesday"])
    assert await workers.work() == []
    assert (await campaign(api, id))["nextDialAt"] == "2025-01-15T15:00:00Z"

    edited = await api.patch(f"/campaigns/{id}", {"callWindow": {"start": "14:00", "end": "17:00"}})

    assert edited.json()["nextDialAt"] is None
    assert len(await workers.work()) == 1


async def test_another_workspaces_campaign_is_not_there(api: Api, other: Api, workers: Workers) -> None:
    """R5."""
    id = await created(api, NUMBERS)
    await workers.work()
    (call,) = (await api.get("/calls", params={"campaignId": id})).json()["calls"]

    answers = [
        await other.get(f"/campaigns/{id}"),
        await other.get(f"/campaigns/{id}/contacts"),
        await other.patch(f"/campaigns/{id}", {"status": "cancelled"}),
        await other.get(f"/calls/{call['id']}"),
        await other.post(f"/calls/{call['id']}/hangup"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await campaign(api, id))["status"] == "active"
    assert (await other.get("/calls", params={"campaignId": id})).json()["calls"] == []
