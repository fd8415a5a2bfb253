"""The name server that the settings name, as a resolver."""

import dns.asyncresolver

from petition.core.mail_settings import MxResolver

LOOKUP_SECONDS = 1.5


def resolver_of(setting: MxResolver | None, lifetime: float) -> dns.asyncresolver.Resolver | None:
    """Return what asks the name server of ``setting``, for so many seconds; None if none is to be asked."""
    if setting is None:
        return None
    resolver = dns.asyncresolver.Resolver(configure=setting.address is None)
    if setting.address is not None:
        resolver.nameservers = [setting.address]
        resolver.port = setting.port
    resolver.lifetime = lifetime
    return resolver
