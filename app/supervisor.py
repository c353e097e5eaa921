"""Several processes of one kind: restarted when they die, stopped together, ended when their supervisor is."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

import structlog

from app.stopping import GRACE_S, Stopping

log = structlog.get_logger("voxforge.supervisor")

FAILED_TO_START = 3
"""The exit status of a process that could not start and would not the next time either."""

BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S = 60.0
"""A process that has lived so long is restarted without delay again."""

_TICK_S = 0.2

_spawn = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class _Place:
    """Where one process runs, and the next after it."""

    process: SpawnProcess
    started: float
    deaths: int = 0
    restart_at: float | None = None


class Supervisor:
    """Runs `count` processes of `target(ready, *arguments)`.

    Each sends something over `ready` when it has started, and follows its parent (`Stopping.follow_parent`).
    """

    def __init__(self, kind: str, count: int, target: Callable[..., None], *arguments: Any) -> None:
        self._kind = kind
        self._count = count
        self._target = target
        self._reports, self._ready = multiprocessing.Pipe(duplex=False)
        self._arguments = (self._ready, *arguments)

    def run(self, stopping: Stopping, ready: Callable[[], None]) -> int:
        """Run until asked to stop; returns the exit status. `ready` is called once, when all have started.

        A process that cannot start at first stops all.
        """
        places = [_Place(self._start(), time.monotonic()) for _ in range(self._count)]
        missing = self._count
        status = 0
        while not stopping.asked and status == 0:
            wait([self._reports, *(place.process.sentinel for place in places if place.restart_at is None)], _TICK_S)
            while self._reports.poll():
                self._reports.recv()
                missing -= 1
                if missing == 0:
                    ready()
            for place in places:
                status = status or self._look_after(place)
        return self._stop(places) or status

    def _start(self) -> SpawnProcess:
        process = _spawn.Process(target=self._target, args=self._arguments)
        process.start()
        return process

    def _look_after(self, place: _Place) -> int:
        now = time.monotonic()
        if place.restart_at is not None:
            if now >= place.restart_at:
                place.process, place.started, place.restart_at = self._start(), now, None
                log.info("process restarted", kind=self._kind, pid=place.process.pid)
            return 0
        code = place.process.exitcode
        if code is None:
            return 0
        if code == FAILED_TO_START and place.deaths == 0:
            return 1
        place.deaths = 0 if now - place.started >= STEADY_S else place.deaths
        delay_s = BACKOFF_S[min(place.deaths, len(BACKOFF_S) - 1)]
        place.deaths += 1
        place.restart_at = now + delay_s
        log.error("process died", kind=self._kind, pid=place.process.pid, status=_status(code), restart_in_s=delay_s)
        return 0

    def _stop(self, places: list[_Place]) -> int:
        """Ask every process to stop; 1 if one had to be killed."""
        processes = [place.process for place in places]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + GRACE_S - 0.5
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        late = [process for process in processes if process.exitcode is None]
        for process in late:
            process.kill()
            process.join()
        if late:
            log.error("processes killed, which could not stop in time", kind=self._kind, count=len(late))
        return 1 if late else 0


def _status(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else str(code)
