"""The client behind trusted proxies: lists are read from the right, as far as they are proxies of ours."""

import pytest
from django.http import HttpRequest, HttpResponse

from hub.addresses import network_of
from hub.server.proxies import TrustedProxies, client_of
from tests.sweep import sweep

TRUSTED = ["10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1"]
FOR, PROTO, HOST = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"


@pytest.fixture(autouse=True)
def _trusting(settings):
    settings.TRUSTED_PROXIES = TRUSTED


def client(peer: str, **headers: str) -> tuple[str, str, str]:
    request = HttpRequest()
    request.META |= {"REMOTE_ADDR": peer, **headers}
    hop = client_of(request)
    return hop.address, hop.scheme, hop.host


@sweep(
    "peer, forwarded, address",
    [
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("", "203.0.113.5", "203.0.113.5"),  # nginx on a Unix socket
        ("", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("", "", ""),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.5, 10.9.9.9", "203.0.113.5"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("10.0.0.1", "[2001:db8:9::1]:4711", "2001:db8:9::1"),
        ("2001:db8:1::7", "2001:db8:9::1", "2001:db8:9::1"),
        ("::ffff:10.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
        ("::ffff:192.0.2.1", "203.0.113.5", "192.0.2.1"),
    ],
)
def test_x_forwarded_for_is_read_from_the_right_through_our_proxies(peer: str, forwarded: str, address: str) -> None:
    assert client(peer, HTTP_X_FORWARDED_FOR=forwarded)[0] == address
    assert client(peer, HTTP_FORWARDED=f"for={forwarded}")[0] == peer.removeprefix("::ffff:"), "it is not set up"


@sweep(
    "forwarded, expected",
    [
        ("for=203.0.113.5;proto=https;host=hub.example", ("203.0.113.5", "https", "hub.example")),
        ('For="[2001:db8:9::1]:4711" ; Proto=HTTPS', ("2001:db8:9::1", "https", "")),
        ("for=198.51.100.1;proto=https, for=203.0.113.5;proto=http", ("203.0.113.5", "http", "")),
        ("for=203.0.113.5;proto=https, for=10.0.0.2;by=10.0.0.1;proto=http", ("203.0.113.5", "https", "")),
        ('for=198.51.100.1, for="a, for=203.0.113.9", for=10.0.0.2', ("10.0.0.2", "", "")),
        ("for=unknown;proto=https", ("10.0.0.1", "https", "")),
        ('for=203.0.113.5;host="a\\"b"', ("203.0.113.5", "", 'a"b')),
        ('for="203.0.113.5', ("10.0.0.1", "", "")),
        ("for=203.0.113.5 nonsense", ("10.0.0.1", "", "")),
        ("for=203.0.113.5;proto=gopher", ("203.0.113.5", "", "")),
        ('for="198.51.100.1, for=203.0.113.5', ("203.0.113.5", "", "")),
        ('for="\\, for="[2001:db8:9::1]"', ("2001:db8:9::1", "", "")),
        ('for=203.0.113.5;host="a, for=198.51.100.1"', ("203.0.113.5", "", "a, for=198.51.100.1")),
        ('for=203.0.113.5;host="a, for=198.51.100.1;x=\\""', ("203.0.113.5", "", 'a, for=198.51.100.1;x="')),
        ("nonsense, , for=203.0.113.5, ", ("203.0.113.5", "", "")),
    ],
)
def test_forwarded_is_read_as_rfc_7239_says(forwarded: str, expected: tuple[str, str, str], settings) -> None:
    settings.PROXY_HEADER = "Forwarded"
    assert client("10.0.0.1", HTTP_FORWARDED=forwarded, HTTP_X_FORWARDED_FOR="203.0.113.99") == expected
    assert client("192.0.2.1", HTTP_FORWARDED=forwarded) == ("192.0.2.1", "", "")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({PROTO: "https", HOST: "hub.example"}, ("10.0.0.1", "https", "hub.example")),
        ({FOR: "203.0.113.5, 10.0.0.2", PROTO: "https"}, ("203.0.113.5", "https", "")),
        ({FOR: "203.0.113.5, 10.0.0.2", PROTO: "https, http"}, ("203.0.113.5", "https", "")),
        ({FOR: "203.0.113.5", PROTO: "https, http"}, ("203.0.113.5", "http", "")),
        ({FOR: "198.51.100.1, 203.0.113.5", HOST: "evil.example, hub.example"}, ("203.0.113.5", "", "hub.example")),
    ],
)
def test_scheme_and_host_are_those_of_the_same_hop(headers: dict[str, str], expected: tuple[str, str, str]) -> None:
    assert client("10.0.0.1", **headers) == expected


@pytest.mark.parametrize(("peer", "is_secure"), [("10.0.0.1", True), ("192.0.2.1", False)])
def test_https_is_believed_from_our_proxies_alone(peer: str, is_secure: bool) -> None:
    request = HttpRequest()
    request.META |= {"REMOTE_ADDR": peer, PROTO: "https"}
    TrustedProxies(lambda _: HttpResponse())(request)
    assert request.is_secure() is is_secure


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:9::1", "2001:db8:9::/64"),
        ("", ""),
    ],
)
def test_addresses_are_counted_apart_but_for_those_of_one_machine(peer: str, network: str) -> None:
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = peer
    assert network_of(request) == network
