"""The command: `scripts/replay/run`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import structlog

from scripts.replay.campaign import LARGEST, drawn, replay


def main() -> None:
    """Replay one campaign and tell what happened."""
    parser = argparse.ArgumentParser(
        prog="scripts/replay/run",
        description="A campaign from Friday to Monday in virtual time: windows, a weekend, retries, a clock change. "
        "The same seed gives the same time line, and the same digest.",
    )
    parser.add_argument("--seed", type=int, default=1, help="who is called (default: %(default)s)")
    parser.add_argument("--contacts", type=int, default=60, help=f"how many, up to {LARGEST} (default: %(default)s)")
    options = parser.parse_args()
    if not 1 <= options.contacts <= LARGEST:
        parser.error(f"--contacts must be between 1 and {LARGEST}")
    structlog.configure(  # nothing but faults of ours
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="voxforge-replay-") as data:
        timeline = replay(drawn(options.seed, options.contacts), Path(data))
    for line in (*timeline.lines(), "", *timeline.summary(), ""):
        print(line)
    print(f"{time.monotonic() - started:.1f} s of real time.")
    print(f"Digest: {timeline.digest}")


main()
