"""Outlives a suite that is killed, and clears up after it: process groups and a directory, named on stdin.

`+ID` a group that runs, `-ID` one that has ended; when stdin ends, those that are left are killed and the directory,
the only argument, is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Wait for the end."""
    running: set[int] = set()
    for line in sys.stdin:
        (running.add if line[0] == "+" else running.discard)(int(line[1:]))
    for group in running:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
