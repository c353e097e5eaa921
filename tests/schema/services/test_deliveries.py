"""Deliveries: the ladder, the log, resending by hand (decisions W1, W3 to W5, W7, W8)."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.errors import Invalid, NotFound
from schema.rules.webhooks import AttemptTrigger, DeliveryState, ErrorClass
from schema.runtime import Runtime, Viewer
from schema.services import deliveries, webhooks
from schema.services.deliveries import Outgoing
from schema.tables import Delivery, DeliveryAttempt, WebhookEndpoint
from tests.schema.conftest import Act, Refused, Unchanged
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock

LADDER = (30, 300, 1800, 7200)
PENDING, DELIVERED, FAILED, CANCELLED = DeliveryState
AUTOMATIC, MANUAL, TEST = AttemptTrigger
UNKNOWN = "c0000000000000000unknown0"


@pytest.fixture
async def endpoint(runtime: Runtime, viewer: Viewer) -> WebhookEndpoint:
    return await seeds.endpoint(runtime, viewer)


@pytest.fixture
async def delivery(runtime: Runtime, viewer: Viewer, endpoint: WebhookEndpoint) -> Delivery:
    """An automatic delivery that waits: `call.started`."""
    call = await seeds.call(runtime, viewer)
    await seeds.submitted(runtime, viewer, call)
    async with runtime.transaction(viewer) as tx:
        (row,) = await tx.all(tx.select(Delivery))
    return row


async def kept(runtime: Runtime, row: Delivery) -> Any:
    return (await runtime.database.read(select(Delivery).where(col(Delivery.id) == row.id)))[0]


async def log(runtime: Runtime) -> list[Any]:
    statement = select(DeliveryAttempt).order_by(col(DeliveryAttempt.delivery_id), col(DeliveryAttempt.number))
    return await runtime.database.read(statement)


async def outgoing(runtime: Runtime) -> Outgoing:
    """The one delivery that is due."""
    (held,) = await due.lease(runtime, Delivery, limit=10, seconds=30)
    (out,) = await deliveries.load(runtime, [held])
    return out


async def attempt(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, *, takes_s: float = 0, **result: Any
) -> Outgoing:
    """One request to whatever is due, and what came of it."""
    out = await outgoing(runtime)
    await clock.advance(takes_s)
    async with runtime.transaction(viewer) as tx:
        assert await deliveries.settle(tx, [seeds.answer(out, tx.now, **result)]) == 1
    return out


async def nothing_due(runtime: Runtime) -> bool:
    return await due.lease(runtime, Delivery, limit=10, seconds=30) == []


# --- the ladder (W5) ---


@on_both
async def test_five_requests_each_after_the_end_of_the_one_before_then_failed(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, delivery: Delivery
) -> None:
    """W5, W1: never early, and byte for byte the same every time."""
    sent = []
    for number, delay_s in enumerate((*LADDER, None), start=1):
        sent.append(await attempt(runtime, viewer, clock, takes_s=9.5, status_code=500))
        row = await kept(runtime, delivery)
        assert (row.attempts_made, row.automatic_attempts) == (number, number)
        if delay_s is not None:
            due_at = clock.now() + timedelta(seconds=delay_s)
            assert (row.state, row.due_at, row.finished_at) == (PENDING, due_at, None)
            await clock.advance(delay_s - 0.001)
            assert await nothing_due(runtime)
            await clock.advance(0.001)

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at) == (FAILED, None, clock.now())
    assert len({(out.body, out.event_id, out.url, out.secret) for out in sent}) == 1
    assert [one.number for one in await log(runtime)] == [1, 2, 3, 4, 5]
    assert [out.trigger for out in sent] == [AUTOMATIC] * 5
    await clock.advance(1_000_000)
    assert await nothing_due(runtime)


@on_both
async def test_every_attempt_is_logged(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, delivery: Delivery
) -> None:
    """W7: and without secrets."""
    results: list[dict[str, Any]] = [
        {"status_code": 500, "response_body": "<h1>No</h1>"},
        {
            "status_code": None,
            "error_class": ErrorClass.TIMEOUT,
            "error": "no answer within 10 s",
            "response_body": None,
        },
        {"status_code": 301},
        {"status_code": 204, "response_body": None},
    ]
    ended = []
    for result, delay_s in zip(results, LADDER, strict=True):
        await attempt(runtime, viewer, clock, takes_s=1, **result)
        ended.append(clock.now())
        await clock.advance(delay_s)

    lines = await log(runtime)

    expected = [
        {
            "workspace_id": viewer.workspace_id,
            "delivery_id": delivery.id,
            "number": number,
            "trigger": AUTOMATIC,
            "started_at": end - timedelta(seconds=0.25),
            "duration_ms": 250,
            "error_class": None,
            "error": None,
            "response_body": "ok",
            "next_attempt_at": end + timedelta(seconds=delay_s) if number < 4 else None,
            **result,
        }
        for number, end, delay_s, result in zip((1, 2, 3, 4), ended, LADDER, results, strict=True)
    ]
    assert [{name: getattr(line, name) for name in expected[0]} for line in lines] == expected
    secret = (await outgoing_secret(runtime)).removeprefix("whsec_")
    assert secret not in str([[getattr(line, name) for name in DeliveryAttempt.model_fields] for line in lines])


async def outgoing_secret(runtime: Runtime) -> str:
    return (await runtime.database.read(select(WebhookEndpoint)))[0].secret


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_any_2xx_delivers(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, delivery: Delivery, status: int
) -> None:
    """W4."""
    await attempt(runtime, viewer, clock, takes_s=2, status_code=status)

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at) == (DELIVERED, None, clock.now())


@pytest.mark.parametrize(
    "result",
    [
        {"status_code": 199},
        {"status_code": 301},
        {"status_code": 404},
        {"status_code": 410},
        {"status_code": 500},
        {"status_code": 200, "error_class": ErrorClass.TIMEOUT},
        *({"status_code": None, "error_class": kind} for kind in ErrorClass),
    ],
)
async def test_everything_else_goes_on_with_the_ladder(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, delivery: Delivery, result: dict[str, Any]
) -> None:
    """W4: also a redirect, and a 200 that did not end in time."""
    await attempt(runtime, viewer, clock, **result)

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at) == (PENDING, clock.now() + timedelta(seconds=30))


async def test_the_ladder_is_a_setting(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, delivery: Delivery
) -> None:
    runtime.settings = runtime.settings.model_copy(update={"webhook_retry_schedule": (0.5, 2.0)})

    for delay_s in (0.5, 2.0):
        await attempt(runtime, viewer, clock, status_code=500)
        assert (await kept(runtime, delivery)).due_at == clock.now() + timedelta(seconds=delay_s)
        await clock.advance(delay_s)
    await attempt(runtime, viewer, clock, status_code=500)

    assert (await kept(runtime, delivery)).state is FAILED


@on_both
async def test_a_worker_that_died_costs_no_step_of_the_ladder(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, delivery: Delivery
) -> None:
    lost = await outgoing(runtime)
    await clock.advance(30)

    again = await outgoing(runtime)

    assert (lost.automatic_attempts, again.automatic_attempts) == (0, 0)
    assert again.held.version == lost.held.version + 1
    assert (again.body, again.event_id) == (lost.body, lost.event_id)


@on_both
async def test_the_result_of_a_lost_lease_is_logged_and_settles_nothing(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, delivery: Delivery, unchanged: Unchanged
) -> None:
    """Decision W7: the request was sent, whoever holds the row now."""
    lost = await outgoing(runtime)
    await clock.advance(30)
    now_held = await outgoing(runtime)
    before = await kept(runtime, delivery)

    assert await act(deliveries.settle, [seeds.answer(lost, clock.now())]) == 0
    async with unchanged():
        await act(deliveries.drop_gone, [lost.held])

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.version, row.automatic_attempts) == (PENDING, before.due_at, before.version, 0)
    assert await act(deliveries.settle, [seeds.answer(now_held, clock.now())]) == 1
    assert [(line.number, line.status_code) for line in await log(runtime)] == [(1, 200), (2, 200)]
    assert (await kept(runtime, delivery)).attempts_made == 2


@on_both
async def test_many_results_in_one_transaction_each_by_itself(
    runtime: Runtime, viewer: Viewer, act: Act, endpoint: WebhookEndpoint
) -> None:
    rows = [await act(webhooks.test, endpoint.id) for _ in range(4)]
    leases = await due.lease(runtime, Delivery, limit=10, seconds=30)
    sent = {out.held.id: out for out in await deliveries.load(runtime, leases)}
    async with runtime.transaction(viewer) as tx:
        await due.renew(tx, Delivery, sent[rows[1].id].held, seconds=60)  # somebody else's now
    now = runtime.clock.now()
    codes = (200, 200, 500, 204)

    written = await act(
        deliveries.settle,
        [seeds.answer(sent[row.id], now, status_code=code) for row, code in zip(rows, codes, strict=True)],
    )

    assert written == 3
    assert [(await kept(runtime, row)).state for row in rows] == [DELIVERED, PENDING, FAILED, DELIVERED]
    assert sorted(line.delivery_id for line in await log(runtime)) == sorted(row.id for row in rows)


# --- what is sent (W1, W3, W8) ---


@on_both
async def test_what_is_sent_is_signed_with_the_endpoint_s_secret(
    runtime: Runtime, viewer: Viewer, endpoint: WebhookEndpoint, delivery: Delivery
) -> None:
    out = await outgoing(runtime)

    headers = out.headers(runtime.clock.now())

    assert (out.url, out.event_id, out.endpoint_id) == (endpoint.url, delivery.event_id, endpoint.id)
    digest = hmac.new(endpoint.secret.encode(), out.body, hashlib.sha256).hexdigest()
    assert headers["X-VoxForge-Signature"] == f"sha256={digest}"
    assert headers["webhook-id"] == delivery.event_id
    assert headers["webhook-timestamp"] == str(int(runtime.clock.now().timestamp()))


@on_both
async def test_a_change_of_the_endpoint_applies_to_what_waits(
    runtime: Runtime, viewer: Viewer, act: Act, endpoint: WebhookEndpoint, delivery: Delivery
) -> None:
    """W8."""
    await act(webhooks.update, endpoint.id, {"url": "https://other.example.com/"})

    assert (await outgoing(runtime)).url == "https://other.example.com/"


async def test_what_is_no_longer_held_is_not_loaded(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, delivery: Delivery
) -> None:
    lost = await outgoing(runtime)
    await clock.advance(30)
    await outgoing(runtime)

    assert await deliveries.load(runtime, [lost.held]) == []
    assert await deliveries.load(runtime, []) == []


async def test_what_has_lost_its_endpoint_is_dropped(
    runtime: Runtime, viewer: Viewer, act: Act, endpoint: WebhookEndpoint, delivery: Delivery
) -> None:
    """W8: also where a delivery came to be in the very moment that its endpoint went."""
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(WebhookEndpoint, endpoint.id)).is_active = False
    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30)
    assert await deliveries.load(runtime, [held]) == []

    await act(deliveries.drop_gone, [held])

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at) == (CANCELLED, None, runtime.clock.now())


# --- resending by hand (W7) ---


@on_both
@pytest.mark.parametrize("code", [200, 500])
async def test_a_delivered_one_can_be_sent_once_more(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, delivery: Delivery, rings: Rings, code: int
) -> None:
    first = await attempt(runtime, viewer, clock)
    rings.heard.clear()

    row = await act(deliveries.resend, delivery.id)

    assert (row.state, row.trigger, row.due_at, row.finished_at) == (PENDING, MANUAL, clock.now(), None)
    assert rings.heard == ["deliveries"]
    again = await attempt(runtime, viewer, clock, status_code=code)
    assert (again.body, again.event_id) == (first.body, first.event_id)
    row = await kept(runtime, delivery)
    assert (row.state, row.due_at) == (DELIVERED, None)  # what has arrived once stays delivered
    assert [(line.number, line.trigger) for line in await log(runtime)] == [(1, AUTOMATIC), (2, MANUAL)]


@on_both
async def test_a_failed_one_can_be_sent_once_more_without_a_ladder(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, delivery: Delivery
) -> None:
    for delay_s in (*LADDER, 0):
        await attempt(runtime, viewer, clock, status_code=500)
        await clock.advance(delay_s)

    await act(deliveries.resend, delivery.id)
    await attempt(runtime, viewer, clock, status_code=500)

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.attempts_made, row.automatic_attempts) == (FAILED, None, 6, 5)


@on_both
async def test_one_on_the_ladder_is_sent_now_and_the_ladder_goes_on(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, delivery: Delivery
) -> None:
    """W5 counts the five automatic ones; the delay runs from the end of the one by hand."""
    await attempt(runtime, viewer, clock, status_code=500)
    await clock.advance(10)

    await act(deliveries.resend, delivery.id)
    by_hand = await attempt(runtime, viewer, clock, takes_s=3, status_code=500)

    row = await kept(runtime, delivery)
    assert by_hand.trigger is MANUAL
    assert (row.state, row.due_at, row.trigger) == (PENDING, clock.now() + timedelta(seconds=30), AUTOMATIC)
    assert (row.attempts_made, row.automatic_attempts) == (2, 1)
    for delay_s in LADDER:
        await clock.advance(delay_s)
        await attempt(runtime, viewer, clock, status_code=500)
    row = await kept(runtime, delivery)
    assert (row.state, row.attempts_made, row.automatic_attempts) == (FAILED, 6, 5)


async def test_one_on_the_ladder_that_is_delivered_by_hand_is_delivered(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, delivery: Delivery
) -> None:
    await attempt(runtime, viewer, clock, status_code=500)
    await act(deliveries.resend, delivery.id)

    await attempt(runtime, viewer, clock, status_code=200)

    assert (await kept(runtime, delivery)).state is DELIVERED


@pytest.mark.parametrize("leased", [False, True])
async def test_one_that_has_not_been_sent_yet_is_not_sent_twice(
    runtime: Runtime,
    viewer: Viewer,
    act: Act,
    delivery: Delivery,
    unchanged: Unchanged,
    rings: Rings,
    leased: bool,
) -> None:
    if leased:
        await outgoing(runtime)
    rings.heard.clear()

    async with unchanged():
        assert (await act(deliveries.resend, delivery.id)).trigger is AUTOMATIC
    assert rings.heard == ["deliveries"]


async def test_a_cancelled_one_can_be_sent_when_its_endpoint_is_on_again(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, endpoint: WebhookEndpoint, delivery: Delivery
) -> None:
    await act(webhooks.update, endpoint.id, {"is_active": False})
    await act(webhooks.update, endpoint.id, {"is_active": True})

    await act(deliveries.resend, delivery.id)
    await attempt(runtime, viewer, clock, status_code=500)

    assert (await kept(runtime, delivery)).state is FAILED


async def test_nothing_is_sent_to_an_endpoint_that_is_off_or_gone(
    runtime: Runtime, viewer: Viewer, act: Act, refused: Refused, endpoint: WebhookEndpoint, delivery: Delivery
) -> None:
    await act(webhooks.update, endpoint.id, {"is_active": False})
    async with refused(Invalid, f"Webhook endpoint with id {endpoint.id} is not active"):
        await act(deliveries.resend, delivery.id)
    await act(webhooks.delete, endpoint.id)
    async with refused(Invalid, f"The endpoint of delivery {delivery.id} has been deleted"):
        await act(deliveries.resend, delivery.id)
    async with refused(NotFound, f"Delivery with id {UNKNOWN} not found"):
        await act(deliveries.resend, UNKNOWN)


@on_both
async def test_a_test_event_has_no_ladder(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, endpoint: WebhookEndpoint
) -> None:
    row = await act(webhooks.test, endpoint.id)

    await attempt(runtime, viewer, clock, status_code=500)

    found = await kept(runtime, row)
    assert (found.state, found.due_at, found.automatic_attempts) == (FAILED, None, 0)
    assert [(line.trigger, line.next_attempt_at) for line in await log(runtime)] == [(TEST, None)]


# --- the log ---


@on_both
async def test_deliveries_are_listed_by_endpoint_newest_first(
    runtime: Runtime, viewer: Viewer, act: Act, clock: VirtualClock, endpoint: WebhookEndpoint, refused: Refused
) -> None:
    rows = [await act(webhooks.test, endpoint.id) for _ in range(3)]
    await act(webhooks.test, (await seeds.endpoint(runtime, viewer)).id)
    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30, where=[col(Delivery.id) == rows[1].id])
    (out,) = await deliveries.load(runtime, [held])
    await act(deliveries.settle, [seeds.answer(out, clock.now())])
    tx = runtime.snapshot(viewer)

    page = await deliveries.list_page(tx, endpoint.id)
    delivered = await deliveries.list_page(tx, endpoint.id, state=DELIVERED)

    assert [row.id for row in page.nodes] == [row.id for row in rows[::-1]]
    assert (page.total, page.limit) == (3, 50)
    assert [row.id for row in delivered.nodes] == [rows[1].id]
    assert [line.delivery_id for line in await deliveries.attempts(tx, [row.id for row in rows])] == [rows[1].id]
    assert [event.id for event in await deliveries.events(tx, [rows[0].event_id])] == [rows[0].event_id]
    other = runtime.snapshot(await seeds.workspace(runtime, name="Other"))
    async with refused(NotFound, f"Webhook endpoint with id {endpoint.id} not found"):
        await deliveries.list_page(other, endpoint.id)
    async with refused(NotFound, f"Delivery with id {rows[0].id} not found"):
        await deliveries.get(other, rows[0].id)
    assert await deliveries.attempts(other, [row.id for row in rows]) == []
    assert await deliveries.events(other, [rows[0].event_id]) == []
