"""Websites whose letters look like others: shown in ASCII, and marked where they may imitate another one."""

import pytest

from petition.moderation.model import Names
from petition.signatures.look_alikes import ascii_host, imitates
from petition.signatures.signals import host_of


@pytest.mark.parametrize(
    ("website", "host", "is_marked"),
    [
        ("https://northpier.example", None, False),
        ("https://nоrthpier.example", "xn--nrthpier-nbh.example", True),  # a Cyrillic о
        ("https://аррӏе.com", None, None),
        ("https://сор.com", "xn--n1aeb.com", True),  # wholly Cyrillic, and looks like Latin
        ("https://сор.рф", "xn--n1aeb.xn--p1ai", False),
        ("https://сайт.рф", "xn--80aswg.xn--p1ai", False),
        ("https://сайт.com", "xn--80aswg.com", False),
        ("https://www.письма.example/путь", "xn--80apmkl0e.example", False),
        ("https://münchen.example", "xn--mnchen-3ya.example", False),
        ("https://ραyραl.example", None, True),  # Greek and Latin
        ("https://xn--nrthpier-nbh.example", "xn--nrthpier-nbh.example", True),  # written like that
        ("https://日本語.example", "xn--wgv71a119e.example", False),
        ("https://[::1]", None, False),
        ("not an address", None, False),
    ],
)
def test_what_is_shown_and_marked(website: str, host: str | None, is_marked: bool | None) -> None:
    if host is not None or is_marked is False:
        assert ascii_host(website) == host
    if is_marked is not None:
        assert imitates(website) is is_marked
    names = Names(website=website)
    assert (names.ascii_host, names.imitates_website) == (ascii_host(website), imitates(website))


def test_without_a_website_there_is_nothing_to_show() -> None:
    assert (Names().ascii_host, Names().imitates_website) == (None, False)


def test_the_form_in_ascii_is_that_of_the_domain_mark() -> None:
    assert ascii_host("https://www.письма.example") == host_of("https://www.письма.example")
