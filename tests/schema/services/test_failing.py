"""Endpoints that fail for five days are disabled, and can be switched on again (decision 0013)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from schema import due
from schema.rules.audit import Action, Actor
from schema.rules.webhooks import AttemptTrigger, DeliveryState, ErrorClass
from schema.runtime import Runtime, Transaction, Viewer
from schema.services import failing, recovery, retention, sending, webhooks
from schema.services.sending import Outgoing
from schema.tables import AuditEntry, Delivery, DeliveryAttempt, WebhookEndpoint
from tests.schema.conftest import Act, Unchanged
from tests.support import seeds
from tests.support.runtime import on_both
from tests.support.time import VirtualClock

DAY_S = 86_400
NEVER = {"status_code": None, "error_class": ErrorClass.CONNECT, "error": "connection refused", "response_body": None}


@pytest.fixture
async def endpoint(runtime: Runtime, viewer: Viewer) -> WebhookEndpoint:
    return await seeds.endpoint(runtime, viewer, events=["call.started"])


async def happen(runtime: Runtime, viewer: Viewer, times: int = 1) -> None:
    """So many calls are submitted."""
    for _ in range(times):
        await seeds.submitted(runtime, viewer, await seeds.call(runtime, viewer))


async def due_now(runtime: Runtime) -> list[Outgoing]:
    return await sending.load(runtime, await due.lease(runtime, Delivery, limit=1_000, seconds=30))


async def attempt(runtime: Runtime, viewer: Viewer | None, **result: Any) -> int:
    """Whatever is due is sent, with that result; returns how many requests there were."""
    sent = await due_now(runtime)
    results = [seeds.answer(out, runtime.clock.now(), **result) for out in sent]
    await runtime.perform(viewer, sending.settle, results)
    return len(sent)


async def kept(runtime: Runtime, id: str) -> Any:
    return (await runtime.database.read(select(WebhookEndpoint).where(col(WebhookEndpoint.id) == id)))[0]


async def states(runtime: Runtime) -> list[DeliveryState]:
    return [row.state for row in await runtime.database.read(select(Delivery).order_by(col(Delivery.id)))]


async def is_disabled(runtime: Runtime, id: str) -> tuple[bool, datetime | None, datetime | None, str | None]:
    row = await kept(runtime, id)
    return row.is_active, row.failing_since, row.disabled_at, row.disabled_reason


@on_both
async def test_five_days_of_failures_disable_an_endpoint(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint
) -> None:
    since = clock.now()
    await happen(runtime, viewer)
    await attempt(runtime, None, status_code=500)
    await clock.advance(5 * DAY_S - 1)
    await attempt(runtime, None, status_code=500)
    assert await is_disabled(runtime, endpoint.id) == (True, since, None, None)
    await happen(runtime, viewer, 3)
    await clock.advance(1)

    sent = await due_now(runtime)
    await runtime.perform(None, sending.settle, [seeds.answer(sent[0], clock.now(), status_code=503)])

    reason = "No delivery has succeeded since 2025-01-15T14:00:00Z (5 days): the last answer 503"
    assert await is_disabled(runtime, endpoint.id) == (False, since, clock.now(), reason)
    assert await states(runtime) == [DeliveryState.CANCELLED] * 4
    (entry,) = await runtime.database.read(
        select(AuditEntry).where(col(AuditEntry.action) == Action.WEBHOOK_ENDPOINT_DISABLED)
    )
    assert (entry.workspace_id, entry.actor, entry.subject_id, entry.subject_name, entry.changes) == (
        viewer.workspace_id,
        Actor.SYSTEM,
        endpoint.id,
        endpoint.url,
        {"isActive": [True, False], "disabledReason": [None, reason]},
    )
    log = await runtime.database.read(select(DeliveryAttempt).order_by(col(DeliveryAttempt.id)))
    assert [line.next_attempt_at is None for line in log] == [False, False, True]
    await clock.advance(DAY_S)
    assert await due_now(runtime) == []


async def test_the_reason_names_the_error(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint
) -> None:
    await happen(runtime, viewer)
    await attempt(runtime, None, **NEVER)
    await clock.advance(5 * DAY_S)

    await attempt(runtime, None, **NEVER)

    reason = (await kept(runtime, endpoint.id)).disabled_reason
    assert reason == "No delivery has succeeded since 2025-01-15T14:00:00Z (5 days): the last error connect"


@on_both
async def test_an_endpoint_of_which_some_succeed_is_never_disabled(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint
) -> None:
    for day in range(12):
        await happen(runtime, viewer)
        await attempt(runtime, None, status_code=200 if day % 4 == 0 else 500)
        await clock.advance(DAY_S)

    assert (await kept(runtime, endpoint.id)).is_active


@on_both
async def test_any_success_ends_it_also_one_by_hand(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, act: Act
) -> None:
    await happen(runtime, viewer)
    await attempt(runtime, None, status_code=500)
    async with runtime.transaction(viewer) as tx:
        await webhooks.test(tx, endpoint.id)

    await attempt(runtime, None, status_code=204)

    assert (await kept(runtime, endpoint.id)).failing_since is None


async def test_a_failure_by_hand_does_not_begin_it(
    runtime: Runtime, viewer: Viewer, endpoint: WebhookEndpoint, act: Act
) -> None:
    await act(webhooks.test, endpoint.id)

    await attempt(runtime, None, status_code=500)

    assert (await kept(runtime, endpoint.id)).failing_since is None


async def test_the_row_is_written_only_when_something_begins_or_ends(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hot path: a success like those before, and the next failure, leave the endpoint alone."""
    looked: list[str] = []
    all_of = Transaction.all

    async def counting(tx: Any, statement: Any) -> Any:
        looked.append(str(statement))
        return await all_of(tx, statement)

    monkeypatch.setattr("schema.runtime.Transaction.all", counting)
    counts = []
    for status in (200, 200, 500, 500, 200, 200):
        monkeypatch.undo()
        await happen(runtime, viewer)
        monkeypatch.setattr("schema.runtime.Transaction.all", counting)
        looked.clear()
        await attempt(runtime, None, status_code=status)
        counts.append(len(looked))
        await clock.advance(1)

    assert counts == [0, 0, 1, 0, 1, 0]


@on_both
@pytest.mark.parametrize("failure_first", [True, False])
async def test_a_success_that_ended_after_the_first_failure_counts_whichever_is_written_first(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, failure_first: bool
) -> None:
    """Its sender knew of no failure."""
    await happen(runtime, viewer, 2)
    first, second = await due_now(runtime)
    results = [seeds.answer(first, clock.now(), status_code=500)]
    await clock.advance(1)
    results.append(seeds.answer(second, clock.now()))
    await clock.advance(1)

    for result in results if failure_first else results[::-1]:
        await runtime.perform(None, sending.settle, [result])

    assert (await kept(runtime, endpoint.id)).failing_since is None
    await clock.advance(5 * DAY_S)
    await attempt(runtime, None, status_code=500)
    assert await is_disabled(runtime, endpoint.id) == (True, clock.now(), None, None)


@on_both
@pytest.mark.parametrize("failure_first", [True, False])
async def test_a_success_that_ended_before_the_first_failure_ends_nothing(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, failure_first: bool
) -> None:
    await happen(runtime, viewer, 2)
    first, second = await due_now(runtime)
    results = [seeds.answer(first, clock.now())]
    await clock.advance(1)
    since = clock.now()
    results.append(seeds.answer(second, since, status_code=500))

    for result in results[::-1] if failure_first else results:
        await runtime.perform(None, sending.settle, [result])

    assert (await kept(runtime, endpoint.id)).failing_since == since


@on_both
async def test_a_success_of_something_old_that_is_recovered_counts(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, act: Act
) -> None:
    await happen(runtime, viewer, 2)
    await act(webhooks.update, endpoint.id, {"is_active": False})
    since = clock.now()
    await clock.advance(2 * DAY_S)
    await act(webhooks.update, endpoint.id, {"is_active": True})
    await recovery.recover(lambda: runtime.transaction(viewer), endpoint.id, since)
    first, second = await due_now(runtime)
    await runtime.perform(None, sending.settle, [seeds.answer(first, clock.now(), status_code=503)])
    await clock.advance(1)
    await runtime.perform(None, sending.settle, [seeds.answer(second, clock.now())])
    await clock.advance(6 * DAY_S)

    await attempt(runtime, None, status_code=503)

    assert await is_disabled(runtime, endpoint.id) == (True, clock.now(), None, None)


@on_both
async def test_a_success_counts_also_when_the_log_no_longer_has_it(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint
) -> None:
    runtime.settings = runtime.settings.model_copy(update={"webhook_log_days": 1})
    await happen(runtime, viewer, 2)
    first, second = await due_now(runtime)
    await runtime.perform(None, sending.settle, [seeds.answer(first, clock.now(), status_code=400)])
    await clock.advance(1)
    await runtime.perform(None, sending.settle, [seeds.answer(second, clock.now())])
    await clock.advance(2 * DAY_S)
    assert await runtime.perform(None, retention.sweep_deliveries) == 1
    await clock.advance(4 * DAY_S)

    await attempt(runtime, None, status_code=503)

    assert await is_disabled(runtime, endpoint.id) == (True, clock.now(), None, None)


@on_both
async def test_a_success_written_at_the_very_time_of_the_first_failure_counts(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two transactions that do not see each other: it is looked for once more before anything is disabled."""

    async def nothing(*_: Any) -> set[str]:
        return set()

    await happen(runtime, viewer, 2)
    first, second = await due_now(runtime)
    since = clock.now()
    await runtime.perform(None, sending.settle, [seeds.answer(first, since, status_code=500)])
    await clock.advance(1)
    with monkeypatch.context() as patch:
        patch.setattr(failing, "_failing", nothing)
        await runtime.perform(None, sending.settle, [seeds.answer(second, clock.now())])
    assert (await kept(runtime, endpoint.id)).failing_since == since
    await clock.advance(5 * DAY_S)

    await attempt(runtime, None, status_code=500)

    assert await is_disabled(runtime, endpoint.id) == (True, clock.now(), None, None)


@on_both
async def test_a_success_whose_lease_was_lost_ends_a_failure(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint
) -> None:
    await happen(runtime, viewer)
    (lost,) = await due_now(runtime)
    await clock.advance(30)
    await attempt(runtime, None, status_code=500)
    await clock.advance(1)

    await runtime.perform(None, sending.settle, [seeds.answer(lost, clock.now())])

    assert (await kept(runtime, endpoint.id)).failing_since is None
    assert await states(runtime) == [DeliveryState.DELIVERED]


@on_both
async def test_switching_it_on_again_starts_anew(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, act: Act
) -> None:
    await happen(runtime, viewer)
    await attempt(runtime, None, status_code=500)
    await clock.advance(5 * DAY_S)
    await attempt(runtime, None, status_code=500)

    await act(webhooks.update, endpoint.id, {"is_active": True})

    assert await is_disabled(runtime, endpoint.id) == (True, None, None, None)
    await happen(runtime, viewer)
    assert await attempt(runtime, None, status_code=500) == 1
    assert (await kept(runtime, endpoint.id)).failing_since == clock.now()


async def test_another_url_starts_anew_and_another_name_does_not(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, act: Act
) -> None:
    await happen(runtime, viewer)
    await attempt(runtime, None, status_code=500)
    await act(webhooks.update, endpoint.id, {"description": "CRM"})
    assert (await kept(runtime, endpoint.id)).failing_since == clock.now()

    await act(webhooks.update, endpoint.id, {"url": "https://other.example.com/"})

    assert (await kept(runtime, endpoint.id)).failing_since is None


async def test_a_disabled_endpoint_that_is_switched_off_stays_as_it_is(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock, endpoint: WebhookEndpoint, act: Act, unchanged: Unchanged
) -> None:
    await happen(runtime, viewer)
    await attempt(runtime, None, status_code=500)
    await clock.advance(5 * DAY_S)
    await attempt(runtime, None, status_code=500)

    async with unchanged():
        await act(webhooks.update, endpoint.id, {"is_active": False})


@on_both
async def test_disabling_races_with_whatever_else_changes_an_endpoint(
    runtime: Runtime, viewer: Viewer, clock: VirtualClock
) -> None:
    """Nobody waits for ever, and what is off is not sent to: settling, putting back, pausing, deleting, all at once."""
    rows = [await seeds.endpoint(runtime, viewer, events=["call.started"]) for _ in range(3)]
    ids = [row.id for row in rows]
    await happen(runtime, viewer)
    await attempt(runtime, None, status_code=500)
    await clock.advance(5 * DAY_S)
    await happen(runtime, viewer, 12)
    sent = await due_now(runtime)
    results = [seeds.answer(out, clock.now(), status_code=500) for out in sent]
    halves = results[::3], results[1::3]
    back = [out.held for out in sent[2::3]]

    async def switch(id: str, *, is_active: bool) -> None:
        async with runtime.transaction(viewer) as tx:
            await webhooks.update(tx, id, {"is_active": is_active})

    async def remove(id: str) -> None:
        async with runtime.transaction(viewer) as tx:
            await webhooks.delete(tx, id)

    async with asyncio.timeout(20):
        await asyncio.gather(
            *(runtime.perform(None, sending.settle, list(reversed(half))) for half in halves),
            due.put_back(runtime, Delivery, back[::-1]),
            runtime.perform(None, sending.drop_gone, back),
            *(switch(id, is_active=on) for id in ids[:2] for on in (False, True, False)),
            remove(ids[2]),
        )

    for id in ids[:2]:
        row = await kept(runtime, id)
        pending = select(Delivery).where(col(Delivery.endpoint_id) == id, col(Delivery.state) == DeliveryState.PENDING)
        assert row.is_active or await runtime.database.read(pending) == []
    assert all(out.trigger is AttemptTrigger.AUTOMATIC for out in sent)
    assert len(await runtime.database.read(select(DeliveryAttempt))) == 3 + len(results[::3]) + len(results[1::3])
