"""Addresses: which are taken, and which are one mailbox."""

from collections.abc import Callable

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.provisional import domains

from petition.core import email_addresses
from petition.core.email_addresses import BadAddress, Domains, Mailbox, canonical, parse
from petition.core.email_providers import FREE_MAIL, NEWEST, PROVIDERS

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
NAMES = st.text("abcXYZ019._-+", min_size=1, max_size=20).filter(
    lambda name: name[0] != "." and name[-1] != "." and ".." not in name
)
KNOWN = st.sampled_from([domain for provider in PROVIDERS[NEWEST] for domain in provider.domains])


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  Ann.Lee@Example.ORG\n", "Ann.Lee@example.org"),
        ("\u200bann@example.org\ufeff", "ann@example.org"),
        ("ann+petition@example.org", "ann+petition@example.org"),
        ("ann@пример.рф", "ann@xn--e1afmkfd.xn--p1ai"),
        ("ann@XN--E1AFMKFD.xn--p1ai", "ann@xn--e1afmkfd.xn--p1ai"),
        ("Иван@пример.рф", "Иван@xn--e1afmkfd.xn--p1ai"),
        ("o'brien@example.org", "o'brien@example.org"),
        ("\u2068ann@exam\u200eple.org\u2069", "ann@example.org"),
        ("ann＠example.org", "ann@example.org"),
        ("ann@example,org", "ann@example.org"),
        ("ann@example.org.", "ann@example.org"),
        ("a" * 60 + "@" + "b" * 60 + ".org", "a" * 60 + "@" + "b" * 60 + ".org"),
    ],
)
def test_addresses(typed: str, address: str) -> None:
    assert parse(typed).address == address


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", email_addresses.MISSING),
        (" \u200b ", email_addresses.MISSING),
        ("ann", email_addresses.INVALID),
        ("ann@", email_addresses.INVALID),
        ("@example.org", email_addresses.INVALID),
        ("ann@localhost", email_addresses.INVALID),
        ("ann@example.test", email_addresses.INVALID),
        ("Ann <ann@example.org>", email_addresses.INVALID),
        ('"ann lee"@example.org', email_addresses.INVALID),
        ("ann@[127.0.0.1]", email_addresses.INVALID),
        ("ann@example.org, bob@example.org", email_addresses.INVALID),
        ("ann@example.org\nBcc: bob@example.org", email_addresses.INVALID),
        ("ann\0@example.org", email_addresses.INVALID),
        ("\ud800@example.org", email_addresses.INVALID),
        ("ann@\udcff.org", email_addresses.INVALID),
        ("a@" + "b" * 64 + ".org", email_addresses.INVALID),
        ("a@" + ".".join(["b" * 60] * 4) + ".orgs.example", email_addresses.TOO_LONG),
        ("я" * 130 + "@example.org", email_addresses.TOO_LONG),
    ],
)
def test_what_is_no_address(typed: str, message: str) -> None:
    with pytest.raises(BadAddress) as caught:
        parse(typed)
    assert caught.value.message == message


@given(ANY_TEXT | st.builds("{}@{}".format, ANY_TEXT, ANY_TEXT))
def test_any_text_is_an_address_or_refused(typed: str) -> None:
    try:
        found = parse(typed)
    except BadAddress:
        return
    assert found.domain.isascii()
    assert parse(found.address) == found
    assert not set(found.address) & set('\r\n\0 ,;<>"')


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ann.lee@gmail.com", "a.n.n.lee+x+y@GoogleMail.com"),
        ("ANN@example.org", "ann@example.org"),
        ("ivan.petrov@yandex.ru", "Ivan-Petrov+tag@ya.ru"),
        ("ivan@yandex.com", "ivan@narod.ru"),
        ("ivan@mail.ru", "ivan+x@mail.ru"),
        ("ann@outlook.com", "ann+x@outlook.com"),
        ("ann@icloud.com", "ann+x@me.com"),
        ("ann@mac.com", "ann@me.com"),
        ("ann.lee@proton.me", "a_n-n.lee+x@pm.me"),
        ("ann@protonmail.ch", "ann@protonmail.com"),
        ("ann@fastmail.com", "shop@ann.fastmail.com"),
        ("ann+x@fastmail.fm", "ann@fastmail.fm"),
        ("ann@пример.рф", "Ann@XN--E1AFMKFD.XN--P1AI"),
        ("ИВАН@пример.рф", "иван@пример.рф"),
    ],
)
def test_one_mailbox(first: str, second: str) -> None:
    assert canonical(first) == canonical(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ann@example.org", "ann+x@example.org"),
        ("ann.lee@example.org", "annlee@example.org"),
        ("ivan@mail.ru", "ivan@inbox.ru"),
        ("ivan@list.ru", "ivan@bk.ru"),
        ("i.van@mail.ru", "ivan@mail.ru"),
        ("ann@outlook.com", "ann@hotmail.com"),
        ("ann.lee@outlook.com", "annlee@outlook.com"),
        ("ann.lee@icloud.com", "annlee@icloud.com"),
        ("ann@fastmail.com", "ann@fastmail.fm"),
        ("shop@ann-lee.fastmail.com", "ann-lee@fastmail.com"),
        ("a@b.ann.fastmail.com", "ann@fastmail.com"),
        ("ann-marie@yahoo.com", "ann@yahoo.com"),
        ("ann+x@yahoo.com", "ann@yahoo.com"),
        ("ann+x@tuta.io", "ann@tuta.io"),
        ("ivan.petrov@yandex.ru", "ivanpetrov@yandex.ru"),
        ("ivan@rambler.ru", "ivan@lenta.ru"),
        ("x@ann.gmail.com", "ann@gmail.com"),
    ],
)
def test_two_mailboxes(first: str, second: str) -> None:
    assert canonical(first) != canonical(second)


@pytest.mark.parametrize("address", ["+x@gmail.com", "---@proton.me", "+@yandex.ru"])
def test_a_name_that_would_vanish_is_left_alone(address: str) -> None:
    assert canonical(address) == address


@given(NAMES, KNOWN | domains(max_length=60))
def test_canonical_is_stable_and_knows_no_case(name: str, domain: str) -> None:
    typed = f"{name}@{domain}"
    try:
        found = parse(typed)
    except BadAddress:
        return
    once = canonical(found)
    assert canonical(Mailbox(once, *once.split("@"))) == once
    assert canonical(typed.upper()) == once
    assert canonical(found.address) == once


def test_a_letter_keeps_its_rules() -> None:
    for version in PROVIDERS:
        assert canonical("a.b+c@gmail.com", version) == "ab@gmail.com"
    with pytest.raises(ValueError, match="no version 0"):
        canonical("ann@example.org", 0)


def test_a_mailbox_tells_its_tag() -> None:
    assert parse("ann+x@example.org").is_tagged
    assert not parse("ann@example.org").is_tagged
    assert parse("ann@example.org") == Mailbox("ann@example.org", "ann", "example.org")


@pytest.mark.parametrize("version", PROVIDERS)
def test_the_table_is_sound(version: int) -> None:
    seen: set[str] = set()
    for provider in PROVIDERS[version]:
        assert provider.sources
        assert not seen & set(provider.domains)
        assert not set(provider.tag) & set(provider.ignored)
        seen |= set(provider.domains)
        for domain in provider.domains:
            assert parse(f"ann@{domain}").domain == domain
            assert domain in FREE_MAIL
    assert {"yahoo.com", "tuta.com", "rambler.ru", "posteo.de"} <= FREE_MAIL - seen


@pytest.mark.parametrize(
    "local", ["vera", "Vera.Novak+x", "v_e-r.a", "-a", "+", "a..b", ".a", "a.", "a" * 64, "a" * 65]
)
@pytest.mark.parametrize("domain", ["gmail.com", "GMail.com", "yandex.ru"])
def test_the_short_way_for_known_domains_ends_where_the_library_does(local: str, domain: str) -> None:
    typed = f"{local}@{domain}"
    try:
        found = validate_email(typed, check_deliverability=False)
    except EmailNotValidError:
        with pytest.raises(BadAddress):
            parse(typed)
    else:
        assert parse(typed) == Mailbox(f"{found.local_part}@{domain.lower()}", found.local_part, domain.lower())


@given(
    st.lists(NAMES | ANY_TEXT, max_size=4),
    st.sampled_from(["Example.ORG", "a.test", "пример.рф", "gmail.com", "-a.b", ""]),
)
def test_a_list_is_read_as_one_by_one(names: list[str], domain: str) -> None:
    domains = Domains()
    for name in names:
        assert _found(domains.parse, f"{name}@{domain}") == _found(parse, f"{name}@{domain}")


def _found(read: Callable[[str], Mailbox], typed: str) -> Mailbox | str:
    try:
        return read(typed)
    except BadAddress as error:
        return error.message
