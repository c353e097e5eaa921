"""URLs that must reach nothing: every way of writing, naming or hiding an address that is not a public host.

A URL's `{port}` is where the canary listens. `ADDRESSES` is what the attacker's name servers say.
"""

# ruff: noqa: RUF001, S104 (look-alikes and 0.0.0.0 are what it is about)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PORT = "{port}"


@dataclass(frozen=True, slots=True)
class Attack:
    """One URL. `only_resolution_tells`: it may be saved, because nothing is wrong with it but what its name says."""

    kind: str
    url: str
    only_resolution_tells: bool = False


_IPV4 = {
    "loopback": ("127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254"),
    "this host": ("0.0.0.0", "0.0.0.1", "0.255.255.255"),
    "private": ("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255"),
    "carrier-grade NAT": ("100.64.0.1", "100.127.255.255"),
    "link-local": ("169.254.0.1", "169.254.255.255"),
    "metadata": (
        "169.254.169.254",  # AWS, Azure, GCP, Oracle, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS ECS tasks
        "169.254.170.23",  # AWS EKS pod identity
        "169.254.169.253",  # AWS resolver
        "169.254.169.123",  # AWS time
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, older
        "168.63.129.16",  # Azure platform
        "169.254.42.42",  # Scaleway
    ),
    "reserved": (
        *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
        *("192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "224.0.0.1", "239.255.255.255"),
        *("240.0.0.1", "255.255.255.255"),
    ),
}
_METADATA_NAMES = (
    "metadata.google.internal",
    "metadata",
    "metadata.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
)
_NAMES_THAT_ARE_INSIDE = (
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "ip6-localhost"),
    *("voxforge", "redis", "db.local", "router.home.arpa", "kubernetes.default.svc.cluster.local", "vault.internal"),
)
_NAMES_THAT_RESOLVE_INSIDE = {
    "127.0.0.1.nip.io": ("127.0.0.1",),
    "7f000001.nip.io": ("127.0.0.1",),
    "app.10.0.0.1.nip.io": ("10.0.0.1",),
    "169-254-169-254.sslip.io": ("169.254.169.254",),
    "localtest.me": ("127.0.0.1",),
    "lvh.me": ("127.0.0.1",),
    "spoofed.burpcollaborator.net": ("127.0.0.1",),
    "v6.attacker.example": ("::1",),
    "mapped.attacker.example": ("::ffff:127.0.0.1",),
    "compatible.attacker.example": ("::127.0.0.1",),
    "nat64.attacker.example": ("64:ff9b::7f00:1",),
    "sixtofour.attacker.example": ("2002:7f00:1::",),
    "teredo.attacker.example": ("2001:0:4136:e378:8000:63bf:80ff:fffe",),
    "isatap.attacker.example": ("fe80::5efe:127.0.0.1",),
    "unspecified.attacker.example": ("::",),
    "zero.attacker.example": ("0.0.0.0",),
    "private.attacker.example": ("192.168.1.1",),
    "ula.attacker.example": ("fd00::1",),
    "zone.attacker.example": ("fe80::1%lo",),
    "both.attacker.example": ("::1", "127.0.0.1"),
    "many.attacker.example": tuple(f"127.0.{high}.{low}" for high in range(4) for low in range(1, 200)),
    "xn--n3h.attacker.example": ("127.0.0.1",),
    "hooks.example.com": ("127.0.0.1",),
    "a" * 63 + ".attacker.example": ("127.0.0.1",),
}
ADDRESSES: dict[str, tuple[str, ...]] = {
    **_NAMES_THAT_RESOLVE_INSIDE,
    **{name.lower().rstrip("."): ("127.0.0.1", "::1") for name in _NAMES_THAT_ARE_INSIDE},
    **dict.fromkeys(_METADATA_NAMES, ("169.254.169.254",)),
    **dict.fromkeys(("example.com", "evil.example.com", "127.0.0.1.example.com"), ("127.0.0.1",)),
}
_OTHER_PROTOCOLS = (
    *(1, 7, 21, 22, 23, 25, 53, 69, 79, 110, 111, 119, 123, 135, 139, 143, 161, 389, 465, 514, 515, 548, 563, 587),
    *(636, 989, 993, 995, 1719, 1723, 2049, 3659, 4045, 5060, 5061, 6000, 6566, 6667, 6697, 10080),
)


def corpus() -> list[Attack]:
    """Every attack, each URL once."""
    found = {attack.url: attack for attack in _all()}
    return list(found.values())


def _all() -> Iterator[Attack]:
    for kind, addresses in _IPV4.items():
        for address in addresses:
            yield Attack(kind, f"https://{address}:{PORT}/")
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.100.100.200"):
        yield from _spellings(address)
        yield from _inside_ipv6(address)
    yield from _literals()
    for name in _METADATA_NAMES:
        inside = name.endswith(".internal") or "." not in name
        yield Attack("metadata name", f"https://{name}:{PORT}/latest/meta-data/", only_resolution_tells=not inside)
    for name in _NAMES_THAT_ARE_INSIDE:
        yield Attack("name inside", f"https://{name}:{PORT}/")
    for name in _NAMES_THAT_RESOLVE_INSIDE:
        yield Attack("name that resolves inside", f"https://{name}:{PORT}/", only_resolution_tells=True)
    yield from _disguised()
    for port in _OTHER_PROTOCOLS:
        yield Attack("port of another protocol", f"https://hooks.example.com:{port}/")
    for scheme in ("http", "ftp", "file", "gopher", "dict", "ldap", "ws", "unix", "data", "jar:https", "HTTP", ""):
        yield Attack("scheme", f"{scheme}://127.0.0.1:{PORT}/")


def _literals() -> Iterator[Attack]:
    for host in (
        "0",
        "127.1",
        "127.0.1",
        "10.1",
        "0x0",
        "00",
        "0.0",
        "127.0.0.01",
        "0177.1",
        "0x7f.1",
        "169.254.43518",
    ):
        yield Attack("short", f"https://{host}:{PORT}/")
    for host in (
        "::1",
        "::",
        "0:0:0:0:0:0:0:1",
        "::ffff:7f00:1",
        "fe80::1",
        "fe80::1%25lo",
        "fc00::1",
        "fd00:ec2::254",
    ):
        yield Attack("IPv6", f"https://[{host}]:{PORT}/")
    for host in ("ff02::1", "fec0::1", "2001:db8::1", "3fff::1", "100::1", "2001:2::1", "2001:10::1", "5f00::1"):
        yield Attack("IPv6", f"https://[{host}]:{PORT}/")


def _spellings(address: str) -> Iterator[Attack]:
    """One IPv4 address as C libraries, browsers and proxies read it."""
    parts = [int(part) for part in address.split(".")]
    number = int.from_bytes(bytes(parts))
    for host in (
        str(number),
        hex(number),
        f"0x{number:X}",
        f"0{number:o}",
        ".".join(hex(part) for part in parts),
        ".".join(f"0{part:o}" for part in parts),
        ".".join(f"{part:03}" for part in parts),
        ".".join(f"0x0000{part:x}" for part in parts),
        f"{hex(parts[0])}.{parts[1]}.0{parts[2]:o}.{parts[3]}",
        f"{parts[0]}.{number & 0xFFFFFF}",
        f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
        str(number + 2**32),
        address + ".",
    ):
        yield Attack("spelling", f"https://{host}:{PORT}/")
    for digits in ("０１２３４５６７８９", "⓪①②③④⑤⑥⑦⑧⑨", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "⁰¹²³⁴⁵⁶⁷⁸⁹"):
        table = {ord(plain): other for plain, other in zip("0123456789", digits, strict=True)}
        yield Attack("digits of other kinds", f"https://{address.translate(table)}:{PORT}/")
    for dot in "。．｡":
        yield Attack("dots of other kinds", f"https://{address.replace('.', dot)}:{PORT}/")
    yield Attack("percent-encoded", f"https://{''.join(f'%{ord(sign):02x}' for sign in address)}:{PORT}/")
    yield Attack("percent-encoded", f"https://{address.replace('.', '%2e')}:{PORT}/")


def _inside_ipv6(address: str) -> Iterator[Attack]:
    """One IPv4 address inside IPv6 addresses."""
    high, low = (
        int.from_bytes(bytes(int(part) for part in address.split(".")[half])) for half in (slice(2), slice(2, 4))
    )
    hexes = f"{high:x}:{low:x}"
    flipped = f"{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"
    for host in (
        f"::ffff:{address}",
        f"::ffff:{hexes}",
        f"0:0:0:0:0:ffff:{hexes}",
        f"::ffff:0:{address}",  # translated
        f"::{address}",  # compatible
        f"64:ff9b::{address}",  # NAT64
        f"64:ff9b:1::{address}",  # NAT64, local
        f"2002:{hexes}::",  # 6to4
        f"2002:{hexes}::1",
        f"2001:0:4136:e378:8000:63bf:{flipped}",  # Teredo
        f"fe80::5efe:{address}",  # ISATAP
        f"fe80::200:5efe:{address}",
    ):
        yield Attack("IPv4 in IPv6", f"https://[{host}]:{PORT}/")


def _disguised() -> Iterator[Attack]:
    here = f"127.0.0.1:{PORT}"
    for url in (
        f"https://example.com@{here}/",
        f"https://example.com:443@{here}/",
        f"https://user:password@{here}/",
        f"https://{here}@example.com/",
        f"https://example.com%40{here}/",
        f"https://example.com#@{here}/",
        f"https://{here}#@example.com/",
        f"https://example.com?@{here}#/",
        f"https://@{here}/",
        f"https://:@{here}/",
        f"https://example.com@@{here}/",
    ):
        yield Attack("userinfo and fragments", url)
    for url in (
        f"https:\\\\{here}/",
        f"https:/\\{here}/",
        f"https://example.com\\@{here}/",
        f"https://{here}\\@example.com/",
        f"https:/{here}/",
        f"https:{here}/",
        f"https:///{here}/",
        f"//{here}/",
        here,
        "https://",
        "https:///",
    ):
        yield Attack("slashes", url)
    for sign in ("\t", "\n", "\r", "\r\n", "\0", " ", "\u00a0", "\u2028", "\u200b\u0001", "\x7f"):
        yield Attack("control characters", f"https://127.0.{sign}0.1:{PORT}/")
        yield Attack("control characters", f"{sign}https://127.0.0.1:{PORT}/")
    yield Attack("control characters", f"https://example.com:{PORT}/\r\nHost: 127.0.0.1")
    for host in (
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "ｌｏｃａｌｈｏｓｔ",
        "locaℓhost",
        "𝓁ocalhost",
        "ⅼocalhost",
        "loc\u00adalhost",
        "LOCALHOST。",
    ):
        yield Attack("letters of other kinds", f"https://{host}:{PORT}/")
    for url in (
        f"https://[::1:{PORT}/",
        f"https://::1:{PORT}/",
        f"https://[127.0.0.1]:{PORT}/",
        f"https://[::1]x:{PORT}/",
        f"https://[v1.127.0.0.1]:{PORT}/",
        f"https://[::ffff:127.0.0.1%25eth0]:{PORT}/",
        f"https://127.0.0.1..:{PORT}/",
        f"https://.127.0.0.1:{PORT}/",
        "https://127.0.0.1:0/",
        "https://127.0.0.1:65536/",
        "https://127.0.0.1:-1/",
        "https://127.0.0.1:４４３/",
        f"https://{'a' * 64}.example.com:{PORT}/",
        f"https://{'a.' * 130}example.com:{PORT}/",
        f"https://127.0.0.1:{PORT}/{'a' * 2_100}",
        f"https://-127.0.0.1:{PORT}/",
        f"https://127.0.0.1%00.example.com:{PORT}/",
        f"https://127.0.0.1,example.com:{PORT}/",
        f"https://127.0.0.1;example.com:{PORT}/",
        f"https://*.example.com:{PORT}/",
        f"https://$(hostname):{PORT}/",
    ):
        yield Attack("malformed", url)
