"""VoxForge as people run it, for a benchmark: `voxforge up`, or `serve` and `work` apart over PostgreSQL and Redis.

The data directory is gone afterwards; a database that was named must be empty, and keeps what was put into it.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from processes import HERE, Unwell, child_environment
from seeding import settings_for

from app.listening import listen, port_of
from schema import migrations
from schema.rules.plans import Plan
from schema.runtime import Runtime
from schema.services import seed, workspaces
from schema.settings import Settings

_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 20
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Installation:
    """What runs, and who may ask it for what."""

    data: Path
    settings: Settings
    environment: dict[str, str]
    port: int
    api_key: str
    workspace_id: str
    agent_id: str
    phone_number_id: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Seconds of CPU of all its processes and threads, by the kernel's accounts."""
        used = 0.0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
        return used

    def memory_mib(self) -> float:
        """Resident memory of all its processes."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids()]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1024**2

    def _pids(self) -> list[int]:
        """The processes and their children: `work` supervises those that work."""
        found = [process.pid for process in self.processes]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def check(self) -> None:
        """Raises Unwell when a process has ended."""
        for process in self.processes:
            if process.poll() is not None:
                raise Unwell(f"a process has ended with {process.returncode}:\n{self.said()[-3000:]}")

    def said(self) -> str:
        """What the processes wrote."""
        return (self.data / "bench.log").read_text()

    def complaints(self) -> list[str]:
        """The events of warnings and errors in the log."""
        lines = self.said().splitlines()
        return [line[:200] for line in lines if '"level":"warning"' in line or '"level":"error"' in line]


@contextmanager
def installed(given: dict[str, str], *, scaled: bool = False, samples: Path | None = None) -> Iterator[Installation]:
    """Run it with those settings until the block ends; with `samples`, its threads are profiled on request.

    Raises Unwell.
    """
    data = Path(tempfile.mkdtemp(prefix="voxforge-bench-"))
    environment = child_environment({"VOXFORGE_DATA": str(data), "VOXFORGE_LOG_FORMAT": "json", **given})
    try:
        running = asyncio.run(_prepare(data, environment, given))
        program = [str(HERE / "up.py"), str(samples)] if samples else ["-m", "app.cli"]
        serving = ["serve" if scaled else "up", "--port", str(running.port)]
        try:
            for words in [serving, ["work"]] if scaled else [serving]:
                _spawn(running, [*program, *words])
            _wait_until_ready(running)
            yield running
        finally:
            _stop(running)
    finally:
        shutil.rmtree(data, ignore_errors=True)


async def _prepare(data: Path, environment: dict[str, str], given: dict[str, str]) -> Installation:
    named = {"database_url": given["VOXFORGE_DATABASE_URL"]} if "VOXFORGE_DATABASE_URL" in given else {}
    settings = settings_for(data, **named)
    await migrations.upgrade(settings)
    runtime = Runtime.open(settings)
    try:
        planted = await seed.plant(runtime)
        if planted is None:
            raise Unwell("the database has workspaces of its own: a benchmark wants an empty one")
        async with runtime.transaction(None) as tx:
            (await workspaces.everything(tx))[0].plan = Plan.ENTERPRISE
    finally:
        await runtime.close()
    with listen("127.0.0.1", 0) as listener:
        port = port_of(listener)
    return Installation(
        data=data,
        settings=settings,
        environment=environment,
        port=port,
        api_key=planted.api_key,
        workspace_id=planted.workspace_id,
        agent_id=planted.agent_id,
        phone_number_id=planted.phone_number_id,
    )


def _spawn(running: Installation, words: list[str]) -> None:
    with (running.data / "bench.log").open("ab") as log:
        running.processes.append(
            subprocess.Popen(
                [sys.executable, *words],
                cwd=running.data,
                env=running.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        )


def _wait_until_ready(running: Installation) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        running.check()
        with suppress(OSError), urllib.request.urlopen(f"{running.url}/readyz", timeout=5):  # noqa: S310 (loopback)
            return
        time.sleep(0.1)
    raise Unwell(f"not ready within {_START_TIMEOUT_S} s:\n{running.said()[-3000:]}")


def _stop(running: Installation) -> None:
    for process in running.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in running.processes:
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
