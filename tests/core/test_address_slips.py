"""Likely slips in the domain of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.address_slips import meant_address
from petition.core.email_addresses import BadAddress, parse
from petition.core.email_providers import FREE_MAIL


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *((f"gmail.{ending}", "gmail.com") for ending in ("con", "co", "cm", "om", "comm", "cim", "ru", "de")),
        *((f"{name}.com", "gmail.com") for name in ("gmial", "gamil", "gmai", "gmal", "gmaill", "gnail", "gmsil")),
        ("gmial.con", "gmail.com"),
        ("gmail.com.com", "gmail.com"),
        ("www.gmail.com", "gmail.com"),
        ("gm\u0430il.com", "gmail.com"),  # a Cyrillic letter
        ("googlmail.com", "googlemail.com"),
        ("yandex.ry", "yandex.ru"),
        ("yandx.ru", "yandex.ru"),
        ("yadex.ry", "yandex.ru"),
        ("mail.tu", "mail.ru"),
        ("mail.ry", "mail.ru"),
        ("mial.ru", "mail.ru"),
        ("maill.ru", "mail.ru"),
        ("bk.ry", "bk.ru"),
        ("ya.ry", "ya.ru"),
        ("lst.ru", "list.ru"),
        ("imbox.ru", "inbox.ru"),
        ("ramber.ru", "rambler.ru"),
        ("hotmal.com", "hotmail.com"),
        ("hotmail.con", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("iclod.com", "icloud.com"),
        ("icloud.co", "icloud.com"),
        ("yaho.com", "yahoo.com"),
        ("protonmial.com", "protonmail.com"),
        ("protn.me", "proton.me"),
        *(
            (f"{name}.{ending}", f"{name}.com")
            for name in ("gmx", "aol", "me", "qq", "msn", "hotmail", "live", "icloud", "outlook", "yahoo", "mail")
            for ending in ("con", "cmo", "ocm", "comm", "vom", "cim", "xom")
        ),
        ("proton.con", "proton.me"),
        ("proton.mr", "proton.me"),
        ("rambler.con", "rambler.ru"),
        ("hotmail.ry", "hotmail.com"),
        ("gmail.con.ru", "gmail.com"),
    ],
)
def test_slips(typed: str, meant: str) -> None:
    assert meant_address(parse(f"Vera.Novak+x@{typed}")) == f"Vera.Novak+x@{meant}"


REAL = """
mail.com email.com ymail.com ya.ru gmx.net gmx.de gmx.com mail.de mail.ua mail.ee mail.bg mil.ru rambler.ua me.com
mac.com live.ru live.fr live.nl hotmail.co.uk hotmail.com.br hotmail.nl yahoo.co.jp yahoo.com.br yahoo.fr yahoo.ca
outlook.de outlook.com.br outlook.fr yandex.com.tr yandex.com pm.me inbox.lv inbox.com list.am aol.com hmail.com
tutanota.de msn.com mailbox.org fastmail.fm hey.com vk.com google.com yandex-team.ru gmail-company.com wp.pl
gmx.cam me.mom proton.de proton.ch me.com.ru hotmail.con.br me.con.ru aol.co
example.org letters.example northpier.example example.com.ru \u043f\u043e\u0447\u0442\u0430.\u0440\u0444
"""


@pytest.mark.parametrize("domain", [*sorted(FREE_MAIL), *REAL.split()])
def test_real_domains_are_never_asked_about(domain: str) -> None:
    assert meant_address(parse(f"vera@{domain}")) is None


@given(st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z]{2,4}){1,2}", fullmatch=True))
def test_what_is_meant_is_a_domain_of_a_provider(domain: str) -> None:
    try:
        mailbox = parse(f"vera@{domain}")
    except BadAddress:
        return
    meant = meant_address(mailbox)
    assert meant is None or (meant.partition("@")[2] in FREE_MAIL and meant != mailbox.address)
