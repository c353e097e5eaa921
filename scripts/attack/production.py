"""A server as it is run in production: nothing of development allowed, and the schema told to nobody."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SETTINGS = {"VOXFORGE_GRAPHQL_INTROSPECTION": "false", "VOXFORGE_LOG_FORMAT": "json"}
START_S = 60
STOP_S = 20


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs; `url` is its address, without a slash at the end."""

    url: str
    environ: dict[str, str]

    def run(self, *words: str) -> str:
        """What a command of `voxforge` prints."""
        return subprocess.check_output([_voxforge(), *words], env=self.environ, stderr=subprocess.DEVNULL).decode()

    def lift_limits(self) -> None:
        """The plan without a limit of requests."""
        (workspace,) = json.loads(self.run("workspaces", "list", "--json"))
        self.run("workspaces", "set-plan", workspace["id"], "enterprise")

    def new_key(self, *scopes: str) -> str:
        """The text of a key with those scopes, or with the default."""
        words = [word for scope in scopes for word in ("--scope", scope)]
        return self.run("keys", "create", "--name", "attack", *words).strip()


@contextmanager
def production_server(directory: Path, **settings: str) -> Iterator[Server]:
    """`voxforge up` on a data directory of its own, until the block ends. Exits when it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOXFORGE_")}
    environ = {**kept, "VOXFORGE_DATA": str(directory / "data"), **SETTINGS, **settings}
    up = [_voxforge(), "up", "--host", "127.0.0.1", "--port", str(port)]
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(up, env=environ, stdout=log, stderr=log)
        try:
            _wait(port, process)
            yield Server(f"http://127.0.0.1:{port}", environ)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("The server did not start.")


def _voxforge() -> str:
    return str(Path(sys.executable).with_name("voxforge"))
