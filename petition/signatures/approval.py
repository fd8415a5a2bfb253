"""Organizations that wait, and letting them in: a name is shown only after somebody has looked at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId, OrganizationId, SignatureId
from petition.signatures import approval_queries as queries
from petition.signatures import organization_queries, organizations, search_words
from petition.signatures.counting import EntryChange
from petition.signatures.model import Visibility
from petition.signatures.organizations import OrganizationNames


@dataclass(frozen=True, slots=True)
class Held:
    """A signature for an organization that nobody has looked at yet."""

    id: SignatureId
    organization_en: str | None
    organization_ru: str | None
    website: str | None
    representative: str | None
    position: str | None
    country: str | None
    visibility: Visibility  # of the representative's name
    signals: Mapping[str, object]
    signed_at: datetime


async def held(conn: Connection, letter_id: LetterId, keys: LetterKeys) -> list[Held]:
    """Return what waits, the oldest first. Raises ``KeyDestroyed`` if the names cannot be read any more."""
    return [_held(row, keys) for row in await queries.held(conn, letter_id)]


def _held(row: Record, keys: LetterKeys) -> Held:
    fields = keys.reveal(row["private"])
    return Held(
        id=row["id"],
        organization_en=fields.get("organization_en"),
        organization_ru=fields.get("organization_ru"),
        website=fields.get("website"),
        representative=fields.get("name"),
        position=fields.get("position"),
        country=row["country"],
        visibility=Visibility(row["visibility"]),
        signals=row["signals"] or {},
        signed_at=row["signed_at"] or row["listed_at"],
    )


async def approve_rows(conn: Connection, letter_id: LetterId, keys: LetterKeys, rows: Sequence[Record]) -> EntryChange:
    """Attach representatives who wait, and are locked, to their organizations; return what that does to the count.

    ``rows`` have id, private and visibility. Moving the count is left to the caller, who may have more to count.
    """
    now = await organization_queries.now(conn)
    fields = {row["id"]: keys.reveal(row["private"]) for row in rows}
    named = {place: _named(told) for place, told in fields.items()}
    found = await organizations.directory(conn, letter_id, list(named.values()))
    places = {place: found.find_or_create(each, now) for place, each in named.items()}
    before = await organization_queries.load_counted(conn, letter_id, found.ids)
    await found.write(conn, before)
    stored = [_stored(row["id"], places[row["id"]], row["visibility"], fields[row["id"]], keys) for row in rows]
    await queries.approve(conn, letter_id, stored)
    await queries.keep_representatives(conn, letter_id, list(fields))
    shown = await organization_queries.load_counted(conn, letter_id, found.ids)
    await search_words.add(conn, await found.words(conn, shown))
    return EntryChange(before, shown)


def _named(fields: Mapping[str, str]) -> OrganizationNames:
    return OrganizationNames(fields.get("organization_en"), fields.get("organization_ru"), fields.get("website"))


def _stored(
    signature_id: SignatureId,
    organization_id: OrganizationId,
    visibility: str,
    fields: Mapping[str, str],
    keys: LetterKeys,
) -> tuple[object, ...]:
    """Return id, organization, and the representative's name and position in plain columns, or both encrypted.

    The organization's names stand in its own record from here on.
    """
    if visibility == Visibility.PUBLIC:
        return signature_id, organization_id, fields.get("name"), fields.get("position"), None
    told = {key: fields[key] for key in ("name", "position") if fields.get(key)}
    return signature_id, organization_id, None, None, keys.hide(told)
