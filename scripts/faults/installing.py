"""Installations to break: embedded or scaled, each process in a group of its own, so that it dies as a whole."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from counting import Strike

from schema import migrations
from schema.runtime import Runtime
from tests.flows.servers import Installation, listen_at
from tests.support import seeds
from tests.support.runtime import settings_for

HERE = Path(__file__).resolve().parent
CLOCK_FILE = "FAULTS_CLOCK_FILE"  # what `launcher` calls it
_START_S = 45.0
_STOP_S = 15.0
_LOOK_S = 0.05
_UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
_WORKS = "(Ctrl-C stops"  # what `voxforge work` says when it has started

TIMEOUT_S = 2.0
"""Of a webhook: a delivery's lease is a few seconds longer."""

SETTINGS = {
    "VOXFORGE_WEBHOOK_ALLOW_HTTP": "true",
    "VOXFORGE_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
    "VOXFORGE_WEBHOOK_TIMEOUT": f"{TIMEOUT_S:g}",
    "VOXFORGE_WEBHOOK_RETRY_SCHEDULE": "0.5,1,2,4",
    "VOXFORGE_LOG_FORMAT": "json",
}


class Unwell(Exception):
    """A process of the suite did not do what it is for: nothing can be said of the fault."""


class Reaper:
    """Tells the process that clears up after us which groups run; see `reaper`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, sign: str, group: int) -> None:
        """`+` for a group that runs, `-` for one that has ended."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{sign}{group}\n")
            self._process.stdin.flush()


@contextmanager
def reaping(directory: Path) -> Iterator[Reaper]:
    """Whatever becomes of us, nothing of ours outlives us, and the directory is gone."""
    with subprocess.Popen(
        [sys.executable, "-S", str(HERE / "reaper.py"), str(directory)],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield Reaper(process)


@dataclass
class Member:
    """One process of an installation, with its children: `voxforge up`, `serve` or `work`."""

    name: str
    command: list[str]
    environment: dict[str, str]
    directory: Path
    reaper: Reaper
    url: str | None = None
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def works(self) -> bool:
        """Whether it dials and delivers."""
        return self.name.startswith(("up", "work"))

    @property
    def log(self) -> Path:
        """What it says, a file for each start."""
        return self.directory / f"{self.name}.{self.starts}.log"

    def start(self) -> None:
        """Start it, as its supervisor would."""
        self.starts += 1
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=self.directory,  # where no `.env` lies
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.reaper.tell("+", self.process.pid)

    async def ready(self) -> None:
        """Wait until it answers, or says that it works. Raises Unwell."""
        deadline = time.monotonic() + _START_S
        while not await self._is_ready():
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise Unwell(f"{self.name} did not start:\n{self.log.read_text()[-3_000:]}")
            await asyncio.sleep(_LOOK_S)

    async def _is_ready(self) -> bool:
        if self.url is None:
            return _WORKS in self.log.read_text()
        with suppress(httpx.TransportError):
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/readyz", timeout=2)).status_code == 200
        return False

    def signal(self, number: signal.Signals) -> float:
        """Send it to the whole group; returns the moment before."""
        at = time.monotonic()
        if self.process is not None:
            os.killpg(self.process.pid, number)
        return at

    async def kill(self) -> Strike:
        """`kill -9`, as a power cut for this process."""
        at = self.signal(signal.SIGKILL)
        await self._gone()
        return Strike(at, self.name)

    async def stop(self) -> None:
        """Stop it as an operator would; kill it if that takes too long."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.process.terminate()
            try:
                await asyncio.to_thread(self.process.wait, _STOP_S)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        await self._gone()

    async def _gone(self) -> None:
        if self.process is not None:
            await asyncio.to_thread(self.process.wait)
            with suppress(ProcessLookupError):  # children that a stop has left; none, as a rule
                self.signal(signal.SIGKILL)
            self.reaper.tell("-", self.process.pid)


@dataclass
class Site:
    """A data directory, a key, and what runs on it. `scaled`: PostgreSQL, Redis, two of `serve`, two of `work`."""

    installation: Installation
    reaper: Reaper
    members: dict[str, Member] = field(default_factory=dict)
    key: str = ""
    agent_id: str = ""
    phone_number_id: str = ""

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.installation.data

    @property
    def victims(self) -> list[str]:
        """What may be killed; workers twice as often as servers."""
        return [name for name, member in self.members.items() for _ in range(2 if member.works else 1)]

    @property
    def workers(self) -> list[Member]:
        """What dials and delivers."""
        return [member for member in self.members.values() if member.works]

    async def prepare(self) -> Runtime:
        """An empty database with a workspace, an agent, a number and a key; returns the domain over it."""
        self.data.mkdir(parents=True)
        given = {
            "database_url": self.installation.settings.get("VOXFORGE_DATABASE_URL"),
            "webhook_allow_http": True,
        }
        settings = settings_for(self.data, **given)
        await migrations.upgrade(settings)
        runtime = Runtime.open(settings)
        viewer = await seeds.workspace(runtime)
        _, self.key = await seeds.key(runtime, viewer)
        self.agent_id = (await seeds.agent(runtime, viewer, first_message="Hi, is this a good moment?")).id
        self.phone_number_id = (await seeds.phone_number(runtime, viewer)).id
        return runtime

    async def start(self, *, clock: Path | None = None) -> None:
        """Start every process, and wait until all are ready; with a file for it, their clock can be set."""
        if self.installation.scaled:
            words = {f"{word}-{number}": (word,) for word in ("serve", "work") for number in (1, 2)}
        else:
            words = {"up": ("up",)}
        urls = iter(self.installation.urls)
        # As installed: compiled once, not at every start, which is what a restart takes longest for.
        environment = {name: value for name, value in self.installation.environment.items() if name != _UNCOMPILED}
        environment["PYTHONPYCACHEPREFIX"] = str(self.data.parent / "compiled")
        if clock is not None:
            environment[CLOCK_FILE] = str(clock)
        for name, given in words.items():
            url = None if given == ("work",) else next(urls)
            listen = listen_at(url) if url is not None else ()
            command = self.installation.command(*given, *listen)
            if clock is not None:
                command = [sys.executable, str(HERE / "launcher.py"), *given, *listen]
            self.members[name] = Member(name, command, environment, self.data, self.reaper, url)
        for member in self.members.values():
            member.start()
        for member in self.members.values():
            await member.ready()

    async def stop(self) -> None:
        """Stop every process."""
        await asyncio.gather(*(member.stop() for member in self.members.values()))

    def keep_logs(self, directory: Path) -> None:
        """Copy what the processes, the receiver and SQLite wrote."""
        directory.mkdir(parents=True, exist_ok=True)
        for kept in (*self.data.glob("*.log"), *self.data.glob("*.db*")):
            shutil.copy(kept, directory)


def new_site(directory: Path, reaper: Reaper, settings: dict[str, str], backends: Sequence[str] | None) -> Site:
    """One that has not been started; `backends`: the URLs of an empty PostgreSQL database and of Redis, or None."""
    given = {**SETTINGS, **settings}
    if backends is not None:
        given |= dict(zip(("VOXFORGE_DATABASE_URL", "VOXFORGE_REDIS_URL"), backends, strict=True))
    return Site(Installation(directory, given, scaled=backends is not None), reaper)
