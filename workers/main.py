"""Where workers start: the unit of one process, embedded in the server or on its own."""

from __future__ import annotations

import signal
import threading

import dramatiq
import structlog

from schema.bell import Bell, open_bell
from schema.clock import Clock, SystemClock
from schema.settings import Settings
from workers import calls, webhooks
from workers.broker import broker
from workers.stage import Stage

log = structlog.get_logger("voxforge.workers")

POLL_EMBEDDED_MS = 250
POLL_WITH_BELL_MS = 1_000
_THREADS = 2  # they only hand rows over


class Unit:
    """One process's worker: a stage, and a Dramatiq worker whose consumers feed it. One unit a process at a time."""

    def __init__(self, settings: Settings, *, bell: Bell, clock: Clock | None = None, threads: int = _THREADS) -> None:
        self._stage = Stage(settings, clock or SystemClock(), bell, [webhooks.Deliveries, calls.Calls])
        poll_ms = POLL_EMBEDDED_MS if settings.embedded else POLL_WITH_BELL_MS
        self._worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=poll_ms)

    def start(self) -> None:
        """Start; raises at once what keeps it from starting, with no thread left behind."""
        self._stage.start()
        broker.floor = self._stage
        self._worker.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no new work, let what is under way come to rest, and leave no row leased."""
        self._worker.stop(timeout=int(timeout_s * 500))
        self._stage.stop(timeout_s)
        broker.floor = None
        broker.middleware.clear()  # the worker's own; the next unit of this process brings its own


def run(settings: Settings) -> None:
    """A worker process: works until SIGTERM or SIGINT, then stops within 15 seconds."""
    bell = open_bell(settings.redis_url.get_secret_value() if settings.redis_url else None)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    unit = Unit(settings, bell=bell)
    unit.start()
    log.info("working", queues=["calls", "deliveries"])
    stopping.wait()
    log.info("stopping")
    unit.stop()
    bell.close()
