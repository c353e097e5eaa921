"""The bell over Redis: heard by other processes, and still heard after whatever came over the channel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Self

import pytest
import redis
from structlog.testing import capture_logs

from schema.redis_bell import CHANNEL, RedisBell
from tests.support.servers import run_redis


class Ear:
    """Remembers what it heard, and fails at what it is told to fail at."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, queue: str) -> None:
        with self._changed:
            self.heard.append(queue)
            self._changed.notify_all()
        if queue == "painful":
            raise RuntimeError("Event loop is closed")

    def wait_for(self, queue: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: queue in self.heard, timeout=10), self.heard


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def bell(redis_url: str, ear: Ear) -> Iterator[RedisBell]:
    """A bell that listens."""
    bell = RedisBell(redis_url)
    bell.listen(ear)
    _until_listened_to(redis_url)
    yield bell
    bell.close()


def _until_listened_to(url: str) -> None:
    client = redis.Redis.from_url(url)
    for _ in range(200):
        if client.publish(CHANNEL, "test"):
            break
        threading.Event().wait(0.05)
    client.close()


def test_a_ring_is_heard_in_other_processes(redis_url: str, bell: RedisBell, ear: Ear) -> None:
    other = RedisBell(redis_url)
    other.ring("calls")
    other.close()

    ear.wait_for("calls")


@pytest.mark.parametrize("nonsense", [b"\xff\xfe", b"painful"])
def test_nothing_that_comes_over_the_channel_ends_the_listening(
    redis_url: str, bell: RedisBell, ear: Ear, nonsense: bytes
) -> None:
    """Whoever else uses the Redis may publish there, and a listener may be about to close."""
    client = redis.Redis.from_url(redis_url)

    with capture_logs() as logs:
        client.publish(CHANNEL, nonsense)
        client.publish(CHANNEL, "calls")
        ear.wait_for("calls")
    client.close()

    assert [line["event"] for line in logs] == ["a ring could not be passed on"]


def test_rings_are_heard_again_when_redis_is_back(ear: Ear) -> None:
    with run_redis() as url:
        bell = RedisBell(url)
        bell.listen(ear)
        _until_listened_to(url)
    port = int(url.rpartition(":")[2].partition("/")[0])

    bell.ring("here")  # at once, whatever becomes of Redis
    here = list(ear.heard)
    with run_redis(port) as again:
        _until_listened_to(again)
        other = RedisBell(again)
        other.ring("elsewhere")
        ear.wait_for("elsewhere")
        other.close()
    bell.close()

    assert here[-1] == "here"


def test_many_rings_are_passed_on_as_few(redis_url: str, bell: RedisBell, ear: Ear) -> None:
    """A hundred rings for a queue say no more than one, and each would wake every worker there is."""
    other = RedisBell(redis_url)
    for _ in range(500):
        other.ring("calls")
        other.ring("deliveries")
    other.close()

    ear.wait_for("deliveries")

    assert 2 <= len([name for name in ear.heard if name != "test"]) < 500


def test_one_answer_that_is_late_is_not_an_outage(redis_url: str, bell: RedisBell, ear: Ear) -> None:
    """Rings that were thrown away for a second would cost every delivery of that second as much."""
    other = RedisBell(redis_url)
    other.ring("first")
    ear.wait_for("first")

    class Late:
        """A pipeline whose server answers too late."""

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def publish(self, channel: str, name: str) -> None:
            pass

        def execute(self) -> None:
            other._client.pipeline = pipeline
            raise redis.TimeoutError("Timeout reading from socket")

    pipeline = other._client.pipeline
    other._client.pipeline = lambda **_: Late()
    with capture_logs() as logs:
        other.ring("second")
        ear.wait_for("second")
    other.close()

    assert logs == []
