"""`voxforge` with a profiler of its threads: `up.py SAMPLES up …`; SIGUSR1 starts sampling, SIGUSR2 writes the file."""

import signal
import sys
from pathlib import Path

from sampling import ThreadSampler

from app.cli import main


def run() -> None:
    """The command that follows the file's name."""
    sampler = ThreadSampler(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR1, lambda *_: sampler.start())
    signal.signal(signal.SIGUSR2, lambda *_: sampler.stop())
    main()


if __name__ == "__main__":
    run()
