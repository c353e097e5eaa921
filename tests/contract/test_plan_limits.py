"""`422 LIMIT_REACHED` (decisions E3, K6): the last place in a plan is given away once, however many ask together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from schema.rules.plans import Plan
from schema.runtime import Runtime
from schema.tables import WebhookEndpoint
from tests.support import seeds
from tests.support.api import Api, error
from tests.support.invariants import broken_invariants
from tests.support.runtime import on_both

pytestmark = on_both

AGENT = {"name": "Sam", "systemPrompt": "Be kind."}
CONTACTS = "The Starter plan allows 1,000 contacts"
CSV = {"Content-Type": "text/csv"}


@pytest.fixture
def plan() -> Plan:
    return Plan.STARTER


@pytest.mark.parametrize(
    ("path", "body", "room", "message"),
    [
        ("/agents", lambda: AGENT, 3, "The Starter plan allows 3 agents"),
        ("/contacts", lambda: {"phoneNumber": seeds.number()}, 3, CONTACTS),
        ("/webhooks", lambda: {"url": seeds.URL}, 2, "The Starter plan allows 2 webhook endpoints"),
    ],
)
async def test_twenty_at_the_edge(api: Api, path: str, body: Callable[[], Any], room: int, message: str) -> None:
    if path == "/contacts":
        await seeds.contact_list(api.runtime, api.viewer, 1_000 - room)

    responses = await asyncio.gather(*(api.post(path, body()) for _ in range(20)))

    assert Counter(response.status_code for response in responses) == {201: room, 422: 20 - room}
    for response in responses:
        if response.status_code == 422:
            assert error(response) == (422, "LIMIT_REACHED", message)
    async with api.unchanged():
        assert error(await api.post(path, body())) == (422, "LIMIT_REACHED", message)


async def test_twenty_imports_and_enrolments_at_the_edge(api: Api) -> None:
    """Each brings two where there is room for three: one of them fits."""
    campaigns = [await seeds.campaign(api.runtime, api.viewer) for _ in range(2)]
    await seeds.contact_list(api.runtime, api.viewer, 997)
    pairs = [(seeds.number(), seeds.number()) for _ in range(20)]

    def send(index: int) -> Any:
        first, second = pairs[index]
        people = {"contacts": [{"phoneNumber": first}, {"phoneNumber": second}]}
        text = f"phoneNumber\n{first}\n{second}\n"
        match index % 4:
            case 0 | 1:
                return api.post(f"/campaigns/{campaigns[index % 2].id}/contacts", people)
            case 2:
                return api.http.post("/api/v1/contacts/import", content=text, headers=CSV)
            case _:
                return api.http.post("/api/v1/contacts/import?mode=valid-rows", content=text, headers=CSV)

    responses = await asyncio.gather(*(send(index) for index in range(20)))

    assert Counter(response.status_code for response in responses) == {200: 1, 422: 19}
    assert (await api.get("/contacts?limit=1")).headers["x-total-count"] == "999"
    refusals = {error(response)[2] for response in responses if response.status_code == 422}
    assert refusals == {f"{CONTACTS}: there are 999, and 2 would be added"}


async def test_aliases_of_one_graphql_request(api: Api) -> None:
    made = " ".join(
        f'a{n}: createAgent(input: {{name: "Sam", systemPrompt: "Be kind."}}) {{ name }}' for n in range(15)
    )

    response = await api.http.post("/graphql", json={"query": f"mutation {{ {made} }}"})

    body = response.json()
    assert body["data"] is None  # createAgent is never null, so one refusal says so for all
    assert [(each["message"], each["extensions"]) for each in body["errors"]] == [
        ("The Starter plan allows 3 agents", {"code": "LIMIT_REACHED"})
    ]
    assert response.headers["x-ratelimit-remaining"] == "45"
    assert len((await api.get("/agents")).json()) == 3


async def test_a_replay_takes_no_room(api: Api) -> None:
    """R10: the same request again is the same agent; and a refusal is answered again when there is room."""
    send = [{"headers": {"Idempotency-Key": f"agent-{n}"}} for n in range(4)]
    first = [await api.post("/agents", AGENT, **given) for given in send]

    async with api.unchanged():
        again = [await api.post("/agents", AGENT, **given) for given in send]

    assert [response.status_code for response in first] == [201, 201, 201, 422]
    assert [response.content for response in again] == [response.content for response in first]
    assert len((await api.get("/agents")).json()) == 3


async def test_a_change_of_plan_holds_for_the_next_request(api: Api) -> None:
    for _ in range(3):
        await api.post("/agents", AGENT)
    refused = await api.post("/agents", AGENT)

    await seeds.plan(api.runtime, api.viewer, Plan.PROFESSIONAL)
    allowed = await api.post("/agents", AGENT)
    await seeds.plan(api.runtime, api.viewer, Plan.STARTER)
    async with api.unchanged():
        again = await api.post("/agents", AGENT)

    assert (refused.status_code, allowed.status_code, again.status_code) == (422, 201, 422)
    assert len((await api.get("/agents")).json()) == 4


async def test_switched_off_endpoints_count(api: Api) -> None:
    row = await seeds.endpoint(api.runtime, api.viewer)
    await seeds.endpoint(api.runtime, api.viewer)
    await api.set(WebhookEndpoint, row.id, is_active=False)

    assert (await api.post("/webhooks", {"url": seeds.URL})).status_code == 422
    await api.delete(f"/webhooks/{row.id}")
    assert (await api.post("/webhooks", {"url": seeds.URL})).status_code == 201


@pytest.mark.parametrize("plan", [Plan.BUSINESS])
async def test_everything_that_locks_the_workspace_together(api: Api, runtime: Runtime) -> None:
    """They take their locks in one order, so nobody waits for somebody who waits for them."""
    campaigns = [await seeds.campaign(runtime, api.viewer) for _ in range(3)]
    shared = [seeds.number() for _ in range(40)]
    await api.get("/contacts")

    def enrol(n: int) -> Any:
        people = [{"phoneNumber": to} for to in (shared if n % 2 else shared[::-1])]
        return api.post(f"/campaigns/{campaigns[n % 3].id}/contacts", {"contacts": people})

    def send_file(n: int) -> Any:
        text = "phoneNumber\n" + "\n".join([*shared[n:], seeds.number()])
        mode = ("all-or-nothing", "valid-rows")[n % 2]
        query = f"?mode={mode}&campaignId={campaigns[n % 3].id}" if n % 3 else f"?mode={mode}"
        return api.http.post(f"/api/v1/contacts/import{query}", content=text, headers=CSV)

    async def change_plans() -> None:
        for n in range(20):
            await seeds.plan(runtime, api.viewer, (Plan.BUSINESS, Plan.PROFESSIONAL)[n % 2])

    acts: list[Callable[[int], Any]] = [
        lambda _: api.post("/agents", AGENT),
        lambda _: api.post("/contacts", {"phoneNumber": seeds.number()}),
        enrol,
        send_file,
        lambda n: api.patch(f"/campaigns/{campaigns[n % 3].id}", {"name": f"Name {n}"}),
        lambda n: api.post(f"/campaigns/{campaigns[n % 3].id}/contacts", {"all": True}),
    ]

    async def hammer(act: Callable[[int], Any]) -> list[Any]:
        return [await act(n) for n in range(6)]

    done = await asyncio.gather(*(hammer(act) for act in acts for _ in range(2)), change_plans())

    statuses = Counter(response.status_code for each in done[:-1] for response in each)
    assert set(statuses) == {200, 201}
    assert await broken_invariants(runtime) == []
