"""Names that only organizers see are found by those who may see them, a limited number a page."""

import pytest

from petition.moderation import hidden_names
from tests import rows
from tests.imports.desk import text_of
from tests.imports.test_steering import carrying
from tests.organizers import people
from tests.running import SLUG, Installation

QUEUE = f"/organizer/{SLUG}/queue?q="
NAMES = ["Вера Новак", "Пётр Иванов", "Анна Ёлкина", "Иван Петров", "Олег Орлов", "Ann O'Brien"]
LIST = "ФИО;Город\n" + "".join(f"{name};Рига\n" for name in NAMES)


@pytest.mark.parametrize(
    ("typed", "name"),
    [("Елкина", "Анна Ёлкина"), ("новак вера", "Вера Новак"), ("орлав", "Олег Орлов"), ("obrien", "Ann O'Brien")],
)
async def test_they_are_found(site: Installation, typed: str, name: str) -> None:
    async with carrying(site) as one, people.at_desk(site, "moderator", email="m@letters.example") as moderator:
        await one.bring(LIST.encode(), more={"visibility": "organizers"})
        page = (await moderator.get(QUEUE + typed)).text.replace("&#39;", "'")
        assert [other for other in NAMES if other in page] == [name]
        # What was erased is not found any more.
        async with site.database.connection() as conn:
            await conn.execute("UPDATE signature SET private = NULL")
        assert name not in (await moderator.get(QUEUE + typed)).text


async def test_a_search_says_how_far_it_came_and_goes_on(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_names, "SCAN", 2)
    monkeypatch.setattr(hidden_names, "BATCH", 2)
    async with carrying(site) as one, people.at_desk(site, "moderator", email="m@letters.example") as moderator:
        await one.bring(LIST.encode(), more={"visibility": "organizers"})
        order = await rows.rows_of(site.database, "SELECT id FROM signature ORDER BY listed_at DESC, id DESC")
        assert len(order) == 6
        path, pages = QUEUE + "новак", []
        for searched in (2, 4, 6, 0):
            page = await moderator.get(path)
            pages.append("Вера Новак" in page.text)
            assert (f"{searched} of 6 names that only organizers see" in text_of(page)) == bool(searched)
            links = [part.split('"')[0] for part in page.text.split('href="') if "Search further" in part[:300]]
            path = links[-1].replace("&amp;", "&") if links else ""
        assert pages.count(True) == 1
        assert not path


async def test_who_may_not_see_the_queue_may_not_search(site: Installation) -> None:
    async with people.at_desk(site, "viewer", email="v@letters.example") as viewer:
        assert (await viewer.get(QUEUE + "новак")).status_code == 403


async def test_bulk_acts_and_exports_of_a_search_say_what_they_cover(site: Installation) -> None:
    names = "ФИО\n" + "".join(f"Лицо {word}\n" for word in ("Первое", "Второе", "Третье"))
    words = "With a search, bulk acts and exports cover only names stored in the clear"
    async with carrying(site) as one, people.at_desk(site, "moderator", email="m@letters.example") as moderator:
        await one.bring(names.encode(), more={"visibility": "organizers"})
        await one.bring("ФИО\nЛицо Открытое\nЛицо Явное\n".encode(), more={"visibility": "public"})
        page = text_of(await moderator.get(QUEUE + "Лицо"))
        assert all(f"Лицо {word}" in page for word in ("Первое", "Второе", "Третье", "Открытое", "Явное"))
        assert "Everything that matches: 2 " in page
        assert words in page
        back = {"back": "q=Лицо"}
        made = await moderator.post(f"/organizer/{SLUG}/campaigns", data=back | {"act": "remove"})
        bulk_act = text_of(await moderator.get(made.headers["location"]))
        assert words in bulk_act
        assert "Signatures that matched 2 signatures" in bulk_act
        export = text_of(await moderator.get(f"/organizer/{SLUG}/export?q=Лицо"))
        assert words in export
        assert "Rows: 2 " in export
        columns = back | {"c_name": "1", "form": "csv"}
        assert len((await moderator.post(f"/organizer/{SLUG}/export", data=columns)).text.splitlines()) == 1 + 2
        for path in ("queue?state=confirmed", "export?state=confirmed"):
            assert words not in text_of(await moderator.get(f"/organizer/{SLUG}/{path}"))
