"""Hostile receivers: what one attempt costs us, and what the log says of it.

One attempt each with the client of the workers, on their event loop and with the settings of production but for the
loopback. Held is the most that Python had allocated meanwhile (tracemalloc, the request's own body not counted), beside
it what the process grew by; read is what arrived from the wire.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

from workers.outbound import Answer, Outbound
from workers.wire import Receiving

MOST_HELD = 1_000_000
MOST_S = 10.5
_BODY = b"x" * 3_000_000  # more than the buffers of a socket
_SMALL = b'{"event":"call.ended"}'
_GOOD = {"cookies", "gzip bomb, 200", "answers that nobody asked for"}  # whole answers, the first of them


async def attack(only: str) -> bool:
    """Attack, print the table; whether every bound was kept."""
    good = True
    read = _count()
    print("| receiver | held, KB | grown, KB | read, KB | seconds | in the log |\n|---|---|---|---|---|---|")
    with _receivers() as ports:
        async with Outbound(allow_http=True, allow_networks=[ip_network("127.0.0.0/8")]) as client:
            await client.post(f"http://127.0.0.1:{ports['cookies']}/", _SMALL, {})  # what is made once is made
            for name, port in ports.items():
                if only not in name:
                    continue
                scheme = "https" if "TLS" in name else "http"
                body = _BODY if name == "accepts and never reads" else _SMALL
                before, read[0] = _memory(reset=True), 0
                tracemalloc.start()
                started = time.monotonic()
                answer = await client.post(f"{scheme}://127.0.0.1:{port}/", body, {})
                seconds = time.monotonic() - started
                held = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                grown = max(0, _memory() - before)
                kept = held <= MOST_HELD and seconds <= MOST_S and answer.is_success == (name in _GOOD)
                good = good and kept
                cells = (held // 1000, grown // 1000, read[0] // 1000, f"{seconds:.2f}", _verdict(answer))
                print(f"| {name} |", " | ".join(map(str, cells)), "|" if kept else "| **MISSED**", flush=True)
    return good


def _verdict(answer: Answer) -> str:
    if answer.error_class is not None:
        return f"{answer.error_class.value}: {answer.error_text}"
    return f"{answer.status}, {len(answer.body_excerpt)} bytes kept"


def _count() -> list[int]:
    """Counts what arrives, beside what it does."""
    read = [0]
    received = Receiving.data_received

    def counting(self: Receiving, data: bytes) -> None:
        read[0] += len(data)
        received(self, data)

    Receiving.data_received = counting  # type: ignore[method-assign]
    return read


def _memory(*, reset: bool = False) -> int:
    """The most that the process has had in memory, since it was last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@contextmanager
def _receivers() -> Iterator[dict[str, int]]:
    """Their ports, by name."""
    command = [sys.executable, str(Path(__file__).parent / "hostile.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise RuntimeError("the receivers have no voice")
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
