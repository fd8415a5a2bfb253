"""Making a package: everything is read at one moment, drawn in a thread, stored encrypted; its digest is public.

The document is for handing over, so it is served to organizers and to addressees only, and never with a name that was
taken back since: ``current_document`` has it made again then.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from petition.core import audit_log
from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys, Wrapper
from petition.core.errors import NotFound, Refused
from petition.core.i18n import N_, Languages
from petition.core.ids import LetterId, OrganizerId
from petition.letters import published
from petition.letters import queries as letter_queries
from petition.letters.keys import keys_for
from petition.letters.model import Counts, State
from petition.letters.sources import sources_of
from petition.packages import drawing, queries
from petition.packages.model import MAX_PEOPLE, Package, PackagedNames, PackageFacts

STORED_FOR = timedelta(days=60)  # as long as an addressee's link works
MAX_SHOWN = 20  # packages on the desk's page

NOT_PUBLISHED = N_("Publish the letter first: a package holds what readers see.")


@dataclass(frozen=True, slots=True)
class PackageMaker:
    """Makes packages of an installation."""

    database: Database
    wrapper: Wrapper
    languages: Languages
    base_url: str

    async def make(self, letter_id: LetterId, organizer_id: OrganizerId | None) -> bytes:
        """Draw the package of a letter as it is now, store it, and return the document.

        ``organizer_id`` is None where an addressee's link needs a new one. Raises ``Refused``, ``Unavailable``.
        """
        async with (
            self.database.connection() as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            facts = await _facts(conn, self.wrapper, letter_id)
        document = await asyncio.to_thread(drawing.draw_package, facts, self.languages, self.base_url)
        async with self.database.transaction() as conn:
            keys = await keys_for(conn, letter_id, self.wrapper)
            package_id = await _store(conn, keys, facts, organizer_id, document)
            if organizer_id is not None:
                await audit_log.record(conn, organizer_id, letter_id, "package.make", ids=[package_id])
        return document

    async def current_document(self, letter_id: LetterId) -> bytes:
        """Return the newest document; a new one if a name in it has been taken back or corrected since.

        Raises ``NotFound`` if there is none, or while no names are shown; ``Refused``, ``Unavailable``.
        """
        async with self.database.connection() as conn:
            letter = await published.read_with_switches(conn, self.wrapper, letter_id)
            row = await queries.document(conn, letter_id)
            if row is None or letter.conceals_names or row["made_at"] < datetime.now(UTC) - STORED_FOR:
                raise NotFound("there is no package")
            people = await queries.people_of(conn, letter_id, row["person_ids"])
            organizations = await queries.organizations_of(conn, letter_id, row["organization_ids"])
        if _digest_of(names_in(people, organizations)) == row["names_digest"]:
            return letter.keys.decrypt(row["content"])
        return await self.make(letter_id, None)


async def packages(conn: Connection, letter_id: LetterId) -> list[Package]:
    """Return the newest packages of a letter, without their documents."""
    return [Package(**row) for row in await queries.newest(conn, letter_id, MAX_SHOWN)]


async def _facts(conn: Connection, wrapper: Wrapper, letter_id: LetterId) -> PackageFacts:
    try:
        letter = await published.read_with_switches(conn, wrapper, letter_id)
    except NotFound:
        raise Refused(NOT_PUBLISHED) from None
    if letter.state not in {State.OPEN, State.CLOSED, State.ARCHIVED}:
        raise Refused(NOT_PUBLISHED)
    row = await queries.count(conn, letter_id)
    counts = letter_queries.counts_in(row) if row else Counts()
    is_listed = not letter.conceals_names
    people = await queries.first_people(conn, letter_id, MAX_PEOPLE) if is_listed else []
    organizations = await queries.organizations(conn, letter_id) if is_listed else []
    return PackageFacts(
        letter,
        counts,
        sources_of(letter, counts),
        await queries.public_people(conn, letter_id) if is_listed else 0,
        names_in(people, organizations),
        datetime.now(UTC).replace(microsecond=0),
    )


def names_in(people: Sequence[Record], organizations: Sequence[Record]) -> PackagedNames:
    """Return names as they are written in a document: a person's with work and city, an organization's both."""
    return PackagedNames(
        [", ".join(filter(None, (row["name"], row["affiliation"], row["city"]))) for row in people],
        [" // ".join(filter(None, (row["name_en"], row["name_ru"]))) for row in organizations],
        [row["id"] for row in people],
        [row["id"] for row in organizations],
    )


def _digest_of(names: PackagedNames) -> bytes:
    lines = "\n".join((*names.people, "", *names.organizations))
    return hashlib.sha256(lines.encode()).digest()


async def _store(
    conn: Connection, keys: LetterKeys, facts: PackageFacts, organizer_id: OrganizerId | None, document: bytes
) -> int:
    return await queries.add(
        conn,
        facts.letter.id,
        organizer_id,
        facts.made_at,
        facts.letter.version.number,
        facts.counts.people,
        facts.counts.organizations,
        hashlib.sha256(document).digest(),
        _digest_of(facts.names),
        keys.encrypt(document),
        facts.names.person_ids,
        facts.names.organization_ids,
    )
