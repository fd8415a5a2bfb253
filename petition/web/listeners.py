"""Who is asking: trust belongs to the listener that a request came by, and not to an address or a header.

The main listener is the proxy's: forwarding headers count as far as ``TRUSTED_PROXIES`` reaches. Tor's listener
(``ONION_PORT``) is the Onion service's: there no header counts. Each accepts its own values of ``Host`` only. On both,
forwarding headers end here, so that nothing behind can believe one. See docs/decisions/listeners.md.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from petition.core import client_networks
from petition.core.client_networks import ONION_NETWORK, ClientNetwork
from petition.core.settings import Settings
from petition.web.page_cache import Header

ONION_CLIENT = "petition.onion_client"  # in an ASGI scope: the network, set by Tor's listener and by nothing else

# Load balancers and Prometheus ask a process by its address. What these answer depends on no host and no cookie.
ANY_HOST = ("/healthz", "/readyz", "/metrics")
# What proxies say about a visitor, and visitors in the hope of being taken for one.
FORWARDING_PREFIXES = (b"x-forwarded", b"forwarded", b"x-original-", b"x-real-", b"x-client-", b"x-remote-")
FORWARDING_NAMES = frozenset(
    {
        b"cf-connecting-ip",
        b"cf-connecting-ipv6",
        b"client-ip",
        b"fastly-client-ip",
        b"true-client-ip",
        b"via",
        b"x-cluster-client-ip",
        b"x-host",
        b"x-proxyuser-ip",
        b"x-rewrite-url",
    }
)


class Listeners:
    """What the two listeners accept and believe."""

    def __init__(self, settings: Settings) -> None:
        onion = settings.onion_origin
        self._proxies = client_networks.Proxies(settings.trusted_proxies)
        self._onion_hosts = hosts_of([onion] if onion else [])
        hosts = hosts_of(settings.origins)
        self._main_hosts = hosts if settings.onion_port is None else hosts - self._onion_hosts
        self._shared_hosts = self._onion_hosts & self._main_hosts  # where Tor has no listener of its own

    def hosts(self, *, is_onion: bool) -> frozenset[bytes]:
        """Return the values of ``Host`` that are accepted on a listener."""
        return self._onion_hosts if is_onion else self._main_hosts

    def accepts(self, scope: Mapping[str, Any], host: bytes | None) -> bool:
        """Return whether a request came to a listener that answers its ``Host``."""
        is_onion = ONION_CLIENT in scope
        if host in self.hosts(is_onion=is_onion):
            return True
        return not is_onion and scope["path"] in ANY_HOST and host not in self._onion_hosts

    def is_proxy(self, scope: Mapping[str, Any]) -> bool:
        """Return whether a trusted proxy has connected, and not Tor."""
        peer = scope["client"][0] if scope.get("client") else None
        return bool(peer and ONION_CLIENT not in scope and self._proxies.has(peer))

    def identify(self, scope: MutableMapping[str, Any], host: bytes | None) -> ClientNetwork | None:
        """Set ``scope["network"]``, and take the forwarding headers out; return the network.

        None if the request must be refused: it came from the open net with the Onion ``Host``, to a main listener that
        is Tor's as well. Nothing else distinguishes Tor's daemon from a proxy there: what a header says is but a claim.
        """
        forwarded = _take_forwarding(scope["headers"])
        network: ClientNetwork | None = scope.get(ONION_CLIENT)
        is_refused = False
        if network is None:
            peer = scope["client"][0] if scope.get("client") else None
            network = self._proxies.client(peer, forwarded)
            if host in self._shared_hosts:
                is_refused = network.is_public
                network = network if is_refused else ONION_NETWORK
            elif self._shared_hosts and forwarded and not client_networks.of_client(peer, (), ()).is_public:
                network = network.as_claimed()
        scope["network"] = network
        return None if is_refused else network


def _take_forwarding(headers: list[Header]) -> list[str]:
    """Remove all forwarding headers, in place; return the values of ``X-Forwarded-For`` in order."""
    others, values = [], []
    for header in headers:
        name, value = header
        if not (name.startswith(FORWARDING_PREFIXES) or name in FORWARDING_NAMES):
            others.append(header)
        elif name == b"x-forwarded-for":
            values.append(value.decode("latin-1"))
    if len(others) < len(headers):
        headers[:] = others
    return values


def hosts_of(origins: Iterable[str]) -> frozenset[bytes]:
    """Return the values of ``Host`` for these origins, with the default port too."""
    hosts = set()
    for origin in origins:
        scheme, _, host = origin.partition("://")
        hosts |= {host} if re.search(r":[0-9]+$", host) else {host, host + (":443" if scheme == "https" else ":80")}
    return frozenset(host.encode() for host in hosts)
