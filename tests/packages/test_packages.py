"""The package that is handed to addressees: what it holds, that it stays the same, and that names taken back go."""

import csv
import hashlib
import io
import re
from datetime import timedelta
from typing import Any

import pypdf
import pytest

from petition.core import i18n
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.core.tokens import Tokens
from petition.letters import published
from petition.packages import drawing
from petition.packages.making import PackageMaker
from petition.signatures import names_end
from petition.worker import retention
from tests import commands
from tests.organizers import people
from tests.pages import check_page
from tests.running import KEY, SLUG, Installation

DESK = f"/organizer/{SLUG}/delivery"
NAMES = ("Мария Ковалёва-Щербакова", "Ann Lee", "张伟", "محمد علي", "O’Brien <b>&amp; #set")
SIGN = """
INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility, name, name_key, city)
SELECT l.id, 1000 + i, now(), now() + i * interval '1 second', 'person', 'confirmed', 'public',
       ($2::text[])[1 + i % 5] || ' ' || i, 'x', CASE WHEN i % 3 = 0 THEN 'Санкт-Петербург' END
FROM letter l, generate_series(1, $3::integer) i WHERE l.slug = $1
"""
HIDDEN = """
INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility)
SELECT id, 900, now(), now(), 'person', 'confirmed', 'organizers' FROM letter WHERE slug = $1
"""
ORGANIZATION = """
WITH o AS (
  INSERT INTO organization (letter, id, name_en, name_ru, name_key)
  SELECT id, 5, 'Open Net "Lab', 'ИП «Сеть»', 'x' FROM letter WHERE slug = $1 RETURNING letter, id
)
INSERT INTO signature (letter, id, organization, signed_at, listed_at, kind, state, visibility)
SELECT letter, 901, id, now(), now(), 'organization', 'confirmed', 'organizers' FROM o
"""
COUNT = """
UPDATE count SET people = $2, organizations = 1 WHERE letter = (SELECT id FROM letter WHERE slug = $1)
"""
TAKE_BACK = "UPDATE signature SET visibility = 'organizers', name = NULL, name_key = NULL, city = NULL WHERE id = 1011"
STORED = "SELECT content, person_ids FROM package ORDER BY id"


async def fill(site: Installation, number: int = 40) -> LetterId:
    """Have people and an organization sign; return the letter's id."""
    async with site.database.connection() as conn:
        await conn.execute(SIGN, SLUG, NAMES, number)
        await conn.execute(HIDDEN, SLUG)
        await conn.execute(ORGANIZATION, SLUG)
        await conn.execute(COUNT, SLUG, number + 1)
        letter_id: int = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
    return LetterId(letter_id)


def maker_of(site: Installation) -> PackageMaker:
    return PackageMaker(site.database, Wrapper([KEY]), i18n.load(site.settings.locales_dir), site.base)


def text_of(pdf: bytes) -> str:
    """Return the words of a document, as another program reads them, on one line."""
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


async def test_the_package_holds_what_readers_see(site: Installation) -> None:
    await fill(site)
    async with people.at_desk(site, "editor") as client:
        answer = await client.post(f"{DESK}/package", data={})
        assert answer.status_code == 303
        page = await client.get(f"{DESK}?done=package")
        check_page(page, 200)
        document = await client.get(f"{DESK}/package.pdf")
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["cache-control"] == "no-store"
    assert "attachment" in document.headers["content-disposition"]
    pdf = document.content
    sha256 = hashlib.sha256(pdf).hexdigest()
    assert sha256 in page.text
    root: Any = pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()
    assert re.search(r"<pdfaid:part>2</pdfaid:part>\s*<pdfaid:conformance>B", metadata), metadata
    assert "pdfuaid:part" in metadata
    text = text_of(pdf)
    for words in ("Keep the channels open", "Не отключайте тех", "Ковалёва-Щербакова 5", "Санкт-Петербург"):
        assert words in text, words
    assert 'Open Net "Lab // ИП «Сеть»' in text
    assert "<b>&amp; #set 4" in text  # what is typed is never markup
    assert "42" in text  # the count: 41 people and an organization
    assert "张" not in text or drawing._is_missing("张") is False
    # On the letter's page, in both languages.
    for lang in ("en", "ru"):
        assert sha256 in (await site.client.get(f"/{lang}/{SLUG}/answers")).text
        assert sha256 in (await site.client.get(f"/{lang}/{SLUG}")).text


async def test_it_names_the_first_thousand(site: Installation) -> None:
    letter_id = await fill(site, 1200)
    pdf = await maker_of(site).make(letter_id, None)
    text = text_of(pdf)
    assert "Ann Lee 996" in text
    assert "Ann Lee 1001" not in text
    assert "the first 1,000 of 1,200" in text


async def test_it_stays_the_same_until_a_name_is_taken_back(site: Installation) -> None:
    letter_id = await fill(site)
    maker = maker_of(site)
    pdf = await maker.make(letter_id, None)
    path = f"/en/{SLUG}/package/{Tokens([KEY]).for_package(letter_id)}"
    assert (await site.client.get(path)).content == pdf
    assert "Ann Lee 11" in text_of(pdf)
    async with site.database.connection() as conn:
        await conn.execute(SIGN.replace("1000 + i", "5000 + i"), SLUG, NAMES, 3)  # more have signed: the same document
        assert (await site.client.get(path)).content == pdf
        await conn.execute(TAKE_BACK)
    later = (await site.client.get(path)).content
    assert later != pdf
    assert "Ann Lee 11" not in text_of(later)
    async with site.database.connection() as conn:
        rows = await conn.fetch(STORED)
    assert [row["content"] is None for row in rows] == [True, False]
    assert rows[0]["person_ids"] is None
    assert b"Ann Lee" not in rows[1]["content"]
    assert (await site.client.get(path)).content == later


@pytest.mark.parametrize("path", ["package/nonsense", "package/AAAAAAAAAAA.AAAA"])
async def test_strangers_get_none(site: Installation, path: str) -> None:
    await maker_of(site).make(await fill(site), None)
    assert (await site.client.get(f"/en/{SLUG}/{path}")).status_code == 404
    for name in ("package.pdf", "names.csv", "sheet.pdf"):
        assert (await site.client.get(f"{DESK}/{name}")).status_code == 303
    async with people.at_desk(site, "viewer") as client:
        assert (await client.get(f"{DESK}/package.pdf")).status_code == 403
        assert (await client.post(f"{DESK}/package", data={})).status_code == 403


async def test_nothing_while_the_list_is_hidden(site: Installation) -> None:
    letter_id = await fill(site)
    await maker_of(site).make(letter_id, None)
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO switch (letter, name, value, texts) VALUES ($1, 'hide_list', 'on', '{}')", letter_id
        )
    path = f"/en/{SLUG}/package/{Tokens([KEY]).for_package(letter_id)}"
    assert (await site.client.get(path)).status_code == 404
    async with people.at_desk(site, "editor") as client:
        assert (await client.get(f"{DESK}/names.csv")).status_code == 404
        assert (await client.get(f"{DESK}/package.pdf")).status_code == 404
    text = text_of(await maker_of(site).make(letter_id, None))
    assert "Ann Lee" not in text
    assert "Open Net" not in text


async def test_the_file_of_names_has_all_that_are_public(site: Installation) -> None:
    await fill(site, 1234)
    async with people.at_desk(site, "editor") as client:
        content = (await client.get(f"{DESK}/names.csv")).content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content)))
    assert len(rows) == 1235
    assert (rows[0]["kind"], rows[0]["name_ru"]) == ("organization", "ИП «Сеть»")
    assert {row["name"] for row in rows if row["kind"] == "person"} >= {"Ann Lee 1", "张伟 1232"}


async def test_the_document_goes_after_sixty_days(site: Installation) -> None:
    letter_id = await fill(site)
    await maker_of(site).make(letter_id, None)
    async with site.database.connection() as conn:
        await conn.execute("UPDATE package SET made_at = made_at - $1::interval", timedelta(days=61))
    path = f"/en/{SLUG}/package/{Tokens([KEY]).for_package(letter_id)}"
    assert (await site.client.get(path)).status_code == 404
    assert await retention.drop_expired(site.database, "package") == 1
    async with site.database.connection() as conn:
        assert (await conn.fetch(STORED))[0]["content"] is None
        assert await conn.fetchval("SELECT count(*) FROM package WHERE sha256 IS NOT NULL") == 1


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_sheet_is_one_page(site: Installation, lang: str) -> None:
    async with people.at_desk(site, "editor") as client:
        pdf = (await client.get(f"{DESK}/sheet.pdf?in={lang}")).content
        assert (await client.get(f"{DESK}/sheet.pdf?in=xx")).status_code == 404
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    assert len(reader.pages) == 1
    async with site.database.connection() as conn:
        letter = await published.read(conn, Wrapper([KEY]), LetterId(1))
    assert " ".join(letter.text(lang).title.split())[:20] in text_of(pdf)
    assert f"/{lang}/{SLUG}" in text_of(pdf).replace(" ", "")


async def test_it_goes_with_the_names_of_its_letter(site: Installation) -> None:
    letter_id = await fill(site)
    pdf = await maker_of(site).make(letter_id, None)
    path = f"/en/{SLUG}/package/{Tokens([KEY]).for_package(letter_id)}"
    assert (await site.client.get(path)).content == pdf
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET names_until = (now() AT TIME ZONE 'UTC')::date - 1")
    assert await names_end.end_due(site.database) >= 40
    assert (await site.client.get(path)).status_code == 404
    async with people.at_desk(site, "editor") as client:
        check_page(await client.get(f"{DESK}/package.pdf"), 404)
        assert "Ann Lee" not in (await client.get(f"{DESK}/names.csv")).text
    async with site.database.connection() as conn:
        (row,) = await conn.fetch(STORED)
    assert (row["content"], row["person_ids"]) == (None, None)
    code, said = await commands.run(f"signatures export {SLUG}", site.environ)
    assert (code, "Ann Lee" in said) == (0, False)
