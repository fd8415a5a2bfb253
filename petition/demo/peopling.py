"""Filling the sample letter with its invented signatories, by the acts that fill any letter."""

import io
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from petition.addressees import deliveries
from petition.addressees.model import DeliveryWay, TypedEvent
from petition.core import email_addresses
from petition.core.audit_log import Actor
from petition.core.database import Connection, Database
from petition.core.encryption import LetterKeys, Sealer, Wrapper
from petition.core.ids import LetterId, OrganizerId, SignatureId
from petition.core.settings import Settings
from petition.demo import crowd
from petition.imports import file_adding
from petition.imports.row_reading import Target
from petition.letters import addressee_queries, queries, updates
from petition.letters.addressees import AddresseeState
from petition.letters.keys import keys_of
from petition.letters.model import Tally
from petition.signatures import paper_tallies
from petition.signatures.confirming import Confirming, ConfirmRequest

OPEN_SINCE = """
UPDATE letter SET opening = $2::text, opened_at = $2::text::timestamp AT TIME ZONE 'UTC', revision = revision + 1
WHERE id = $1
"""

ADD_PENDING = """
INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang)
VALUES ($1, $2, $3, $4, $5, $6, 1, 1, $7, $7)
"""

# As a reader's report does, which has a challenge and a quota besides.
REPORT = """
WITH reported AS (
  UPDATE signature SET flags = array_append(flags, 'reported')
  WHERE letter = $1 AND id = (SELECT min(s.id) FROM signature s WHERE s.letter = $1 AND s.kind = 'person'
                              AND s.state = 'confirmed' AND s.visibility = 'public')
  RETURNING letter, id
)
INSERT INTO report (letter, signature, reason) SELECT letter, id, 'fake' FROM reported
"""


async def fill(db: Database, settings: Settings, slug: str, organizer_id: OrganizerId) -> None:
    """Have the crowd sign: a list, signatures confirmed here, one that waits, paper, an update, a report, an answer."""
    now = datetime.now(UTC)
    wrapper = Wrapper(settings.secret_keys)
    async with db.transaction() as conn:
        row = await queries.by_slug(conn, slug)
        if row is None:
            return
        letter_id, keys = LetterId(row["id"]), keys_of(row, wrapper, row["id"])
        await conn.execute(OPEN_SINCE, letter_id, crowd.began(now).replace(tzinfo=None).isoformat())
        target = Target(letter_id, keys, row["rules_version"])
        await file_adding.add_rows(conn, target, io.BytesIO(crowd.as_csv(now)))
        actor = Actor(organizer_id, letter_id)
        update_id = await updates.add(conn, organizer_id, letter_id, crowd.UPDATE)
        await updates.save(conn, organizer_id, letter_id, update_id, 1, crowd.UPDATE, publish=True)
        people, source = crowd.TALLY
        await paper_tallies.add(conn, actor, Tally(people, (now - timedelta(days=9)).date(), source))
        await _hear_addressees(conn, actor, keys, now)
        requests = await _add_pending(conn, settings, letter_id, keys, row["rules_version"])
    confirming = Confirming(db)
    for request in requests:
        await confirming.submit(request)
    async with db.connection() as conn:
        await conn.execute(REPORT, letter_id)


async def _hear_addressees(conn: Connection, actor: Actor, keys: LetterKeys, now: datetime) -> None:
    """Record that the letter was handed over to its addressees, and that one has answered."""
    ids = {row["names"].get("en"): row["id"] for row in await conn.fetch(addressee_queries.ADDRESSEES, actor.letter_id)}
    for name, state, days, summary in crowd.ADDRESSEES:
        way = DeliveryWay.HAND if state == AddresseeState.DELIVERED else DeliveryWay.UNKNOWN
        event = TypedEvent(AddresseeState(state), now - timedelta(days=days), way, summary=summary)
        await deliveries.record(conn, actor, keys, ids[name], event, None)


async def _add_pending(
    conn: Connection, settings: Settings, letter_id: LetterId, keys: LetterKeys, rules_version: int
) -> list[ConfirmRequest]:
    sealer, requests = Sealer(settings.contact_public_key), []
    for number, fields in enumerate(_forms()):
        address = f"signatory{number}@letters.example"
        canonical = email_addresses.canonical(email_addresses.parse(address), rules_version)
        kind = "organization" if "organization_en" in fields else "person"
        signature_id = SignatureId(secrets.randbits(63))
        row = letter_id, signature_id, kind, keys.digest(canonical), keys.hide(fields), sealer.seal(address)
        await conn.execute(ADD_PENDING, *row, ("en", "ru")[number % 2])
        requests.append(ConfirmRequest(letter_id, signature_id, keys))
    return requests


def _forms() -> list[Mapping[str, str]]:
    """Return what was typed into each form."""
    people: list[Mapping[str, str]] = [
        {
            key: value
            for key, value in (("name", name), ("visibility", visibility), ("country", country))
            if value and not (visibility == "counted" and key != "visibility")
        }
        for name, visibility, country in crowd.HERE
    ]
    english, russian = crowd.WAITING
    representative = {"name": "Liv Aurdal", "position": "Chair", "visibility": "organizers", "country": "NO"}
    return [*people, representative | {"organization_en": english, "organization_ru": russian}]
