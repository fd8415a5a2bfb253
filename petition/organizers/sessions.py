"""Sessions are rows: the cookie is random, only its digest is stored, and a row that is gone opens nothing."""

import hashlib
import re
import secrets

from petition.core import audit_log
from petition.core.database import Connection
from petition.core.ids import OrganizerId
from petition.organizers import device_queries, queries

MAX_AGE = 7 * 24 * 3600  # seconds; maximum age of the cookie (the database decides, see ``queries.LIVE``)


def new_token() -> str:
    """Return 32 random bytes as text for a cookie or a link."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """Return the SHA-256 under which a token is stored. It is random, so no key is needed."""
    return hashlib.sha256(token.encode()).digest()


async def begin(conn: Connection, organizer_id: OrganizerId, browser: str, old_token: str | None) -> tuple[int, str]:
    """Begin a session for an organizer who came by a one-time link; return its id and its cookie.

    The session that the browser had before ends: no old cookie carries over to another organizer.
    """
    if old_token:
        await queries.end_by_digest(conn, digest_of(old_token))
    token, number = new_token(), secrets.randbits(63)
    await queries.add_session(conn, number, digest_of(token), organizer_id, browser)
    await audit_log.record(conn, organizer_id, None, "session.begin", ids=[number])
    return number, token


async def renew(conn: Connection, organizer_id: OrganizerId, number: int) -> str | None:
    """Record that the second factor has been proved; return the session's new cookie, or None if it has ended."""
    token = new_token()
    if not await queries.renew_session(conn, number, digest_of(token)):
        return None
    await audit_log.record(conn, organizer_id, None, "session.prove", ids=[number])
    return token


async def prove(conn: Connection, organizer_id: OrganizerId, number: int) -> bool:
    """Record that the second factor has been proved; return whether the session still existed.

    The cookie is rotated with the response, as after a change of rights (``follow_rights``).
    """
    if not await queries.prove_session(conn, number):
        return False
    await audit_log.record(conn, organizer_id, None, "session.prove", ids=[number])
    return True


async def follow_rights(conn: Connection, number: int, old_token: str) -> str | None:
    """Return the new cookie of a session whose organizer's rights have changed since ``old_token`` was created.

    None if they have not, or another request was first: ``old_token`` opens nothing any more then.
    """
    token = new_token()
    return token if await queries.follow_rights(conn, number, digest_of(old_token), digest_of(token)) else None


async def end(conn: Connection, organizer_id: OrganizerId, number: int) -> None:
    """End one session of an organizer and forget its browser; harmless if there is none."""
    await leave(conn, organizer_id, number)
    await device_queries.forget(conn, organizer_id, number)


async def leave(conn: Connection, organizer_id: OrganizerId, number: int) -> None:
    """End one session of an organizer, whose browser stays remembered; harmless if there is none."""
    if await queries.end_session(conn, organizer_id, number):
        await audit_log.record(conn, organizer_id, None, "session.end", ids=[number])


async def end_others(conn: Connection, organizer_id: OrganizerId, but: int) -> None:
    """End every other session of an organizer and forget every other browser; harmless if there is none."""
    await device_queries.forget_others(conn, organizer_id, but)
    if ended := await queries.end_others(conn, organizer_id, but):
        await audit_log.record(conn, organizer_id, None, "session.end", ids=ended)


# Most particular first: everyone claims to be Mozilla, and most claim to be Chrome and Safari.
_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Yandex", r"YaBrowser/"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chromium", r"Chrom(?:e|ium)/|CriOS/"),
    ("Safari", r"Safari/"),
    ("curl", r"curl/"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iOS", "iPhone|iPad|iPod"),
    ("Windows", "Windows"),
    ("macOS", "Macintosh|Mac OS X"),
    ("ChromeOS", "CrOS"),
    ("Linux", "Linux|X11"),
)


def browser_of(user_agent: str) -> str:
    """Return a short name like "Firefox, Linux" for a list of one's own sessions; "?" for what is not known."""
    known = [
        next((name for name, pattern in names if re.search(pattern, user_agent[:500])), "")
        for names in (_BROWSERS, _SYSTEMS)
    ]
    return ", ".join(filter(None, known)) or "?"
