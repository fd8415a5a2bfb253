"""Whatever happens, in whatever order: acts of all sorts drawn at random, and everything recounted after each.

``RANDOM_SEEDS`` and ``RANDOM_ROUNDS`` make it look further; ``RANDOM_AT_ONCE`` has so many acts happen at once, so that
no two runs are the same any more.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from typing import TypeVar
from unittest.mock import patch

import pytest

from petition.core.audit_log import Actor
from petition.core.database import Connection
from petition.core.errors import PetitionError
from petition.core.ids import BulkActId, LogId, OrganizationId, OrganizerId, SignatureId, TallyId
from petition.imports import adding, steering
from petition.imports.steering import MailboxRights
from petition.letters import lifecycle, switch_actions
from petition.letters.model import Tally
from petition.letters.switches import OFF, ON, Switch
from petition.moderation import bulk_acts, decisions, organizations, undoing
from petition.moderation.model import Action, Filter
from petition.signatures import paper_tallies, self_service
from petition.signatures.model import Kind, Reason
from tests import rows
from tests.count_log.recounting import check_log
from tests.imports.desk import Carrier
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.running import Installation

SEEDS = int(os.environ.get("RANDOM_SEEDS", "1"))
ROUNDS = int(os.environ.get("RANDOM_ROUNDS", "45"))
AT_ONCE = int(os.environ.get("RANDOM_AT_ONCE", "1"))

SIGNATURES = "SELECT id FROM signature WHERE letter = $1 ORDER BY listed_at, name, id"
ACTS = "SELECT id FROM log WHERE letter = $1 AND (act LIKE 'signature.%' OR act LIKE 'organization.%') ORDER BY id"
ORGANIZATIONS = "SELECT id FROM organization WHERE letter = $1 ORDER BY listed_at, name_key, id"
IMPORTS = "SELECT number, state, changed FROM intake WHERE letter = $1 AND state IN ('done', 'undone') ORDER BY number"
BULK_ACTS = "SELECT id FROM campaign WHERE letter = $1 AND state <> 'reverted' ORDER BY id"
TALLIES = "SELECT id FROM tally WHERE letter = $1 ORDER BY id"
HOLD = "SELECT value, revision FROM switch WHERE letter = $1 AND name = 'hold'"

# What must never be there, whatever has happened.
AMISS = {
    "a removed mailbox that may sign again": """
        SELECT FROM signature s WHERE letter = $1 AND state = 'removed' AND digest IS NOT NULL
          AND NOT EXISTS (SELECT FROM bar b WHERE b.letter = s.letter AND b.digest = s.digest)""",
    "removed without a reason": "SELECT FROM signature WHERE letter = $1 AND state = 'removed' AND removed_for IS NULL",
    "a name in plain text that waits": """
        SELECT FROM signature WHERE letter = $1 AND state = 'held'
          AND (name IS NOT NULL OR name_key IS NOT NULL OR organization IS NOT NULL)""",
    "a name that is not public in plain text": """
        SELECT FROM signature WHERE letter = $1 AND visibility <> 'public'
          AND (name IS NOT NULL OR name_key IS NOT NULL)""",
    "something personal of who withdrew": """
        SELECT FROM signature WHERE letter = $1 AND state = 'withdrawn'
          AND coalesce(name, name_key, "position", country, private::text, digest::text, flags[1]) IS NOT NULL""",
    "a signature of an entry that was merged": """
        SELECT FROM signature s JOIN organization o ON o.letter = s.letter AND o.id = s.organization
        WHERE s.letter = $1 AND o.merged_into IS NOT NULL""",
    "an entry merged into one that was merged itself": """
        SELECT FROM organization o JOIN organization i ON i.letter = o.letter AND i.id = o.merged_into
        WHERE o.letter = $1 AND i.merged_into IS NOT NULL""",
    "a bulk act that has changed fewer than none": "SELECT FROM campaign WHERE letter = $1 AND changed < 0",
}


def file_of(first: int) -> bytes:
    """Return a list with people of each visibility, some without a name, and organizations with representatives."""
    lines = ["kind,name,email,country,signed_at,visibility"]
    for n in range(first, first + 12):
        seen = ("public", "organizers")[n % 2]
        lines.append(f"person,Brought Person{n},brought{n}@letters.example,RU,2022-03-0{1 + n % 9}T10:00:00Z,{seen}")
    for n in range(first, first + 3):
        lines += [f"organization,Org {n % 3},,,,public", f"organization,Org {n % 3},org{n}@letters.example,,,public"]
    lines += [f"person,Voice Again,voice{first + 2}@letters.example,,,public", *["person,,,,,counted"] * 3]
    return "\n".join(lines).encode()


Id = TypeVar("Id")


class Town:
    """A letter with random acts on it, and their author."""

    def __init__(self, bench: Bench, carrier: Carrier, organizer_id: OrganizerId, seed: int) -> None:
        self.bench = bench
        self.carrier = carrier
        self.organizer = organizer_id
        self.by = Actor(organizer_id, bench.letter.id)
        self.actor = Actor(organizer_id, bench.letter.id)
        self.draw = random.Random(seed)
        self.acts: list[str] = []

    async def happen(self, what: Callable[["Town"], Awaitable[None]]) -> None:
        """Have something happen, or be refused."""
        try:
            await what(self)
            self.acts.append(what.__name__)
        except PetitionError as refused:
            self.acts.append(f"{what.__name__}: {refused}")

    async def check(self) -> None:
        """Fail unless all is counted and nothing is amiss."""
        assert {what: await self.bench.rows(found) for what, found in AMISS.items()} == {what: [] for what in AMISS}
        await self.bench.check()
        await check_log(self.bench.database, self.bench.letter.id)

    async def ids(self, of: Callable[[int], Id], statement: str, limit: int = 1) -> list[Id]:
        """Return up to ``limit`` ids drawn from a statement's, ``of`` the type they have."""
        found = [of(row["id"]) for row in await self.bench.rows(statement)]
        return self.draw.sample(found, min(limit, len(found)))

    async def do(self, act: Callable[[Connection], Awaitable[object]]) -> None:
        """Do something in one transaction."""
        async with self.bench.database.transaction() as conn:
            await act(conn)


async def sign(town: Town) -> None:
    address = f"voice{town.draw.randrange(40)}@letters.example"
    visibility = town.draw.choice(("public", "organizers", "counted"))
    await town.bench.confirm([address], name=f"Vera N{town.draw.randrange(5)}", visibility=visibility)


async def sign_for_an_organization(town: Town) -> None:
    address, name = f"voice{town.draw.randrange(40)}@letters.example", f"Org {town.draw.randrange(5)}"
    visibility = town.draw.choice(("public", "organizers"))
    await town.bench.confirm([address], organization_en=name, name="Anna Berg", visibility=visibility)


async def decide(town: Town) -> None:
    act, some = town.draw.choice(list(Action)), await town.ids(SignatureId, SIGNATURES, town.draw.choice((1, 1, 3, 8)))
    reason = town.draw.choice(list(Reason))
    seen = dict.fromkeys(some, decisions.ANY_ACT)
    await town.do(lambda conn: decisions.decide(conn, town.by, town.bench.letter.keys, act, seen, reason))


async def undo(town: Town) -> None:
    for log_id in await town.ids(LogId, ACTS):
        await town.do(lambda conn, log_id=log_id: undoing.undo(conn, town.by, town.bench.letter.keys, log_id))  # type: ignore[misc]


async def act_on_own_page(town: Town) -> None:
    database, letter = town.bench.database, town.bench.letter
    for one in await town.ids(SignatureId, SIGNATURES):
        match town.draw.choice(("withdraw", "delete", "visibility", "correct")):
            case "withdraw":
                await self_service.withdraw(database, letter, one)
            case "delete":
                await self_service.delete(database, letter, one)
            case "visibility":
                visibility = town.draw.choice(("public", "organizers", "counted"))
                await self_service.change_visibility(database, letter, one, visibility, "Vera Typed")
            case _:
                await self_service.correct(database, letter, one, f"Correct N{town.draw.randrange(3)}")


async def bring(town: Town) -> None:
    if AT_ONCE == 1:  # a carrier looks at the newest import: two at once would mix them up
        await town.carrier.bring(file_of(town.draw.choice((0, 6, 20))))


RIGHTS = MailboxRights(is_owner=True, is_fresh=True)


async def undo_or_redo_an_import(town: Town) -> None:
    if found := await town.bench.rows(IMPORTS):
        one = town.draw.choice(found)
        step = {"step": "undo" if one["state"] == "done" else "redo", "changed": str(one["changed"])}
        await town.do(
            lambda conn: steering.advance(conn, town.actor, town.bench.letter.keys, one["number"], step, RIGHTS)
        )
        await town.carrier.work()


async def count_on_paper(town: Town) -> None:
    new = Tally(town.draw.randrange(1, 500), date(2022, 3, 1), {"en": "counted in the square"})
    known, what = await town.ids(TallyId, TALLIES), town.draw.choice(("add", "correct", "undo", "redo"))
    for tally in known:
        match what:
            case "correct":
                await town.do(lambda conn, tally=tally: paper_tallies.correct(conn, town.actor, tally, new))  # type: ignore[misc]
            case "undo":
                await town.do(lambda conn, tally=tally: paper_tallies.undo(conn, town.actor, tally))  # type: ignore[misc]
            case "redo":
                await town.do(lambda conn, tally=tally: paper_tallies.redo(conn, town.actor, tally))  # type: ignore[misc]
    if not known or what == "add":
        await town.do(lambda conn: paper_tallies.add(conn, town.actor, new))


async def merge(town: Town) -> None:
    if len(two := await town.ids(OrganizationId, ORGANIZATIONS, 2)) == 2:
        await town.do(lambda conn: organizations.merge(conn, town.by, town.bench.letter.keys, *two))


async def rename(town: Town) -> None:
    typed = {"name_en": f"Org {town.draw.randrange(6)}", "name_ru": town.draw.choice(("", "Орг"))}
    for one in await town.ids(OrganizationId, ORGANIZATIONS):
        corrected = organizations.parse(typed)
        await town.do(lambda conn: organizations.correct(conn, town.by, town.bench.letter.keys, one, corrected))  # noqa: B023


async def begin_a_campaign(town: Town) -> None:
    choices = (Filter(), Filter(q="vera"), Filter(q="vara"), Filter(kind=Kind.PERSON), Filter(kind=Kind.ORGANIZATION))
    act, filter = town.draw.choice(list(Action)), town.draw.choice(choices)

    async def start(conn: Connection) -> None:
        bulk_act_id = await bulk_acts.create(conn, town.by, act, filter)
        await bulk_acts.advance(conn, town.by, bulk_act_id, "start", Reason.FAKE)

    await town.do(start)


async def steer_a_campaign(town: Town) -> None:
    step = town.draw.choice(("pause", "resume", "cancel", "revert"))
    for one in await town.ids(BulkActId, BULK_ACTS):
        await town.do(lambda conn: bulk_acts.advance(conn, town.by, one, step, None))  # noqa: B023


async def work_at_campaigns(town: Town) -> None:
    for _ in range(town.draw.randrange(1, 6)):
        await bulk_acts.step(town.bench.database, WRAPPER, size=town.draw.choice((2, 5, 50)))


async def hold_everything_or_not(town: Town) -> None:
    found = await town.bench.rows(HOLD)
    revision, value = (found[0]["revision"], found[0]["value"]) if found else (0, OFF)
    to = OFF if value == ON else ON
    letter = town.bench.letter.id
    await town.do(lambda conn: switch_actions.set_switch(conn, town.organizer, letter, Switch.HOLD, revision, to, {}))


async def close_or_open(town: Town) -> None:
    to = town.draw.choice(list(lifecycle.StateChange))
    await town.do(lambda conn: lifecycle.move(conn, town.organizer, town.bench.letter.id, to))


LIKELY = (
    *[sign] * 6,
    *[sign_for_an_organization] * 5,
    *[decide] * 6,
    *[undo] * 7,
    *[act_on_own_page] * 4,
    *[bring],
    *[undo_or_redo_an_import] * 3,
    *[count_on_paper] * 2,
    *[merge] * 3,
    *[rename] * 2,
    *[begin_a_campaign, steer_a_campaign],
    *[work_at_campaigns] * 3,
    hold_everything_or_not,
    close_or_open,
)


@pytest.fixture
async def carrier(site: Installation) -> AsyncIterator[Carrier]:
    """Give the letter's owner, with files in hand."""
    with patch.object(adding, "MIN_MAILBOXES", 1):
        async with people.at_desk(site, "owner") as client:
            yield Carrier(site, client)


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
async def test_whatever_happens(site: Installation, carrier: Carrier, seed: int) -> None:
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    (owner,) = await rows.rows_of(site.database, "SELECT id FROM organizer")
    town = Town(bench, carrier, owner["id"], seed)
    for what in (sign, sign_for_an_organization, bring):  # so that there is something to act on
        await town.happen(what)
    for _ in range(ROUNDS):
        await asyncio.gather(*(town.happen(town.draw.choice(LIKELY)) for _ in range(AT_ONCE)))
        try:
            await town.check()
        except AssertionError:
            pytest.fail(f"seed {seed}, after {', '.join(town.acts[-12:])}")
    assert await bench.rows("SELECT id FROM log WHERE letter = $1 AND act = 'signature.undo'")
