"""Sending deliveries: the ladder, the log of it, what is sent (decisions W1, W3 to W5, W7, W8)."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from schema import due
from schema.rules.webhooks import ErrorClass
from schema.runtime import Runtime, Viewer
from schema.services import deliveries, sending, webhooks
from schema.tables import Delivery, DeliveryAttempt, WebhookEndpoint
from tests.schema.conftest import Act, Unchanged
from tests.schema.services.attempts import (
    AUTOMATIC,
    CANCELLED,
    DELIVERED,
    FAILED,
    LADDER,
    PENDING,
    attempt,
    kept,
    log,
    nothing_due,
    outgoing,
)
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

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
async def test_the_failure_of_a_lost_lease_is_logged_and_settles_nothing(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, delivery: Delivery, unchanged: Unchanged
) -> None:
    """Decision W7: the request was sent, whoever holds the row now."""
    lost = await outgoing(runtime)
    await clock.advance(30)
    now_held = await outgoing(runtime)
    before = await kept(runtime, delivery)

    assert await act(sending.settle, [seeds.answer(lost, clock.now(), status_code=500)]) == 0
    async with unchanged():
        await act(sending.drop_gone, [lost.held])

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.version, row.automatic_attempts) == (PENDING, before.due_at, before.version, 0)
    assert await act(sending.settle, [seeds.answer(now_held, clock.now())]) == 1
    assert [(line.number, line.status_code, line.next_attempt_at) for line in await log(runtime)] == [
        (1, 500, None),
        (2, 200, None),
    ]
    assert (await kept(runtime, delivery)).attempts_made == 2


@on_both
@pytest.mark.parametrize("code", [200, 500])
async def test_a_2xx_counts_also_when_its_lease_was_lost(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, delivery: Delivery, code: int
) -> None:
    """The receiver has it: whoever holds the row now is fenced off, and what comes of its request is only logged."""
    lost = await outgoing(runtime)
    await clock.advance(30)
    now_held = await outgoing(runtime)
    received_at = clock.now()

    assert await act(sending.settle, [seeds.answer(lost, received_at)]) == 0

    assert await sending.load(runtime, [now_held.held]) == []  # if it waited, it is not sent
    await clock.advance(5)
    assert await act(sending.settle, [seeds.answer(now_held, clock.now(), status_code=code)]) == 0
    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at) == (DELIVERED, None, received_at)
    assert (row.attempts_made, row.automatic_attempts, row.trigger) == (2, 1, AUTOMATIC)
    assert [(line.number, line.status_code, line.next_attempt_at) for line in await log(runtime)] == [
        (1, 200, None),
        (2, code, None),
    ]
    await clock.advance(1_000_000)
    assert await nothing_due(runtime)


@on_both
@pytest.mark.parametrize("lost_first", [True, False])
async def test_a_2xx_counts_also_beside_a_failure_of_the_same_delivery(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, delivery: Delivery, lost_first: bool
) -> None:
    lost = await outgoing(runtime)
    await clock.advance(30)
    now_held = await outgoing(runtime)
    results = [
        seeds.answer(lost, clock.now()),
        seeds.answer(now_held, clock.now(), status_code=None, error_class=ErrorClass.TIMEOUT),
    ]

    assert await act(sending.settle, results if lost_first else results[::-1]) == 1

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at, row.attempts_made) == (DELIVERED, None, clock.now(), 2)


@on_both
async def test_a_2xx_counts_also_when_it_was_resent_meanwhile(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, delivery: Delivery
) -> None:
    await attempt(runtime, viewer, clock, status_code=500)
    await clock.advance(30)
    under_way = await outgoing(runtime)
    await act(deliveries.resend, delivery.id)

    await act(sending.settle, [seeds.answer(under_way, clock.now())])

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at, row.trigger) == (DELIVERED, None, clock.now(), AUTOMATIC)
    assert (row.attempts_made, row.automatic_attempts) == (2, 2)
    assert await nothing_due(runtime)


@on_both
@pytest.mark.parametrize("gone", [False, True])
async def test_a_2xx_counts_also_when_its_endpoint_was_switched_off_meanwhile(
    runtime: Runtime,
    viewer: Viewer,
    clock: VirtualClock,
    act: Act,
    endpoint: WebhookEndpoint,
    delivery: Delivery,
    gone: bool,
) -> None:
    """Or a recovery would send it again."""
    under_way = await outgoing(runtime)
    if gone:
        await act(webhooks.delete, endpoint.id)
    else:
        await act(webhooks.update, endpoint.id, {"is_active": False})
    assert (await kept(runtime, delivery)).state is CANCELLED
    await clock.advance(2)

    await act(sending.settle, [seeds.answer(under_way, clock.now())])

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at, row.attempts_made) == (DELIVERED, None, clock.now(), 1)


@on_both
async def test_a_failure_leaves_what_was_cancelled_meanwhile_as_it_is(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, act: Act, endpoint: WebhookEndpoint, delivery: Delivery
) -> None:
    under_way = await outgoing(runtime)
    await act(webhooks.update, endpoint.id, {"is_active": False})
    cancelled_at = clock.now()
    await clock.advance(2)

    await act(sending.settle, [seeds.answer(under_way, clock.now(), status_code=500)])

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at, row.attempts_made) == (CANCELLED, None, cancelled_at, 1)


@on_both
async def test_many_results_in_one_transaction_each_by_itself(
    runtime: Runtime, viewer: Viewer, act: Act, endpoint: WebhookEndpoint
) -> None:
    rows = [await act(webhooks.test, endpoint.id) for _ in range(5)]
    leases = await due.lease(runtime, Delivery, limit=10, seconds=30)
    sent = {out.held.id: out for out in await sending.load(runtime, leases)}
    async with runtime.transaction(viewer) as tx:
        for row in rows[1], rows[4]:  # somebody else's now
            await due.renew(tx, Delivery, sent[row.id].held, seconds=60)
    now = runtime.clock.now()
    codes = (200, 500, 500, 204, 200)

    written = await act(
        sending.settle,
        [seeds.answer(sent[row.id], now, status_code=code) for row, code in zip(rows, codes, strict=True)],
    )

    assert written == 3
    assert [(await kept(runtime, row)).state for row in rows] == [DELIVERED, PENDING, FAILED, DELIVERED, DELIVERED]
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

    assert await sending.load(runtime, [lost.held]) == []
    assert await sending.load(runtime, []) == []


async def test_what_has_lost_its_endpoint_is_dropped(
    runtime: Runtime, viewer: Viewer, act: Act, endpoint: WebhookEndpoint, delivery: Delivery
) -> None:
    """W8: also where a delivery came to be in the very moment that its endpoint went."""
    async with runtime.transaction(viewer) as tx:
        (await tx.lock(WebhookEndpoint, endpoint.id)).is_active = False
    (held,) = await due.lease(runtime, Delivery, limit=1, seconds=30)
    assert await sending.load(runtime, [held]) == []

    await act(sending.drop_gone, [held])

    row = await kept(runtime, delivery)
    assert (row.state, row.due_at, row.finished_at) == (CANCELLED, None, runtime.clock.now())
