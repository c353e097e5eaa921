"""API keys: shape, checksum and what of them is kept (decision K1), where they may be used from, rotation (K3, K4)."""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from schema.errors import Invalid
from schema.rules.addresses import Address, Network, parse_network
from schema.rules.fields import Field, Shape, instant, integer, text
from schema.rules.scopes import scopes

MAX_ALLOWED_IPS = 100
MAX_OVERLAP_S = 86_400  # decision K4
DEFAULT_OVERLAP_S = 86_400
MAX_RETIRED = 10  # texts that open one key beside the newest
OVERLAP_S = integer(0, MAX_OVERLAP_S)

PREFIX = "vf_live_"

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 43  # the fewest base62 characters that hold 256 bits
_CHECKSUM_LENGTH = 6  # base62 of any CRC32
_HINT_LENGTH = len(PREFIX) + 4
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII)


def new_key() -> str:
    """A new key: `vf_live_` + 256 random bits in 43 base62 characters + 6 of checksum. Show it once, store `digest`."""
    body = PREFIX + _base62(secrets.randbits(256), _BODY_LENGTH)
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """Whether the shape and the checksum are right; a mistyped key fails here, without a query."""
    if _SHAPE.fullmatch(key) is None:
        return False
    return key[-_CHECKSUM_LENGTH:] == _checksum(key[:-_CHECKSUM_LENGTH])


def digest(key: str) -> str:
    """SHA-256 of the key in lower-case hex (64 characters): what is stored and looked up.

    A key is 256 random bits, so no salt and no slow hash are needed.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def hint(key: str) -> tuple[str, str]:
    """What people recognise a key by: its first twelve characters (`vf_live_AbCd`) and its last four."""
    return key[:_HINT_LENGTH], key[-4:]


def allowed_ips(value: Any, name: str) -> list[str]:
    """Addresses and CIDR ranges, each once, written in one way. Raises Invalid (decision K3)."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise Invalid(f"{name} must be a list of IP addresses and CIDR ranges")
    if not value:
        raise Invalid(f"{name} must not be empty: null allows every address")
    if len(value) > MAX_ALLOWED_IPS:
        raise Invalid(f"{name} must have at most {MAX_ALLOWED_IPS} entries")
    return list(dict.fromkeys(_written(parse_network(item.strip(), name)) for item in value))


KEY = Shape(
    name=Field(text(1, 100), required=True),
    expires_at=Field(instant, nullable=True),
    scopes=Field(scopes, nullable=True),
    allowed_ips=Field(allowed_ips, nullable=True),
)


def may_be_used_from(address: Address | None, allowed: Sequence[str] | None) -> bool:
    """Whether a key with that allowlist may; None is no allowlist, and an unknown address is on none (decision K3)."""
    if allowed is None:
        return True
    return address is not None and any(address in network for network in _networks(tuple(allowed)))


def is_within(inner: Sequence[str] | None, outer: Sequence[str] | None) -> bool:
    """Whether every address that `inner` allows is allowed by one entry of `outer`."""
    if outer is None:
        return True
    return inner is not None and all(
        any(_contains(there, here) for there in _networks(tuple(outer))) for here in _networks(tuple(inner))
    )


def overlap(seconds: int) -> timedelta:
    """How long the old text stays good after a rotation: 0 to 24 hours (decision K4). Raises Invalid."""
    return timedelta(seconds=OVERLAP_S(seconds, "overlapSeconds"))


@lru_cache(maxsize=1024)
def _networks(allowed: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(parse_network(item, "allowedIps") for item in allowed)


def _contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # the same version


def _written(network: Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, remainder = divmod(number, 62)
        characters.append(_ALPHABET[remainder])
    return "".join(reversed(characters))
