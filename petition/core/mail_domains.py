"""Mail domains: whose they are, what class of provider they belong to, and which hosts take mail for others' domains.

Only the worker and acts of the desk ask: the time of an answer of the web must not depend on a domain.
"""

import functools
from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING

from petition.core.email_providers import FREE_MAIL, NEWEST, PROVIDERS

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


class ProviderClass(StrEnum):
    """Who provides a mailbox; counted in statistics, so the values never change."""

    LARGE = "large"
    OTHER = "other_provider"  # anyone can have an address there, too
    ALIAS = "alias"  # a service that hides another mailbox; one account has many addresses
    DISPOSABLE = "disposable"
    FORWARDED = "forwarded"  # a domain of one's own whose mail a forwarding service takes for any name
    OWN = "own"  # a domain of one's own: a school, a company, a person


_LARGE_NAMES = """
gmail.com googlemail.com yandex.ru ya.ru yandex.com yandex.by yandex.kz yandex.ua mail.ru inbox.ru list.ru bk.ru
internet.ru outlook.com hotmail.com live.com msn.com hotmail.co.uk hotmail.de hotmail.fr hotmail.it live.co.uk live.fr
icloud.com me.com mac.com yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.in ymail.com rocketmail.com
aol.com proton.me protonmail.com pm.me gmx.com gmx.de gmx.net gmx.at gmx.ch web.de qq.com 163.com 126.com
"""
_LARGE = frozenset(_LARGE_NAMES.split())

# Legitimate, and chosen by those who care about privacy: never held one by one, only limited by rate.
# simplelogin.io/docs, addy.io/help, relay.firefox.com/faq, duckduckgo.com/email, support.apple.com/HT210425
_ALIAS_NAMES = """
simplelogin.com simplelogin.co simplelogin.fr aleeas.com slmail.me slmails.com silomails.com passmail.net passmail.com
passinbox.com passfwd.com anonaddy.com anonaddy.me addy.io addymail.com mailer.me 4wrd.cc 8shield.net 8alias.com
dralias.com duck.com mozmail.com privaterelay.appleid.com 33mail.com erine.email
"""
_ALIAS = frozenset(_ALIAS_NAMES.split())

# Hosts of mail for domains of one's own, with accounts for each mailbox: very many customers share them, so what comes
# through one says nothing. Not complete; what the entries rest on is in docs/decisions/forgery.md. By the ends of their
# names, as their customers' MX records have them; narrow, since many of these firms also rent servers whose names end
# alike.
_SHARED_HOSTS_NAMES = """
google.com googlemail.com mail.protection.outlook.com olc.protection.outlook.com mx.microsoft mx.yandex.net
mx.yandex.ru emx.mail.ru mxs.mail.ru mail.icloud.com protonmail.ch messagingengine.com mx.zoho.com mx.zoho.eu
mx2.zoho.com mx3.zoho.com mx2.zoho.eu mx3.zoho.eu migadu.com mailbox.org posteo.de mail.tutanota.de mx1.riseup.net
mx.runbox.com mailserver.purelymail.com mxrouting.net mail.gandi.net mail.ovh.net mail.ovh.ca infomaniak.ch
mx00.ionos.com mx01.ionos.com mx00.ionos.de mx01.ionos.de mx00.kundenserver.de mx01.kundenserver.de smtpin.rzone.de
mxlb.ispgateway.de mx1.hostinger.com mx2.hostinger.com smtp.secureserver.net mailstore1.secureserver.net
mx1.emailsrvr.com mx2.emailsrvr.com hostedemail.com mx1.privateemail.com mx2.privateemail.com mx1.titan.email
mx2.titan.email mx.aruba.it mx1.seznam.cz mx2.seznam.cz mx1.beget.com mx2.beget.com mx1.timeweb.ru mx2.timeweb.ru
mx1.hosting.reg.ru mx2.hosting.reg.ru mx1.spaceweb.ru mx2.spaceweb.ru mx01.nicmail.ru mx02.nicmail.ru mimecast.com
pphosted.com messagelabs.com ess.barracudanetworks.com iphmx.com antispamcloud.com
"""
_SHARED_HOSTS = frozenset(_SHARED_HOSTS_NAMES.split())

# Hosts that forward mail for any name at a domain to one mailbox, by the MX records that their manuals ask for:
# improvmx.com/guides, forwardemail.net/faq, developers.cloudflare.com/email-routing, simplelogin.io/docs/custom-domain,
# addy.io/help/adding-a-custom-domain, namecheap.com/support (email forwarding), kb.porkbun.com (email forwarding)
_FORWARDING_HOSTS_NAMES = """
improvmx.com forwardemail.net mx.cloudflare.net simplelogin.co alias.proton.me anonaddy.me
eforward1.registrar-servers.com eforward2.registrar-servers.com eforward3.registrar-servers.com
eforward4.registrar-servers.com eforward5.registrar-servers.com fwd1.porkbun.com fwd2.porkbun.com
"""
_FORWARDING_HOSTS = frozenset(_FORWARDING_HOSTS_NAMES.split())

# Hosts behind the domains of throw-away mailboxes, by how many such domains and how few others point to them.
_DISPOSABLE_HOSTS_NAMES = """
mailinator.com yopmail.com in.mail.tm mailnesia.com mx.discard.email mx.moakt.com temp-mail.io mail.guerrillamail.com
prd-smtp.10minutemail.com wabblywabble.com wallywatts.com generator.email unstablemail.com beavis99.com beavis99.net
emailfake.com emlhub.com emlpro.com emltmp.com spymail.one dropmail.me freeml.net yomail.info h-email.net
cleantempmail.com
"""
_DISPOSABLE_HOSTS = frozenset(_DISPOSABLE_HOSTS_NAMES.split())

# No one has a mailbox there (RFC 2606, RFC 6761): only tests and trials use them.
_SPECIAL_NAMES = """
example.com example.net example.org example test invalid localhost local onion
"""
_SPECIAL = frozenset(_SPECIAL_NAMES.split())


_WITH_SUBDOMAINS = frozenset(name for provider in PROVIDERS[NEWEST] if provider.subdomains for name in provider.domains)

TRUSTED = "trusted domain "  # before a domain in the digests of those that an organizer let through


def registrable(domain: str) -> str:
    """Return the part of ``domain`` (ASCII, lower case) that someone registered, or itself if it has none.

    Names below private suffixes (``eu.org``, names of dynamic DNS) count as one: many of these are free.
    """
    return str(_suffixes().privatesuffix(domain) or domain)


def organizational(domain: str) -> str:
    """Return the part of ``domain`` (ASCII, lower case) that one owner has, or itself if it has none.

    Unlike ``registrable``, names below private suffixes count apart: their owners are strangers to each other.
    """
    return str(_all_suffixes().privatesuffix(domain) or domain)


def parents(domain: str) -> list[str]:
    """Return ``domain`` and the domains above it, as far as they have two labels."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def is_special(domain: str) -> bool:
    """Return whether ``domain`` is reserved, so that no mail can reach it."""
    return _is_below(domain, _SPECIAL)


@functools.lru_cache(4096)
def class_of(domain: str) -> ProviderClass:
    """Return the class of ``domain`` (ASCII, lower case) by its name alone."""
    if _is_below(domain, _ALIAS):
        return ProviderClass.ALIAS
    if domain in _LARGE:
        return ProviderClass.LARGE
    if domain in FREE_MAIL or domain.partition(".")[2] in _WITH_SUBDOMAINS:
        return ProviderClass.OTHER
    return ProviderClass.DISPOSABLE if is_throwaway(domain) else ProviderClass.OWN


def class_of_host(host: str) -> ProviderClass | None:
    """Return the class of a domain whose mail goes to ``host``; OWN if many share the host; None: not known."""
    if _is_below(host, _FORWARDING_HOSTS):
        return ProviderClass.FORWARDED
    if _is_below(host, _DISPOSABLE_HOSTS):
        return ProviderClass.DISPOSABLE
    return ProviderClass.OWN if _is_below(host, _SHARED_HOSTS) else None


def is_throwaway(domain: str) -> bool:
    """Return whether ``domain`` (ASCII, lower case) or one above it provides throw-away mailboxes."""
    return _is_below(domain, _throwaway_domains())


def _is_below(domain: str, names: Collection[str]) -> bool:
    while domain:
        if domain in names:
            return True
        domain = domain.partition(".")[2]
    return False


@functools.cache
def _throwaway_domains() -> frozenset[str]:
    # 10,000 strings that the command line never needs.
    from disposable_email_domains import blocklist

    return frozenset(blocklist) - FREE_MAIL - _ALIAS


@functools.cache
def _suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList  # its list comes with it: 50 ms to read

    return PublicSuffixList(only_icann=True)


@functools.cache
def _all_suffixes() -> "PublicSuffixList":
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
