"""What is served is what is described: real answers of every route, and real bodies of webhooks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from app.rest.routes import PREFIX, ROUTES
from schema.rules.plans import Plan
from schema.rules.webhooks import EventType
from schema.tables import Event
from tests.contract.description import DESCRIPTION
from tests.contract.examples import AGENT, APPOINTMENT, CAMPAIGN, ID
from tests.support import seeds
from tests.support.api import Api
from tests.support.runtime import on_both


@dataclass
class Asking:
    """A caller who compares each answer with the description, and remembers which routes have answered how."""

    api: Api
    seen: set[tuple[str, int]] = field(default_factory=set)

    async def ask(self, method: str, path: str, body: object = None, *, expect: int = 200) -> Any:
        sent: dict[str, Any] = {} if body is None else {"json": body}
        if isinstance(body, str):
            sent = {"content": body, "headers": {"Content-Type": "text/csv"}}
        answer = await self.api.http.request(method, PREFIX + path, **sent)
        content = answer.json() if answer.content else None
        plain = path.partition("?")[0]
        assert answer.status_code == expect, answer.text
        complaints = DESCRIPTION.complaints(method, PREFIX + plain, expect, answer.headers, content)
        assert complaints == []
        self.seen.add((DESCRIPTION.operation(method, PREFIX + plain)["operationId"], expect))
        return content


@pytest.fixture
def plan() -> Plan:
    return Plan.ENTERPRISE


@pytest.fixture
async def asking(api: Api) -> Asking:
    await seeds.everything(api.runtime, api.viewer)
    return Asking(api)


@on_both
async def test_every_route_answers_as_described(asking: Asking) -> None:
    ask = asking.ask
    agent = await ask("POST", "/agents", AGENT, expect=201)
    assert (await ask("GET", f"/agents/{agent['id']}")) == agent
    await ask(
        "PATCH", f"/agents/{agent['id']}", {"firstMessage": None, "tools": [{"name": "transfer", "to": "+15551234567"}]}
    )
    assert len(await ask("GET", "/agents")) > 1
    (number, *_) = await ask("GET", "/phone-numbers")
    await ask("GET", f"/phone-numbers/{number['id']}")

    caller = {"agentId": agent["id"], "phoneNumberId": number["id"]}
    call = await ask("POST", "/calls", {**caller, "to": "+15551234567"}, expect=201)
    await ask("POST", f"/calls/{call['id']}/hangup")
    page = await ask("GET", "/calls?limit=2&status=completed&from=2025-01-01")
    analysed = await ask("GET", f"/calls/{page['calls'][0]['id']}")
    assert analysed["analysis"]["sentiment"] == "positive"

    contact = await ask("POST", "/contacts", {"phoneNumber": "+15557654321", "customFields": {"vip": True}}, expect=201)
    await ask("GET", f"/contacts/{contact['id']}")
    await ask("PATCH", f"/contacts/{contact['id']}", {"timezone": "America/New_York"})
    assert len(await ask("GET", "/contacts")) == 3
    imported = await ask("POST", "/contacts/import?mode=valid-rows", "phone\n+15551230000\n12\n")
    assert (imported["imported"], imported["invalid"], imported["enrolment"]) == (1, 1, None)
    campaign = await ask("POST", "/campaigns", {**CAMPAIGN, **caller, "contactIds": [contact["id"]]}, expect=201)
    await ask("PATCH", f"/campaigns/{campaign['id']}", {"status": "paused", "callWindow": None})
    await ask("GET", f"/campaigns/{campaign['id']}")
    await ask("GET", "/campaigns")
    await ask("POST", f"/campaigns/{campaign['id']}/contacts", {"contacts": [{"phoneNumber": "+15550001111"}]})
    await ask("POST", f"/campaigns/{campaign['id']}/contacts", {"all": True})
    await ask("POST", f"/contacts/import?campaignId={campaign['id']}", "phone\n+15551230001\n")
    assert len(await ask("GET", f"/campaigns/{campaign['id']}/contacts")) == 6

    appointment = await ask("POST", "/appointments", {**APPOINTMENT, "contactId": contact["id"]}, expect=201)
    await ask("GET", f"/appointments/{appointment['id']}")
    await ask("PATCH", f"/appointments/{appointment['id']}", {"status": "no-show"})
    assert len(await ask("GET", "/appointments?status=no-show&from=2025-02-01&to=2025-02-28")) == 1
    await ask("DELETE", f"/contacts/{contact['id']}", expect=204)

    entry = await ask("POST", "/do-not-call", {"phoneNumber": "+15550009999"}, expect=201)
    await ask("GET", f"/do-not-call/{entry['id']}")
    await ask("GET", "/do-not-call")
    await ask("DELETE", f"/do-not-call/{entry['id']}", expect=204)

    (endpoint, *_) = await ask("GET", "/webhooks")
    for delivery in await ask("GET", f"/webhooks/{endpoint['id']}/deliveries"):
        await ask("GET", f"/webhooks/deliveries/{delivery['id']}")
    hook = await ask("POST", "/webhooks", {"url": "https://hooks.example.com/x"}, expect=201)
    await ask("GET", f"/webhooks/{hook['id']}")
    await ask("PATCH", f"/webhooks/{hook['id']}", {"events": ["call.ended"]})
    for body in ({"overlapSeconds": 0}, None):
        await ask("POST", f"/webhooks/{hook['id']}/rotate-secret", body)
    await ask("POST", f"/webhooks/{hook['id']}/recover", {"since": "2025-01-15T00:00:00Z"})
    await ask("POST", "/events/trigger", {"event": "call.failed"})
    sent = await ask("POST", f"/webhooks/{hook['id']}/test", expect=201)
    await ask("POST", f"/webhooks/deliveries/{sent['id']}/resend")
    await ask("DELETE", f"/webhooks/{hook['id']}", expect=204)

    idle = await ask("POST", "/agents", {"name": "Idle", "systemPrompt": "Wait."}, expect=201)
    await ask("DELETE", f"/agents/{idle['id']}", expect=204)

    assert asking.seen == {(route.operation, route.status) for route in ROUTES}


async def test_every_route_refuses_as_described(asking: Asking) -> None:
    for route in ROUTES:
        path = route.path.replace("{id}", ID)
        await asking.ask(route.method, f"{path}?surprise=1", expect=400)
        if "{id}" in route.path:
            needed = {"EnrolContacts": {"contactIds": [ID]}, "RecoverDeliveries": {"since": "2025-01-15T00:00:00Z"}}
            body = needed.get(route.operation, {})
            await asking.ask(route.method, path, body if route.method in {"POST", "PATCH"} else None, expect=404)
    await asking.ask("POST", "/contacts/import", "phone\n12\n", expect=400)
    await asking.ask("POST", "/contacts/import", {}, expect=415)
    await asking.ask("POST", f"/contacts/import?campaignId={ID}", "phone\n+15551230000\n", expect=404)
    asking.api.http.headers["Authorization"] = "Bearer vf_live_mistyped"
    for route in ROUTES[:20]:
        await asking.ask(route.method, route.path.replace("{id}", ID), expect=401)
    await asking.ask("GET", "/agents", expect=429)


@pytest.mark.parametrize("plan", [Plan.STARTER])
async def test_a_limited_key_is_told_as_described(api: Api) -> None:
    asking = Asking(api)

    for _ in range(60):
        await asking.ask("GET", "/agents")

    await asking.ask("GET", "/agents", expect=429)


# --- webhooks ---


async def test_the_bodies_of_real_events_are_as_described(asking: Asking) -> None:
    events = await asking.api.runtime.database.read(select(Event))

    seen = set()
    for event in events:
        DESCRIPTION.event(event.type.value).validate(orjson.loads(event.body))
        seen.add(event.type)
    assert seen == {
        EventType.CALL_STARTED,
        EventType.CALL_ENDED,
        EventType.TRANSCRIPT_READY,
        EventType.ANALYSIS_COMPLETE,
    }


async def test_the_body_of_a_failed_calls_event_is_as_described(asking: Asking) -> None:
    (queued, *_) = (await asking.ask("GET", "/calls?status=queued"))["calls"]

    await asking.ask("POST", f"/calls/{queued['id']}/hangup")

    (event,) = await asking.api.runtime.database.read(select(Event).where(Event.type == EventType.CALL_FAILED))
    DESCRIPTION.event("call.failed").validate(orjson.loads(event.body))
