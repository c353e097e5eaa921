"""Deliveries on the stage: who delays whom, what is written together, and what a stop leaves behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from schema import due
from schema.clock import SystemClock
from schema.due import Lease
from schema.rules.webhooks import DeliveryState
from schema.runtime import Runtime, Viewer
from schema.services import deliveries, webhooks
from schema.settings import Settings
from schema.tables import Delivery
from tests.support import seeds
from tests.support.runtime import Rings
from tests.workers.receivers import LOOPBACK, OK, answering, read_request, receiver
from workers.rooms import IN_FLIGHT_AN_ENDPOINT
from workers.stage import Stage
from workers.webhooks import QUEUE, Deliveries, broker

WORK = broker.queues[QUEUE]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that let deliveries reach the loopback."""
    return settings.model_copy(
        update={"webhook_allow_http": True, "webhook_allow_networks": LOOPBACK, "webhook_timeout": 5.0}
    )


@pytest.fixture
def clock() -> SystemClock:
    """Real time: real sockets do not wait for a virtual one."""
    return SystemClock()


@pytest.fixture
async def stage(settings: Settings, clock: SystemClock, rings: Rings) -> AsyncIterator[Stage]:
    """A stage for deliveries, fed by the test itself."""
    stage = Stage(settings, clock, rings, [Deliveries])
    await asyncio.to_thread(stage.start)
    yield stage
    await asyncio.to_thread(stage.stop, 0.0)


async def endpoint(runtime: Runtime, viewer: Viewer, port: int, pending: int) -> str:
    """An endpoint on that port with deliveries that are due."""
    async with runtime.transaction(viewer) as tx:
        row = await webhooks.create(tx, {"url": f"http://127.0.0.1:{port}/"})
        await tx.flush()
        for _ in range(pending):
            await webhooks.test(tx, row.id)
    return row.id


async def feed(stage: Stage) -> list[Lease]:
    """What a consumer does: lease as much as there is room for, and hand it over."""
    places = stage.reserve(QUEUE, WORK.batch)
    leases = await asyncio.to_thread(stage.lease, WORK, places)
    stage.release(QUEUE, places - len(leases))
    stage.hand_over(QUEUE, leases)
    return leases


async def states(runtime: Runtime, viewer: Viewer, endpoint_id: str) -> list[DeliveryState]:
    tx = runtime.snapshot(viewer)
    rows = await tx.all(tx.select(Delivery).where(Delivery.endpoint_id == endpoint_id))  # type: ignore[arg-type]
    return [row.state for row in rows]


async def until(runtime: Runtime, viewer: Viewer, endpoint_id: str, state: DeliveryState, stage: Stage) -> None:
    deadline = time.monotonic() + 10
    while set(await states(runtime, viewer, endpoint_id)) != {state}:
        assert time.monotonic() < deadline, await states(runtime, viewer, endpoint_id)
        await feed(stage)
        await asyncio.sleep(0.01)


async def test_an_endpoint_that_hangs_delays_nobody_else(stage: Stage, runtime: Runtime) -> None:
    """Decision W8."""
    viewer = await seeds.workspace(runtime)
    hanging: list[bytes] = []

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        hanging.append((await read_request(reader))[1])
        await asyncio.Event().wait()

    async with receiver(hang) as silent, receiver(answering(OK)) as well:
        stuck = await endpoint(runtime, viewer, silent, pending=200)
        quick = await endpoint(runtime, viewer, well, pending=60)

        await until(runtime, viewer, quick, DeliveryState.DELIVERED, stage)

        assert len(hanging) <= IN_FLIGHT_AN_ENDPOINT
        assert set(await states(runtime, viewer, stuck)) == {DeliveryState.PENDING}
        await asyncio.to_thread(stage.stop, 0.0)


async def test_a_stop_leaves_no_row_leased(stage: Stage, runtime: Runtime) -> None:
    viewer = await seeds.workspace(runtime)
    arrived = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        arrived.set()
        await asyncio.Event().wait()

    async with receiver(hang) as silent:
        stuck = await endpoint(runtime, viewer, silent, pending=20)
        await feed(stage)
        await arrived.wait()

        await asyncio.to_thread(stage.stop, 0.0)

        tx = runtime.snapshot(viewer)
        rows = await tx.all(tx.select(Delivery).where(Delivery.endpoint_id == stuck))  # type: ignore[arg-type]
        now = runtime.clock.now() + timedelta(milliseconds=1)
        assert [row.id for row in rows if row.due_at is None or row.due_at > now] == []


async def test_deliveries_of_a_deleted_endpoint_are_dropped_and_their_places_given_back(
    stage: Stage, runtime: Runtime
) -> None:
    """Decision W8: leased before the delete, never sent after it."""
    viewer = await seeds.workspace(runtime)
    requests: list[tuple[bytes, bytes]] = []
    async with receiver(answering(OK, requests)) as port:
        gone = await endpoint(runtime, viewer, port, pending=3)
        free = stage.reserve(QUEUE, 10_000)
        stage.release(QUEUE, free)
        places = stage.reserve(QUEUE, 3)
        leases = await asyncio.to_thread(stage.lease, WORK, places)
        async with runtime.transaction(viewer) as tx:
            await webhooks.delete(tx, gone)

        stage.hand_over(QUEUE, leases)
        deadline = time.monotonic() + 5
        while (again := stage.reserve(QUEUE, 10_000)) < free and time.monotonic() < deadline:
            stage.release(QUEUE, again)
            await asyncio.sleep(0.01)

        assert again == free
        assert requests == []
        assert set(await states(runtime, viewer, gone)) == {DeliveryState.CANCELLED}


async def test_a_backlog_to_one_endpoint_does_not_wait_for_the_next_poll(stage: Stage, runtime: Runtime) -> None:
    """Rows that were left in the table for want of room are looked for when there is room again."""
    viewer = await seeds.workspace(runtime)

    async def consume() -> None:
        while True:
            while await feed(stage):
                pass
            await asyncio.to_thread(stage.wait, QUEUE, 60.0)  # the next poll

    async with receiver(answering(OK)) as port:
        busy = await endpoint(runtime, viewer, port, pending=200)
        consuming = asyncio.create_task(consume())
        deadline = time.monotonic() + 20
        while set(left := await states(runtime, viewer, busy)) != {DeliveryState.DELIVERED}:
            assert time.monotonic() < deadline, left
            await asyncio.sleep(0.01)
        consuming.cancel()
        stage._places[QUEUE].attention.set()


async def test_a_stop_puts_back_what_has_just_been_handed_over(stage: Stage, runtime: Runtime) -> None:
    viewer = await seeds.workspace(runtime)
    async with receiver(answering(OK)) as port:
        late = await endpoint(runtime, viewer, port, pending=20)
        await feed(stage)

        await asyncio.to_thread(stage.stop, 0.0)

        tx = runtime.snapshot(viewer)
        rows = await tx.all(tx.select(Delivery).where(Delivery.endpoint_id == late))  # type: ignore[arg-type]
        now = runtime.clock.now() + timedelta(milliseconds=1)
        pending = [row for row in rows if row.state is DeliveryState.PENDING]
        assert [row.id for row in pending if row.due_at is None or row.due_at > now] == []


async def test_a_stop_writes_what_came_of_requests_that_were_answered(
    settings: Settings, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or they would be sent again."""
    viewer = await seeds.workspace(runtime)
    sending = Deliveries(runtime, lambda _: None)
    asked, go_on = asyncio.Event(), asyncio.Event()
    perform = runtime.perform

    async def slow(viewer: Any, verb: Any, *args: Any, **given: Any) -> Any:
        if verb is deliveries.settle:
            asked.set()
            await go_on.wait()
        return await perform(viewer, verb, *args, **given)

    monkeypatch.setattr(runtime, "perform", slow)
    async with receiver(answering(OK)) as port:
        answered = await endpoint(runtime, viewer, port, pending=3)
        sending.take(await due.lease(runtime, Delivery, limit=9, seconds=sending.lease_s))
        await asked.wait()

        closing = asyncio.create_task(sending.close(0.0))
        await asyncio.sleep(0.05)
        go_on.set()
        await closing

    assert set(await states(runtime, viewer, answered)) == {DeliveryState.DELIVERED}
