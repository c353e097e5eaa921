"""Runs the receiver's process, tells it how to answer, and reads its log."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from counting import Request

HERE = Path(__file__).resolve().parent
_STOP_S = 10


class Receiver:
    """The receiver as the suite sees it: `url(path number)`, `tell`, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[str], log: Path, port: int) -> None:
        self._process = process
        self._log = log
        self._port = port

    def url(self, number: int) -> str:
        """The address of one endpoint."""
        return f"http://127.0.0.1:{self._port}{self.path(number)}"

    @staticmethod
    def path(number: int) -> str:
        """How the log calls that endpoint."""
        return f"/hooks/{number}"

    def tell(self, *words: object) -> None:
        """`delay`, `fail` or `hang`: see `receiver`."""
        if self._process.stdin is None:
            raise RuntimeError("the receiver has no stdin")
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def requests(self) -> list[Request]:
        """Every request up to now."""
        return read(self._log.read_text())


@contextmanager
def receiving(directory: Path, seed: int) -> Iterator[Receiver]:
    """A receiver on a free port of the loopback address, until the block ends."""
    log = directory / "receiver.log"
    with subprocess.Popen(
        [sys.executable, "-S", str(HERE / "receiver.py"), str(log), str(seed)],
        stdin=subprocess.PIPE,  # which ends with us, and the process with it
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield Receiver(process, log, int(line))
        finally:
            try:
                process.communicate(timeout=_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def read(text: str) -> list[Request]:
    """The requests that a log tells of, in the order in which they came."""
    requests: dict[str, Request] = {}
    closed: dict[int, float] = {}
    whole, _, _ = text.rpartition("\n")  # the last line may be half written
    for line in whole.splitlines():
        match line.split(" "):
            case ["r", number, connection, at, path, id, event, call, body]:
                request = Request(path, id, int(connection), float(at), event, call, int(body))
                requests[number] = request
            case ["a", number, at, status]:
                requests[number].answered_at, requests[number].status = float(at), int(status)
            case ["c", connection, at]:
                closed[int(connection)] = float(at)
    for request in requests.values():
        request.closed_at = closed.get(request.connection)
    return list(requests.values())
