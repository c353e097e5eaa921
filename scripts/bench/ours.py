"""Ours: the server of `voxforge serve`, one process without workers, its access log off like the peer's.

With a file's name: SIGUSR1 starts to sample the stack, SIGUSR2 stops and writes what was seen to the file.
"""

import signal
import sys
from pathlib import Path

from processes import announce

from app import logs
from app.listening import listen
from app.serving import serve
from app.stopping import Stopping
from schema.settings import load_settings


def main() -> None:
    """Serve on any free port."""
    if len(sys.argv) > 1:
        from sampling import Sampler

        sampler = Sampler(Path(sys.argv[1]))
        signal.signal(signal.SIGUSR1, lambda *_: sampler.start())
        signal.signal(signal.SIGUSR2, lambda *_: sampler.stop())
    logs.configure("json", level="WARNING")
    listener = listen("127.0.0.1", 0)
    announce(listener)
    serve(load_settings(), listener, Stopping(), with_workers=False)


if __name__ == "__main__":
    main()
