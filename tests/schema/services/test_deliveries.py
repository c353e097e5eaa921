"""Deliveries: the log, resending by hand (decision W7)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col

from schema import due
from schema.errors import Invalid, NotFound
from schema.runtime import Runtime, Viewer
from schema.services import deliveries, sending, webhooks
from schema.tables import Delivery, WebhookEndpoint
from tests.schema.conftest import Act, Refused, Unchanged
from tests.schema.services.attempts import (
    AUTOMATIC,
    DELIVERED,
    FAILED,
    LADDER,
    MANUAL,
    PENDING,
    TEST,
    attempt,
    kept,
    log,
    outgoing,
)
from tests.support import seeds
from tests.support.runtime import Rings, on_both
from tests.support.time import VirtualClock

UNKNOWN = "c0000000000000000unknown0"


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
    (out,) = await sending.load(runtime, [held])
    await act(sending.settle, [seeds.answer(out, clock.now())])
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
