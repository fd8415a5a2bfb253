"""A list brought again: the same rows, names that were imported before, and one mailbox twice."""

import pytest

from tests.imports.desk import text_of
from tests.imports.test_lists_of_others import tried
from tests.imports.test_steering import carrying
from tests.running import Installation

FIRST = """Отметка времени,ФИО,Город
05.03.2022 14:23:11,Вера Новак,Рига
05.03.2022 14:24:40,Иван Петров,Томск
15.03.2022 09:00:02,Анна Сонн,Томск
"""
EXCEL = "Отметка времени;ФИО;Город\r\n05.03.2022 14:23;Вера Новак;Рига\r\n"
EXCEL += "05.03.2022 14:24;Иван Петров;Томск\r\n15.03.2022 9:00;Анна Сонн;Томск\r\n"


@pytest.mark.parametrize("visibility", ["public", "organizers"])
async def test_a_list_that_excel_saved_again_is_the_same(site: Installation, visibility: str) -> None:
    async with carrying(site) as one:
        await one.bring(FIRST.encode(), "first.csv", {"visibility": visibility})
        job = await tried(one, EXCEL.encode(), more={"visibility": visibility})
        assert (job.report["people"], job.report["known"]) == (0, 3)
        assert "nothing new" in text_of(await one.see())
        other = EXCEL.replace("Рига", "Юрмала").replace("Анна Сонн", "Сонн Анна")
        other += "16.03.2022 9:00;Вера Новак;Рига\r\n"
        job = await tried(one, other.encode(), more={"visibility": visibility})
        assert (job.report["people"], job.report["known"], job.report["same_names"]) == (1, 2, 1)


@pytest.mark.parametrize(("answer", "people"), [("out", 3), ("add", 4)])
async def test_names_that_are_there_already_are_a_choice(site: Installation, answer: str, people: int) -> None:
    async with carrying(site) as one:
        await one.bring(FIRST.encode(), "first.csv")
        job = await tried(one, "ФИО;Город\nВЕРА НОВАК;Юрмала\nИван Петров;Томск\n".encode(), more={})
        assert (job.report["people"], job.report["known"], job.report["same_names"]) == (0, 1, 1)
        page = text_of(await one.see())
        assert "1 row differs otherwise" in page
        assert "first.csv" in page
        await one.do("start", {"names": answer})
        assert (await one.counted())["people"] == people


async def test_two_rows_with_one_mailbox_are_named(site: Installation) -> None:
    async with carrying(site) as one:
        job = await tried(one, b"name,email\nVera,v@example.org\nAnn,a@example.org\nBob,V@example.org\n")
        assert (job.report["people"], job.report["known"], job.report["repeated"]) == (2, 0, 1)
        assert "lines 4 = 2" in text_of(await one.see())
