"""Campaigns over the whole platform: dialed by the rules to their end, and held the moment somebody pauses (P2–P5)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

from tests.flows.servers import caller

ENDS = {  # of each number, the tries that it took and how the last one ended
    "+12025550100": (1, "agent-hangup"),
    "+12025550101": (1, "agent-hangup"),
    "+12025550140": (1, "busy"),
    "+12025550143": (1, "unallocated-number"),
    "+12025550144": (1, "agent-hangup"),  # refused once by congestion, which is not a try
    "+12025550199": (0, "blocked-do-not-call"),
}


def until(client: httpx.Client, path: str, holds: Callable[[Any], bool], within_s: float = 90.0) -> Any:
    """What is at `path` once that holds of it."""
    deadline = time.monotonic() + within_s
    while not holds(found := client.get(path).json()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {found}"
        time.sleep(0.2)
    return found


def create(client: httpx.Client, **given: Any) -> str:
    """The id of a new campaign with an agent of its own."""
    made = client.post("/campaigns", json={"name": "Flow", **caller(client), **given})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def enrol(client: httpx.Client, id: str, numbers: list[str]) -> None:
    given = {"contacts": [{"phoneNumber": number} for number in numbers]}
    assert client.post(f"/campaigns/{id}/contacts", json=given).json()["enrolled"] == len(numbers)


def test_a_campaign_runs_to_its_end(client: httpx.Client) -> None:
    client.post("/do-not-call", json={"phoneNumber": "+12025550199"})
    id = create(client, maxConcurrentCalls=2)

    enrol(client, id, list(ENDS))
    campaign = until(client, f"/campaigns/{id}", lambda one: one["status"] == "completed")

    assert (campaign["callsTotal"], campaign["callsCompleted"], campaign["callsInProgress"]) == (6, 6, 0)
    contacts = client.get(f"/campaigns/{id}/contacts").json()
    numbers = {one["contactId"]: client.get(f"/contacts/{one['contactId']}").json()["phoneNumber"] for one in contacts}
    assert {numbers[one["contactId"]]: (one["attempts"], one["endReason"]) for one in contacts} == ENDS
    calls = client.get("/calls", params={"campaignId": id}).json()["calls"]
    assert Counter(call["to"] for call in calls) == {number: tries for number, (tries, _) in ENDS.items() if tries}


def test_a_paused_campaign_dials_nobody_and_goes_on_when_it_is_resumed(client: httpx.Client) -> None:
    numbers = [f"+1202555{number}" for number in range(2000, 2005)]
    id = create(client, maxConcurrentCalls=1)
    enrol(client, id, numbers)
    until(client, f"/campaigns/{id}", lambda one: one["callsCompleted"] >= 1)

    assert client.patch(f"/campaigns/{id}", json={"status": "paused"}).json()["status"] == "paused"
    dialed = until(
        client, f"/calls?campaignId={id}", lambda page: all(call["status"] != "in-progress" for call in page["calls"])
    )
    started = [call["id"] for call in dialed["calls"] if call["status"] != "queued"]

    assert len(started) < len(numbers)
    assert client.get(f"/campaigns/{id}").json()["status"] == "paused"
    assert client.patch(f"/campaigns/{id}", json={"status": "active"}).status_code == 200
    over = until(client, f"/campaigns/{id}", lambda one: one["status"] == "completed")
    assert over["callsCompleted"] == len(numbers)
    calls = client.get("/calls", params={"campaignId": id}).json()["calls"]
    assert sorted(call["to"] for call in calls) == numbers
