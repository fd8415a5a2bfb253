"""Form, mail, link and list, by the processes that operators run: nobody is lost, nobody is there twice."""

from pathlib import Path

import pytest

from tests.bench import million
from tests.bench.crowd_people import email_of
from tests.bench.place import MANY, Place

PEOPLE = 300
OF_ONE_DOMAIN = sum("почта.рф" in email_of(number) for number in range(PEOPLE))


@pytest.mark.parametrize("limit", [MANY, "1"], ids=["none held", "a domain above its ceiling"])
async def test_each_one_who_was_answered_is_there_once(
    limit: str, database_url: str, open_folder: Path, with_letter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(million, "PROGRESS", open_folder / "progress.json")
    limits = million.WEB | {"LIMIT_DOMAIN": limit}
    figures = await million.run(Place(database_url, open_folder), database_url, PEOPLE, limits)
    assert (figures["million lost"], figures["million doubled"]) == (0, 0)
    assert figures["million confirmed"] == PEOPLE
    held = figures[
        "million held"
    ]  # with a ceiling of 1 the draw leaves none or one of them (docs/decisions/forgery.md)
    assert held in ({OF_ONE_DOMAIN, OF_ONE_DOMAIN - 1} if limit == "1" else {0})
