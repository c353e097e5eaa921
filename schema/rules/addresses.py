"""Where webhooks may go: URLs when they are saved, addresses when they are connected to (decision W6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, quote, urlsplit

import idna

from schema.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL_LENGTH = 2048

# Our own list, because `ipaddress.is_global` differs between versions of Python and calls 6to4, NAT64 and multicast
# global. Addresses that stand for another one (6to4, Teredo, NAT64, IPv4-mapped) are never public.
_CLOSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; metadata services live here too
        "127.0.0.0/8",
        "168.63.129.16/32",  # a platform service behind a public-looking address
        "169.254.0.0/16",  # link-local: the usual metadata service
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_OPEN_V6 = IPv6Network("2000::/3")  # all that is allocated to hosts; everything else has another purpose
_CLOSED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_INSIDE_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")

# Ports of protocols that are not HTTP and might make something of a request to them: what browsers refuse (WHATWG
# Fetch, "bad port"). All others are allowed: receivers do listen on odd ones.
_CLOSED_PORTS = frozenset(
    (
        *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95),
        *(101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179),
        *(389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636),
        *(989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061),
        *(6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
    )
)

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_NOT_IN_URLS = re.compile(r"[^!#-;=?-\[\]_a-z~]+")  # what RFC 3986 allows nowhere, other scripts included


def is_public(address: Address) -> bool:
    """Whether the address is an ordinary host on the internet."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _CLOSED_V4)
    if address.scope_id is not None or address not in _OPEN_V6:
        return False
    return address.is_global and not any(address in network for network in _CLOSED_V6)


def may_connect(address: Address, allow_networks: Sequence[Network] = ()) -> bool:
    """Whether a delivery may connect to the address: it is public, or in a network the operator has opened."""
    return is_public(address) or any(address in network for network in allow_networks)


def check_url(url: str, *, allow_http: bool = False, allow_networks: Sequence[Network] = (), field: str = "url") -> str:
    """The URL, ready to store and request: host in ASCII and lower case, no trailing dot, path and query in ASCII.

    Raises `Invalid` with a sentence that names what is wrong. A name that passes here may still resolve to an address
    that is closed: `may_connect` is asked again at the moment of connecting.
    """
    if len(url) > MAX_URL_LENGTH:
        raise Invalid(f"{field} must be at most {MAX_URL_LENGTH} characters")
    if _UNPRINTABLE.search(url) or not _encodes(url):
        raise Invalid(f"{field} must not contain spaces, backslashes or control characters")
    parts, port = _split(url, field)
    if parts.scheme not in (("https", "http") if allow_http else ("https",)) or not url[len(parts.scheme) :].startswith(
        "://"
    ):
        raise Invalid(f"{field} must start with https://")
    if "@" in parts.netloc:
        raise Invalid(f"{field} must not contain a user name or password")
    if "#" in url:
        raise Invalid(f"{field} must not contain a fragment (#)")
    if not parts.hostname:
        raise Invalid(f"{field} must name a host")
    if port == 0:
        raise Invalid(f"{field} must have a port between 1 and 65535")
    if port in _CLOSED_PORTS:
        raise Invalid(f"{field} must not have the port {port}, which belongs to another protocol than HTTP")
    host = _check_host(parts, allow_networks, field)

    netloc = host if port is None else f"{host}:{port}"
    checked = f"{parts.scheme}://{netloc}{_ascii(parts.path)}" + (f"?{_ascii(parts.query)}" if parts.query else "")
    if len(checked) > MAX_URL_LENGTH:
        raise Invalid(f"{field} must be at most {MAX_URL_LENGTH} characters")
    return checked


def parse_network(text: str, field: str) -> Network:
    """An address or CIDR range; host bits that are set (`10.0.0.1/8`) are `Invalid`, as in K3.

    IPv4-mapped IPv6 is the IPv4 network that it stands for, as clients' addresses are unmapped too.
    """
    try:
        network = ip_network(text, strict=True)
    except ValueError:
        network = None
    _, slash, prefix = text.partition("/")
    if (
        network is None or "%" in text or (slash and not prefix.isdigit())
    ):  # a zone says nothing; net masks are not CIDR
        raise Invalid(f"{field} must be an IP address or a CIDR range such as 10.0.0.0/8, without host bits")
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


def _split(url: str, field: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Invalid(f"{field} must be a URL such as https://example.com/webhook") from None
    try:
        return parts, parts.port
    except ValueError:
        raise Invalid(f"{field} must have a port between 1 and 65535") from None


def _check_host(parts: SplitResult, allow_networks: Sequence[Network], field: str) -> str:
    """The host as it belongs in the URL."""
    given = parts.hostname or ""
    if parts.netloc.startswith("["):
        return f"[{_check_literal(_literal(given, field), allow_networks, field)}]"
    host = _to_ascii(given, field).removesuffix(".")
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):  # what follows the last dot is a number, so all of it is IPv4
        return str(_check_literal(_literal(host, field), allow_networks, field))
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise Invalid(f"{field} must name a host such as example.com")
    if host == "localhost" or host.endswith(".localhost"):
        if not any(may_connect(address, allow_networks) for address in _LOOPBACK):
            raise Invalid(f"{field} must be reachable from the internet: {host} is this server itself")
    elif not allow_networks and ("." not in host or host.endswith(tuple(f".{name}" for name in _INSIDE_NAMES))):
        raise Invalid(f"{field} must be reachable from the internet: {host} is a name of a private network")
    return host


def _check_literal(address: Address, allow_networks: Sequence[Network], field: str) -> Address:
    if not may_connect(address, allow_networks):
        raise Invalid(f"{field} must be reachable from the internet: {address} is not a public address")
    return address


def _literal(text: str, field: str) -> Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise Invalid(f"{field} has an IP address that is not written in the usual way: {text}") from None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise Invalid(f"{field} must not have an address with a zone (%)")
    return address


def _to_ascii(host: str, field: str) -> str:
    """The host after IDNA mapping, which also turns enclosed and fullwidth characters into what they stand for."""
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        pass
    try:  # IDNA refuses what maps to a bare number; mapping alone shows the address that it hides
        mapped = idna.uts46_remap(host)
    except (idna.IDNAError, UnicodeError):
        mapped = ""
    if mapped.isascii() and mapped:
        return mapped
    raise Invalid(f"{field} must name a host such as example.com")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ascii(text: str) -> str:
    return _NOT_IN_URLS.sub(lambda match: quote(match[0]), text)
