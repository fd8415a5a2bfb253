"""What a signatory or a moderator took back is in no copy of a page, and a database that goes away brings it not back.

Acts of another process: this one has them from its poll. Of the Russian pages it has copies that no one reads since.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from petition.core.audit_log import Actor
from petition.core.database import Database
from petition.core.ids import SignatureId
from petition.letters import employer_queries
from petition.letters.model import Letter
from petition.moderation import decisions
from petition.moderation.model import Action
from petition.signatures import self_service
from petition.signatures.employee_queries import MIN_NUMBER
from petition.signatures.model import Reason
from tests import rows
from tests.moderation.desk import Bench
from tests.running import SLUG, Installation

if TYPE_CHECKING:
    from tests.conftest import Conn

ORGANIZATIONS, PEOPLE = "/signatories?kind=organization", "/signatories"
PAGES = [f"/{lang}/{SLUG}{path}" for lang in ("en", "ru") for path in (ORGANIZATIONS, PEOPLE)]
NUMBER = f"(halden.example) <b>{MIN_NUMBER}</b>"
Act = Callable[[Database, Letter, SignatureId], Awaitable[object]]


@dataclass
class Signed:
    """An installation with two representatives of one organization, and as many employees as are shown."""

    site: Installation
    letter: Letter
    representative: SignatureId
    employee: SignatureId

    async def polled(self) -> None:
        """Wait until the web knows all that was committed: for an unknown letter it asks the database first."""
        answer = await self.site.client.get("/en/no-such-letter", headers=self.site.new_network())
        assert answer.status_code == 404

    async def page(self, path: str) -> str:
        """Return a page as it comes, of whatever age; empty if it cannot be had."""
        answer = await self.site.client.get(path, headers=self.site.new_network())
        assert answer.status_code in {200, 503}
        return " ".join(answer.text.split()) if answer.status_code == 200 else ""


@pytest.fixture
async def signed(site: Installation) -> Signed:
    """Give them with every page in the cache."""
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        employer_id = await employer_queries.add(conn, letter.id, {"en": "Halden Cloud"}, ["halden.example"])
        await employer_queries.move_revision(conn, letter.id)
    bench = Bench(site.database, letter)
    offices = [await bench.sign_for("North Pier", name, visibility="public") for name in ("Vera Novak", "Boris Berg")]
    await bench.decide(Action.APPROVE, *offices)
    workers = [f"{number}@halden.example" for number in range(MIN_NUMBER)]
    employees = await bench.confirm(workers, visibility="counted", employer=str(employer_id))
    there = Signed(site, letter, offices[0], employees[0])
    await there.polled()
    for path, text in zip(PAGES, ("Vera Novak", NUMBER, "Vera Novak", NUMBER), strict=True):
        assert text in await there.page(path)
    return there


async def hide(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    await self_service.change_visibility(database, letter, signature_id, "organizers", "Somebody Else")


async def correct(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    await self_service.correct(database, letter, signature_id, "Somebody Else")


async def leave_the_employer(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    await self_service.change_visibility(database, letter, signature_id, "counted", "")


async def remove(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    async with database.transaction() as conn:
        seen = {signature_id: decisions.ANY_ACT}
        await decisions.decide(conn, Actor(None, letter.id), letter.keys, Action.REMOVE, seen, Reason.FAKE)


@asynccontextmanager
async def away(site: Installation, admin: "Conn") -> AsyncIterator[None]:
    """Have the database take no connections, as during a move."""
    name = site.environ["DATABASE_URL"].partition("?")[0].rpartition("/")[2]
    await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        async with asyncio.timeout(60):
            while "takes no connections" not in (await site.client.get("/readyz")).text:
                await asyncio.sleep(0.05)
        yield
    finally:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("act", [hide, correct, self_service.withdraw, self_service.delete, remove])
async def test_a_representatives_name(signed: Signed, admin: "Conn", act: Act) -> None:
    await act(signed.site.database, signed.letter, signed.representative)
    await signed.polled()
    assert "Vera Novak" not in await signed.page(PAGES[0])
    async with away(signed.site, admin):
        english, russian = await signed.page(PAGES[0]), await signed.page(PAGES[2])
    assert "North Pier" in english
    assert "Boris Berg" in english
    assert "Vera Novak" not in english + russian


@pytest.mark.parametrize("act", [leave_the_employer, hide, self_service.withdraw, self_service.delete, remove])
async def test_an_employer(signed: Signed, admin: "Conn", act: Act) -> None:
    """Its number falls below the smallest that is shown."""
    await act(signed.site.database, signed.letter, signed.employee)
    await signed.polled()
    assert NUMBER not in await signed.page(PAGES[1])
    async with away(signed.site, admin):
        english, russian = await signed.page(PAGES[1]), await signed.page(PAGES[3])
    assert "fewer than 5" in english
    assert NUMBER not in russian
