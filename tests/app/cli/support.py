"""`voxforge` as a test types it: in this process, or as a process of its own."""

from __future__ import annotations

import json
import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from app.cli.root import commands
from schema.settings import PREFIX

START_S = 120.0
STOP_S = 15.0


def voxforge(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(commands, list(arguments))


def listing(*arguments: str) -> Any:
    """What a command prints with `--json`."""
    result = voxforge(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class Process:
    """`voxforge …` in a process of its own, in an environment that sets nothing but what the test sets."""

    def __init__(self, cwd: Path, *arguments: str, **settings: str) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        env |= {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
        self.errors = cwd / f"stderr-{time.monotonic_ns()}"
        with self.errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *arguments],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def stdout(self) -> str:
        """What has been printed and seen by `wait_for_line` or `wait`."""
        return "".join(self.lines)

    @property
    def stderr(self) -> str:
        return self.errors.read_text()

    def wait_for_line(self, pattern: str, timeout_s: float = START_S) -> re.Match[str]:
        """The first line on stdout that has the pattern."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            assert line is not None, f"no line has {pattern!r}\nstdout:\n{self.stdout}\nstderr:\n{self.stderr}"
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found

    def wait_until_ready(self) -> str:
        """The address of a server that answers."""
        address = self.wait_for_line(r" is at (http://\S+) ")[1]
        wait_until(lambda: answers(address), f"{address} to answer")
        return address

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """The exit status."""
        status = self._process.wait(timeout_s)
        self._reader.join(5)
        while (line := self._new.get(timeout=5)) is not None:
            self.lines.append(line)
        return status

    def stop(self) -> int:
        """Ask it to stop; the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def end(self) -> None:
        """Leave nothing running."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(5)
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._new.put(line)
        self._new.put(None)


@contextmanager
def started(cwd: Path, *arguments: str, **settings: str) -> Iterator[Process]:
    """A process that is ended with the block."""
    process = Process(cwd, *arguments, **settings)
    try:
        yield process
    finally:
        process.end()


def wait_until(condition: Any, what: str, timeout_s: float = 30.0, every_s: float = 0.02) -> None:
    """Ask again and again, on the real machine, until it is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(every_s)


def answers(address: str) -> bool:
    """Whether a server answers there."""
    try:
        return httpx.get(f"{address}/healthz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def curl_lines(printed: str) -> list[list[str]]:
    """The `curl` lines of a first start, as a shell reads them."""
    return [shlex.split(line) for line in printed.splitlines() if line.startswith("curl ")]
