"""Which servers a site means, and which addresses they may have."""

from ipaddress import ip_address, ip_network

import pytest

from kadeploy_deployer.domain.http_servers import ServerPattern, is_allowed_address, is_special


@pytest.mark.parametrize(
    ("text", "host", "port", "scheme"),
    [
        ("images.example.org", "images.example.org", 80, "http"),
        ("images.example.org", "images.example.org", 443, "https"),
        ("Images.Example.ORG", "images.example.org", 443, "https"),
        ("images.example.org:8080", "images.example.org", 8080, "http"),
        ("*.example.org", "a.b.example.org", 443, "https"),
        ("*.example.org:81", "a.example.org", 81, "http"),
        ("192.0.2.1", "192.0.2.1", 80, "http"),
        ("[2001:DB8:0::1]:8080", "2001:db8::1", 8080, "http"),
    ],
)
def test_a_server_is_the_one_that_was_named(text: str, host: str, port: int, scheme: str) -> None:
    assert ServerPattern.parse(text).fits(host, port, scheme=scheme)


@pytest.mark.parametrize(
    ("text", "host", "port", "scheme"),
    [
        ("images.example.org", "images.example.org", 8080, "http"),
        ("images.example.org", "images.example.org", 443, "http"),
        ("images.example.org", "images.example.org.evil.org", 80, "http"),
        ("images.example.org", "evil-images.example.org", 80, "http"),
        ("images.example.org:8080", "images.example.org", 80, "http"),
        ("*.example.org", "example.org", 80, "http"),
        ("*.example.org", "evilexample.org", 80, "http"),
        ("*.0.0.1", "127.0.0.1", 80, "http"),
    ],
)
def test_another_server_is_not(text: str, host: str, port: int, scheme: str) -> None:
    assert not ServerPattern.parse(text).fits(host, port, scheme=scheme)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "*.",
        "http://images.example.org",
        "a/b",
        "a b",
        "a:b",
        "a:0",
        "a:65536",
        "user@host",
        "[::1",
        "[::g]",
        "a.*",
    ],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ServerPattern.parse(text)


@pytest.mark.parametrize("text", ["images.example.org", "*.example.org:8080", "[2001:db8::1]:81", "192.0.2.1"])
def test_a_server_is_written_as_it_was_read(text: str) -> None:
    assert str(ServerPattern.parse(text)) == text


SPECIAL = (
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.1"),
    *("192.0.2.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "fe80::1"),
    *("fec0::1", "fc00::1", "fd00::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::1", "100::1"),
)


@pytest.mark.parametrize("text", SPECIAL)
def test_what_is_not_the_internet_is_not_reached_unless_the_site_named_its_network(text: str) -> None:
    address = ip_address(text)
    assert not is_allowed_address(address, [])
    plain = getattr(address, "ipv4_mapped", None) or address
    assert is_special(plain)
    assert is_allowed_address(address, [ip_network(plain)])
    assert not is_allowed_address(address, [ip_network("203.0.113.0/24")])


@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_the_internet_is_reached(text: str) -> None:
    assert is_allowed_address(ip_address(text), [])
