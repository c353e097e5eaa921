"""The Dramatiq broker whose queues are the tables of due rows: its consumers lease, its messages carry leases.

Nothing is ever enqueued here: a service that creates work writes the row (`schema.due`), and Dramatiq's own delays,
retries and time limits are not used, because what they hold would be lost with a worker. A message that is thrown away
costs nothing: its lease runs out and the row is due again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import dramatiq
import structlog
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.message import Message

from schema.due import Lease
from schema.services import calls, dialer, webhooks
from schema.tables import Call, Delivery, Dialer, Job

log = structlog.get_logger("voxforge.workers")


Packed = list[list[Any]]
"""Leases in a message: `[id, version, until]` each. Ids only: Dramatiq logs messages on failure."""


@dataclass(frozen=True, slots=True)
class WorkQueue:
    """One table of jobs as a queue: the actor that performs its rows, and how many are leased at once."""

    name: str
    table: type[Job]
    actor: str
    batch: int = 50


class Floor(Protocol):
    """Where leased rows are worked on: the stage, as the broker's threads see it."""

    def hand_over(self, queue: str, leases: Sequence[Lease]) -> None:
        """Start work on leased rows, whose places have been reserved."""

    def reserve(self, queue: str, wanted: int) -> int:
        """Take up to `wanted` free places; each is given back by `release`, or by whoever worked in it."""

    def release(self, queue: str, places: int) -> None:
        """Give places back."""

    def lease(self, queue: WorkQueue, limit: int) -> list[Lease]:
        """Lease due rows."""

    def put_back(self, queue: WorkQueue, leases: Sequence[Lease]) -> None:
        """Make leased rows due again: nobody is going to work on them."""

    def wait(self, queue: str, seconds: float) -> None:
        """Until the bell rings for the queue, a place becomes free, or that many seconds have passed."""


class RowBroker(dramatiq.Broker):
    """See the module. `floor` is set by the unit that runs the worker; one unit a process at a time."""

    def __init__(self, *queues: WorkQueue) -> None:
        super().__init__(middleware=[])
        self.queues: dict[str, WorkQueue] = {queue.name: queue for queue in queues}
        self.floor: Floor | None = None

    def declare_queue(self, queue_name: str) -> None:
        """Dramatiq's own call when an actor is declared; which table it is was said when the broker was made."""
        if queue_name not in self.queues:
            raise ValueError(f"queue {queue_name} has no table")
        self.emit_before("declare_queue", queue_name)
        self.emit_after("declare_queue", queue_name)

    def hand_over(self, queue_name: str, packed: Packed) -> None:
        """What every actor does: give its leases to the stage, which works on many at once."""
        if self.floor is None:
            raise RuntimeError("the broker has no stage to work on")
        self.floor.hand_over(queue_name, unpack(packed))

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 30_000) -> Consumer:
        """The due rows of one table; `timeout` milliseconds is how often it looks when nobody rings."""
        if self.floor is None:
            raise RuntimeError("the broker has no stage to work on")
        return RowConsumer(self.floor, self.queues[queue_name], timeout / 1000)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Refused: work is a row, and a message without one could be lost."""
        raise NotImplementedError("write a due row instead of sending a message")

    def flush(self, queue_name: str) -> None:
        """Nothing is held here."""

    def flush_all(self) -> None:
        """Nothing is held here."""

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Nothing is held here."""


class RowConsumer(Consumer):
    """Leases due rows, as many as there are places for, and hands them on in one message."""

    def __init__(self, floor: Floor, queue: WorkQueue, poll_s: float) -> None:
        self._floor = floor
        self._queue = queue
        self._poll_s = poll_s
        self._failing = False

    def __next__(self) -> MessageProxy | None:
        queue = self._queue
        places = self._floor.reserve(queue.name, queue.batch)
        leases: list[Lease] = []
        try:
            if places:
                leases = self._lease(places)
        finally:
            self._floor.release(queue.name, places - len(leases))
        if leases:
            packed = [[lease.id, lease.version, lease.until.isoformat()] for lease in leases]
            return MessageProxy(Message(queue.name, queue.actor, (packed,), {}, {}))
        self._floor.wait(queue.name, self._poll_s)
        return None

    def _lease(self, places: int) -> list[Lease]:
        try:
            leases = self._floor.lease(self._queue, places)
        except Exception as error:  # noqa: BLE001 (a database that is away comes back; this thread must live to see it)
            if not self._failing:
                log.warning("cannot read the queue", queue=self._queue.name, error=type(error).__name__)
            self._failing = True
            return []
        if self._failing:
            log.info("the queue can be read again", queue=self._queue.name)
            self._failing = False
        return leases

    def ack(self, message: MessageProxy) -> None:
        """Nothing to do: the row says what became of it."""

    def nack(self, message: MessageProxy) -> None:
        """The actor could not hand the rows over."""
        self.requeue([message])

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Make the rows due again; must not raise, or Dramatiq's thread dies."""
        for message in messages:
            leases = unpack(message.args[0])
            self._floor.release(self._queue.name, len(leases))
            self._floor.put_back(self._queue, leases)

    def close(self) -> None:
        """Nothing is held here."""


def unpack(packed: Packed) -> list[Lease]:
    """The leases of a message."""
    return [Lease(id, version, datetime.fromisoformat(until)) for id, version, until in packed]


broker = RowBroker(
    WorkQueue(webhooks.QUEUE, Delivery, actor="deliver", batch=100),
    WorkQueue(calls.QUEUE, Call, actor="carry"),
    WorkQueue(dialer.QUEUE, Dialer, actor="dial"),
)
dramatiq.set_broker(broker)
