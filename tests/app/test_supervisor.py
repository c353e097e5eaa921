"""Processes that are started again when they die, and stopped together."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.stopping import Stopping
from app.supervisor import FAILED_TO_START, Supervisor

LIMIT_S = 30.0


def works(ready: Connection, directory: Path) -> None:
    """A process that leaves its id, and stops when asked."""
    stopping = Stopping()
    stopping.follow_parent()
    (directory / str(os.getpid())).touch()
    ready.send(None)
    stopping.wait()


def cannot_start(ready: Connection, directory: Path) -> None:
    sys.exit(FAILED_TO_START)


class Running:
    """A supervisor in a thread of this process."""

    def __init__(self, directory: Path, target: Callable[..., None], count: int) -> None:
        self.directory = directory
        self.stopping: Any = SimpleNamespace(asked=False)
        self.ready = threading.Event()
        self.status: int | None = None
        self._supervisor = Supervisor("test", count, target, directory)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.status = self._supervisor.run(self.stopping, self.ready.set)

    def processes(self) -> set[int]:
        return {int(path.name) for path in self.directory.iterdir()}

    def join(self) -> int | None:
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        return self.status

    def stop(self) -> int | None:
        self.stopping.asked = True
        return self.join()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    begun: list[Running] = []

    def start(target: Callable[..., None], count: int = 2) -> Running:
        begun.append(Running(tmp_path, target, count))
        return begun[-1]

    yield start
    for each in begun:
        each.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_they_start_and_stop_together(run: Callable[..., Running]) -> None:
    running = run(works, 3)

    assert running.ready.wait(LIMIT_S)
    assert len(running.processes()) == 3
    assert running.stop() == 0
    assert not any(map(lives, running.processes()))


def test_one_that_dies_is_started_again(run: Callable[..., Running]) -> None:
    running = run(works)
    running.ready.wait(LIMIT_S)
    killed, kept = running.processes()

    os.kill(killed, signal.SIGKILL)

    wait_until(lambda: len(running.processes()) == 3)
    assert lives(kept)
    assert running.stop() == 0


def test_what_cannot_start_is_not_tried_again(run: Callable[..., Running]) -> None:
    running = run(cannot_start)

    assert running.join() == 1
    assert not running.ready.is_set()
