"""Optional fields: what cannot be read costs nothing else, and what stands for nothing is not stored."""

import pytest

from tests.pages import assert_redirect, check_page
from tests.running import Installation
from tests.signatures.test_self_service import DETAILS, act, confirmed, row_of
from tests.signatures.test_sign import INBOX, fresh, newest


@pytest.fixture
def site(clean: Installation) -> Installation:
    """Have the tests of this file share an installation; none of them changes the letter."""
    return clean


@pytest.mark.parametrize(
    ("field", "typed", "label"),
    [
        ("country", "Крым", "Country"),
        ("city", "me@letters.example", "City"),
        ("affiliation", "я" * 300, "Profession or affiliation"),
    ],
)
async def test_a_detail_that_cannot_be_read_stays_and_the_name_is_corrected(
    site: Installation, field: str, typed: str, label: str
) -> None:
    signature = await confirmed(site, **DETAILS)
    answer = await act(signature, "correct", name="Vera Nowak", **(DETAILS | {field: typed}))
    assert_redirect(answer, f"{signature.own}?done=correct&unread={field}")
    page = await site.client.get(answer.headers["location"])
    check_page(page, 200)
    assert f"Not changed, because we could not use what was entered: {label}.</p>" in " ".join(page.text.split())
    row = await row_of(signature)
    assert row["name"] == "Vera Nowak"
    assert {key: row[key] for key in DETAILS} == DETAILS


async def test_several_details_that_cannot_be_read_are_all_named(site: Installation) -> None:
    signature = await confirmed(site, **DETAILS)
    answer = await act(signature, "correct", name="Vera Nowak", city="me@letters.example", country="Крым")
    page = await site.client.get(answer.headers["location"])
    check_page(page, 200)
    assert "what was entered: City, Country.</p>" in " ".join(page.text.split())


async def test_an_invented_field_is_not_named(site: Installation) -> None:
    signature = await confirmed(site)
    page = await site.client.get(f"{signature.own}?done=correct&unread=name+<b>")
    check_page(page, 200)
    assert "Not changed" not in page.text


PLACEHOLDERS = ["-", "—", "нет", "NULL", "n/a", "не указано"]


@pytest.mark.parametrize("typed", PLACEHOLDERS)
async def test_what_stands_for_nothing_is_empty_when_signing(site: Installation, typed: str) -> None:
    person = {"affiliation": typed, "city": typed, "country": typed}
    organization = {"kind": "organization", "organization_en": "North Pier", "position": typed, "country": typed}
    for changes in (person, organization):
        assert_redirect(await site.sign(email=fresh(), **changes), INBOX)
        _, fields = await newest(site)
        assert not {"affiliation", "city", "country", "position", "left_out"} & fields.keys()


@pytest.mark.parametrize("typed", PLACEHOLDERS)
async def test_what_stands_for_nothing_erases_when_correcting(site: Installation, typed: str) -> None:
    signature = await confirmed(site, **DETAILS)
    answer = await act(signature, "correct", name="Vera Novak", **dict.fromkeys(DETAILS, typed))
    assert_redirect(answer, f"{signature.own}?done=correct")
    row = await row_of(signature)
    assert [row[key] for key in DETAILS] == [None, None, None]


async def test_a_code_that_looks_like_no_answer_is_a_country(site: Installation) -> None:
    assert_redirect(await site.sign(email=fresh(), country="NO"), INBOX)
    _, fields = await newest(site)
    assert fields["country"] == "NO"
