"""Which network a request counts for: proxies are believed from the right, and only trusted ones."""

import ipaddress

import pytest

from petition.core.client_networks import (
    ONION,
    ONION_NETWORK,
    ONION_SERVICE,
    UNKNOWN,
    ClientNetwork,
    NetworkKind,
    of_circuit,
    of_client,
)

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
        ("127.0.0.1", ["[2001:db8:1:3::1]"], "2001:db8:1:3::/64"),
        ("127.0.0.1", ["[2001:db8:1:3::1]:443"], "2001:db8:1:3::/64"),
        ("127.0.0.1", ["2001:db8:1:3::1%eth0"], "2001:db8:1:3::/64"),
        ("127.0.0.1", ["[fe80::1%eth0]:443"], "fe80::/64"),
        ("127.0.0.1", ["203.0.113.7:5678"], "203.0.113.7"),
        ("127.0.0.1", ["\t203.0.113.7:5678 ,10.0.0.9:1"], "203.0.113.7"),
        ("127.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["[::ffff:203.0.113.7]:80, ::ffff:10.0.0.9"], "203.0.113.7"),
        ("127.0.0.1", ["203.0.113.7", "10.0.0.8", "10.0.0.9, 127.0.0.2"], "203.0.113.7"),
        # A proxy that names no address: nothing that a visitor may have written to the left is believed instead.
        ("127.0.0.1", ["203.0.113.7, "], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7", ""], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7,,10.0.0.9"], "10.0.0.9"),
        ("127.0.0.1", ["203.0.113.7, unknown"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, unix:"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, [10.0.0.9"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, \u0661\u0660.0.0.9"], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.7, 10.0.0.010"], "127.0.0.1"),
        # 64 KB of the visitor's, then the proxy's word.
        ("127.0.0.1", ["198.51.100.1," * 5000 + "203.0.113.7"], "203.0.113.7"),
        ("127.0.0.1", ["," * 65_000 + "203.0.113.7, 10.0.0.9"], "203.0.113.7"),
        ("127.0.0.1", ["x" * 65_000], "127.0.0.1"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("::ffff:127.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("64:ff9b::8.8.8.8", [], "8.8.8.8"),
        ("2002:808:808:7::1", [], "8.8.8.8"),  # a /48 of 6to4 is one IPv4 address
        ("127.0.0.1", ["2002:808:808:9::1"], "8.8.8.8"),
        (None, [], UNKNOWN),
        (None, ["203.0.113.7"], UNKNOWN),
        ("a unix socket", ["203.0.113.7"], UNKNOWN),
    ],
)
def test_the_network(peer: str | None, forwarded: list[str], network: str) -> None:
    assert of_client(peer, forwarded, TRUSTED).narrowest == network


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert of_client("127.0.0.1", ["203.0.113.7"], ()).narrowest == "127.0.0.1"


def test_what_is_reachable_on_the_open_net() -> None:
    assert of_client("8.8.8.8", (), ()).is_public
    assert of_client("2a00:1450:4001:82f::5", (), ()).is_public
    for address in ("127.0.0.1", "10.0.0.9", "::", "::1", "fd00::7", "fe80::1%eth0", UNKNOWN):
        assert not of_client(address, (), ()).is_public


@pytest.mark.parametrize(
    ("address", "kind", "prefixes", "factors"),
    [
        ("8.8.4.4", NetworkKind.PUBLIC, ("8.8.4.4", "8.8.4.0/24"), (1, 16)),
        (
            "2a00:1450:4001:82f::5",
            NetworkKind.PUBLIC,
            ("2a00:1450:4001:82f::/64", "2a00:1450:4001:800::/56", "2a00:1450:4001::/48"),
            (1, 4, 16),
        ),
        ("127.0.0.1", NetworkKind.LOCAL, ("127.0.0.1",), (1,)),
        ("fd00:1:2:3::4", NetworkKind.LOCAL, ("fd00:1:2:3::/64",), (1,)),
        ("fe80::1%eth0", NetworkKind.LOCAL, ("fe80::/64",), (1,)),
        ("no address", NetworkKind.UNKNOWN, (UNKNOWN,), (1,)),
    ],
)
def test_the_prefixes(address: str, kind: NetworkKind, prefixes: tuple[str, ...], factors: tuple[int, ...]) -> None:
    assert of_client(address, (), ()) == ClientNetwork(kind, prefixes, factors)


def test_onion_traffic_is_one_bucket_with_circuits_in_it() -> None:
    assert (ONION_NETWORK.prefixes, ONION_NETWORK.factors) == ((ONION, ONION_SERVICE), (10, 10))
    circuit = of_circuit("0:7")
    assert circuit.limits(30) == (("onion/0:7", 30), (ONION_SERVICE, 300))
    assert circuit.has_own_bucket
    assert not ONION_NETWORK.has_own_bucket
    assert not circuit.is_public


def test_an_address_that_was_only_claimed_counts_where_it_would_and_is_not_its_owners() -> None:
    address = of_client("8.8.4.4", (), ())
    claimed = address.as_claimed()
    assert claimed.limits(30) == address.limits(30)
    assert address.has_own_bucket
    assert not claimed.has_own_bucket
