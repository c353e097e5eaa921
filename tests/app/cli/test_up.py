"""`voxforge up`, the way a stranger meets it: an empty directory, one command, and the lines that it prints."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any

import httpx

from schema.version import VERSION
from tests.app.cli.support import curl_lines, listing, started, wait_until

SECRETS = re.compile(r"vf_live_[0-9A-Za-z]{40,}")


def ask(line: list[str]) -> Any:
    """What a printed line answers, run by curl itself where there is one."""
    if shutil.which("curl"):
        return json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    _, _, address, *flags = line
    given = list(zip(flags[::2], flags[1::2], strict=True))
    headers = [tuple(value.split(": ", 1)) for flag, value in given if flag == "-H"]
    (body,) = [value for flag, value in given if flag == "-d"] or [None]
    return httpx.request("POST" if body else "GET", address, headers=headers, content=body).json()


def test_the_first_start(elsewhere: Path) -> None:
    with started(elsewhere, "up", "--port", "0", sandbox_speed="200") as server:
        address = server.wait_until_ready()
        place, read = curl_lines(server.stdout)

        placed = ask(place)

        assert placed["status"] == "queued", placed
        assert placed["to"] == "+15555550100"
        wait_until(lambda: ask(read)["calls"][0]["summary"], "the call to be summed up", every_s=0.3)
        (call,) = ask(read)["calls"]
        assert (call["id"], call["status"]) == (placed["id"], "completed")
        assert server.stop() == 0

    assert server.stdout.startswith("=" * 100 + "\n")
    assert len(set(SECRETS.findall(server.stdout))) == 1
    assert SECRETS.search(server.stderr) is None
    assert address in server.stdout.splitlines()[-1]
    assert stat.S_IMODE((elsewhere / "var").stat().st_mode) == 0o700
    assert stat.S_IMODE((elsewhere / "var" / "secret.key").stat().st_mode) == 0o600
    assert [row["name"] for row in listing("workspaces", "list")] == ["My workspace"]


def test_a_second_start_prints_no_secrets(elsewhere: Path) -> None:
    with started(elsewhere, "up", "--port", "0") as first:
        first.wait_until_ready()
        (key,) = set(SECRETS.findall(first.stdout))
        assert first.stop() == 0

    with started(elsewhere, "up", "--port", "0") as second:
        address = second.wait_until_ready()
        answer = httpx.get(f"{address}/api/v1/agents", headers={"Authorization": f"Bearer {key}"})
        second.signal(signal.SIGINT)
        assert second.wait() == 0

    assert second.stdout == f"VoxForge {VERSION} is at {address} (Ctrl-C stops it)\n"
    assert answer.status_code == 200


def test_two_first_starts_at_once(elsewhere: Path) -> None:
    with started(elsewhere, "up", "--port", "0") as one, started(elsewhere, "up", "--port", "0") as two:
        for server in (one, two):
            server.wait_until_ready()
        keys = SECRETS.findall(one.stdout + two.stdout)
        assert (one.stop(), two.stop()) == (0, 0)

    assert len(set(keys)) == 1
    assert len(listing("workspaces", "list")) == 1
    assert len(listing("keys", "list")) == 1


def test_a_port_in_use_leaves_nothing_behind(elsewhere: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        with started(elsewhere, "up", "--port", port) as server:
            assert server.wait(60) == 1

    assert server.stdout == ""
    assert server.stderr == f"Port {port} is in use: stop what listens there, or choose another with --port\n"
    assert not (elsewhere / "var").exists()


def test_asked_to_stop_while_it_starts(elsewhere: Path) -> None:
    with started(elsewhere, "up", "--port", "0") as server:
        wait_until((elsewhere / "var").exists, "the migration")
        server.signal(signal.SIGTERM)

        assert server.wait() == 0
