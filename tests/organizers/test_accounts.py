"""Organizers by command: one-time links, lost second factors; and a sample letter with an owner."""

import re

import pytest

from petition.cli import main
from petition.core.errors import NotFound, PetitionError
from petition.demo import sample
from petition.organizers import accounts
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

VERA = "vera@letters.example"


async def enter(site: Installation, link: str) -> str:
    """Open a printed link; return where it leads."""
    assert re.fullmatch(r"http://localhost:\d+/organizer/enter/[\w-]{43}", link)
    async with people.stranger(site) as client:
        assert (await client.post(link)).headers["location"] == "/organizer/second"
        return (await client.get("/organizer/second")).text


async def test_the_link_enters_new_and_known_organizers(site: Installation) -> None:
    for admin in (False, True, False):
        link = await accounts.add(site.database, site.settings, VERA.upper(), admin=admin)
        assert "Set up a second factor" in await enter(site, link)
    assert await rows_of(site.database, "SELECT admin FROM organizer") == [{"admin": True}]
    acts = await rows_of(site.database, "SELECT act, after FROM log WHERE act LIKE 'organizer.%' ORDER BY id")
    assert [(act["act"], act["after"]) for act in acts] == [("organizer.add", ""), ("organizer.admin", "admin")]


async def test_a_lost_second_factor_is_removed_with_all_sessions(site: Installation) -> None:
    async with people.at_desk(site, email=VERA) as client:
        link = await accounts.reset(site.database, site.settings, VERA)
        assert (await client.get("/organizer/")).headers["location"] == "/organizer/enter"
    assert "Set up a second factor" in await enter(site, link)
    with pytest.raises(NotFound):
        await accounts.reset(site.database, site.settings, "nemo@letters.example")


async def test_what_is_no_address_is_one_clear_line(site: Installation) -> None:
    with pytest.raises(PetitionError, match="e-mail address is incomplete"):
        await accounts.add(site.database, site.settings, "nobody", admin=False)


def test_wrong_usage_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["organizer"], ["organizer", "add"], ["organizer", "add", "a@b.example", "--root"]):
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        assert ended.value.code == 2


async def test_the_demos_organizer_owns_the_sample_letter_unless_somebody_does(site: Installation) -> None:
    url = site.settings.database_url or ""
    for _ in range(2):
        await enter(site, await sample.prepare(url, site.settings))
    assert await rows_of(site.database, "SELECT role::text FROM member") == [{"role": "owner"}]
    async with site.database.connection() as conn:
        await conn.execute("DELETE FROM member")
    vera = (await people.add(site, VERA)).id
    await people.give_role(site, vera, "viewer", SLUG)
    await sample.prepare(url, site.settings)
    assert await rows_of(site.database, "SELECT organizer FROM member") == [{"organizer": vera}]
