"""`voxforge serve`: a process, its signals, and several processes on one port."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from schema.rules.plans import PLANS, Plan
from schema.version import VERSION
from tests.app.cli.support import STOP_S, answers, started, voxforge, wait_until


def refuses(address: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=2).close()
    except OSError:
        return True
    return False


def test_a_port_in_use_is_one_sentence(migrated: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with started(migrated.parent, "serve", "--port", port) as server:
            assert server.wait(60) == 1

    assert server.stdout == ""
    assert server.stderr == f"Port {port} is in use: stop what listens there, or choose another with --port\n"


def hang(address: str) -> socket.socket:
    """A request whose body never comes, which the server waits for when it stops."""
    connection = socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=30)
    connection.sendall(
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    return connection


def test_it_starts_and_stops_although_a_request_hangs(migrated: Path) -> None:
    with started(migrated.parent, "serve", "--port", "0") as server:
        address = server.wait_until_ready()
        ready = httpx.get(f"{address}/readyz")
        with hang(address):
            begun = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begun < STOP_S
        assert refuses(address)

    assert ready.json() == {"status": "ok", "checks": {"database": "ok", "migrations": "ok", "queue": "ok"}}
    assert server.stdout == f"VoxForge {VERSION} is at {address} (Ctrl-C stops it)\n"


def test_a_second_interrupt_quits_at_once(migrated: Path) -> None:
    with started(migrated.parent, "serve", "--port", "0") as server:
        address = server.wait_until_ready()
        with hang(address):
            server.signal(signal.SIGINT)
            wait_until(lambda: refuses(address), "the port to be closed")
            begun = time.monotonic()
            server.signal(signal.SIGINT)

            assert server.wait() == 130
    assert time.monotonic() - begun < 2


def children(pid: int) -> set[int]:
    """The processes that a process has started and that serve."""
    found = set()
    for directory in Path("/proc").iterdir():
        try:
            parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and "spawn_main" in (directory / "cmdline").read_text():
                found.add(int(directory.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def test_several_processes_share_a_port(migrated: Path) -> None:
    with started(migrated.parent, "serve", "--port", "0", "--workers", "2") as server:
        address = server.wait_until_ready()
        before = children(server.pid)
        for _ in range(10):
            httpx.get(f"{address}/readyz")
        figures = httpx.get(f"{address}/metrics").text

        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(children(server.pid) - before) == 1, "another process")
        is_answered = answers(address)

        assert server.stop() == 0
        assert refuses(address)
    assert len(before) == 2
    assert 'voxforge_http_requests_total{method="GET",route="/readyz",status="200"} 10.0\n' in figures
    assert is_answered


def test_a_key_has_its_minute_once_for_all_processes(migrated: Path) -> None:
    """Decision K5, without Redis: those of one server, and another server over the same data directory."""
    limit = PLANS[Plan.STARTER].requests_per_minute
    assert limit is not None
    workspace = voxforge("workspaces", "create", "--name", "Acme", "--plan", "starter").stdout.strip()
    key = voxforge("keys", "create", "--name", "test", "--workspace", workspace).stdout.strip()

    def ask(address: str) -> list[httpx.Response]:
        """On a new connection each, so that both processes of a server get some."""
        url, headers = f"{address}/api/v1/agents", {"Authorization": f"Bearer {key}", "Connection": "close"}
        return [httpx.get(url, headers=headers, timeout=30) for _ in range(limit)]

    with (
        started(migrated.parent, "serve", "--port", "0", "--workers", "2") as first,
        started(migrated.parent, "serve", "--port", "0") as second,
        ThreadPoolExecutor(4) as pool,
    ):
        addresses = [server.wait_until_ready() for server in (first, second)]
        given = [answer for each in pool.map(ask, [addresses[0]] * 3 + addresses[1:]) for answer in each]
        statuses = [server.stop() for server in (first, second)]
    minutes: defaultdict[str, list[httpx.Response]] = defaultdict(list)
    for answer in given:
        minutes[answer.headers["x-ratelimit-reset"]].append(answer)

    assert statuses == [0, 0]
    assert {answer.status_code for answer in given} == {200, 429}  # some minute had too many, however they fell
    for minute in minutes.values():
        left = sorted(int(one.headers["x-ratelimit-remaining"]) for one in minute if one.status_code == 200)
        assert left == list(range(limit))[-len(minute) :]  # each but once, whoever gave it out


def test_several_processes_do_not_outlive_their_supervisor(migrated: Path, redis_url: str) -> None:
    with started(migrated.parent, "serve", "--port", "0", "--workers", "2", redis_url=redis_url) as server:
        address = server.wait_until_ready()

        server.signal(signal.SIGKILL)
        server.wait()

        wait_until(lambda: refuses(address), "the port to be closed", STOP_S)
    assert "Warning" not in server.stderr  # with Redis, they count together
