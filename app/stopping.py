"""How a process is asked to stop: SIGTERM, Ctrl-C, or the end of the process that supervises it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from types import FrameType

import structlog

log = structlog.get_logger("voxforge.process")

GRACE_S = 14.0
"""From being asked until the process is ended, whatever it is still doing: 15 seconds are promised."""

WORK_GRACE_S = 8.0
"""How long workers get to bring calls and deliveries to rest."""

REQUESTS_GRACE_S = 6
"""How long requests under way get to be answered."""

INTERRUPTED = 130


class Stopping:
    """From when it is made: the first signal sets `asked`, a second Ctrl-C ends the process at once.

    A handler that only sets a flag cannot interrupt anything half-way; whoever runs looks at the flag.
    """

    def __init__(self) -> None:
        self.asked = False
        self._begun = threading.Event()
        threading.Thread(target=self._end_in_time, name="stopping", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def wait(self) -> None:
        """Until asked."""
        while not self.asked:
            time.sleep(0.1)

    def follow_parent(self) -> None:
        """Stop also when the process that started this one is gone, however it went."""
        parent = multiprocessing.parent_process()
        if parent is not None:
            threading.Thread(target=_outlive, args=(parent,), name="parent", daemon=True).start()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            self._begun.set()  # nobody but the waiting thread holds its lock
        elif number == signal.SIGINT:
            os._exit(INTERRUPTED)

    def _end_in_time(self) -> None:
        self._begun.wait()
        time.sleep(GRACE_S)
        log.error("could not stop in time; what was under way is picked up by the next start", seconds=GRACE_S)
        os._exit(1)


def _outlive(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
