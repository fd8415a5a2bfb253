"""Browsers that ask for a sign-in link, and which of them a mailed link belongs to.

The web adds the same rows for every address; only the worker finds out whether it is an organizer's. A browser that
asks again within half an hour stays the same ask, and gets the same link again while that has half its life before it.

Mails to one mailbox are paced: when many browsers ask, one mail goes out per ``SLOT`` with a link
for all of them. So neither can an inbox be flooded, nor can a flood keep the link from an organizer; it is some minutes
late. Why: docs/decisions/sign-in-links.md.
"""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from petition.core.database import Connection, Record
from petition.core.email_addresses import Mailbox
from petition.core.encryption import Sealer
from petition.organizers import sessions, short_codes
from petition.organizers.desk_key import DeskKey

PURPOSE = "entry"
LIFETIME = timedelta(minutes=30)  # of an ask; its link lives shorter
SLOT = timedelta(minutes=5)
AHEAD = timedelta(seconds=10)  # asks of a slot are committed that long before its mail is written

RENEW = """
UPDATE sign_in_ask
SET expires_at = greatest(expires_at, now() + $3::interval), slot = CASE WHEN slot > now() THEN slot ELSE $4 END
WHERE digest = $1 AND mailbox = $2 AND expires_at > now() RETURNING digest
"""

ADD = """
INSERT INTO sign_in_ask (digest, mailbox, code, slot, expires_at) VALUES ($1, $2, $3, $4, now() + $5::interval)
"""

# The transaction has counted the mailbox before, so two asks of one slot are here one after another.
ENQUEUE = """
INSERT INTO outbox (purpose, digest, sealed, lang, details, due_at)
SELECT 'entry', $1, $2, $3, $4, coalesce($5, now())
WHERE NOT EXISTS (SELECT FROM outbox WHERE purpose = 'entry' AND digest = $1 AND due_at = $5)
"""

ONE = "SELECT digest, link FROM sign_in_ask WHERE mailbox = $1 AND digest = $2 AND expires_at > now()"

OF_SLOT = "SELECT digest, link FROM sign_in_ask WHERE mailbox = $1 AND slot = $2 AND expires_at > now()"

BIND = """
UPDATE sign_in_ask SET link = $2, expires_at = greatest(expires_at, now() + $3::interval) WHERE digest = ANY($1)
"""

IS_BOUND = "SELECT EXISTS (SELECT FROM sign_in_ask WHERE digest = $1 AND link = $2 AND expires_at > now())"

CODES = "SELECT code FROM sign_in_ask WHERE link = $1 AND expires_at > now()"


def next_slot() -> datetime:
    """Return when the next mail of a paced mailbox goes out."""
    seconds = int(SLOT.total_seconds())
    earliest = (datetime.now(UTC) + AHEAD).timestamp()
    return datetime.fromtimestamp((earliest // seconds + 1) * seconds, UTC)


async def add(
    conn: Connection,
    key: DeskKey,
    sealer: Sealer,
    mailbox: Mailbox,
    lang: str,
    *,
    browser_token: str | None,
    slot: datetime | None,
) -> str:
    """Have the worker mail a link to ``mailbox``, if it is an organizer's, at once or in ``slot``.

    ``browser_token`` is the cookie of an earlier ask. Return the cookie of this one.
    """
    owner = await key.of_mailbox(conn, mailbox)
    token = browser_token
    if token is None or not await _renew(conn, token, owner, slot):
        token = sessions.new_token()
        code = await key.of_short_code(conn, await key.short_code(conn, token))
        await conn.execute(ADD, sessions.digest_of(token), owner, code, slot, LIFETIME)
    details = {"slot": slot.isoformat()} if slot else {"ask": sessions.digest_of(token).hex()}
    await conn.execute(ENQUEUE, owner, sealer.seal(mailbox.address), lang, details, slot)
    return token


async def _renew(conn: Connection, token: str, owner: bytes, slot: datetime | None) -> bool:
    return await conn.fetchval(RENEW, sessions.digest_of(token), owner, LIFETIME, slot) is not None


async def of_mail(conn: Connection, mailbox: bytes, details: object) -> list[Record]:
    """Return the asks (digest, link) that a mail to a mailbox is for, by the ``details`` of its job."""
    match details:
        case {"ask": str(ask)}:
            return await conn.fetch(ONE, mailbox, bytes.fromhex(ask))
        case {"slot": str(slot)}:
            return await conn.fetch(OF_SLOT, mailbox, datetime.fromisoformat(slot))
    return []


async def bind(conn: Connection, asks: Sequence[bytes], link: bytes, lifetime: timedelta) -> None:
    """Let the link with this digest belong to these asks, in place of an earlier one."""
    await conn.execute(BIND, asks, link, lifetime)


async def is_bound(conn: Connection, browser_token: str, link: bytes) -> bool:
    """Return whether the browser with this cookie has asked for the link."""
    return bool(await conn.fetchval(IS_BOUND, sessions.digest_of(browser_token), link))


async def is_code(conn: Connection, key: DeskKey, link: bytes, typed: str) -> bool:
    """Return whether ``typed`` is the code of a browser that asked for the link. The caller counts tries."""
    digest = await key.of_short_code(conn, short_codes.plain(typed))
    matches = [hmac.compare_digest(row["code"], digest) for row in await conn.fetch(CODES, link)]
    return any(matches)
