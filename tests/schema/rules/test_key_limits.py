"""Where a key may be used from, and how long an old text is good (decisions K3, K4)."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest

from schema.errors import Invalid
from schema.rules.keys import allowed_ips, is_within, may_be_used_from, overlap

WRONG = "allowedIps must be an IP address or a CIDR range such as 10.0.0.0/8, without host bits"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107/128", "203.0.113.7"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_an_address_is_kept_in_one_form(given: str, kept: str) -> None:
    assert allowed_ips([given, given], "allowedIps") == [kept]


@pytest.mark.parametrize(
    "given",
    [
        "10.0.0.1/8",
        "2001:db8::1/32",
        "::ffff:10.0.0.1/104",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "fe80::1%eth0",
        "10.1",
        "010.0.0.1",
        "0x0a000001",
        "167772161",
        "\uff11\uff10.0.0.1",
        "example.com",
        "*",
        "",
        "10.0.0.1,10.0.0.2",
        "10.0.0.1-10.0.0.9",
        "10.0.0.1:443",
        "[::1]",
    ],
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(Invalid) as refusal:
        allowed_ips(["203.0.113.7", given], "allowedIps")

    assert refusal.value.message == WRONG


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("10.0.0.0/8", "allowedIps must be a list of IP addresses and CIDR ranges"),
        ([167772161], "allowedIps must be a list of IP addresses and CIDR ranges"),
        ([None], "allowedIps must be a list of IP addresses and CIDR ranges"),
        ([], "allowedIps must not be empty: null allows every address"),
        ([f"10.0.0.{i}" for i in range(101)], "allowedIps must have at most 100 entries"),
    ],
)
def test_what_is_no_allowlist(given: Any, says: str) -> None:
    with pytest.raises(Invalid) as refusal:
        allowed_ips(given, "allowedIps")

    assert refusal.value.message == says


def test_a_hundred_entries_are_taken_in_their_order() -> None:
    given = [f"10.0.0.{i}" for i in range(100, 0, -1)]

    assert allowed_ips(given, "allowedIps") == given


@pytest.mark.parametrize(
    ("address", "allowed", "may"),
    [
        ("203.0.113.7", None, True),
        (None, None, True),
        (None, ["0.0.0.0/0", "::/0"], False),
        ("203.0.113.7", ["203.0.113.7"], True),
        ("203.0.113.8", ["203.0.113.7"], False),
        ("10.255.255.255", ["192.0.2.1", "10.0.0.0/8"], True),
        ("11.0.0.0", ["10.0.0.0/8"], False),
        ("2001:db8::5", ["2001:db8::/32"], True),
        ("2001:db9::5", ["2001:db8::/32"], False),
        ("10.0.0.1", ["::/0"], False),
        ("::1", ["0.0.0.0/0"], False),
    ],
)
def test_where_a_key_may_be_used(address: str | None, allowed: list[str] | None, *, may: bool) -> None:
    assert may_be_used_from(ip_address(address) if address else None, allowed) is may


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        (None, None, True),
        (["10.0.0.1"], None, True),
        (None, ["10.0.0.0/8"], False),
        (["10.0.0.1", "10.1.0.0/16"], ["192.0.2.1", "10.0.0.0/8"], True),
        (["10.0.0.1", "11.0.0.0"], ["10.0.0.0/8"], False),
        (["0.0.0.0/0"], ["10.0.0.0/8"], False),
        (["10.0.0.0/8"], ["::/0"], False),
    ],
)
def test_one_allowlist_within_another(inner: list[str] | None, outer: list[str] | None, *, within: bool) -> None:
    assert is_within(inner, outer) is within


def test_an_overlap_is_up_to_a_day() -> None:
    assert [overlap(seconds) for seconds in (0, 86_400)] == [timedelta(0), timedelta(days=1)]
    for seconds in (-1, 86_401):
        with pytest.raises(Invalid) as refusal:
            overlap(seconds)
        assert refusal.value.message == "overlapSeconds must be between 0 and 86400"
