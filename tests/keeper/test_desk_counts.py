"""Admins see what the keeper was asked, by purpose, and learn when it cannot be reached."""

import re
from datetime import UTC, datetime
from pathlib import Path

from petition.core.encryption import Wrapper
from petition.keeper import adoption
from petition.web.desk import keeper_part
from tests.keeper import keepers
from tests.keeper.test_attacker import site_on, until_kept
from tests.organizers import people
from tests.running import KEY, Installation

HERE = "/organizer/installation"


def uses_on(page: str) -> dict[str, list[int]]:
    """Return the numbers of the keeper's table, by purpose."""
    table = page.partition('id="keeper"')[2].partition("</table>")[0]
    rows = re.findall(r'<th scope="row">([^<]+)</th>(.*?)</tr>', table, re.DOTALL)
    return {name: [int(number) for number in re.findall(r">(\d+)<", cells)] for name, cells in rows}


async def test_what_the_keeper_was_asked(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with (
        keepers.a_keeper() as keeper,
        site_on(database_url, tmp_path, **keeper.settings) as (site, client),
        people.at_desk(site, admin=True) as admin,
    ):
        await adoption.adopt(site.database, client, Wrapper([KEY]))
        await until_kept(site)
        before = uses_on((await admin.get(HERE)).text)
        assert {"signing", "switching to the keeper"} <= before.keys()
        assert (await site.sign(email="second@letters.example")).status_code == 303
        after = uses_on((await admin.get(HERE)).text)
        # A form takes three values, in one request: the mailbox's, that of its quotas, the form's.
        assert [new - old for new, old in zip(after["signing"], before["signing"], strict=True)] == [1, 1, 3]


async def test_a_keeper_that_is_away_is_said_so(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with keepers.a_folder() as folder:
        settings = keepers.RunningKeeper(folder).settings  # none runs
        async with site_on(database_url, tmp_path, **settings) as (site, _), people.at_desk(site, admin=True) as admin:
            page = await admin.get(HERE)
    assert page.status_code == 200
    assert "The keeper’s counts cannot be read: the keeper cannot be reached" in page.text


async def test_without_a_keeper_nothing_is_said_of_it(site: Installation) -> None:
    async with people.at_desk(site, admin=True) as admin:
        assert 'id="keeper"' not in (await admin.get(HERE)).text


def test_lines_that_make_no_sense_are_left_out() -> None:
    now = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
    good = {"hour": "2026-11-30T12:00Z", "purpose": "sign", "requests": 2, "values": 6}
    old = good | {"hour": "2026-11-28T12:00Z", "requests": 5}
    bad = [{}, None, good | {"purpose": "<b>"}, good | {"values": "6"}, good | {"hour": "today"}, 7]
    report = keeper_part.read({"hours": [good, *bad, old], "limit": 300}, now)
    (use,) = report.uses
    assert (use.purpose, use.requests_of_day, use.requests, use.values) == ("signing", 2, 7, 12)
    assert keeper_part.read({"hours": "none"}, now).uses == []
