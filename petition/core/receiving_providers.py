"""Large receiving providers, which slow down or block a sender that comes too fast, each by its own measure.

A relay hands our mail on from its own address, so these limits hold for each relay by itself. Most providers publish
advice and not figures (``sources``). So the mails a minute are cautious choices of ours, and the connections lean on a
public file of senders of bulk mail where it names the provider. They are defaults: ``SMTP_URLS`` takes a figure for
each, as ``gmail=1200`` for mails a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from petition.core.email_providers import NEWEST, PROVIDERS


@dataclass(frozen=True, slots=True)
class ReceivingProvider:
    """One provider. ``name`` is the parameter's in ``SMTP_URLS``."""

    name: str
    domains: frozenset[str]
    connections: int  # at once that mail to it may occupy
    per_minute: int
    sources: tuple[str, ...]


def _domains_with(domain: str, others: str = "") -> frozenset[str]:
    """Return the domains of the provider that has ``domain``, and ``others``."""
    own = next((provider.domains for provider in PROVIDERS[NEWEST] if domain in provider.domains), ())
    return frozenset(own) | frozenset(others.split())


_YAHOO = """
yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.in ymail.com rocketmail.com aol.com aol.de aol.co.uk
"""
_SHAPING = "https://github.com/KumoCorp/kumomta, assets/policy-extras/shaping.toml (connections)"
PROVIDERS_BY_NAME: Mapping[str, ReceivingProvider] = {
    provider.name: provider
    for provider in (
        ReceivingProvider(
            "gmail",
            _domains_with("gmail.com"),
            connections=5,
            per_minute=600,
            sources=("https://support.google.com/mail/answer/81126 (begin slowly, grow steadily)", _SHAPING),
        ),
        ReceivingProvider(
            "microsoft",
            _domains_with(
                "outlook.com", "hotmail.co.uk hotmail.de hotmail.fr hotmail.it live.co.uk live.fr live.de live.nl"
            ),
            connections=5,
            per_minute=300,
            sources=("https://sendersupport.olc.protection.outlook.com/pm/policies.aspx", _SHAPING),
        ),
        ReceivingProvider(
            "yahoo",
            _domains_with("yahoo.com", _YAHOO),
            connections=5,
            per_minute=300,
            sources=("https://senders.yahooinc.com/best-practices (few mails per connection)", _SHAPING),
        ),
        ReceivingProvider(
            "apple",
            _domains_with("icloud.com"),
            connections=5,
            per_minute=200,
            sources=("https://support.apple.com/102322 (few mails per connection)", _SHAPING),
        ),
        ReceivingProvider(
            "mail_ru",
            _domains_with("mail.ru"),
            connections=3,
            per_minute=300,
            sources=(
                "https://help.mail.ru/mail-help/rules/info (no figure: complaints and reputation decide)",
                "https://blog.expertsender.ru/2019/11/14/zachem-mne-progrevat-domen (16,000 a day from a new sender)",
            ),
        ),
        ReceivingProvider(
            "yandex",
            _domains_with("yandex.ru"),
            connections=3,
            per_minute=300,
            sources=("https://yandex.com/support/postmaster (no figure: complaints and reputation decide)",),
        ),
    )
}
_BY_DOMAIN = {domain: provider for provider in PROVIDERS_BY_NAME.values() for domain in provider.domains}


def of_domain(domain: str) -> ReceivingProvider | None:
    """Return the provider whose own domain this is (ASCII, lower case), None for all others."""
    return _BY_DOMAIN.get(domain)
