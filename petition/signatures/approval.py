"""Organizations that wait, and approving them: a name is shown only after a moderator has read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.ids import LetterId, OrganizationId, SignatureId
from petition.signatures import organization_queries, organizations, search_words
from petition.signatures.counting import EntryChange
from petition.signatures.model import Visibility
from petition.signatures.organizations import OrganizationNames
from petition.stored_data.words import REPRESENTATIVES

HELD = """
SELECT letter, id, private, country, visibility, signals, signed_at, listed_at FROM signature
WHERE letter = $1 AND state = 'held' AND kind = 'organization' ORDER BY listed_at, id
"""

APPROVE = """
UPDATE signature s SET state = 'confirmed', listed_at = now(), organization = u.organization, name = u.name,
       "position" = u.position, private = u.private
FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[])
  AS u (id, organization, name, position, private)
WHERE s.letter = $1 AND s.id = u.id AND s.state = 'held'
"""

# For some more days, for questions about the decision.
KEEP_REPRESENTATIVES = f"""
UPDATE contact SET until = now() + {REPRESENTATIVES.sql}
WHERE letter = $1 AND signature = ANY($2::bigint[]) AND purpose = 'representative'
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Held:
    """A signature for an organization that waits for its approval."""

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

    def without_names(self) -> "Held":
        return replace(
            self, organization_en=None, organization_ru=None, website=None, representative=None, position=None
        )


async def held(conn: Connection, letter_id: LetterId, keys: LetterKeys) -> list[Held]:
    """Return what waits, oldest first; without names if their key is gone. Raises ``KeyDestroyed`` for another key."""
    return [_held(row, keys) for row in await conn.fetch(HELD, letter_id)]


def _held(row: Record, keys: LetterKeys) -> Held:
    fields = keys.reveal_if_left(row["private"])
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
    """Attach representatives who wait, and are locked, to their organizations; return the change of entries.

    ``rows`` have id, private and visibility. The caller moves the count, as it may have more to count.
    """
    # lock order: see docs/decisions/lock-order.md
    now = await organization_queries.now(conn)
    fields = {row["id"]: keys.reveal(row["private"]) for row in rows}
    named = {signature_id: _names_in(signature_fields) for signature_id, signature_fields in fields.items()}
    directory = await organizations.directory(conn, letter_id, list(named.values()))
    entries = {signature_id: directory.find_or_create(names, now) for signature_id, names in named.items()}
    before = await organization_queries.load_counted(conn, letter_id, directory.ids)
    await directory.write(conn, before)
    columns = [_columns(row["id"], entries[row["id"]], row["visibility"], fields[row["id"]], keys) for row in rows]
    await conn.execute(APPROVE, letter_id, *zip(*columns, strict=True))
    await conn.execute(KEEP_REPRESENTATIVES, letter_id, list(fields))
    after = await organization_queries.load_counted(conn, letter_id, directory.ids)
    await search_words.add(conn, await directory.words(conn, after))
    return EntryChange(before, after)


def _names_in(fields: Mapping[str, str]) -> OrganizationNames:
    return OrganizationNames(fields.get("organization_en"), fields.get("organization_ru"), fields.get("website"))


def _columns(
    signature_id: SignatureId,
    organization_id: OrganizationId,
    visibility: str,
    fields: Mapping[str, str],
    keys: LetterKeys,
) -> tuple[object, ...]:
    """Return the columns of ``APPROVE``: the representative's name and position are plain, or both encrypted.

    The organization's names are in its own record from now on.
    """
    if visibility == Visibility.PUBLIC:
        return signature_id, organization_id, fields.get("name"), fields.get("position"), None
    private = {key: fields[key] for key in ("name", "position") if fields.get(key)}
    return signature_id, organization_id, None, None, keys.hide(private) if private else None
