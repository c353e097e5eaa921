"""The client's address (decision K3)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.addresses import client_address, client_of, parse_address, rate_limit_key

PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:aaaa::/48")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        # a peer that is no proxy is the client, whatever it claims
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("203.0.113.7", ["10.0.0.1"], "203.0.113.7"),
        # behind proxies, the right-most that is not one
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("2001:db8:aaaa::1", ["1.1.1.1,2001:db8::9,2001:db8:aaaa::2"], "2001:db8::9"),
        # several headers are one list
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.3", "10.0.0.2"], "198.51.100.1"),
        # a request from among the proxies
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["", " , "], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # IPv4-mapped, on either side
        ("::ffff:203.0.113.7", ["1.1.1.1"], "203.0.113.7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        # what cannot be told
        (None, ["198.51.100.1"], None),
        ("", ["198.51.100.1"], None),
        ("testclient", ["198.51.100.1"], None),
        ("10.0.0.1", ["198.51.100.1, unknown"], None),
        ("10.0.0.1", ["1.1.1.1, _hidden, 10.0.0.2"], None),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.1:99999"], None),
        # what lies further left than the client is not looked at
        ("10.0.0.1", ["unknown, 198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_client(peer: str | None, forwarded: Sequence[str], expected: str | None) -> None:
    address = client_address(peer, forwarded, PROXIES)

    assert address == (ip_address(expected) if expected else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[::ffff:198.51.100.1]:4711", "198.51.100.1"),
        ("::FFFF:c633:6401", "198.51.100.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_how_an_address_may_be_written(text: str, expected: str) -> None:
    assert parse_address(text) == ip_address(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "198.51.100",
        "198.51.100.1.1",
        "198.051.100.1",
        "0x7f000001",
        "2130706433",
        "198.51.100.1:",
        "198.51.100.1:65536",
        "198.51.100.1:+1",
        "198.51.100.1:\u0661",
        "198.51.100.1%eth0",
        "[198.51.100.1]",
        "[198.51.100.1]:80",
        "[2001:db8::1",
        "[2001:db8::1]80",
        "[2001:db8::1]:",
        "2001:db8::1]",
        "2001:db8:::1",
        '"2001:db8::1"',
        "for=198.51.100.1",
        "host:80",
        "198.51.100.1 ",
        "198.51.100.1\0",
        "1" * 10_000,
    ],
)
def test_what_is_not_an_address(text: str) -> None:
    assert parse_address(text) is None


def test_headers_of_a_scope_are_read_in_order() -> None:
    scope = {
        "client": ("10.0.0.1", 40000),
        "headers": [
            (b"x-forwarded-for", b"1.1.1.1"),
            (b"host", b"voxforge.test"),
            (b"x-forwarded-for", b"198.51.100.1, 10.0.0.2"),
        ],
    }

    assert client_of(scope, PROXIES) == ip_address("198.51.100.1")
    assert client_of(scope, []) == ip_address("10.0.0.1")
    assert client_of({**scope, "client": None}, PROXIES) is None


def test_a_header_of_any_bytes_is_read() -> None:
    scope = {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", bytes(range(256)))]}

    assert client_of(scope, PROXIES) is None


def test_failures_are_counted_by_network_in_ipv6() -> None:
    assert rate_limit_key(ip_address("198.51.100.1")) == "198.51.100.1"
    assert rate_limit_key(ip_address("2001:db8:1:2:3:4:5:6")) == "2001:db8:1:2::/64"
    assert rate_limit_key(None) == "unknown"


addresses = st.ip_addresses().filter(lambda address: not (isinstance(address, IPv6Address) and address.ipv4_mapped))


def written(address: IPv4Address | IPv6Address, port: int | None) -> str:
    if port is None:
        return str(address)
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


@given(addresses, st.none() | st.integers(0, 65535))
def test_any_address_is_read_back(address: IPv4Address | IPv6Address, port: int | None) -> None:
    assert parse_address(written(address, port)) == address


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_not(text: str) -> None:
    address = parse_address(text)

    assert address is None or isinstance(address, IPv4Address | IPv6Address)


@given(
    client=addresses.filter(lambda address: not any(address in network for network in PROXIES)),
    claimed=st.lists(st.text(st.characters(codec="latin-1", exclude_characters=","), max_size=20), max_size=5),
    hops=st.lists(
        st.sampled_from(["10.0.0.2", "10.7.0.1:80", "[2001:db8:aaaa::5]:443", "::ffff:10.0.0.9"]), max_size=4
    ),
    split=st.integers(0, 9),
)
def test_what_a_client_claims_never_matters(
    client: IPv4Address | IPv6Address, claimed: list[str], hops: list[str], split: int
) -> None:
    entries = [*claimed, str(client), *hops]
    headers = [", ".join(entries[:split]), ", ".join(entries[split:])]

    assert client_address("10.0.0.1", headers, PROXIES) == client
