"""A new letter: who may begin one, which addresses it may have, and whose it is."""

import httpx2
import pytest

from petition.drafts import creating
from petition.drafts.slugs import suggested
from tests import rows
from tests.organizers import people
from tests.pages import form_in
from tests.running import SLUG, Installation

NEW = "/organizer/letters/new"
LETTER = "SELECT id, slug, state::text, version FROM letter WHERE slug = $1"
MEMBERS = "SELECT organizer, role::text FROM member m JOIN letter l ON l.id = m.letter WHERE l.slug = $1"
ACTS = "SELECT act FROM log WHERE organizer IS NOT NULL ORDER BY id"


async def begin(client: httpx2.AsyncClient, **form: str) -> httpx2.Response:
    return await client.post(NEW, data=form)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_whoever_begins_a_letter_is_its_owner(site: Installation, lang: str) -> None:
    async with people.at_desk(site, lang=lang) as client:
        page = await client.get(NEW)
        assert page.status_code == 200
        assert form_in(page, NEW) == {"title.en": "", "title.ru": "", "slug": ""}
        answer = await begin(
            client, **{"title.en": " Second letter ", "title.ru": "Второе письмо", "slug": "second-one"}
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/organizer/second-one/text")
        assert "set-cookie" in answer.headers  # it is one's own now: a session with more rights has a new id
        text = (await client.get("/organizer/second-one/text")).text
        assert 'value="Second letter"' in text
        assert 'value="Второе письмо"' in text
        assert "/organizer/second-one/members" in (await client.get("/organizer/second-one/members")).text
        assert (await client.get("/en/second-one")).status_code == 404
    (letter,) = await rows.rows_of(site.database, LETTER, "second-one")
    assert (letter["state"], letter["version"]) == ("draft", None)
    assert [row["role"] for row in await rows.rows_of(site.database, MEMBERS, "second-one")] == ["owner"]
    assert [row["act"] for row in await rows.rows_of(site.database, ACTS)] == ["letter.make"]


REFUSED = (
    ("ab", creating.BAD_SLUG),
    ("a_b_c", creating.BAD_SLUG),
    ("письмо", creating.BAD_SLUG),
    ("x" * 65, creating.BAD_SLUG),
    ("../etc", creating.BAD_SLUG),
    ("privacy", creating.RESERVED_SLUG),
    ("letters", creating.RESERVED_SLUG),
    ("preview", creating.RESERVED_SLUG),
    (SLUG, creating.TAKEN_SLUG),
)


async def test_some_addresses_cannot_be_had(site: Installation) -> None:
    async with people.at_desk(site) as client:
        for slug, message in REFUSED:
            told = (await client.get("/organizer/letters/slug", params={"slug": slug})).json()
            assert told == {"slug": slug, "problem": message}
            page = await begin(client, **{"title.en": "Mine", "slug": slug})
            assert page.status_code == 422
            assert message in page.text
            assert form_in(page, NEW)["title.en"] == "Mine"


async def test_without_an_address_the_one_of_the_title_is_offered(site: Installation) -> None:
    async with people.at_desk(site) as client:
        page = await begin(client, **{"title.ru": "Оставьте каналы открытыми!"})
        assert page.status_code == 422
        assert form_in(page, NEW)["slug"] == "ostavte-kanaly-otkrytymi"
        page = await begin(client, **{"title.en": "Keep the channels open"})
        assert form_in(page, NEW)["slug"] == f"{SLUG}-2"
        told = await client.get("/organizer/letters/slug", params={"title": "Keep the channels open"})
        assert told.json() == {"slug": f"{SLUG}-2", "problem": ""}
        assert told.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("title", ["", " \t ", "x" * 201, "a\u0007b", "\u2028"])
async def test_a_title_is_needed(site: Installation, title: str) -> None:
    async with people.at_desk(site) as client:
        page = await begin(client, **{"title.en": title, "slug": "no-title"})
        assert page.status_code == 422
        assert 'id="e-title-en"' in page.text
    assert await rows.rows_of(site.database, LETTER, "no-title") == []


async def test_the_same_address_twice_is_taken(site: Installation) -> None:
    async with people.at_desk(site) as client:
        assert (await begin(client, **{"title.en": "One", "slug": "the-one"})).status_code == 303
        again = await begin(client, **{"title.en": "One", "slug": "the-one"})
        assert again.status_code == 422
        assert creating.TAKEN_SLUG in again.text


async def test_not_without_end(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creating, "LETTERS_A_DAY", 1)
    async with people.at_desk(site) as client:
        assert (await begin(client, **{"title.en": "One", "slug": "the-one"})).status_code == 303
        refused = await begin(client, **{"title.en": "Two", "slug": "the-two"})
        assert refused.status_code == 422
        assert creating.TOO_MANY in refused.text
    assert await rows.rows_of(site.database, LETTER, "the-two") == []


async def test_strangers_are_led_to_the_door(site: Installation) -> None:
    async with people.stranger(site) as client:
        assert (await client.get(NEW)).headers["location"] == "/organizer/enter"
        assert (await begin(client, **{"title.en": "One", "slug": "the-one"})).status_code == 401
        assert (await client.get("/organizer/letters/slug?slug=abc")).status_code == 303
        assert (await client.put(NEW)).status_code == 405


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Keep the channels open!", "keep-the-channels-open"),
        ("Подъезд № 7: щука и ёж", "podezd-7-shchuka-i-ezh"),
        ("Zoë’s “letter” – 2022", "zoes-letter-2022"),
        ("李", ""),
        ("a" * 90, "a" * 48),
        ("one " * 40, "one-" * 11 + "one"),
        ("\0\ud800", ""),
    ],
)
def test_a_title_makes_an_address(title: str, slug: str) -> None:
    assert suggested(title) == slug
