"""The doorbell over Redis: one pub/sub channel, so that idle workers on other hosts wake in milliseconds.

Losing Redis costs latency, never work: a ring is thrown away, workers go on polling, and one warning is logged.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from itertools import cycle
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from schema.bell import Listener, LocalBell

log = structlog.get_logger("voxforge.bell")

CHANNEL = "voxforge:bell"
_TIMEOUT_S = 0.25
_RETRY_S = 1.0
_TRIES_S = (0.0, _RETRY_S)
"""How long to wait after each try to tell: the first may have met a busy machine, or a connection that has ended."""
_WAITING_RINGS = 1_000


class RedisBell:
    """Rings here at once, and elsewhere through Redis from a thread of its own, off the caller's path."""

    def __init__(self, url: str) -> None:
        self._local = LocalBell()
        self._client: Any = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )
        self._rings: queue.Queue[str | None] = queue.Queue(_WAITING_RINGS)
        self._closed = threading.Event()
        self._lost = False
        self._threads = [
            threading.Thread(target=self._publish, name="bell-out", daemon=True),
            threading.Thread(target=self._follow, name="bell-in", daemon=True),
        ]
        self._follows = False
        self._threads[0].start()

    def ring(self, queue_name: str) -> None:
        self._local.ring(queue_name)
        with suppress(queue.Full):  # Redis is away or slow, and a thousand rings say no more than one
            self._rings.put_nowait(queue_name)

    def listen(self, listener: Listener) -> None:
        self._local.listen(listener)
        if not self._follows:
            self._follows = True
            self._threads[1].start()

    def close(self) -> None:
        self._closed.set()
        with suppress(queue.Full):
            self._rings.put_nowait(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join(2)
        self._client.close()
        self._local.close()

    def _publish(self) -> None:
        is_last = False
        while not is_last:
            rung = self._rung()
            is_last = None in rung
            self._tell([name for name in rung if name is not None])

    def _rung(self) -> list[str | None]:
        """What has been rung for since, each once, because more rings say no more; None at the end."""
        rung = [self._rings.get()]
        with suppress(queue.Empty):
            while True:
                rung.append(self._rings.get_nowait())
        return list(dict.fromkeys(rung))

    def _tell(self, names: list[str]) -> None:
        for wait_s in _TRIES_S:
            try:
                with self._client.pipeline(transaction=False) as sending:
                    for name in names:
                        sending.publish(CHANNEL, name)
                    sending.execute()
            except Exception as error:  # noqa: BLE001 (whatever the client raises, this thread must live)
                if wait_s:
                    self._missing(error)
                self._closed.wait(wait_s)
            else:
                self._found()
                return

    def _follow(self) -> None:
        tries = cycle(_TRIES_S)
        while not self._closed.is_set():
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as channel:
                    channel.subscribe(CHANNEL)
                    self._found()
                    tries = cycle(_TRIES_S)
                    while not self._closed.is_set():
                        message = channel.get_message(timeout=_TIMEOUT_S)
                        if message is not None:
                            self._pass_on(message["data"])
            except Exception as error:  # noqa: BLE001 (as above)
                if wait_s := next(tries):
                    self._missing(error)
                self._closed.wait(wait_s)

    def _pass_on(self, data: bytes) -> None:
        try:
            self._local.ring(data.decode())
        except Exception as error:  # noqa: BLE001 (anybody may publish, and this thread must live to hear the next ring)
            log.warning("a ring could not be passed on", error=type(error).__name__)

    def _missing(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            log.warning("Redis is away: workers poll until it is back", error=type(error).__name__)

    def _found(self) -> None:
        if self._lost:
            self._lost = False
            log.info("Redis is back")
