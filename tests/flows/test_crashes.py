"""Work survives: a killed process, a stopped one, and the next start that picks up what they left (L4, W2)."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.flows.conftest import DEVELOPMENT
from tests.flows.receiver import Delivered, Receiver, receiver
from tests.flows.servers import Installation, caller, place, until_over
from tests.flows.test_first_call import endpoint

CALLS = 8


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Installation]:
    """An embedded installation whose calls last a few seconds."""
    running = Installation(tmp_path / "data", {**DEVELOPMENT, "VOXFORGE_SANDBOX_SPEED": "8"}, scaled=False)
    try:
        running.start()
        running.new_key()
        yield running
    finally:
        running.stop()


def until_answered(client: httpx.Client, ids: list[str]) -> None:
    while any(client.get(f"/calls/{id}").json()["answeredAt"] is None for id in ids):
        pass


def dials(data: Path) -> Counter[str]:
    """How often the sandbox carrier dialed for each call, by its own ledger."""
    with sqlite3.connect(data / "sandbox.db") as ledger:
        rows = ledger.execute("SELECT attempt_id FROM dials").fetchall()
    return Counter(attempt.partition(".")[0] for (attempt,) in rows)


def check_told_once(receiving: Receiver, ids: list[str]) -> None:
    """Every event of every call has arrived, as one and the same webhook."""
    events = ["call.started", "call.ended", "transcript.ready", "analysis.complete"]
    wanted = {(id, event) for id in ids for event in events}
    got = receiving.wait_for(len(wanted))
    while len(told := webhooks(got)) < len(wanted):  # a process killed before its commit sends a request again
        got = receiving.wait_for(len(got) + 1)
    assert set(told) == wanted
    assert len({one.headers["webhook-id"] for one in got}) == len(told)


def webhooks(got: list[Delivered]) -> dict[tuple[str, str], str]:
    """The id of the webhook that told of each event of each call."""
    return {(one.json["data"]["callId"], one.json["event"]): one.headers["webhook-id"] for one in got}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_calls_under_way_are_picked_up_by_the_next_start(slow: Installation, number: signal.Signals) -> None:
    with receiver() as receiving, slow.client() as client:
        endpoint(client, receiving)
        ids = caller(client)
        calls = [place(client, ids, f"+1{area}5550100") for area in range(202, 202 + CALLS)]
        until_answered(client, calls[:2])

        codes = slow.stop(number)
        slow.start()
        over = until_over(client, calls)

        assert codes == [0 if number is signal.SIGTERM else -signal.SIGKILL]
        assert {call["status"] for call in over.values()} == {"completed"}
        assert dials(slow.data) == Counter(calls)
        check_told_once(receiving, calls)


def test_a_call_accepted_a_moment_before_the_kill_is_still_dialed(slow: Installation) -> None:
    with slow.client() as client:
        id = place(client, caller(client), "+12025550101")

        slow.stop(signal.SIGKILL)
        slow.start()
        call = until_over(client, [id])[id]

        assert call["status"] == "completed"
        assert dials(slow.data) == Counter([id])
