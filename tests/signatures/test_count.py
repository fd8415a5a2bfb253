"""The count is what the rows say, whatever is done to them, one after the other or all at once."""

import asyncio
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from petition.cli import approve
from petition.core.audit_log import Actor
from petition.core.database import Connection, Database, opened
from petition.core.encryption import Wrapper
from petition.core.errors import NotFound, Refused
from petition.core.ids import SignatureId, TallyId
from petition.core.settings import Process, load
from petition.imports import file_adding, undoing
from petition.imports.row_reading import Target
from petition.letters.model import Letter, Tally
from petition.signatures import paper_tallies, self_service
from petition.signatures.confirming import Confirming, ConfirmRequest
from petition.statistics import queries as statistics
from tests import rows
from tests.running import KEY, environment, publish

NAMES = ("Иван Петров", "Vera Novak", "Петров", "O'Brien", "Вера Петрова", "李小龙")
ORGANIZATIONS = ("North Pier", "Южный порт", "Third Line")
VISIBILITIES = ("public", "organizers", "counted")
ORGANIZER = """
INSERT INTO organizer (name, lang, digest, sealed) VALUES ('', 'en', 'one', '')
ON CONFLICT (digest) DO UPDATE SET lang = 'en' RETURNING id
"""
HELD = "SELECT id FROM signature WHERE letter = $1 AND state = 'held'"
SIGNED = "SELECT id FROM signature WHERE letter = $1"

WORDS = "SELECT kind::text, word FROM name_word WHERE letter = $1 ORDER BY kind::text DESC, word"
WORDS_SHOWN = """
SELECT DISTINCT 'organization' AS kind, unnest(string_to_array(o.name_key, ' ')) COLLATE "C" AS word
FROM organization o JOIN signature s ON s.letter = o.letter AND s.organization = o.id
WHERE o.letter = $1 AND s.state = 'confirmed'
UNION
SELECT DISTINCT 'person', unnest(string_to_array(name_key, ' ')) COLLATE "C" FROM signature
WHERE letter = $1 AND kind = 'person' AND state = 'confirmed' AND visibility = 'public' ORDER BY 1 DESC, 2
"""


@dataclass
class World:
    """One letter, and everything that may happen to its signatures."""

    database: Database
    letter: Letter
    draw: random.Random
    waiting: list[SignatureId] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Two, as in two web processes.
        self._confirming = (Confirming(self.database), Confirming(self.database))

    async def do_something(self) -> None:
        """Do one thing to one signature, if it can be done."""
        acts: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (4, self.sign),
            (2, self.sign_for_an_organization),
            (6, self.confirm),
            (3, self.change_visibility),
            (2, self.correct),
            (2, self.withdraw),
            (1, self.delete),
            (2, self.approve),
            (1, self.take_in),
            (1, self.fold),
            (1, self.take_back),
            (1, self.bring_back),
            (1, self.tally),
            (1, self.turn_tally),
        ]
        weights, choices = zip(*acts, strict=True)
        (act,) = self.draw.choices(choices, weights)
        try:
            await act()
        except (Refused, NotFound):  # somebody was first, or it makes no sense for this one
            return

    async def sign(self) -> None:
        """Add a pending signature of one of a few people."""
        address = f"voice{self.draw.randrange(8)}@letters.example"
        visibility = self.draw.choice(VISIBILITIES)
        name, updates = self.draw.choice(NAMES), self.draw.choice(["", "1"])
        await self._add(address, visibility=visibility, name=name, city="Ufa", updates=updates)

    async def sign_for_an_organization(self) -> None:
        """Add a pending signature of one of a few representatives."""
        address = f"voice{self.draw.randrange(8)}@letters.example"
        visibility = self.draw.choice(VISIBILITIES[:2])
        await self._add(address, visibility=visibility, organization_en=self.draw.choice(ORGANIZATIONS))

    async def _add(self, address: str, **fields: str) -> None:
        async with self.database.transaction() as conn:
            self.waiting += await rows.add_pending(conn, self.letter, [address], **fields)

    async def confirm(self) -> None:
        """Use a mailed link, perhaps not for the first time."""
        if self.waiting:
            claim = ConfirmRequest(self.letter.id, self.draw.choice(self.waiting[-12:]), self.letter.keys)
            await self.draw.choice(self._confirming).submit(claim)

    async def change_visibility(self) -> None:
        """Have somebody else see the name."""
        visibility, name = self.draw.choice(VISIBILITIES), self.draw.choice(NAMES)
        await self_service.change_visibility(self.database, self.letter, await self._any(), visibility, name)

    async def correct(self) -> None:
        """Write a name differently."""
        await self_service.correct(self.database, self.letter, await self._any(), self.draw.choice(NAMES))

    async def withdraw(self) -> None:
        """Take a signature back."""
        await self_service.withdraw(self.database, self.letter, await self._any())

    async def delete(self) -> None:
        """Have a row deleted."""
        await self_service.delete(self.database, self.letter, await self._any())

    async def approve(self) -> None:
        """Let organizations in that wait."""
        held = await rows.rows_of(self.database, HELD, self.letter.id)
        async with self.database.transaction() as conn:
            await approve.approve(conn, Wrapper([KEY]), [row["id"] for row in held])

    async def take_in(self) -> None:
        """Import a file; some in it have signed, some may be there from an import before."""
        lines = ["kind,name,name_ru,email,visibility"]
        for _ in range(3):
            address = f"voice{self.draw.randrange(12)}@letters.example"
            lines.append(f"person,{self.draw.choice(NAMES)},,{address},{self.draw.choice(VISIBILITIES)}")
            lines.append(f"person,{self.draw.choice(NAMES)},,,{self.draw.choice(VISIBILITIES[:2])}")
            lines.append(f"organization,{self.draw.choice(ORGANIZATIONS)},,{self.draw.choice([address, ''])},")
        target = Target(self.letter.id, self.letter.keys, self.letter.rules_version)
        async with self.database.transaction() as conn:
            await file_adding.add_rows(conn, target, io.BytesIO("\n".join(lines).encode()))

    async def fold(self) -> None:
        """Have the worker add up what has changed in the figures."""
        await statistics.fold(self.database)

    async def take_back(self) -> None:
        """Undo a step of some import."""
        async with self.database.transaction() as conn:
            number = await self._import(conn)
            await undoing.take_back(conn, self.letter.id, self.letter.keys, number, self.draw.choice([2, 500]))

    async def bring_back(self) -> None:
        """Bring back what was undone of some import."""
        async with self.database.transaction() as conn:
            await undoing.bring_back(conn, self.letter.id, self.letter.keys, await self._import(conn))

    async def _import(self, conn: Connection) -> int:
        newest = await conn.fetchval("SELECT max(number) FROM intake WHERE letter = $1", self.letter.id)
        if newest is None:
            raise NotFound("nothing was imported yet")
        return int(self.draw.randint(1, newest))

    async def tally(self) -> None:
        """Count people who signed elsewhere, or correct their number."""
        tally = Tally(self.draw.randint(1, 50), date(2022, 3, 5), {"en": "on paper"})
        async with self.database.transaction() as conn:
            before = await conn.fetchval("SELECT max(id) FROM tally WHERE letter = $1", self.letter.id)
            if before and self.draw.random() < 0.5:
                await paper_tallies.correct(conn, await self._actor(conn), before, tally)
            else:
                await paper_tallies.add(conn, await self._actor(conn), tally)

    async def turn_tally(self) -> None:
        """Take a tally back, or bring it back."""
        async with self.database.transaction() as conn:
            newest = await conn.fetchval("SELECT max(id) FROM tally WHERE letter = $1", self.letter.id) or 0
            turn = self.draw.choice([paper_tallies.undo, paper_tallies.redo])
            await turn(conn, await self._actor(conn), TallyId(self.draw.randint(0, newest)))

    async def _actor(self, conn: Connection) -> Actor:
        return Actor(await conn.fetchval(ORGANIZER), self.letter.id)

    async def _any(self) -> SignatureId:
        signatures = await rows.rows_of(self.database, SIGNED, self.letter.id)
        if not signatures:
            raise NotFound("nobody has signed yet")
        return SignatureId(self.draw.choice(sorted(row["id"] for row in signatures)))

    async def check(self) -> None:
        """Fail unless the count and the words of the search are what the rows say."""
        async with self.database.connection() as conn:
            await rows.check_count(conn, self.letter)
        known = await rows.rows_of(self.database, WORDS, self.letter.id)
        assert known == await rows.rows_of(self.database, WORDS_SHOWN, self.letter.id)


@pytest.fixture
async def database(database_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """Give a database with the sample letter."""
    async with opened(database_url, max_size=16) as database:
        await publish(load(environment(tmp_path, database_url, 8000), role=Process.WEB), database)
        yield database


@pytest.fixture
async def letter(database: Database) -> Letter:
    """Give the sample letter."""
    async with database.connection() as conn:
        return await rows.letter(conn)


@pytest.mark.parametrize("seed", range(3))
async def test_step_by_step(database: Database, letter: Letter, seed: int) -> None:
    world = World(database, letter, random.Random(seed))
    for _ in range(150):
        await world.do_something()
        await world.check()
    assert len(await rows.rows_of(database, SIGNED, letter.id)) > 3, "the walk did nothing"


@pytest.mark.parametrize("seed", range(3))
async def test_all_at_once(database: Database, letter: Letter, seed: int) -> None:
    worlds = [World(database, letter, random.Random(f"{seed} {n}")) for n in range(12)]
    for world in worlds:
        world.waiting = worlds[0].waiting  # they work on the same signatures

    async def keep_on(world: World) -> None:
        for _ in range(60):
            await world.do_something()

    await asyncio.gather(*map(keep_on, worlds))
    await worlds[0].check()
