"""Which network a request counts for: proxies are believed from the right, and only trusted ones."""

import ipaddress

import pytest

from petition.core.client_networks import UNKNOWN, is_public, of_client

TRUSTED = tuple(ipaddress.ip_network(each) for each in ("127.0.0.0/8", "10.0.0.0/8", "fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7, 10.0.0.9"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7", "10.0.0.9"], "203.0.113.7"),
        # What a stranger wrote left of itself is not looked at.
        ("127.0.0.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        # Proxies only: the outermost one that said anything that can be read.
        ("127.0.0.1", ["10.0.0.8, 10.0.0.9"], "10.0.0.8"),
        ("127.0.0.1", ["somebody"], "127.0.0.1"),
        ("127.0.0.1", ["somebody, 10.0.0.9"], "10.0.0.9"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("fd00::1", ["203.0.113.7"], "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", [], "2001:db8:1:2::/64"),
        ("[2001:db8:1:3::1]", [], "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        (None, [], UNKNOWN),
        (None, ["203.0.113.7"], UNKNOWN),
        ("a unix socket", ["203.0.113.7"], UNKNOWN),
    ],
)
def test_the_network(peer: str | None, forwarded: list[str], network: str) -> None:
    assert of_client(peer, forwarded, TRUSTED) == network


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert of_client("127.0.0.1", ["203.0.113.7"], ()) == "127.0.0.1"


def test_what_is_reachable_on_the_open_net() -> None:
    assert is_public("8.8.8.8")
    assert is_public("2a00:1450:4001:82f::/64")
    assert not any(map(is_public, ("127.0.0.1", "10.0.0.9", "::/64", "fd00::/64", UNKNOWN)))
