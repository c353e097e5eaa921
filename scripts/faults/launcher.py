"""`voxforge …` on a machine whose clock can be set: the product as it is, its wall clock ahead by what a file says.

The file is named by the environment; its seconds count from the moment at which they are written. Only `now` is
shifted: the monotonic clock and sleeping are real, as they are on a machine whose clock is set.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from schema.clock import SystemClock


class _Shift:
    """How far the clock is ahead; the file is read again when it has changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen = -1
        self._shift = timedelta()

    def now(self) -> timedelta:
        changed = os.stat(self._path).st_mtime_ns
        if changed != self._seen:
            with open(self._path) as file:
                self._shift = timedelta(seconds=float(file.read()))
            self._seen = changed
        return self._shift


_real = SystemClock.now
_shift = _Shift(os.environ["FAULTS_CLOCK_FILE"])


def _shifted(clock: SystemClock) -> datetime:
    return _real(clock) + _shift.now()


# Not only when this is the program: processes that it spawns load this module, too, and have the same clock.
SystemClock.now = _shifted  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    from app.cli import main

    main()
