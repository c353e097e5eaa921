"""Signed POSTs by the real path: Dramatiq's consumer leases rows, the stage sends them to a receiver and settles them.

A process of its own, `deliveries.py ENDPOINTS DELIVERIES [SAMPLES]`, over the database of its settings; prints JSON.
With a file for samples, the stage is profiled (it works in a thread, where signals do not come) and they go there.
"""

import asyncio
import cProfile
import json
import os
import pstats
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dramatiq
from processes import HERE
from seeding import take_workspace
from sqlalchemy import delete, func, insert, select
from sqlmodel import col

from app import logs
from schema import migrations
from schema.bell import LocalBell
from schema.clock import SystemClock
from schema.rules.webhooks import DeliveryState, EventType, new_secret, render, sample_data
from schema.runtime import Runtime, Transaction
from schema.services import webhooks
from schema.settings import Settings, load_settings
from schema.tables import Delivery, DeliveryAttempt, Event, WebhookEndpoint
from workers.broker import broker
from workers.stage import Stage
from workers.webhooks import Deliveries

_TIMEOUT_S = 120
_POLL_MS = 250
_LOOK_S = 0.02


@dataclass(slots=True)
class Outcome:
    """What a round came to; all but `deliveries` and `endpoints` is about the time between the first and the last."""

    endpoints: int
    deliveries: int
    seconds: float
    cpu_s: float


async def seed(settings: Settings, port: int, secret: str, endpoints: int, deliveries: int) -> None:
    """Due deliveries to that many endpoints of one receiver, in place of what was there. Raises NotOurs."""
    await migrations.upgrade(settings)
    runtime = Runtime.open(settings)
    try:
        async with runtime.transaction(None) as tx:
            await take_workspace(tx)
            for table in (DeliveryAttempt, Delivery, Event, WebhookEndpoint):
                await tx.execute(delete(table))
            await _seed(tx, port, secret, endpoints, deliveries)
    finally:
        await runtime.close()


async def _seed(tx: Transaction, port: int, secret: str, endpoints: int, deliveries: int) -> None:
    made = [
        await webhooks.create(tx, {"url": f"http://127.0.0.1:{port}/hooks/{i}", "events": ["call.ended"]})
        for i in range(endpoints)
    ]
    for endpoint in made:
        endpoint.secret = secret
    await tx.flush()
    kind = EventType.CALL_ENDED
    base = {"workspace_id": tx.workspace_id, "created_at": tx.now}
    events = [
        {**base, "id": tx.new_id(), "type": kind, "body": render(kind, tx.now, sample_data(kind))}
        for _ in range(deliveries // endpoints)
    ]
    await tx.execute(insert(Event.__table__), events)
    row = {
        **base,
        "event": kind,
        "state": DeliveryState.PENDING,
        "trigger": "automatic",
        "retries": True,
        "automatic_attempts": 0,
        "attempts_made": 0,
        "version": 0,
        "due_at": tx.now,
    }
    rows = [
        {**row, "id": tx.new_id(), "event_id": event["id"], "endpoint_id": endpoint.id}
        for event in events
        for endpoint in made
    ]
    await tx.execute(insert(Delivery.__table__), rows)


class ProfiledStage(Stage):
    """A stage whose thread is profiled: what it spent where is in `seen` when it has stopped."""

    seen: Mapping[str, Any]

    def _run(self) -> None:
        profiler = cProfile.Profile()
        profiler.runcall(super()._run)
        times = pstats.Stats(profiler).stats  # (file, line, name): (calls, calls, own, with callees, callers)
        own = {f"{'/'.join(Path(file).parts[-3:])}:{line} {name}": each for (file, line, name), each in times.items()}
        self.seen = {
            "samples": sum(each[2] for each in own.values()),
            "own": {name: each[2] for name, each in own.items()},
            "under": {name: each[3] for name, each in own.items()},
        }


def send(settings: Settings, endpoints: int, deliveries: int, kind: type[Stage] = Stage) -> tuple[Outcome, Stage]:
    """Send all that is due. Raises TimeoutError."""
    stage = kind(settings, SystemClock(), LocalBell(), [Deliveries])
    worker = dramatiq.Worker(broker, queues={webhooks.QUEUE}, worker_threads=2, worker_timeout=_POLL_MS)
    stage.start()
    broker.floor = stage
    begun, cpu_begun = time.perf_counter(), time.process_time()
    worker.start()
    try:
        settled = asyncio.run_coroutine_threadsafe(_until_settled(stage.runtime), stage.loop)
        while not settled.done() and time.perf_counter() < begun + _TIMEOUT_S:
            time.sleep(_LOOK_S)
        settled.result(0)
        cpu_s = time.process_time() - cpu_begun
        return Outcome(endpoints, deliveries, time.perf_counter() - begun, cpu_s), stage
    finally:
        worker.stop()
        stage.stop()


async def _until_settled(runtime: Runtime) -> None:
    unfinished = select(col(Delivery.id)).where(col(Delivery.due_at).is_not(None)).limit(1)
    while await runtime.database.read(unfinished):  # noqa: ASYNC110 (it ends in the database, where no event is set)
        await asyncio.sleep(_LOOK_S)


async def verify(settings: Settings, deliveries: int) -> None:
    """Every delivery is delivered, by one attempt. Raises RuntimeError."""
    runtime = Runtime.open(settings)
    try:
        delivered = select(func.count().label("n")).where(col(Delivery.state) == DeliveryState.DELIVERED)
        attempts = select(func.count().label("n")).where(col(DeliveryAttempt.status_code) == 200)
        found = [(await runtime.database.read(statement))[0].n for statement in (delivered, attempts)]
    finally:
        await runtime.close()
    if found != [deliveries, deliveries]:
        raise RuntimeError(f"{deliveries} sent, but {found[0]} delivered by {found[1]} attempts")


@contextmanager
def receiving(secret: str, deliveries: int) -> Iterator[int]:
    """A receiver; yields its port. Raises RuntimeError unless it gets that many requests, each of them signed."""
    command = [sys.executable, "-S", str(HERE / "receiver.py"), secret]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            said, _ = process.communicate()
    got = json.loads(said)
    if got != {"received": deliveries, "unsigned": 0}:
        raise RuntimeError(f"{deliveries} sent, but the receiver says {got}")


def main() -> None:
    """One round."""
    endpoints, deliveries = map(int, sys.argv[1:3])
    samples = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    logs.configure("json", level="WARNING")
    settings = load_settings()
    secret = new_secret()
    with receiving(secret, deliveries) as port:
        asyncio.run(seed(settings, port, secret, endpoints, deliveries))
        outcome, stage = send(settings, endpoints, deliveries, ProfiledStage if samples else Stage)
        asyncio.run(verify(settings, deliveries))
    if samples and isinstance(stage, ProfiledStage):
        samples.write_text(json.dumps(stage.seen))
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__slots__}))


if __name__ == "__main__":
    main()
    os._exit(0)  # Dramatiq's threads are daemons, and have nothing left to do
