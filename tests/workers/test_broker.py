"""The row broker: what it leases, what its messages carry, and what becomes of those nobody works on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from dramatiq.broker import MessageProxy
from dramatiq.message import Message
from structlog.testing import capture_logs

from schema.due import Lease
from schema.tables import Delivery
from workers.broker import RowBroker, RowConsumer, WorkQueue, unpack

UNTIL = datetime(2025, 1, 15, 14, 0, tzinfo=UTC)
QUEUE = WorkQueue("deliveries", Delivery, actor="deliver", batch=3)


class Floor:
    """A stage on which nothing is played: remembers what it was asked."""

    def __init__(self, due: Sequence[str], places: int = 10) -> None:
        self.due = list(due)
        self.free = places
        self.failing = False
        self.back: list[str] = []
        self.handed: list[str] = []
        self.waits = 0

    def hand_over(self, queue: str, leases: Sequence[Lease]) -> None:
        self.handed.extend(lease.id for lease in leases)

    def reserve(self, queue: str, wanted: int) -> int:
        taken = min(wanted, self.free)
        self.free -= taken
        return taken

    def release(self, queue: str, places: int) -> None:
        self.free += places

    def lease(self, queue: WorkQueue, limit: int) -> list[Lease]:
        if self.failing:
            raise ConnectionRefusedError
        taken, self.due = self.due[:limit], self.due[limit:]
        return [Lease(id, 1, UNTIL) for id in taken]

    def put_back(self, queue: WorkQueue, leases: Sequence[Lease]) -> None:
        self.back.extend(lease.id for lease in leases)

    def wait(self, queue: str, seconds: float) -> None:
        self.waits += 1


def take(consumer: RowConsumer) -> list[str]:
    message = next(consumer)
    return [] if message is None else [lease.id for lease in unpack(message.args[0])]


def test_it_leases_a_batch_at_a_time_and_waits_when_nothing_is_due() -> None:
    floor = Floor(["a", "b", "c", "d"])
    consumer = RowConsumer(floor, QUEUE, 0.25)

    batches = [take(consumer), take(consumer), take(consumer)]

    assert batches == [["a", "b", "c"], ["d"], []]
    assert (floor.free, floor.waits) == (10 - 4, 1)


def test_it_leases_no_more_than_there_are_places_for() -> None:
    floor = Floor(["a", "b", "c", "d"], places=2)
    consumer = RowConsumer(floor, QUEUE, 0.25)

    batches = [take(consumer), take(consumer)]

    assert batches == [["a", "b"], []]
    assert (floor.free, floor.waits, floor.due) == (0, 1, ["c", "d"])


def test_a_message_carries_ids_versions_and_the_end_of_the_lease_and_nothing_else() -> None:
    """`jobs.md`, rule 7: Dramatiq logs messages on failure."""
    message = next(RowConsumer(Floor(["a"]), QUEUE, 0.25))

    assert message is not None
    assert message.args == ([["a", 1, "2025-01-15T14:00:00+00:00"]],)
    assert (message.kwargs, message.options, message.actor_name) == ({}, {}, "deliver")


def test_a_database_that_is_away_is_waited_for_with_one_warning() -> None:
    floor = Floor(["a"])
    consumer = RowConsumer(floor, QUEUE, 0.25)

    with capture_logs() as logs:
        floor.failing = True
        away = [take(consumer), take(consumer)]
        floor.failing = False
        back = take(consumer)

    assert (away, back) == ([[], []], ["a"])
    assert floor.free == 9
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("cannot read the queue", "warning"),
        ("the queue can be read again", "info"),
    ]


def test_rows_that_no_actor_took_are_due_again_and_their_places_free() -> None:
    floor = Floor(["a", "b"])
    consumer = RowConsumer(floor, QUEUE, 0.25)
    message = next(consumer)
    assert message is not None

    consumer.requeue([message])

    assert (floor.back, floor.free) == (["a", "b"], 10)


@pytest.fixture
def broker() -> RowBroker:
    return RowBroker(QUEUE)


def test_nothing_can_be_enqueued_because_work_is_a_row(broker: RowBroker) -> None:
    with pytest.raises(NotImplementedError, match="write a due row"):
        broker.enqueue(Message("deliveries", "deliver", (), {}, {}))


def test_a_queue_without_a_table_is_refused(broker: RowBroker) -> None:
    with pytest.raises(ValueError, match="queue mail has no table"):
        broker.declare_queue("mail")


def test_an_actor_hands_its_leases_to_the_stage(broker: RowBroker) -> None:
    floor = Floor(["a", "b"])
    broker.floor = floor
    message = next(broker.consume("deliveries", timeout=250))
    assert isinstance(message, MessageProxy)

    broker.hand_over("deliveries", message.args[0])

    assert floor.handed == ["a", "b"]
