"""What is wrong with the way by which letters are read and signed by mail, as far as this machine can see."""

from collections.abc import AsyncIterator

import dns.exception
import dns.resolver

from petition.core.name_servers import LOOKUP_SECONDS, resolver_of
from petition.core.settings import Settings


async def findings(settings: Settings) -> AsyncIterator[str]:
    """Yield one line for each finding, with its cure; nothing where ``MAIL_IN`` is not set."""
    if settings.mail_in is None:
        return
    if settings.mx_resolver is None:
        yield "MX_RESOLVER is off, so no mail can prove its mailbox and each needs a link; set it to system"
    elif finding := await _mx_finding(settings):
        yield finding
    folder = settings.mail_in_dir
    if folder is not None and not all((folder / name).is_dir() for name in ("new", "cur")):
        yield "MAIL_IN_DIR has no folders new and cur; let the mail server make the Maildir, or make them"


async def _mx_finding(settings: Settings) -> str | None:
    resolver = resolver_of(settings.mx_resolver, LOOKUP_SECONDS)
    if resolver is None:
        return None
    try:
        await resolver.resolve(f"{settings.mail_in}.", "MX")
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return f"MAIL_IN: {settings.mail_in} has no MX record, so no mail can reach it; add one for your mail server"
    except dns.exception.DNSException:
        return f"MAIL_IN: the name server does not say where mail for {settings.mail_in} goes; see that it answers"
    return None
