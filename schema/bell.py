"""The doorbell: says that a queue has due work, so that nobody waits for the next poll; correctness never needs it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

Listener = Callable[[str], None]


class Bell(Protocol):
    """Rung after a commit, from any thread; must not block and must not raise."""

    def ring(self, queue: str) -> None:
        """Wake whoever works on `queue`."""

    def listen(self, listener: Listener) -> None:
        """Call `listener(queue)` at every ring, from whatever thread rings."""

    def close(self) -> None:
        """Stop ringing and listening."""


class LocalBell:
    """Rings within this process."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def ring(self, queue: str) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(queue)

    def listen(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.append(listener)

    def close(self) -> None:
        with self._lock:
            self._listeners.clear()


def open_bell(redis_url: str | None) -> Bell:
    """The bell of this process: within it, or over Redis where one is configured."""
    if redis_url is None:
        return LocalBell()
    from schema.redis_bell import RedisBell  # noqa: PLC0415 (the embedded mode starts without redis)

    return RedisBell(redis_url)
