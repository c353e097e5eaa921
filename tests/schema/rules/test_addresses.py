"""Where webhooks may go (decision W6)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from schema.errors import Invalid
from schema.rules.addresses import check_url, is_public, may_connect, parse_network

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
INSIDE = "url must be reachable from the internet: "

NOT_PUBLIC_V4 = [
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.255.255.255", "168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.0", "172.31.255.255",
    "192.0.0.1", "192.0.0.9", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0",
    "192.168.255.255", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "224.0.0.251", "239.255.255.255", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
PUBLIC_V4 = [
    "1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
    "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.1", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "198.51.101.0", "203.0.114.0", "223.255.255.255",
]  # fmt: skip
NOT_PUBLIC_V6 = [
    "::", "::1", "::2", "::7f00:1",  # unspecified, loopback, IPv4-compatible
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1",  # IPv4-mapped and -translated
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1",  # NAT64
    "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2001:1ff:ffff::1", "2002:7f00:1::1", "2002:a00:1::", "2002:808:808::1",  # 6to4, whatever it stands for
    "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "1fff::1",
    "fc00::1", "fd00:ec2::254", "fdff::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "ff0e::1",
    "2606:4700:4700::1111%eth0",
]  # fmt: skip
PUBLIC_V6 = [
    "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700:4700::1111", "2620:4f:8001::1", "2a00:1450:4001::200e",
    "2000::1", "3ffe::1",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_PUBLIC_V4 + NOT_PUBLIC_V6)
def test_what_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not may_connect(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC_V4 + PUBLIC_V6)
def test_what_is_public(text: str) -> None:
    assert is_public(ip_address(text))
    assert may_connect(ip_address(text))


@given(st.ip_addresses())
def test_what_python_calls_special_is_never_public(address: IPv4Address | IPv6Address) -> None:
    special = (
        not address.is_global
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )

    assert not (is_public(address) and special)


@given(st.ip_addresses(v=4))
def test_no_ipv6_form_of_an_ipv4_address_is_public(address: IPv4Address) -> None:
    number = int(address)
    forms = [
        number,  # compatible
        0xFFFF << 32 | number,  # mapped
        0xFFFF << 48 | number,  # translated
        0x0064FF9B << 96 | number,  # NAT64
        0x0064FF9B0001 << 80 | number,
        0x2002 << 112 | number << 80,  # 6to4
        0x2001 << 112 | (number ^ 0xFFFFFFFF),  # Teredo
    ]

    assert [form for form in forms if is_public(IPv6Address(form))] == []


def test_named_networks_are_opened_and_no_others() -> None:
    opened = [ip_network("10.1.0.0/16"), ip_network("fd00::/8")]

    assert may_connect(ip_address("10.1.2.3"), opened)
    assert may_connect(ip_address("fd12::1"), opened)
    assert may_connect(ip_address("8.8.8.8"), opened)
    assert not may_connect(ip_address("10.2.0.1"), opened)
    assert not may_connect(ip_address("::ffff:10.1.2.3"), opened)
    assert not may_connect(ip_address("fe80::1"), opened)


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/"),
        ("HTTPS://Example.COM/Hook?A=b&c=%20", "https://example.com/Hook?A=b&c=%20"),
        ("https://example.com./hook", "https://example.com/hook"),
        ("https://example.com:8443/hook", "https://example.com:8443/hook"),
        ("https://example.com:/hook", "https://example.com/hook"),
        ("https://hooks_1.example.com/", "https://hooks_1.example.com/"),
        ("https://bücher.example/ä?ö=ü", "https://xn--bcher-kva.example/%C3%A4?%C3%B6=%C3%BC"),
        ("https://BÜCHER。example/", "https://xn--bcher-kva.example/"),
        ("https://ⓔxample.com/", "https://example.com/"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://8.8.8.8/hook", "https://8.8.8.8/hook"),
        ("https://⑧.8.8.8/hook", "https://8.8.8.8/hook"),
        ("https://[2606:4700:4700:0::1111]:8443/", "https://[2606:4700:4700::1111]:8443/"),
        ("https://8.8.8.8.example.com/", "https://8.8.8.8.example.com/"),
        ("https://localhost.example.com/", "https://localhost.example.com/"),
        ("https://example.com/?url=http://127.0.0.1/", "https://example.com/?url=http://127.0.0.1/"),
        ('https://example.com/a"<b>^`{c|d}?e="f"', "https://example.com/a%22%3Cb%3E%5E%60%7Bc%7Cd%7D?e=%22f%22"),
        ("https://example.com/~a-b_c.d!$&'()*+,;=:[]%2f", "https://example.com/~a-b_c.d!$&'()*+,;=:[]%2f"),
        ("https://example.com/@me", "https://example.com/@me"),
    ],
)
def test_urls_that_pass_and_how_they_are_stored(url: str, stored: str) -> None:
    assert check_url(url) == stored
    assert check_url(stored) == stored


SCHEME = "url must start with https://"
CHARACTERS = "url must not contain spaces, backslashes or control characters"
USER = "url must not contain a user name or password"
PORT = "url must have a port between 1 and 65535"
HOST = "url must name a host such as example.com"
NO_HOST = "url must name a host"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", SCHEME),
        ("example.com", SCHEME),
        ("//example.com/", SCHEME),
        ("http://example.com/", SCHEME),
        ("ftp://example.com/", SCHEME),
        ("file:///etc/passwd", SCHEME),
        ("javascript:alert(1)", SCHEME),
        ("gopher://example.com/", SCHEME),
        ("https:example.com", SCHEME),
        ("https:/example.com", SCHEME),
        ("https://", NO_HOST),
        ("https:///hook", NO_HOST),
        ("https://:443/", NO_HOST),
        ("https://?a=b", NO_HOST),
        ("https://./", HOST),
        ("https://user@example.com/", USER),
        ("https://user:secret@example.com/", USER),
        ("https://@example.com/", USER),
        ("https://example.com:443@127.0.0.1/", USER),
        ("https://example.com/#part", "url must not contain a fragment (#)"),
        ("https://example.com/#", "url must not contain a fragment (#)"),
        ("https://example.com#@127.0.0.1/", "url must not contain a fragment (#)"),
        ("https://example.com:0/", PORT),
        ("https://example.com:65536/", PORT),
        ("https://example.com:-1/", PORT),
        ("https://example.com:+443/", PORT),
        ("https://example.com:https/", PORT),
        ("https://example.com:443:443/", PORT),
        ("https://example.com /", CHARACTERS),
        (" https://example.com/", CHARACTERS),
        ("https://example.com/\n", CHARACTERS),
        ("https://exa\tmple.com/", CHARACTERS),
        ("https://example.com\\@127.0.0.1/", CHARACTERS),
        ("https://example.com/\x00", CHARACTERS),
        ("https://example.com/\ud800", CHARACTERS),
        ("https://example.com/\u00a0", CHARACTERS),
        ("https://exam..ple.com/", HOST),
        ("https://-example.com/", HOST),
        ("https://example-.com/", HOST),
        ("https://exa%6dple.com/", HOST),
        ("https://exa*mple.com/", HOST),
        ("https://" + "a" * 64 + ".com/", HOST),
        ("https://" + "a." * 130 + "com/", HOST),
        ("https://\u202eexample.com/", HOST),
        ("https://[::1", "url must be a URL such as https://example.com/webhook"),
        ("https://example.com/" + "a" * 2_029, "url must be at most 2048 characters"),
        ("https://example.com/" + "ä" * 1_000, "url must be at most 2048 characters"),
    ],
)
def test_urls_that_are_refused_and_why(url: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_url(url)

    assert refusal.value.message == sentence


def test_a_url_of_2048_characters_passes() -> None:
    url = "https://example.com/" + "a" * 2_028

    assert check_url(url) == url


@pytest.mark.parametrize("address", NOT_PUBLIC_V4)
def test_closed_ipv4_literals_are_refused(address: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_url(f"https://{address}/")

    assert refusal.value.message == f"{INSIDE}{address} is not a public address"


@pytest.mark.parametrize("address", [text for text in NOT_PUBLIC_V6 if "%" not in text])
def test_closed_ipv6_literals_are_refused(address: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_url(f"https://[{address}]/")

    assert refusal.value.message == f"{INSIDE}{IPv6Address(address)} is not a public address"


@pytest.mark.parametrize("host", ["①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "127.0.0.1."])  # noqa: RUF001
def test_an_address_in_disguise_is_seen_through(host: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_url(f"https://{host}/")

    assert refusal.value.message == f"{INSIDE}127.0.0.1 is not a public address"


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "127.0.0.0x1",
        "8.8.8",
        "0",
        "1.2.3.4.5",
        "256.1.1.1",
        "example.1",
        "%31%32%37.0.0.1",
        "0x",
        "[::ffff:127.0.0.1.]",
        "[v1.fe]",
        "[8.8.8.8]x",
    ],
)
def test_an_address_that_is_not_written_in_the_usual_way_is_refused(host: str) -> None:
    for allow in ([], [ip_network("0.0.0.0/0"), ip_network("::/0")]):
        with pytest.raises(Invalid):
            check_url(f"https://{host}/", allow_networks=allow)


def test_an_address_with_a_zone_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        check_url("https://[fe80::1%25eth0]/", allow_networks=[ip_network("fe80::/10")])

    assert refusal.value.message == "url must not have an address with a zone (%)"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "a.localhost", "ⓛocalhost"])
def test_this_server_itself_is_refused(host: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_url(f"https://{host}/")

    assert refusal.value.message.startswith(INSIDE)
    assert refusal.value.message.endswith("is this server itself")


@pytest.mark.parametrize(
    "host", ["printer.local", "metadata.google.internal", "localhost.localdomain", "nas.home.arpa", "intranet", "redis"]
)
def test_names_of_private_networks_are_refused(host: str) -> None:
    with pytest.raises(Invalid) as refusal:
        check_url(f"https://{host}/")

    assert refusal.value.message == f"{INSIDE}{host} is a name of a private network"


def test_development_opens_named_networks_and_plain_http() -> None:
    assert check_url("http://localhost:3000/webhook", allow_http=True, allow_networks=LOOPBACK) == (
        "http://localhost:3000/webhook"
    )
    assert check_url("http://127.0.0.1:3000/", allow_http=True, allow_networks=LOOPBACK) == "http://127.0.0.1:3000/"
    assert check_url("http://[::1]:3000/", allow_http=True, allow_networks=LOOPBACK) == "http://[::1]:3000/"
    assert check_url("https://receiver:8443/", allow_networks=[ip_network("172.16.0.0/12")]) == "https://receiver:8443/"


def test_what_development_does_not_open_stays_closed() -> None:
    opened = [ip_network("10.0.0.0/8")]

    with pytest.raises(Invalid, match=SCHEME):
        check_url("http://10.0.0.1/", allow_networks=opened)
    with pytest.raises(Invalid, match=r"192\.168\.0\.1 is not a public address"):
        check_url("http://192.168.0.1/", allow_http=True, allow_networks=opened)
    with pytest.raises(Invalid, match="localhost is this server itself"):
        check_url("http://localhost/", allow_http=True, allow_networks=opened)
    with pytest.raises(Invalid, match=SCHEME):
        check_url("ftp://example.com/", allow_http=True)


def test_the_sentence_names_the_field() -> None:
    with pytest.raises(Invalid) as refusal:
        check_url("nonsense", field="endpoint")

    assert refusal.value.message == "endpoint must start with https://"


@given(st.text(max_size=40) | st.text(alphabet="①②⑦⓪.0127xXaf:[]@%/\\。-", max_size=24))
def test_what_passes_means_the_same_to_the_client_that_sends_it(host: str) -> None:
    try:
        stored = check_url(f"https://{host}/")
    except Invalid:
        return

    sent = URL(stored)
    assert sent.raw_host is not None
    assert sent.user is None
    assert str(sent) == str(URL(str(sent)))
    assert sent.raw_host in stored
    try:
        address = ip_address(sent.raw_host)
    except ValueError:
        assert not sent.raw_host.rpartition(".")[2].isdigit()
    else:
        assert is_public(address)


def test_networks_are_read_without_host_bits() -> None:
    assert parse_network("10.0.0.0/8", "allow") == ip_network("10.0.0.0/8")
    assert parse_network("::1", "allow") == ip_network("::1/128")
    with pytest.raises(Invalid) as refusal:
        parse_network("10.0.0.1/8", "allow")

    assert refusal.value.message == (
        "allow must be an IP address or a CIDR range such as 10.0.0.0/8, without host bits"
    )


@pytest.mark.parametrize("port", [1, 22, 25, 53, 110, 143, 465, 587, 993, 2049, 5060, 6000, 6667, 10080])
def test_ports_of_other_protocols_are_refused(port: int) -> None:
    """W6: what browsers refuse, too, also where networks are open."""
    for networks in ([], [ip_network("0.0.0.0/0")]):
        with pytest.raises(Invalid) as refusal:
            check_url(f"https://hooks.example.com:{port}/", allow_networks=networks)

        assert (
            refusal.value.message == f"url must not have the port {port}, which belongs to another protocol than HTTP"
        )


@pytest.mark.parametrize("port", [80, 443, 591, 3000, 8080, 8443, 9000, 49_152, 65_535])
def test_odd_ports_are_allowed(port: int) -> None:
    """W6."""
    assert check_url(f"https://hooks.example.com:{port}/") == f"https://hooks.example.com:{port}/"
