"""One-time links to the desk. The page they open shows a button; pressing it signs in.

A mailed link lives ten minutes and belongs to the browser that asked for it (``sign_in_asks``); in another browser it
needs the code that the asking one displays. A printed link was asked for by no browser: holding it is enough.
"""

import secrets
from datetime import timedelta

from petition.core import audit_log
from petition.core.database import Connection, Record
from petition.core.email_addresses import Mailbox
from petition.core.encryption import Sealer, Wrapper
from petition.core.ids import OrganizerId
from petition.core.outbox import DirectMailJob, MailContent
from petition.organizers import queries, sessions, sign_in_asks
from petition.organizers.desk_key import DeskKey
from petition.organizers.model import Organizer

PURPOSE = sign_in_asks.PURPOSE
MINUTES = 10
PRINTED_MINUTES = 15
MAX_TRIES = queries.MAX_TRIES


class SignInMails:
    """Writes the mails with sign-in links, in the worker."""

    def __init__(self, wrapper: Wrapper) -> None:
        self._key = DeskKey(wrapper)  # for codes and tokens, which no keeper needs to see

    async def write(self, conn: Connection, job: DirectMailJob) -> MailContent | None:
        """Return the mail with its link; None for an address that is no organizer's, or if its browser has signed in.

        Another attempt, or another mail for the same ask, has the same link while that lives for half its time.
        """
        organizer = await queries.organizer_of(conn, job.digest)
        if organizer is None:
            return None
        token = await self._token(conn, job, organizer.id)
        if token is None:
            return None
        # An organizer added by a command has no language until the first visit; the form was read in some language.
        chosen = await queries.has_entered(conn, organizer.id)
        context = {"token": token, "minutes": MINUTES}
        return MailContent("entry", context, lang=organizer.lang if chosen else job.lang, heeds_never=False)

    async def _token(self, conn: Connection, job: DirectMailJob, organizer_id: OrganizerId) -> str | None:
        if not job.details:  # enqueued by an older version, which knew no asks
            return await link(conn, organizer_id, MINUTES)
        asks = await sign_in_asks.of_mail(conn, job.digest, job.details)
        if not asks:
            return None
        nonce = await _live_nonce(conn, organizer_id, asks)
        if nonce is not None:
            return await self._key.link_token(conn, nonce)
        nonce = secrets.token_bytes(16)
        token = await self._key.link_token(conn, nonce)
        digest, lifetime = sessions.digest_of(token), timedelta(minutes=MINUTES)
        await queries.add_entry(conn, digest, lifetime, organizer_id=organizer_id, nonce=nonce)
        await sign_in_asks.bind(conn, [ask["digest"] for ask in asks], digest, lifetime)
        return token


async def _live_nonce(conn: Connection, organizer_id: OrganizerId, asks: list[Record]) -> bytes | None:
    """Return the nonce of the link that all of ``asks`` have, if it lives long enough to be mailed again."""
    links = {ask["link"] for ask in asks}
    return None if len(links) != 1 else await queries.live_nonce(conn, organizer_id, links.pop(), MINUTES // 2)


async def link(conn: Connection, organizer_id: OrganizerId, minutes: int = PRINTED_MINUTES) -> str:
    """Return the token of a link that no browser has asked for: printed by a command, and opened anywhere."""
    token = sessions.new_token()
    await queries.add_entry(conn, sessions.digest_of(token), timedelta(minutes=minutes), organizer_id=organizer_id)
    return token


async def add_organizer(
    conn: Connection, key: DeskKey, sealer: Sealer, mailbox: Mailbox, *, lang: str, admin: bool
) -> Organizer:
    """Add an organizer by command, or return the one with that mailbox; ``admin`` makes one of either."""
    digest = await key.of_mailbox(conn, mailbox)
    before = await queries.organizer_of(conn, digest)
    organizer = await queries.add_organizer(conn, digest, sealer.seal(mailbox.address), lang=lang, admin=admin)
    if before is None:
        after = "admin" if admin else ""
        await audit_log.record(conn, None, None, "organizer.add", ids=[organizer.id], after=after, command=True)
    elif organizer.admin and not before.admin:
        await queries.rights_changed(conn, organizer.id)
        await audit_log.record(conn, None, None, "organizer.admin", ids=[organizer.id], after="admin", command=True)
    return organizer
