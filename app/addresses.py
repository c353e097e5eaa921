"""The address of a client, told from what a client may only claim (decision K3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

from schema.rules.addresses import Address, Network

__all__ = ["Address", "Network", "client_address", "client_of", "parse_address", "rate_limit_key", "within"]

_LONGEST = 100  # nothing longer is an address, nor worth remembering


def client_of(scope: Scope, trusted_proxies: Sequence[Network]) -> Address | None:
    """The client of an ASGI scope whose `client` is the socket peer (uvicorn: `proxy_headers=False`).

    None when it cannot be told; an address allowlist refuses that.
    """
    client = scope.get("client")
    forwarded = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
    return client_address(client[0] if client else None, forwarded, trusted_proxies)


def client_address(
    peer: str | None, forwarded_for: Iterable[str], trusted_proxies: Sequence[Network]
) -> Address | None:
    """The peer, or if that is a trusted proxy the right-most `X-Forwarded-For` entry that is not one.

    `forwarded_for` is the value of each such header, in order. When every entry is a trusted proxy it is the
    left-most: the request came from among them. An entry that does not parse makes the client unknown: None.
    """
    address = parse_address(peer) if peer else None
    if address is None or not within(address, trusted_proxies):
        return address
    entries = [entry.strip() for header in forwarded_for for entry in header.split(",")]
    for entry in reversed([entry for entry in entries if entry]):
        address = parse_address(entry)
        if address is None or not within(address, trusted_proxies):
            return address
    return address


def rate_limit_key(address: Address | None) -> str:
    """Whom to count failures against: an IPv6 client has its whole /64 to choose addresses from."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, 64), strict=False))
    return str(address) if address else "unknown"


def parse_address(text: str) -> Address | None:
    """An address as proxies write it: with or without brackets and port; IPv4-mapped IPv6 is unmapped."""
    return _parse(text) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    host = _without_port(text)
    try:
        # A zone (`fe80::1%eth0`) says which of our interfaces, not which client.
        address = ip_address(host.partition("%")[0] if ":" in host else host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _without_port(text: str) -> str:
    """The host of `host`, `[host]`, `host:port` or `[host]:port`; nothing parsable if the port is none."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        fine = bool(closed) and ":" in host and (not rest or (rest[0] == ":" and _is_port(rest[1:])))
        return host if fine else ""
    host, colon, port = text.partition(":")
    if colon and ":" not in port:
        return host if "." in host and _is_port(port) else ""
    return text


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535


def within(address: Address, networks: Sequence[Network]) -> bool:
    """Whether it is one of theirs."""
    return any(address in network for network in networks)
