"""Signals for moderators."""

import pytest
from disposable_email_domains import blocklist
from hypothesis import given
from hypothesis import strategies as st

from petition.core.email_addresses import parse
from petition.core.email_providers import FREE_MAIL
from petition.core.mail_domains import is_throwaway
from petition.signatures.model import Kind
from petition.signatures.signals import host_of, is_own_domain, signals_of

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


def signal_names(address: str, *names: str, kind: Kind = Kind.PERSON, website: str | None = None) -> set[str]:
    """Return the keys of the signals."""
    signals = signals_of(kind, names, parse(address), website)
    assert signals is None or (signals and set(signals.values()) == {True})
    return set(signals or ())


def test_an_ordinary_person_gives_no_signal() -> None:
    assert signal_names("ann@gmail.com", "Ann Lee") == set()
    assert signal_names("ann@gmail.com") == set()


@pytest.mark.parametrize(
    ("address", "name", "signal"),
    [
        ("a@mailinator.com", "Ann", "throwaway"),
        ("a@x.mailinator.com", "Ann", "throwaway"),
        ("a+b@example.org", "Ann", "tagged"),
        ("a@example.org", "see https://x.org", "link"),
        ("a@example.org", "ИВАН ПЕТРОВ", "shouting"),
        ("a@example.org", "Петрoв", "mixed_scripts"),
        ("a@example.org", "Z" + "\u0335" * 6, "stacked_marks"),
    ],
)
def test_signals_of_a_person(address: str, name: str, signal: str) -> None:
    assert signal_names(address, name) == {signal}


@pytest.mark.parametrize("name", ["Иван ПЕТРОВ", "LI NA", "ЮЛЯ", "Ann Анна", "Nguyễn Văn Ậ", "महात्मा", "И.О."])
def test_what_is_customary_gives_no_signal(name: str) -> None:
    assert signal_names("ann@example.org", name) == set()


@pytest.mark.parametrize(
    ("address", "website", "signals"),
    [
        ("ann@roskomsvoboda.org", "https://www.roskomsvoboda.org/en/", {"own_domain"}),
        ("ann@mail.example.org", "example.org", {"own_domain"}),
        ("ann@example.org", "http://blog.example.org:8080", {"own_domain"}),
        ("ann@пример.рф", "https://пример.рф", {"own_domain"}),
        ("ann@example.org", "https://other.org", set()),
        ("ann@badexample.org", "https://example.org", set()),
        ("ann@gmail.com", "https://example.org", {"free_mail"}),
        ("ann@gmail.com", "https://gmail.com", {"free_mail"}),
        ("ann@gmail.com", "https://x.gmail.com", {"free_mail"}),
        ("ann@narod.ru", "https://club.narod.ru", {"free_mail"}),
        ("ann@example.org", None, set()),
        ("ann@example.org", "", set()),
        ("ann@example.org", "https://[", set()),
    ],
)
def test_signals_of_an_organization(address: str, website: str | None, signals: set[str]) -> None:
    assert signal_names(address, "ООО Ромашка", kind=Kind.ORGANIZATION, website=website) == signals


def test_a_person_has_no_domain_of_their_own() -> None:
    assert signal_names("ann@gmail.com", "Ann", website="https://gmail.com") == set()


def test_an_organizations_abbreviation_does_not_shout() -> None:
    assert signal_names("a@example.org", "ФБК", "NATO PARTNERS LLC", kind=Kind.ORGANIZATION) == set()
    assert signal_names("a@example.org", "САМАЯ ЛУЧШАЯ ОРГАНИЗАЦИЯ СТРАНЫ", kind=Kind.ORGANIZATION) == {"shouting"}


@pytest.mark.parametrize(
    ("website", "host"),
    [
        ("https://Example.ORG/a?b#c", "example.org"),
        ("www.example.org", "example.org"),
        ("example.org.", "example.org"),
        ("https://user:p@example.org:1", "example.org"),
        ("https://пример.рф/", "xn--e1afmkfd.xn--p1ai"),
        ("", None),
        ("https://", None),
        ("https://[::", None),
        ("https://a..b", None),
    ],
)
def test_host_of(website: str, host: str | None) -> None:
    assert host_of(website) == host


@pytest.mark.parametrize("domain", ["co.uk", "com.ru", "org.ua", "msk.ru", "github.io", "org"])
def test_a_shared_parent_is_nobodys_own(domain: str) -> None:
    assert not is_own_domain(f"one.{domain}", f"https://{domain}")
    assert not is_own_domain(domain, f"https://one.{domain}")
    assert is_own_domain(f"one.{domain}", f"https://one.{domain}")


def test_no_free_provider_is_a_throwaway_one() -> None:
    assert not any(is_throwaway(domain) for domain in FREE_MAIL)
    assert not is_throwaway("com")
    assert all(is_throwaway(domain) for domain in list(blocklist)[:50] if domain not in FREE_MAIL)


@given(st.sampled_from(Kind), st.lists(ANY_TEXT, max_size=2), st.none() | ANY_TEXT)
def test_signals_are_small_and_hold_nothing_typed(kind: Kind, names: list[str], website: str | None) -> None:
    signals = signals_of(kind, names, parse("ann@example.org"), website) or {}
    assert set(signals) <= {"own_domain", "link", "shouting", "mixed_scripts", "stacked_marks"}
