"""Tallies: counted among the people and as imported, told to readers, corrected, taken back."""

import asyncio
import re

import pytest

from petition.core.ids import TallyId
from tests import rows
from tests.imports.desk import IMPORT, text_of
from tests.imports.test_steering import carrying, counts
from tests.organizers import people
from tests.running import SLUG, Installation

TALLY = f"/organizer/{SLUG}/tally"
FORM = {
    "step": "add",
    "people": "3,400",
    "counted_on": "2022-03-05",
    "source_en": "signed on paper, counted by the city library",
    "source_ru": "подписали на бумаге, посчитала городская библиотека",
}


async def ids(site: Installation) -> list[TallyId]:
    return [row["id"] for row in await rows.rows_of(site.database, "SELECT id FROM tally ORDER BY id")]


async def page_with(site: Installation, path: str, text: str) -> str:
    """Wait until readers of a page are told ``text``; return the page's text."""
    async with asyncio.timeout(120):
        while text not in (page := text_of(await site.client.get(path)).replace("\xa0", " ")):
            await asyncio.sleep(0.02)
    return page


async def test_it_counts_and_readers_are_told(site: Installation) -> None:
    async with carrying(site) as one:
        await site.sign()
        assert (await one.client.post(TALLY, data=FORM)).status_code == 303
        assert await one.counted() == counts(3400, 0, 0, 3400)
        assert "counted by the city library" in (await one.client.get(IMPORT)).text
        for path, text, day in (
            (f"/en/{SLUG}", "signed on paper, counted by the city library", "5 March 2022"),
            (f"/en/{SLUG}/signatories", "3,400 more on paper, without names here: signed on paper", "5 March 2022"),
            (f"/ru/{SLUG}", "посчитала городская библиотека", "5 марта 2022"),
        ):
            page = await page_with(site, path, text)
            assert day in page or re.sub(r"(\d+) (\w+)", r"\2 \1,", day, count=1) in page
        answer = await site.client.get(f"/api/v1/letters/{SLUG}")
        assert answer.json()["counts"] == {
            "total": 3400,
            "people": 3400,
            "organizations": 0,
            "hidden": 0,
            "imported": 3400,
        }


async def test_corrected_taken_back_and_brought_back(site: Installation) -> None:
    async with carrying(site) as one:
        await one.client.post(TALLY, data=FORM)
        (first,) = await ids(site)
        fixed = FORM | {"step": "correct", "tally": str(first), "people": "3 391"}
        assert (await one.client.post(TALLY, data=fixed)).status_code == 303
        assert (await one.counted())["people"] == 3391
        assert (await one.client.post(TALLY, data=fixed)).status_code == 422
        for wrong in ("undo", "redo"):
            assert (await one.client.post(TALLY, data={"step": wrong, "tally": str(first)})).status_code == 422
        second = (await ids(site))[1]
        assert (await one.client.post(TALLY, data={"step": "undo", "tally": str(second)})).status_code == 303
        assert (await one.counted())["people"] == 0
        assert (await one.client.post(TALLY, data={"step": "undo", "tally": str(second)})).status_code == 422
        assert (await one.client.post(TALLY, data={"step": "redo", "tally": str(second)})).status_code == 303
        assert (await one.counted())["people"] == 3391
        log = await rows.rows_of(
            site.database, "SELECT act, before, after FROM log WHERE act LIKE 'tally.%' ORDER BY id"
        )
        assert [tuple(row.values()) for row in log] == [
            ("tally.add", "", "people:3400"),
            ("tally.correct", "people:3400", "people:3391"),
            ("tally.undo", "people:3391", ""),
            ("tally.redo", "", "people:3391"),
        ]
        assert (await one.client.get(IMPORT)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"people": ""}, "how many"),
        ({"people": "0"}, "how many"),
        ({"people": "-4"}, "how many"),
        ({"people": "1e9"}, "how many"),
        ({"people": "٣"}, "how many"),
        ({"people": "9" * 400}, "how many"),
        ({"counted_on": "yesterday"}, "Choose the day"),
        ({"counted_on": "2999-01-01"}, "Choose the day"),
        ({"counted_on": "0001-01-01"}, "Choose the day"),
        ({"source_en": "", "source_ru": " "}, "where the number comes from"),
        ({"source_en": "x" * 201}, "Too long"),
        ({"source_ru": "see https://spam.example"}, "link"),
        ({"step": ""}, "Choose what to do"),
        ({"step": "fly"}, "Choose what to do"),
    ],
)
async def test_what_is_refused_is_said_and_kept(site: Installation, changes: dict[str, str], message: str) -> None:
    async with carrying(site) as one:
        answer = await one.client.post(TALLY, data=FORM | changes)
        assert answer.status_code == 422
        assert message in text_of(answer)
        assert (await one.counted())["people"] == 0
        assert not await ids(site)


async def test_one_language_is_enough(site: Installation) -> None:
    async with carrying(site, lang="ru") as one:
        assert (await one.client.post(TALLY, data=FORM | {"source_en": ""})).status_code == 303
        await page_with(site, f"/en/{SLUG}", "подписали на бумаге")
        assert '<bdi lang="ru">подписали на бумаге' in (await site.client.get(f"/en/{SLUG}")).text


async def test_who_may_not(site: Installation) -> None:
    async with carrying(site) as one, people.at_desk(site, "moderator") as moderator:
        await one.client.post(TALLY, data=FORM)
        (first,) = await ids(site)
        assert (await moderator.post(TALLY, data={"step": "undo", "tally": str(first)})).status_code == 403
        for wrong in ("7777", "x", "99999999999999999999", ""):
            assert (await one.client.post(TALLY, data={"step": "undo", "tally": wrong})).status_code == 404
            assert (await one.client.post(TALLY, data=FORM | {"step": "correct", "tally": wrong})).status_code == 404
        assert (await one.client.get(TALLY)).status_code == 405
        assert (await one.counted())["people"] == 3400


async def test_many_at_once_are_all_counted(site: Installation) -> None:
    async with carrying(site) as one:
        await asyncio.gather(*(one.client.post(TALLY, data=FORM | {"people": str(n)}) for n in range(1, 9)))
        first = (await ids(site))[0]
        undo = {"step": "undo", "tally": str(first)}
        answers = await asyncio.gather(*(one.client.post(TALLY, data=undo) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [303, 422, 422, 422]
        await one.counted()


async def test_the_same_number_is_asked_about_and_counted_only_if_wanted(site: Installation) -> None:
    async with carrying(site) as one:
        for _ in range(5):
            answer = await one.client.post(TALLY, data=FORM)
        assert answer.status_code == 422
        assert "is counted already" in answer.text
        assert 'name="repeat"' in answer.text
        assert 'value="3,400"' in answer.text, "what was typed is lost"
        assert (await one.counted())["people"] == 3400
        # In other letters, with the source in one language only, it is still the same.
        same = FORM | {"people": "3400", "source_en": "Signed on paper,  counted by the City Library", "source_ru": ""}
        assert (await one.client.post(TALLY, data=same)).status_code == 422
        for other in (
            {"people": "3401"},
            {"counted_on": "2022-03-06"},
            {"source_en": "in the square", "source_ru": ""},
        ):
            assert (await one.client.post(TALLY, data=FORM | other)).status_code == 303
        assert (await one.client.post(TALLY, data=FORM | {"repeat": "1"})).status_code == 303
        assert (await one.counted())["people"] == 3401 + 4 * 3400


async def test_a_correction_and_a_restored_number_are_compared_too(site: Installation) -> None:
    async with carrying(site) as one:
        await one.client.post(TALLY, data=FORM)
        await one.client.post(TALLY, data=FORM | {"people": "10"})
        first, second = await ids(site)
        wrong = FORM | {"step": "correct", "tally": str(second)}
        assert (await one.client.post(TALLY, data=wrong)).status_code == 422
        assert (await one.client.post(TALLY, data={"step": "undo", "tally": str(first)})).status_code == 303
        assert (await one.client.post(TALLY, data=wrong)).status_code == 303
        answer = await one.client.post(TALLY, data={"step": "redo", "tally": str(first)})
        assert answer.status_code == 422
        assert "is counted already" in answer.text
        assert (await one.counted())["people"] == 3400


async def test_a_button_pressed_twice_counts_once(site: Installation) -> None:
    async with carrying(site) as one:
        answers = await asyncio.gather(*(one.client.post(TALLY, data=FORM) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [303, *[422] * 5]
        assert (await one.counted())["people"] == 3400
