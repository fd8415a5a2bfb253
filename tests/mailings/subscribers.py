"""Subscribers of the sample letter by the thousand, and what a mailing of it says."""

import asyncio
from collections.abc import Callable, Sequence

from petition.core import email_addresses
from petition.core.audit_log import Actor
from petition.core.database import Database, Record
from petition.core.encryption import Sealer, Wrapper
from petition.core.ids import OrganizerId, SignatureId, UpdateId
from petition.letters import update_queries, updates
from petition.letters.model import Letter
from petition.mailings import acts
from petition.organizers import queries as organizer_queries
from petition.organizers.desk_key import DeskKey
from tests.running import KEY, PUBLIC_KEY

ADD = """
WITH added AS (
  INSERT INTO signature (letter, id, listed_at, signed_at, kind, state, visibility, mail_lang, read_lang, digest)
  SELECT $1, u.id, now(), now(), 'person', 'confirmed', 'counted', u.lang, u.lang,
         decode(lpad(to_hex(u.id), 32, '0'), 'hex')
  FROM unnest($2::bigint[], $3::text[]) AS u (id, lang) RETURNING id
)
INSERT INTO contact (letter, signature, purpose, sealed)
SELECT $1, u.id, 'updates', u.sealed FROM unnest($2::bigint[], $4::bytea[]) AS u (id, sealed)
"""

NUMBERS = """
SELECT state, reason, recipients, unreached, in_flight, accepted, refused, bounced, suppressed, cancelled, repeated
FROM mailing WHERE letter = $1 ORDER BY id DESC LIMIT 1
"""

STAMPS = "SELECT state, count(*) AS number FROM mailing_stamp WHERE letter = $1 GROUP BY 1"

TEXTS = {
    "en": {"title": "They have answered", "markdown": "It is a **yes**. [All of it](/en/keep-the-channels-open)"},
    "ru": {"title": "Нам ответили", "markdown": "Это **да**."},
}


def address(number: int) -> str:
    return f"reader{number}@letters.example"


async def add(database: Database, letter: Letter, numbers: Sequence[int], lang: str = "en") -> list[SignatureId]:
    """Add confirmed signatories who asked for updates; return their ids, which are their numbers."""
    sealer = Sealer(PUBLIC_KEY)
    for start in range(0, len(numbers), 5000):
        part = list(numbers[start : start + 5000])
        sealed = [sealer.seal(address(number)) for number in part]
        async with database.transaction() as conn:
            await conn.execute(ADD, letter.id, part, [lang] * len(part), sealed, timeout=60)
    return [SignatureId(number) for number in numbers]


async def publish(database: Database, letter: Letter, texts: updates.Texts = TEXTS) -> UpdateId:
    """Publish an update; return its number."""
    async with database.transaction() as conn:
        update_id = await update_queries.add(conn, letter.id, texts)
        assert update_id is not None
        shown = {lang: {**text, "html": updates.rendered(texts)[lang].html} for lang, text in texts.items()}
        await update_queries.write(conn, letter.id, update_id, texts, shown, updates.PUBLISHED, edited=False)
    return update_id


async def add_editor(database: Database, letter: Letter, email: str) -> None:
    """Add an editor of the letter who can be mailed."""
    mailbox = email_addresses.parse(email)
    async with database.transaction() as conn:
        digest = await DeskKey(Wrapper([KEY])).of_mailbox(conn, mailbox)
        sealed = Sealer(PUBLIC_KEY).seal(mailbox.address)
        one = await organizer_queries.add_organizer(conn, digest, sealed, name="", lang="en", admin=False)
        await conn.execute("INSERT INTO member (letter, organizer, role) VALUES ($1, $2, 'editor')", letter.id, one.id)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_so():
            await asyncio.sleep(0.02)


async def mail(
    database: Database, letter: Letter, update_id: UpdateId, organizer_id: OrganizerId | None = None
) -> None:
    """Have it mailed, without time to undo it."""
    async with database.transaction() as conn:
        await acts.start(conn, Actor(organizer_id, letter.id), update_id)
        await conn.execute("UPDATE mailing SET starts_at = now()")


async def act(database: Database, letter: Letter, update_id: UpdateId, step: str) -> None:
    async with database.transaction() as conn:
        await acts.advance(conn, Actor(None, letter.id), update_id, step)


async def numbers(database: Database, letter: Letter) -> Record:
    """Return the numbers of the newest mailing, after comparing them with its stamps and with their sum."""
    async with database.transaction() as conn:
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        row = await conn.fetchrow(NUMBERS, letter.id)
        stamps = {stamp["state"]: stamp["number"] for stamp in await conn.fetch(STAMPS, letter.id)}
    assert row is not None
    if row["recipients"] is not None:
        states = ("in_flight", "accepted", "refused", "bounced", "suppressed")
        assert row["recipients"] == row["unreached"] + sum(row[state] for state in states)
        for state in states[:-1]:
            assert stamps.get(state, 0) == row[state], state
        assert stamps.get("suppressed", 0) <= row["suppressed"]
    return row
