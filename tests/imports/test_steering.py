"""Importing at the desk, as an editor without scripts does it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest

from petition.imports import adding
from tests import rows
from tests.imports.desk import FORM, IMPORT, Carrier, text_of
from tests.letters import switches
from tests.organizers import people
from tests.running import SLUG, Installation

COUNTS = ("people", "organizations", "hidden", "imported")


@asynccontextmanager
async def carrying(
    site: Installation, role: str = "owner", *, min_mailboxes: int = 1, **more: Any
) -> AsyncIterator[Carrier]:
    """Give an organizer with files; short lists with mailboxes are imported unless ``min_mailboxes`` says otherwise."""
    with patch.object(adding, "MIN_MAILBOXES", min_mailboxes):
        async with people.at_desk(site, role, **more) as client:
            yield Carrier(site, client)


def counts(*numbers: int) -> dict[str, int]:
    return dict(zip(COUNTS, numbers, strict=True))


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_whole_way(site: Installation, lang: str) -> None:
    async with carrying(site, lang=lang) as one:
        assert (await one.client.get(IMPORT)).status_code == 200
        answer = await one.upload(FORM.encode(), "Ответы на форму.csv")
        assert answer.status_code == 303
        reading = await one.client.get(answer.headers["location"])
        assert '<noscript><meta http-equiv="refresh"' in reading.text
        await one.work()
        page = await one.see()
        assert "Ответы на форму.csv" in page.text
        assert "UTF-8" in page.text
        assert "Пётр Иванов" in page.text
        job = await one.newest()
        assert job.plan is not None
        assert job.plan.columns == ("signed_at", "name", "email", "city", "country", "visibility")
        assert job.total == 3
        await one.check()
        assert (await one.counted())["people"] == 0
        tried = await one.newest()
        assert (tried.report["people"], tried.report["hidden"], tried.problems) == (3, 2, 0)
        assert (await one.see()).status_code == 200
        await one.do("start")
        assert await one.counted() == counts(3, 0, 2, 3)
        done = await one.newest()
        assert (done.state, done.about) == ("done", None)
        assert (await one.see()).status_code == 200
        assert (await one.client.get(IMPORT)).status_code == 200
        assert not await rows.rows_of(site.database, "SELECT FROM intake_part")
        (vera,) = await rows.rows_of(site.database, "SELECT * FROM signature WHERE name = 'Vera Novak'")
        assert (vera["city"], vera["country"], vera["signed_at"].isoformat()) == (
            "Riga",
            "LV",
            "2022-03-05T07:00:00+00:00",
        )


async def test_the_same_file_again_adds_nothing(site: Installation) -> None:
    async with carrying(site) as one:
        await one.bring(FORM.encode())
        await one.upload(FORM.encode())
        await one.work()
        await one.check()
        job = await one.newest()
        assert (job.report["people"], job.report["known"]) == (0, 3)
        assert "nothing new" in text_of(await one.see())
        assert (await one.counted())["people"] == 3


async def test_what_is_stored_of_a_file_says_nothing_to_a_thief(site: Installation) -> None:
    async with carrying(site) as one:
        await one.upload(FORM.encode(), "secret list.csv")
        await one.work()
        stored = await rows.rows_of(site.database, "SELECT about, plan, report FROM intake")
        parts = await rows.rows_of(site.database, "SELECT bytes FROM intake_part")
        assert parts
        for word in (b"Vera", b"secret", b"letters.example"):
            assert word not in b"".join(row["bytes"] for row in parts)
            assert word not in b"".join(row["about"] for row in stored)


async def test_rows_with_problems_are_listed_and_left_out(site: Installation) -> None:
    text = FORM + "".join(f"2022-03-05,{n},,,Riga,\n" for n in range(130)) + "2022-03-05,,,,,\n"
    async with carrying(site) as one:
        await one.upload(text.encode())
        await one.work()
        await one.check()
        job = await one.newest()
        assert (job.report["people"], job.problems) == (3, 131)
        page = await one.see()
        assert "The first 20; the file has all of them." in text_of(page)
        assert "130 × name: The name must contain letters." in text_of(page)
        refused = await one.do("start")
        assert refused.status_code == 422
        assert "Some rows cannot be imported" in refused.text
        file = await one.client.get(f"{IMPORT}/{job.number}/problems.csv")
        assert file.headers["content-type"].startswith("text/csv")
        lines = file.text.splitlines()
        assert len(lines) == 132
        assert lines[0].lstrip("\ufeff") == "Timestamp,Full name,E-mail,City,Country,May we show your name?,problem"
        assert lines[1] == '2022-03-05,0,,,Riga,,"5, name: The name must contain letters."'
        assert lines[-1] == '2022-03-05,,,,,,"135, name: This is empty."'
        await one.do("start", {"skip": "1"})
        assert (await one.newest()).report["skipped"] == 131
        assert await one.counted() == counts(3, 0, 2, 3)


async def test_it_can_be_cancelled_at_every_step(site: Installation) -> None:
    async with carrying(site) as one:
        for steps in ((), ("check",)):
            await one.upload(FORM.encode())
            await one.work()
            for _ in steps:
                await one.check()
            assert (await one.do("cancel")).status_code == 303
            stands = await one.newest()
            assert (stands.state, stands.about) == ("cancelled", None)
            assert not await rows.rows_of(site.database, "SELECT FROM intake_part")
            assert (await one.do("cancel")).status_code == 422
            assert (await one.do("start")).status_code == 422
        assert (await one.counted())["people"] == 0


async def test_the_second_of_two_editors_is_refused(site: Installation) -> None:
    async with carrying(site) as one:
        await one.upload(FORM.encode())
        await one.work()
        before = (await one.newest()).changed
        await one.check()
        late = await one.client.post(
            f"{IMPORT}/{(await one.newest()).number}", data={"step": "back", "changed": str(before)}
        )
        assert late.status_code == 422
        assert "This has changed in the meantime" in late.text


@pytest.mark.parametrize("guard", [{"changed": "zz"}, {"changed": ""}, {}, {"changed": str(2**31)}, {"changed": "-1"}])
async def test_a_step_without_a_readable_guard_is_refused(site: Installation, guard: dict[str, str]) -> None:
    async with carrying(site) as one:
        done = await one.bring(FORM.encode())
        late = await one.client.post(f"{IMPORT}/{done.number}", data={"step": "undo"} | guard)
        assert late.status_code == 422
        assert "This has changed in the meantime" in late.text
        assert (await one.newest()).state == "done"


async def test_dates_that_tell_nothing_are_asked_for(site: Installation) -> None:
    text = "name,date\nVera Novak,03/05/2022\n"
    async with carrying(site) as one:
        await one.upload(text.encode())
        await one.work()
        refused = await one.check()
        assert refused.status_code == 422
        assert "the day or the month" in refused.text
        await one.check({"dates": "mdy"})
        await one.do("start")
        (vera,) = await rows.rows_of(site.database, "SELECT signed_at FROM signature")
        assert vera["signed_at"].isoformat() == "2022-03-05T00:00:00+00:00"


async def test_first_and_last_names_countries_and_organizations(site: Installation) -> None:
    text = "Фамилия;Имя;Организация;Страна\nЁлкина;Анна;;Германия\n;;Сеть «Пирс» // Pier Network;Deutschland\n"
    async with carrying(site) as one:
        await one.bring(text.encode("cp1251"), more={"kind": "column", "visibility": "public"})
        assert await one.counted() == counts(1, 1, 0, 2)
        (anna,) = await rows.rows_of(site.database, "SELECT name, country FROM signature WHERE kind = 'person'")
        assert anna == {"name": "Анна Ёлкина", "country": "DE"}
        (pier,) = await rows.rows_of(site.database, "SELECT name_en, name_ru FROM organization")
        assert pier == {"name_en": "Pier Network", "name_ru": "Сеть «Пирс»"}


async def test_an_encoding_is_said_and_can_be_changed(site: Installation) -> None:
    text = "Имя;Город\nАнна Ёлкина;Казань\nПётр Иванов;Уфа\n"
    async with carrying(site) as one:
        await one.upload(text.encode("cp1251"))
        await one.work()
        page = await one.see()
        assert re.search(r'<option value="cp1251" selected>Windows-1251', page.text)
        assert "Анна Ёлкина" in page.text
        await one.do("again", {"encoding": "koi8-r", "delimiter": ";"})
        assert "Анна Ёлкина" not in (await one.see()).text
        assert (await one.do("again", {"encoding": "rot13", "delimiter": ";"})).status_code == 422
        await one.do("again", {"encoding": "cp1251", "delimiter": ";"})
        assert "Анна Ёлкина" in (await one.see()).text


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"step": "fly"},
        {"step": "check"},
        {"step": "check", "c0": "name", "c1": "email", "c2": "email"},
        {"step": "check", "c0": "nothing of ours", "changed": "x"},
        {"step": "again"},
        {"step": "undo"},
        {"step": "redo"},
        {"step": "start", "changed": "99999999999999999999"},
    ],
)
async def test_what_makes_no_sense_is_refused(site: Installation, form: dict[str, str]) -> None:
    async with carrying(site) as one:
        await one.upload(FORM.encode())
        await one.work()
        number = (await one.newest()).number
        assert (await one.client.post(f"{IMPORT}/{number}", data=form)).status_code == 422
        assert (await one.newest()).state == "mapping"
        for wrong in ("999", "x", "99999999999", "-1"):
            assert (await one.client.get(f"{IMPORT}/{wrong}")).status_code == 404
            assert (await one.client.post(f"{IMPORT}/{wrong}", data={"step": "cancel"})).status_code == 404
            assert (await one.client.get(f"{IMPORT}/{wrong}/problems.csv")).status_code == 404
        assert (await one.client.put(IMPORT)).status_code == 405


async def test_who_may_not(site: Installation) -> None:
    async with carrying(site) as one, people.stranger(site) as stranger:
        await one.upload(FORM.encode())
        await one.work()
        number = (await one.newest()).number
        assert (await stranger.get(f"{IMPORT}/{number}")).status_code == 303
        assert (await stranger.post(IMPORT, files={"file": ("a.csv", b"name\nA B\n")})).status_code == 401
        for role in ("viewer", "moderator"):
            async with people.at_desk(site, role) as client:
                assert (await client.get(IMPORT)).status_code == 403
                assert (await client.get(f"{IMPORT}/{number}")).status_code == 403
                assert (await client.post(f"{IMPORT}/{number}", data={"step": "cancel"})).status_code == 403
        async with people.at_desk(site, None, email="other@letters.example") as client:
            assert (await client.get(f"{IMPORT}/{number}")).status_code == 404
        other = "another-letter"
        async with site.database.connection() as conn:
            await conn.execute(
                "INSERT INTO letter (slug, rules_version, wrapped_digest_key, wrapped_name_key)"
                " SELECT $1, 1, wrapped_digest_key, wrapped_name_key FROM letter WHERE slug = $2",
                *(other, SLUG),
            )
        async with people.at_desk(site, "owner", email="their@letters.example", slug=other) as client:
            assert (await client.get(f"/organizer/{other}/import/{number}")).status_code == 404
            assert (await client.get(f"{IMPORT}/{number}")).status_code == 404
        assert (await one.newest()).state == "mapping"


async def test_the_log_tells_of_it(site: Installation) -> None:
    async with carrying(site) as one:
        await one.bring(FORM.encode())
        await one.do("undo")
        log = await rows.rows_of(site.database, "SELECT act, after FROM log WHERE act LIKE 'import.%' ORDER BY id")
        assert [row["act"] for row in log] == [
            *("import.upload", "import.start", "import.done", "import.undo", "import.take_back", "import.undone"),
        ]
        assert log[2]["after"] == "people:3.organizations:0"
        page = await one.client.get(f"/organizer/{SLUG}/log")
        assert "imported" in text_of(page)


async def test_an_unfinished_import_is_forgotten_after_a_day(site: Installation) -> None:
    from petition.imports import worker

    async with carrying(site) as one:
        await one.upload(FORM.encode())
        await one.work()
        await worker.drop_expired_files(site.database)
        assert (await one.newest()).state == "mapping"
        async with site.database.connection() as conn:
            await conn.execute("UPDATE intake SET created_at = now() - interval '25 hours'")
        await worker.drop_expired_files(site.database)
        stands = await one.newest()
        assert (stands.state, stands.about) == ("cancelled", None)
        assert not await rows.rows_of(site.database, "SELECT FROM intake_part")
        assert "deleted" in text_of(await one.see())


async def test_no_more_than_five_at_once(site: Installation) -> None:
    async with carrying(site) as one:
        for _ in range(5):
            assert (await one.upload(FORM.encode())).status_code == 303
        refused = await one.upload(FORM.encode())
        assert refused.status_code == 422
        assert "five unfinished imports" in refused.text


async def test_while_all_names_are_hidden_only_owners_see_a_list(site: Installation) -> None:
    async with carrying(site) as owner, people.at_desk(site, "editor", email="editor@letters.example") as editor:
        assert (await owner.upload(FORM.encode())).status_code == 303
        await owner.work()
        page = f"{IMPORT}/{(await owner.newest()).number}"
        assert "Пётр Иванов" in (await editor.get(page)).text
        assert (await switches.put(owner.client, "hide_list")).status_code == 303
        for path in (page, f"{page}/problems.csv"):
            answer = await editor.get(path)
            assert answer.status_code == 403
            assert "All names are hidden" in answer.text
            assert "Иванов" not in answer.text
        assert "Пётр Иванов" in (await owner.client.get(page)).text
        assert (await editor.get(IMPORT)).status_code == 200
