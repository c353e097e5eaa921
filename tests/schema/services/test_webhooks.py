"""Endpoints, and the events that go to them (decisions W1 to W3, W6 to W8)."""

from __future__ import annotations

import json
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.due import Fenced
from schema.errors import Invalid, NotFound
from schema.rules.endpoints import still_good
from schema.rules.webhooks import AttemptTrigger, DeliveryState, EventType
from schema.runtime import Runtime, Viewer
from schema.services import sending, webhooks
from schema.tables import Call, Delivery, Event, WebhookEndpoint
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock

URL = "https://hooks.example.com/voxforge"
EVENTS = ["call.started", "call.ended", "call.failed", "transcript.ready", "analysis.complete"]
UNKNOWN = "c0000000000000000unknown0"
DAY_S = 86_400


async def pending(runtime: Runtime) -> list[Any]:
    """Every delivery, oldest first."""
    return await runtime.database.read(select(Delivery).order_by(col(Delivery.id)))


async def happened(runtime: Runtime) -> list[Any]:
    return await runtime.database.read(select(Event).order_by(col(Event.id)))


@on_both
async def test_a_new_endpoint_hears_everything_and_has_a_secret(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """W3."""
    row = await act(webhooks.create, {"url": URL})

    kept = await webhooks.get(runtime.snapshot(viewer), row.id)
    now = runtime.clock.now()
    secret = kept.secret
    assert {name: getattr(kept, name) for name in WebhookEndpoint.model_fields} == {
        "id": row.id,
        "workspace_id": viewer.workspace_id,
        "url": URL,
        "description": None,
        "events": EVENTS,
        "is_active": True,
        "secret": secret,
        "previous_secrets": [],
        "failing_since": None,
        "disabled_at": None,
        "disabled_reason": None,
        "created_at": now,
        "updated_at": now,
        "deleted_at": None,
    }
    assert secret.startswith("whsec_")
    assert secret != (await act(webhooks.create, {"url": URL})).secret


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "url is required"),
        ({"url": "http://hooks.example.com"}, "url must start with https://"),
        (
            {"url": "https://127.0.0.1/"},
            "url must be reachable from the internet: 127.0.0.1 is not a public address",
        ),
        ({"url": URL, "events": []}, "events must name at least one event"),
        ({"url": URL, "events": ["call.answered"]}, f"events must be among {', '.join(EVENTS)}"),
        ({"url": URL, "events": "call.ended"}, "events must be a list of event types"),
        ({"url": URL, "description": "x" * 501}, "description must be between 0 and 500 characters"),
        ({"url": URL, "secret": "mine"}, "Unknown field 'secret'"),
    ],
)
async def test_what_breaks_a_rule_is_refused(act: Act, refused: Refused, given: dict[str, Any], message: str) -> None:
    """W6."""
    async with refused(Invalid, message):
        await act(webhooks.create, given)


async def test_settings_open_networks_for_development(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    """W6."""
    runtime.settings = runtime.settings.model_copy(
        update={"webhook_allow_http": True, "webhook_allow_networks": (ip_network("127.0.0.0/8"),)}
    )

    row = await act(webhooks.create, {"url": "http://localhost:3000/webhook"})

    assert row.url == "http://localhost:3000/webhook"


async def test_only_the_fields_sent_change(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged, clock: VirtualClock
) -> None:
    """R6."""
    row = await seeds.endpoint(runtime, viewer, description="CRM")
    await clock.advance(1)

    edited = await act(webhooks.update, row.id, {"events": ["call.ended", "call.started", "call.ended"]})

    assert (edited.url, edited.description, edited.secret) == (URL, "CRM", row.secret)
    assert (edited.events, edited.updated_at) == (["call.started", "call.ended"], clock.now())
    assert (await act(webhooks.update, row.id, {"description": None})).description is None
    await clock.advance(1)
    async with unchanged():
        await act(webhooks.update, row.id, {"url": URL})


async def test_a_refused_edit_changes_nothing(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await seeds.endpoint(runtime, viewer)
    await act(webhooks.test, row.id)

    async with refused(Invalid, "events cannot be null"):
        await act(webhooks.update, row.id, {"is_active": False, "events": None})
    async with refused(NotFound, f"Webhook endpoint with id {UNKNOWN} not found"):
        await act(webhooks.update, UNKNOWN, {"is_active": False})


async def test_endpoints_are_listed_newest_first(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    ids = [(await seeds.endpoint(runtime, viewer)).id for _ in range(3)]
    await act(webhooks.delete, ids[1])

    page = await webhooks.list_page(runtime.snapshot(viewer))

    assert [row.id for row in page.nodes] == [ids[2], ids[0]]


# --- events ---


@on_both
async def test_one_event_is_rendered_once_for_all_endpoints(
    runtime: Runtime, viewer: Viewer, act: Act, rings: Rings
) -> None:
    """W1: the same bytes and the same `webhook-id` everywhere."""
    rows = [await seeds.endpoint(runtime, viewer) for _ in range(3)]
    call = await seeds.call(runtime, viewer, to="+15551234567")
    rings.heard.clear()

    await seeds.submitted(runtime, viewer, call)

    (event,) = await happened(runtime)
    assert (event.type, event.call_id, event.created_at) == ("call.started", call.id, runtime.clock.now())
    assert json.loads(event.body) == {
        "event": "call.started",
        "timestamp": "2025-01-15T14:00:00Z",
        "data": {
            "callId": call.id,
            "status": "in-progress",
            "duration": 0,
            "to": "+15551234567",
            "agentId": call.agent_id,
            "campaignId": None,
        },
    }
    assert [delivery.endpoint_id for delivery in await pending(runtime)] == [row.id for row in rows]
    leases = await due.lease(runtime, Delivery, limit=10, seconds=30)
    sent = await sending.load(runtime, leases)
    assert {(out.body, out.event_id) for out in sent} == {(event.body, event.id)}
    assert len({out.secret for out in sent}) == 3
    assert rings.heard == ["deliveries"]


@on_both
async def test_a_delivery_is_due_at_once_and_has_the_ladder(runtime: Runtime, viewer: Viewer) -> None:
    """W5."""
    row = await seeds.endpoint(runtime, viewer)
    call = await seeds.call(runtime, viewer)

    await seeds.submitted(runtime, viewer, call)

    (delivery,) = await pending(runtime)
    (event,) = await happened(runtime)
    assert {name: getattr(delivery, name) for name in Delivery.model_fields} == {
        "id": delivery.id,
        "workspace_id": viewer.workspace_id,
        "event_id": event.id,
        "endpoint_id": row.id,
        "event": EventType.CALL_STARTED,
        "state": DeliveryState.PENDING,
        "trigger": AttemptTrigger.AUTOMATIC,
        "retries": True,
        "automatic_attempts": 0,
        "attempts_made": 0,
        "created_at": runtime.clock.now(),
        "finished_at": None,
        "due_at": runtime.clock.now(),
        "version": 0,
    }


@on_both
async def test_an_event_is_said_once_for_each_call(
    runtime: Runtime, viewer: Viewer, act: Act, unchanged: Unchanged
) -> None:
    """W2: a worker that takes over after a crash may say it again."""
    await seeds.endpoint(runtime, viewer)
    call = await seeds.call(runtime, viewer)
    await seeds.done(runtime, viewer, call)

    async with unchanged(), runtime.transaction(viewer) as tx:
        row = await tx.get(Call, call.id)
        for emit in (
            webhooks.emit_started,
            webhooks.emit_ended,
            webhooks.emit_transcript,
            webhooks.emit_analysis,
        ):
            await emit(tx, row)

    assert [event.type.value for event in await happened(runtime)] == [name for name in EVENTS if "failed" not in name]


@on_both
async def test_an_endpoint_hears_what_it_asked_for(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    some = await seeds.endpoint(runtime, viewer, events=["call.ended", "transcript.ready"])
    every = await seeds.endpoint(runtime, viewer)
    off = await seeds.endpoint(runtime, viewer, is_active=False)
    gone = await seeds.endpoint(runtime, viewer)
    await act(webhooks.delete, gone.id)
    theirs = await seeds.endpoint(runtime, await seeds.workspace(runtime, name="Other"))
    call = await seeds.call(runtime, viewer)

    await seeds.done(runtime, viewer, call)

    heard = [(delivery.endpoint_id, delivery.event.value) for delivery in await pending(runtime)]
    assert [event for endpoint, event in heard if endpoint == some.id] == ["call.ended", "transcript.ready"]
    assert [event for endpoint, event in heard if endpoint == every.id] == [
        "call.started",
        "call.ended",
        "transcript.ready",
        "analysis.complete",
    ]
    assert not {off.id, gone.id, theirs.id} & {endpoint for endpoint, _ in heard}


async def test_events_happen_also_when_nobody_listens(runtime: Runtime, viewer: Viewer, rings: Rings) -> None:
    call = await seeds.call(runtime, viewer)
    rings.heard.clear()

    await seeds.submitted(runtime, viewer, call)

    assert len(await happened(runtime)) == 1
    assert await pending(runtime) == []
    assert rings.heard == []


# --- changes apply at once (W8) ---


@on_both
@pytest.mark.parametrize("way", ["delete", "switch off"])
async def test_nothing_more_is_sent_to_an_endpoint_that_is_gone(
    runtime: Runtime, viewer: Viewer, act: Act, way: str
) -> None:
    """W8: what waits is cancelled, and whoever was about to send is fenced off."""
    row = await seeds.endpoint(runtime, viewer)
    other = await seeds.endpoint(runtime, viewer)
    waiting, leased, delivered, elsewhere = [await act(webhooks.test, id) for id in (row.id, row.id, row.id, other.id)]
    leases = {held.id: held for held in await due.lease(runtime, Delivery, limit=10, seconds=30)}
    loaded = {out.held.id: out for out in await sending.load(runtime, list(leases.values()))}
    async with runtime.transaction(viewer) as tx:
        await sending.settle(tx, [seeds.answer(loaded[delivered.id], tx.now)])
        await due.settle(tx, Delivery, leases[waiting.id], due_at=tx.now + timedelta(seconds=30))

    if way == "delete":
        assert await act(webhooks.delete, row.id) == row.id
    else:
        await act(webhooks.update, row.id, {"is_active": False})

    now = runtime.clock.now()
    found = {delivery.id: delivery for delivery in await pending(runtime)}
    for id in (waiting.id, leased.id):
        assert (found[id].state, found[id].due_at, found[id].finished_at) == (DeliveryState.CANCELLED, None, now)
    assert found[delivered.id].state is DeliveryState.DELIVERED
    assert found[elsewhere.id].state is DeliveryState.PENDING
    with pytest.raises(Fenced):
        async with runtime.transaction(viewer) as tx:
            await due.renew(tx, Delivery, leases[leased.id], seconds=30)
    assert [out.endpoint_id for out in await sending.load(runtime, list(leases.values()))] == [other.id]


async def test_a_deleted_endpoint_is_gone(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await seeds.endpoint(runtime, viewer)
    await act(webhooks.delete, row.id)
    gone = f"Webhook endpoint with id {row.id} not found"

    for verb, arguments in (
        (webhooks.update, ({},)),
        (webhooks.delete, ()),
        (webhooks.rotate_secret, ()),
        (webhooks.test, ()),
    ):
        async with refused(NotFound, gone):
            await act(verb, row.id, *arguments)


async def test_switching_on_again_brings_nothing_back(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await seeds.endpoint(runtime, viewer)
    await act(webhooks.test, row.id)
    await act(webhooks.update, row.id, {"is_active": False})

    await act(webhooks.update, row.id, {"is_active": True})

    assert [delivery.state for delivery in await pending(runtime)] == [DeliveryState.CANCELLED]


# --- secrets (W3) ---


@on_both
@pytest.mark.parametrize(("asked", "overlap_s"), [(None, DAY_S), (3_600, 3_600), (DAY_S, DAY_S)])
async def test_the_old_secret_stays_good_for_the_overlap(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, asked: int | None, overlap_s: int
) -> None:
    row = await seeds.endpoint(runtime, viewer)
    old = row.secret
    await act(webhooks.test, row.id)

    rotated = await act(webhooks.rotate_secret, row.id, overlap_seconds=asked)

    until = clock.now() + timedelta(seconds=overlap_s)
    assert rotated.secret != old
    assert rotated.previous_secrets == [{"secret": old, "expiresAt": until.isoformat()}]
    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30)
    (out,) = await sending.load(runtime, [held])
    during, after = out.headers(until - timedelta(seconds=1)), out.headers(until)
    assert during["webhook-signature"].count("v1,") == 2
    assert after["webhook-signature"].count("v1,") == 1
    assert during["X-VoxForge-Signature"] != after["X-VoxForge-Signature"]


async def test_without_an_overlap_the_old_secret_is_gone_at_once(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    row = await seeds.endpoint(runtime, viewer)
    await act(webhooks.rotate_secret, row.id)

    rotated = await act(webhooks.rotate_secret, row.id, overlap_seconds=0)

    assert rotated.previous_secrets == []


@pytest.mark.parametrize("overlap_s", [-1, DAY_S + 1])
async def test_bounds_of_the_overlap(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, overlap_s: int
) -> None:
    row = await seeds.endpoint(runtime, viewer)

    async with refused(Invalid, f"overlapSeconds must be between 0 and {DAY_S}"):
        await act(webhooks.rotate_secret, row.id, overlap_seconds=overlap_s)


# --- test events (W7) ---


@on_both
@pytest.mark.parametrize("kind", [None, *EVENTS])
async def test_a_test_event_is_of_the_real_shape_and_sent_once(
    runtime: Runtime, viewer: Viewer, act: Act, rings: Rings, kind: str | None
) -> None:
    row = await seeds.endpoint(runtime, viewer, events=["call.failed"])
    await seeds.endpoint(runtime, viewer)

    delivery = await act(webhooks.test, row.id, kind)

    (event,) = await happened(runtime)
    assert json.loads(event.body)["event"] == event.type.value == (kind or "call.ended")
    assert event.call_id is None
    (kept,) = await pending(runtime)
    assert (kept.id, kept.endpoint_id, kept.event_id) == (delivery.id, row.id, event.id)
    assert (kept.trigger, kept.retries, kept.due_at) == (AttemptTrigger.TEST, False, runtime.clock.now())
    assert rings.heard == ["deliveries"]
    await act(webhooks.test, row.id, kind)
    assert len(await pending(runtime)) == 2


async def test_an_unknown_test_event_is_refused(runtime: Runtime, viewer: Viewer, act: Act, refused: Refused) -> None:
    row = await seeds.endpoint(runtime, viewer)

    async with refused(Invalid, f"event must be among {', '.join(EVENTS)}"):
        await act(webhooks.test, row.id, "call.answered")


@on_both
async def test_a_rotation_asked_for_twice_keeps_the_secret_that_receivers_have(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock
) -> None:
    """Decision W3: the old one signs until its overlap ends, also when a caller whose answer was lost tried again."""
    endpoint = await seeds.endpoint(runtime, viewer)
    deployed = endpoint.secret

    first = (await act(webhooks.rotate_secret, endpoint.id)).secret
    await clock.advance(60)
    second = await act(webhooks.rotate_secret, endpoint.id)

    good = still_good(second.previous_secrets, clock.now())
    assert ([second.secret, *good][-1], good) == (deployed, [first, deployed])
    assert still_good(second.previous_secrets, clock.now() + timedelta(hours=24, seconds=-1)) == [first]
    assert still_good(second.previous_secrets, clock.now() + timedelta(hours=24)) == []


@on_both
async def test_an_overlap_of_nothing_ends_every_secret_before(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    endpoint = await seeds.endpoint(runtime, viewer)
    await act(webhooks.rotate_secret, endpoint.id)

    row = await act(webhooks.rotate_secret, endpoint.id, overlap_seconds=0)

    assert row.previous_secrets == []


async def test_an_endpoint_that_is_off_gets_no_test(runtime: Runtime, viewer: Viewer, act: Act) -> None:
    endpoint = await seeds.endpoint(runtime, viewer, is_active=False)

    with pytest.raises(Invalid, match=f"Webhook endpoint with id {endpoint.id} is not active"):
        await act(webhooks.test, endpoint.id)


# --- events that are made up ---


@on_both
async def test_what_is_triggered_goes_to_every_endpoint_that_wants_it_once(
    runtime: Runtime, viewer: Viewer, act: Act, rings: Rings
) -> None:
    wants = await seeds.endpoint(runtime, viewer)
    await seeds.endpoint(runtime, viewer, events=["call.ended"])
    await seeds.endpoint(runtime, viewer, is_active=False)

    told = await act(webhooks.trigger, "call.failed")

    (event,) = await happened(runtime)
    (delivery,) = await pending(runtime)
    assert (told.id, told.event, told.created_at, told.deliveries) == (event.id, "call.failed", event.created_at, 1)
    assert (event.type, event.call_id) == (EventType.CALL_FAILED, None)
    assert json.loads(event.body)["data"]["endReason"] == "no-answer"
    assert (delivery.endpoint_id, delivery.event_id, delivery.trigger) == (wants.id, event.id, AttemptTrigger.TEST)
    assert delivery.retries is False
    assert rings.happened == [viewer.workspace_id]
    assert rings.heard[-1] == "deliveries"


async def test_what_is_triggered_without_an_endpoint_has_happened_all_the_same(
    runtime: Runtime, viewer: Viewer, act: Act
) -> None:
    told = await act(webhooks.trigger, "call.ended")

    assert told.deliveries == 0
    assert [row.id for row in await happened(runtime)] == [told.id]
    assert await pending(runtime) == []


async def test_an_event_that_there_is_not_cannot_be_triggered(act: Act, refused: Refused) -> None:
    async with refused(Invalid, f"event must be among {', '.join(EVENTS)}"):
        await act(webhooks.trigger, "call.answered")
