"""The SQL of signing and confirming. Most statements take a batch, as one sequence for each column."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from petition.core import array_texts
from petition.core.database import Connection, Record
from petition.core.ids import LetterId, SignatureId
from petition.letters import count_step_queries

# The lock that the foreign keys of the rows to come take anyway: the letter is not taken down in between.
LOCK_LETTERS = """
SELECT l.id, l.effective_state = 'open' AS open, l.version, is_switched(l.id, 'stop', 'read_only') AS stopped,
       l.state = 'gone' AS gone, l.kept
FROM letter l WHERE l.id = ANY($1::integer[]) ORDER BY l.id FOR KEY SHARE
"""

USE_CHALLENGES = """
INSERT INTO used_challenge (nonce, expires_at, form)
SELECT * FROM unnest($1::text::bytea[], $2::text::timestamptz[], $3::text::bytea[]) AS u (nonce, expires_at, form)
ORDER BY nonce
ON CONFLICT DO NOTHING RETURNING nonce
"""

RELEASE_CHALLENGES = "DELETE FROM used_challenge WHERE nonce = ANY($1::bytea[])"

FORMS_OF_CHALLENGES = "SELECT nonce, form FROM used_challenge WHERE nonce = ANY($1::bytea[]) AND form IS NOT NULL"

ADD_PENDING = """
WITH added AS (
  INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang, signals,
                       network)
  SELECT * FROM unnest($1::text::integer[], $2::text::bigint[], $3::text::kind[], $4::text::bytea[], $5::text::bytea[],
                       $6::text::bytea[], $7::text::smallint[], $8::text::smallint[], $9::text::text[],
                       $10::text::text[], $11::jsonb[], $12::text::bytea[])
  RETURNING letter, id, kind, digest, mail_lang
)
INSERT INTO outbox (letter, purpose, kind, pending, digest, lang)
SELECT letter, 'sign', kind, id, digest, mail_lang FROM added WHERE id = ANY($13::text::bigint[])
"""

ADD_LOOKUPS = """
INSERT INTO outbox (letter, purpose, digest, sealed, lang)
SELECT letter, 'find', digest, sealed, lang
FROM unnest($1::integer[], $2::bytea[], $3::bytea[], $4::text[]) AS u (letter, digest, sealed, lang)
"""

# Letters first: taking one down locks its row and nothing else.
# lock order: see docs/decisions/lock-order.md
LOCK_PENDING = """
WITH state AS MATERIALIZED (
  SELECT l.id AS letter, l.takes_confirmations AS takes, is_switched(l.id, 'stop', 'read_only') AS stopped,
         is_switched(l.id, 'hold') AS hold
  FROM letter l WHERE l.id = ANY($1::integer[]) ORDER BY l.id FOR KEY SHARE
)
SELECT p.letter, p.id, p.kind, p.digest, p.fields, p.sealed, p.version, p.consent, p.read_lang, p.mail_lang, p.signals,
       p.network, p.created_at, p.domain, p.mail_host, p.provider,
       EXISTS (SELECT FROM signature s WHERE s.letter = p.letter AND s.kind = p.kind AND s.digest = p.digest)
         AS has_signed,
       state.takes AND p.created_at > now() - interval '7 days' AS confirmable, state.stopped, state.hold,
       EXISTS (SELECT FROM bar b WHERE b.letter = p.letter AND b.digest = p.digest) AS barred
FROM state
JOIN unnest($1::integer[], $2::bigint[]) AS u (letter, id) ON u.letter = state.letter
JOIN pending p ON p.letter = u.letter AND p.id = u.id
ORDER BY p.letter, p.id FOR UPDATE OF p
"""

# Ordered, so that two transactions that insert the same mailboxes wait in a queue instead of for each other.
# lock order: see docs/decisions/lock-order.md
ADD_SIGNATURES = f"""
INSERT INTO signature (letter, id, signed_at, listed_at, kind, state, visibility, version, consent, country, read_lang,
                       mail_lang, digest, name, affiliation, city, name_key, private, signals, network, domain,
                       mail_host, flags, group_number, sealed, employer)
SELECT letter, id, signed_at, {count_step_queries.LISTED_AT}, kind, state, visibility, version, consent,
       country, read_lang, mail_lang, digest, name, affiliation, city, name_key, private, signals,
       network, domain, mail_host, string_to_array(flags, ','),
       coalesce(group_number, (signals ->> 'burst')::bigint), sealed, employer
FROM unnest($1::integer[], $2::bigint[], $3::timestamptz[], $4::kind[], $5::signature_state[], $6::visibility[],
            $7::smallint[], $8::smallint[], $9::text[], $10::text[], $11::text[], $12::bytea[], $13::text[],
            $14::text[], $15::text[], $16::text[], $17::bytea[], $18::jsonb[], $19::bytea[], $20::bytea[],
            $21::bytea[], $22::text[], $23::bigint[], $24::bytea[], $25::integer[])
  AS u (letter, id, signed_at, kind, state, visibility, version, consent, country, read_lang, mail_lang, digest, name,
        affiliation, city, name_key, private, signals, network, domain, mail_host, flags, group_number, sealed,
        employer)
ORDER BY letter, kind, digest, id
ON CONFLICT DO NOTHING RETURNING letter, id
"""

# The class of a mailbox's provider is counted and forgotten (docs/decisions/forgery.md).
DELETE_PENDING = """
WITH gone AS (
  DELETE FROM pending p USING unnest($1::integer[], $2::bigint[]) AS u (letter, id)
  WHERE p.letter = u.letter AND p.id = u.id RETURNING p.letter, p.provider
)
INSERT INTO statistics_change (letter, hour, what, value, number)
SELECT letter, date_trunc('hour', now()), 'provider', provider, count(*) FROM gone
WHERE provider IS NOT NULL GROUP BY letter, provider
"""

# Updates go to confirmed signatures only; approving one sets ``since`` as well (a trigger on signature).
ADD_CONTACTS = """
INSERT INTO contact (letter, signature, purpose, sealed, since)
SELECT u.letter, u.signature, u.purpose, u.sealed, CASE WHEN s.state = 'confirmed' THEN now() END
FROM unnest($1::integer[], $2::bigint[], $3::text[], $4::bytea[]) AS u (letter, signature, purpose, sealed)
JOIN signature s ON s.letter = u.letter AND s.id = u.signature
"""

STATES = """
SELECT s.letter, s.id, s.kind, s.state FROM unnest($1::integer[], $2::bigint[]) AS u (letter, id)
JOIN signature s ON s.letter = u.letter AND s.id = u.id
"""

EXISTING = """
SELECT s.letter, s.kind, s.digest, s.state, s.id
FROM unnest($1::integer[], $2::kind[], $3::bytea[]) AS u (letter, kind, digest) JOIN signature s
  ON s.letter = u.letter AND s.kind = u.kind AND s.digest = u.digest
"""

PENDING = """
SELECT p.kind, p.fields, p.version, p.created_at + interval '7 days' AS until,
       l.takes_confirmations AND p.created_at > now() - interval '7 days' AS confirmable
FROM pending p JOIN letter l ON l.id = p.letter WHERE p.letter = $1 AND p.id = $2
"""

# One statement for a known address and an unknown one alike.
BY_CODE = """
SELECT id, true AS pending FROM pending
WHERE letter = $1 AND digest = $2 AND created_at > now() - interval '24 hours'
UNION ALL
SELECT id, false FROM signature
WHERE letter = $1 AND digest = $2 AND signed_at > now() - interval '24 hours'
  AND kind = ANY(enum_range(NULL::kind)) -- names the index's middle column
UNION ALL
SELECT o.id, false FROM signature s JOIN other_link o ON o.letter = s.letter AND o.signature = s.id
WHERE s.letter = $1 AND s.digest = $2 AND s.signed_at > now() - interval '24 hours'
  AND s.kind = ANY(enum_range(NULL::kind))
"""

# Forms of the same mailbox, typed after this one: the later ones of many have no mail of their own.
LATER_FORMS = """
SELECT p.id, p.kind, p.fields, p.created_at
FROM pending this JOIN pending p ON p.letter = this.letter AND p.digest = this.digest AND p.id <> this.id
  AND p.created_at >= this.created_at AND p.created_at > now() - interval '7 days'
WHERE this.letter = $1 AND this.id = $2 ORDER BY p.created_at DESC, p.id DESC LIMIT $3
"""

SUPPRESS_MAILBOX = "INSERT INTO suppressed (digest) VALUES ($1) ON CONFLICT DO NOTHING"

ALLOW_MAILBOX = "DELETE FROM suppressed WHERE digest = $1"

SUPPRESSED_SINCE = "SELECT since FROM suppressed WHERE digest = $1"


# How each column of ``ADD_PENDING`` is passed on; the signals are an array of JSON.
_PENDING_ARRAYS: Sequence[Callable[[Any], object]] = (
    *(array_texts.of_integers, array_texts.of_integers, array_texts.of_words),
    *(array_texts.of_bytes, array_texts.of_bytes, array_texts.of_bytes),
    *(array_texts.of_integers, array_texts.of_integers, array_texts.of_words, array_texts.of_words),
    *(list, array_texts.of_bytes),
)


async def lock_letters(conn: Connection, letter_ids: Sequence[LetterId]) -> dict[LetterId, Record]:
    """Return each letter: open by the database's clock?, version, stopped?, gone?

    They cannot be taken down before the transaction ends.
    """
    return {row["id"]: row for row in await conn.fetch(LOCK_LETTERS, letter_ids)}


async def use_challenges(
    conn: Connection, nonces: Sequence[bytes], expires_at: Sequence[datetime], forms: Sequence[bytes | None]
) -> set[bytes]:
    """Use challenges up, each for a form (its digest); return those that were still unused."""
    arrays = array_texts.of_bytes(nonces), array_texts.of_times(expires_at), array_texts.of_bytes(forms)
    return {row["nonce"] for row in await conn.fetch(USE_CHALLENGES, *arrays)}


async def forms_of_challenges(conn: Connection, nonces: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the digests of the forms that used challenges up, by nonce, where they are known."""
    return {row["nonce"]: row["form"] for row in await conn.fetch(FORMS_OF_CHALLENGES, nonces)}


async def release_challenges(conn: Connection, nonces: Sequence[bytes]) -> None:
    """Make challenges that this transaction has used up good again: what they were for was refused."""
    await conn.execute(RELEASE_CHALLENGES, nonces)


async def add_pending(conn: Connection, columns: Sequence[Sequence[Any]], mailed_ids: Sequence[SignatureId]) -> None:
    """Add pending rows, and a mail job for those in ``mailed_ids``; ``columns`` as in ``ADD_PENDING``."""
    texts = [write(column) for write, column in zip(_PENDING_ARRAYS, columns, strict=True)]
    await conn.execute(ADD_PENDING, *texts, array_texts.of_integers(mailed_ids))


async def add_lookups(conn: Connection, columns: Sequence[Sequence[object]]) -> None:
    """Add mail jobs for lost links; ``columns`` are letter, digest, sealed, lang."""
    await conn.execute(ADD_LOOKUPS, *columns)


async def lock_pending(
    conn: Connection, letter_ids: Sequence[LetterId], signature_ids: Sequence[SignatureId]
) -> list[Record]:
    """Return the existing pending rows, locked in the order of their ids."""
    return await conn.fetch(LOCK_PENDING, letter_ids, signature_ids)


async def add_signatures(conn: Connection, columns: Sequence[Sequence[object]]) -> set[tuple[LetterId, SignatureId]]:
    """Add signatures; return (letter, id) of those that are the first of their mailbox."""
    return {(row["letter"], row["id"]) for row in await conn.fetch(ADD_SIGNATURES, *columns)}


async def delete_pending(
    conn: Connection, letter_ids: Sequence[LetterId], signature_ids: Sequence[SignatureId]
) -> None:
    await conn.execute(DELETE_PENDING, letter_ids, signature_ids)


async def add_contacts(conn: Connection, columns: Sequence[Sequence[object]]) -> None:
    """Store sealed addresses; ``columns`` are letter, signature, purpose, sealed."""
    await conn.execute(ADD_CONTACTS, *columns)


async def load_states(
    conn: Connection, letter_ids: Sequence[LetterId], signature_ids: Sequence[SignatureId]
) -> list[Record]:
    """Return (letter, id, kind, state) of the existing signatures."""
    return await conn.fetch(STATES, letter_ids, signature_ids)


async def load_existing(conn: Connection, mailboxes: Sequence[Sequence[object]]) -> list[Record]:
    """Return (letter, kind, digest, state, id) of mailboxes' signatures; ``mailboxes`` are letters, kinds, digests."""
    return await conn.fetch(EXISTING, *mailboxes)


async def load_pending(conn: Connection, letter_id: LetterId, signature_id: SignatureId) -> Record | None:
    """Return the row behind a mailed link that is not confirmed yet."""
    return await conn.fetchrow(PENDING, letter_id, signature_id)


async def load_later_forms(
    conn: Connection, letter_id: LetterId, signature_id: SignatureId, limit: int
) -> list[Record]:
    """Return (id, kind, fields, created_at) of the mailbox's pending rows later than this one, the newest first."""
    return await conn.fetch(LATER_FORMS, letter_id, signature_id, limit)


async def find_by_code(conn: Connection, letter_id: LetterId, digest: bytes) -> list[Record]:
    """Return (id, pending) of what a code mailed in the last 24 hours to this mailbox might belong to."""
    return await conn.fetch(BY_CODE, letter_id, digest)


async def suppress_mailbox(conn: Connection, digest: bytes) -> None:
    """Store that this mailbox gets no mail from here any more."""
    await conn.execute(SUPPRESS_MAILBOX, digest)


async def allow_mailbox(conn: Connection, digest: bytes) -> None:
    """Let mail go to this mailbox again."""
    await conn.execute(ALLOW_MAILBOX, digest)


async def suppressed_since(conn: Connection, digest: bytes) -> datetime | None:
    """Return since when this mailbox gets no mail; None if it does."""
    since: datetime | None = await conn.fetchval(SUPPRESSED_SINCE, digest)
    return since
