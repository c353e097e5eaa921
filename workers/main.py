"""Where workers start: the unit of one process, embedded in the server or on its own."""

from __future__ import annotations

import os
import signal
import time

import dramatiq

from schema.bell import Bell
from schema.clock import Clock, SystemClock
from schema.settings import Settings
from workers import calls, dialers, retention, webhooks
from workers.broker import broker
from workers.stage import Stage

POLL_EMBEDDED_MS = 250
POLL_WITH_BELL_MS = 1_000
_THREADS = 2  # they only hand rows over
_CONSUMERS_S = 2.0  # of a stop, for Dramatiq's threads, which never work long


class Unit:
    """One process's worker: a stage, and a Dramatiq worker whose consumers feed it. One unit a process at a time."""

    def __init__(self, settings: Settings, *, bell: Bell, clock: Clock | None = None, threads: int = _THREADS) -> None:
        performers = [webhooks.Deliveries, calls.Calls, dialers.Dialers]
        self._stage = Stage(
            settings, clock or SystemClock(), bell, performers, chores=[retention.keep], failed=_end_process
        )
        poll_ms = POLL_EMBEDDED_MS if settings.embedded else POLL_WITH_BELL_MS
        self._worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=poll_ms)

    def start(self) -> None:
        """Start; raises at once what keeps it from starting, with no thread left behind."""
        self._stage.start()
        broker.floor = self._stage
        self._worker.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no new work, let what is under way come to rest, and leave no row leased."""
        deadline = time.monotonic() + timeout_s
        self._worker.stop(timeout=int(_CONSUMERS_S * 1_000))
        self._stage.stop(max(1.0, deadline - time.monotonic()))
        broker.floor = None
        broker.middleware.clear()  # the worker's own; the next unit of this process brings its own


def _end_process() -> None:
    """A process whose stage has failed must not go on as if it worked: it stops, and its supervisor restarts it."""
    os.kill(os.getpid(), signal.SIGTERM)
