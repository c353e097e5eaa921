"""Name servers that hang: how many threads they may hold, and whom they keep waiting (W8)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from workers import lookups
from workers.lookups import Lookups


class NameServer:
    """Answers names that begin with `hang` when it is let go, and any other at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.startswith("hang"):
            self.go.wait(60)
        return ["192.0.2.1"]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    monkeypatch.setattr(lookups, "THREADS", 8)
    server = NameServer()
    yield server
    server.go.set()


async def hang(asking: Lookups, owner: str, times: int) -> list[asyncio.Task[object]]:
    """That many lookups of a workspace that hang, or wait for a thread."""
    tasks = [asyncio.create_task(asking.look_up(f"hang.{n}.{owner}", 443, owner)) for n in range(times)]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def running(asking: Lookups, owner: str) -> int:
    """How many threads a workspace has."""
    return asking._shares.held(owner)


async def test_a_workspace_whose_names_hang_delays_no_other_s(name_server: NameServer) -> None:
    asking = Lookups(name_server)
    stuck = await hang(asking, "one", 64) + await hang(asking, "two", 64)

    found = await asking.look_up("quick.example.com", 443, "three")

    assert found == ["192.0.2.1"]
    assert not any(each.done() for each in stuck)
    assert (running(asking, "one"), running(asking, "two")) == (4, 2)  # half of what is free, then half of that


async def test_a_domain_whose_names_hang_delays_no_other_of_its_workspace(name_server: NameServer) -> None:
    asking = Lookups(name_server)
    stuck = [asyncio.create_task(asking.look_up(f"hang{n}.example.com", 443, "one")) for n in range(64)]
    await asyncio.sleep(0)

    found = await asking.look_up("quick.example.org", 443, "one")

    assert found == ["192.0.2.1"]
    assert not any(each.done() for each in stuck)
    assert running(asking, "one") == 2  # half of the half


async def test_a_thread_is_counted_as_long_as_it_runs_whoever_still_waits_for_it(name_server: NameServer) -> None:
    asking = Lookups(name_server)
    stuck = await hang(asking, "one", 4)
    for each in stuck:
        each.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)

    more = await hang(asking, "one", 4)

    assert running(asking, "one") == 4
    name_server.go.set()
    assert await asyncio.gather(*more) == [["192.0.2.1"]] * 4


async def test_who_gives_up_waiting_takes_no_thread(name_server: NameServer) -> None:
    asking = Lookups(name_server)
    stuck = await hang(asking, "one", 5)
    waiting = stuck.pop()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    name_server.go.set()

    assert await asyncio.gather(*stuck) == [["192.0.2.1"]] * 4
    assert len(name_server.asked) == 4
    assert await asyncio.gather(*await hang(asking, "one", 4)) == [["192.0.2.1"]] * 4


async def test_a_turn_that_comes_with_the_cancellation_is_handed_on(name_server: NameServer) -> None:
    asking = Lookups(name_server)
    first, last = await hang(asking, "one", 5), await hang(asking, "one", 1)
    (_, turn), _ = asking._waiting
    turn.set_result(None)
    asking._shares._free -= 1  # as `_free` does
    asking._shares._held["one"] += 1
    asking._of_domains["one", "4.one"] += 1
    first[4].cancel()
    await asyncio.gather(first[4], return_exceptions=True)

    name_server.go.set()

    assert await asyncio.gather(*first[:4], *last) == [["192.0.2.1"]] * 5
    assert running(asking, "one") == 0


async def test_a_thread_that_cannot_start_is_given_back(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Lookups(name_server)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(9):
            with pytest.raises(RuntimeError, match="can't start"):
                await asking.look_up("quick.example.com", 443, "one")

    assert await asking.look_up("quick.example.com", 443, "one") == ["192.0.2.1"]


async def test_whatever_a_lookup_raises_is_raised() -> None:
    def fail(host: str, port: int) -> list[str]:
        raise KeyError(host)

    with pytest.raises(KeyError, match="example"):
        await Lookups(fail).look_up("name.example.com", 443, "one")
