"""VoxForge as people run it, for tests: real processes on real ports, embedded or scaled."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from schema.settings import PREFIX

SCALED = 2
"""How many of `serve`, and how many of `work`, a scaled installation has."""

_START_S = 60.0
_STOP_S = 15.0  # operator.md: a stop takes no longer


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """A data directory, the settings over it, and the processes that run on it.

    Embedded it is `up`; scaled it is two of `serve`, each on a port of its own, and two of `work`.
    """

    data: Path
    settings: dict[str, str]
    scaled: bool
    urls: list[str] = field(init=False)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    workspace: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        self.urls = [f"http://127.0.0.1:{free_port()}" for _ in range(SCALED if self.scaled else 1)]

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        return clean | {"VOXFORGE_DATA": str(self.data), **self.settings}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", *words]

    def run(self, *words: str) -> str:
        """What a `voxforge` command prints on stdout."""
        done = subprocess.run(
            self.command(*words), env=self.environment, check=True, capture_output=True, timeout=60, text=True
        )
        return done.stdout.strip()

    def start(self) -> None:
        """Start what this installation consists of, and wait until it answers."""
        if self.scaled:
            self.run("migrate")
            self.workspace = self.workspace or self.run(
                "workspaces", "create", "--name", "Acme", "--plan", "enterprise"
            )
            for url in self.urls:
                self.spawn("serve", *listen_at(url))
                self.spawn("work")
        else:
            self.spawn("up", *listen_at(self.urls[0]))
        self.wait_ready()

    def spawn(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """One more process, its output in the data directory; `environment` is its own, over the installation's."""
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / f"{words[0]}-{len(self.processes)}.log").open("ab") as log:
            process = subprocess.Popen(
                self.command(*words),
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def wait_ready(self, *urls: str) -> None:
        """Until every server answers, or those of `urls`."""
        deadline = time.monotonic() + _START_S
        waiting = list(urls or self.urls)
        while waiting:
            assert time.monotonic() < deadline, f"not ready within {_START_S} s:\n{self.output()}"
            for process in self.processes:
                assert process.poll() is None, self.output()
            waiting = [url for url in waiting if not _is_ready(url)]
            time.sleep(0.05)

    def output(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()[-4_000:]}" for path in self.data.glob("*.log"))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> list[int]:
        """Stop every process; returns their exit codes. Fails for one that takes longer than it may."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(number)
        codes = []
        for process in self.processes:
            try:
                codes.append(process.wait(_STOP_S))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"did not stop within {_STOP_S} s:\n{self.output()}") from None
        self.processes.clear()
        return codes

    def new_key(self) -> str:
        """A key of the only workspace, made as an operator makes it; its plan is one without a rate limit."""
        if not self.workspace:  # else it was made with that plan
            self.workspace = json.loads(self.run("workspaces", "list", "--json"))[0]["id"]
            self.run("workspaces", "set-plan", self.workspace, "enterprise")
        self.key = self.run("keys", "create", "--name", "test", "--workspace", self.workspace)
        return self.key

    def client(self, *urls: str, key: str | None = None) -> httpx.Client:
        """An integration, with its key; its requests go to the servers (those of `urls`, or all) in turn."""
        urls = urls or tuple(self.urls)
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.Client(base_url=f"{urls[0]}/api/v1", headers=headers, timeout=10, transport=_InTurn(urls))


class _InTurn(httpx.HTTPTransport):
    """Sends each request to the next of some servers, as a proxy in front of them would."""

    def __init__(self, urls: Iterable[str]) -> None:
        super().__init__()
        self._servers = itertools.cycle([httpx.URL(url) for url in urls])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        server = next(self._servers)
        request.url = request.url.copy_with(host=server.host, port=server.port)
        request.headers["Host"] = request.url.netloc.decode()
        return super().handle_request(request)


def listen_at(url: str) -> tuple[str, ...]:
    """The options of `serve` and `up` for that address."""
    address = httpx.URL(url)
    return "--host", address.host, "--port", str(address.port)


def _is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
    return False


AGENT = {  # the document's own example
    "name": "Support Agent",
    "systemPrompt": "You are a helpful support agent for Acme Corp...",
    "firstMessage": "Hi, this is Acme support. How can I help you today?",
    "voice": "jennifer",
    "language": "en-US",
    "maxCallDuration": 600,
}


def caller(client: httpx.Client, **agent: object) -> dict[str, str]:
    """A new agent, and the number that every workspace has in the sandbox."""
    return {
        "agentId": client.post("/agents", json={**AGENT, **agent}).json()["id"],
        "phoneNumberId": client.get("/phone-numbers").json()[0]["id"],
    }


def place(client: httpx.Client, ids: Mapping[str, str], to: str) -> str:
    """Trigger a call as the document does; returns its id."""
    answer = client.post("/calls", json={**ids, "to": to})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def until_over(client: httpx.Client, ids: list[str], within_s: float = 60.0) -> dict[str, dict[str, Any]]:
    """The calls once each of them is final and, if it connected, analysed."""
    deadline = time.monotonic() + within_s
    over: dict[str, dict[str, Any]] = {}
    while time.monotonic() < deadline:
        for id in ids:
            if id not in over:
                call = client.get(f"/calls/{id}").json()
                if call["status"] == "failed" or (call["status"] == "completed" and call["analysis"]):
                    over[id] = call
        if len(over) == len(ids):
            return over
        time.sleep(0.1)
    missing = [client.get(f"/calls/{id}").json() for id in ids if id not in over]
    raise AssertionError(f"not over within {within_s} s: {json.dumps(missing, indent=1)[:4_000]}")
