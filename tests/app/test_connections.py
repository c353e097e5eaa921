"""How many connections a server process has room for."""

from __future__ import annotations

import resource
from contextlib import ExitStack
from ipaddress import ip_network

import pytest
from structlog.testing import capture_logs

from app.connections import Connections, most_connections
from schema.errors import RateLimited
from tests.support.time import VirtualClock


@pytest.mark.parametrize(
    ("descriptors", "serving", "with_workers"),
    [(256, 192, 128), (1024, 768, 512), (1 << 20, 10_000, 10_000), (resource.RLIM_INFINITY, 10_000, 10_000)],
)
def test_the_process_keeps_descriptors_for_itself(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, serving: int, with_workers: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (descriptors, resource.RLIM_INFINITY))

    assert most_connections(with_workers=False) == serving
    assert most_connections(with_workers=True) == with_workers


def test_a_network_in_ipv6_is_one_address() -> None:
    connections = Connections([], of_process=10, of_address=1)

    with connections.admit("2001:db8:1:2::1"):
        connections.admit("2001:db8:1:3::1").close()
        with pytest.raises(RateLimited, match=r"^Too many connections are open: at most 1 of a client address$"):
            connections.admit("2001:db8:1:2::2")

    connections.admit("2001:db8:1:2::2").close()


def test_whoever_is_refused_takes_no_place() -> None:
    connections = Connections([], of_process=2, of_address=1)

    with connections.admit("192.0.2.1"):
        for _ in range(3):
            with pytest.raises(RateLimited):
                connections.admit("192.0.2.1")
        with connections.admit("192.0.2.2"), pytest.raises(RateLimited, match=r"at most 2 of a server process$"):
            connections.admit("192.0.2.3")

    with ExitStack() as held:
        held.enter_context(connections.admit("192.0.2.1"))
        held.enter_context(connections.admit("192.0.2.3"))


@pytest.mark.parametrize("peer", ["10.1.2.3", "::ffff:10.1.2.3", None])
def test_proxies_and_who_has_no_address_have_the_whole_process(peer: str | None) -> None:
    connections = Connections([ip_network("10.0.0.0/8")], of_process=3, of_address=1)

    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(connections.admit(peer))
        with pytest.raises(RateLimited, match=r"of a server process$"):
            connections.admit(peer)


async def test_the_log_says_once_a_minute_that_some_are_refused() -> None:
    clock = VirtualClock()
    connections = Connections([], of_process=10, of_address=1, clock=clock)

    with capture_logs() as logs, connections.admit("192.0.2.1"):
        for _ in range(4):
            with pytest.raises(RateLimited):
                connections.admit("192.0.2.1")
            await clock.advance(30)

    assert (
        logs
        == [
            {
                "log_level": "warning",
                "event": "connections are refused",
                "client": "192.0.2.1",
                "why": "Too many connections are open: at most 1 of a client address",
            }
        ]
        * 2
    )
