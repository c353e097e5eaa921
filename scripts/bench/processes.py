"""Server processes: started on a free port of the loopback, told apart by their own CPU time."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.listening import port_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_START_TIMEOUT_S = 30
_STOP_TIMEOUT_S = 20


class Unwell(Exception):
    """A process of the benchmark did not do what it is for."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    name: str
    pid: int
    port: int

    def cpu_s(self) -> float:
        """Seconds of CPU that the process has used, all its threads together, by the kernel's own accounts."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND

    def ask(self, method: str, path: str, key: str = "", body: object = None) -> tuple[int, Any]:
        """One request, outside any measurement: status and JSON."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (as above)
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def announce(listener: socket.socket) -> None:
    """Tell whoever started this process where it listens."""
    print(port_of(listener), flush=True)


def child_environment(given: dict[str, str]) -> dict[str, str]:
    """This environment without settings of VoxForge's, but with those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOXFORGE_")}
    return {**inherited, "PYTHONPATH": f"{ROOT}", "PYTHONHASHSEED": "0", **given}


@contextmanager
def served(name: str, script: str, *arguments: str, data: Path, settings: dict[str, str]) -> Iterator[Served]:
    """Run a script of this directory that announces its port, until the block ends. Raises Unwell."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=data,  # where no `.env` lies
        env=child_environment(settings),
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.strip().isdigit():
            raise Unwell(f"{name} did not start; what it said is above")
        server = Served(name, process.pid, int(line))
        _wait_until_open(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_open(server: Served, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.ask("GET", "/api/v1/calls")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Unwell(f"{server.name} did not answer within {_START_TIMEOUT_S} s; what it said is above")
