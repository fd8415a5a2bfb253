"""Organizers at the desk: rows inserted directly, and for each a client with its session cookie."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pyotp

from petition.core import email_addresses
from petition.core.encryption import Sealer, Wrapper
from petition.core.ids import OrganizerId
from petition.organizers import queries, sessions
from petition.organizers.desk_key import DeskKey
from petition.organizers.model import Organizer
from tests.running import KEY, NO_TLS, PUBLIC_KEY, SLUG, Installation

SECRET = pyotp.random_base32()
ADD_TOTP = "INSERT INTO totp (organizer, wrapped_secret, last_step) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING"
ADD_MEMBER = """
INSERT INTO member (letter, organizer, role) SELECT id, $2, $3 FROM letter WHERE slug = $1
ON CONFLICT (letter, organizer) DO UPDATE SET role = excluded.role
"""


def headers(site: Installation) -> dict[str, str]:
    """Return a browser's headers for a form of our own pages."""
    return {"Origin": site.base, "Sec-Fetch-Site": "same-origin", "User-Agent": "Firefox/140.0 (X11; Linux)"}


@asynccontextmanager
async def stranger(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client without a session."""
    async with httpx2.AsyncClient(base_url=site.base, timeout=120, headers=headers(site), verify=NO_TLS) as client:
        yield client


async def add(site: Installation, email: str, *, name: str = "", lang: str = "en", admin: bool = False) -> Organizer:
    mailbox = email_addresses.parse(email)
    async with site.database.connection() as conn:
        digest = await DeskKey(Wrapper([KEY])).of_mailbox(conn, mailbox)
        sealed = Sealer(PUBLIC_KEY).seal(mailbox.address)
        return await queries.add_organizer(conn, digest, sealed, name=name, lang=lang, admin=admin)


async def give_role(site: Installation, organizer_id: OrganizerId, role: str, slug: str = SLUG) -> None:
    """Make an organizer a member of a letter."""
    async with site.database.connection() as conn:
        await conn.execute(ADD_MEMBER, slug, organizer_id, role)


async def give_totp(site: Installation, organizer_id: OrganizerId) -> None:
    """Add a second factor: codes from ``SECRET``."""
    async with site.database.connection() as conn:
        await conn.execute(ADD_TOTP, organizer_id, Wrapper([KEY]).wrap(SECRET.encode()))


async def cookie(site: Installation, organizer_id: OrganizerId, *, proved: bool = True) -> str:
    """Begin a session, its second factor proved unless ``proved`` is False; return its cookie."""
    token, number = sessions.new_token(), secrets.randbits(62)
    async with site.database.connection() as conn:
        await queries.add_session(conn, number, sessions.digest_of(token), organizer_id, "Firefox, Linux")
        if proved:
            await queries.renew_session(conn, number, sessions.digest_of(token))
    return token


def code() -> str:
    """Return the code of ``SECRET`` at this moment."""
    return pyotp.TOTP(SECRET).now()


@asynccontextmanager
async def at_desk(
    site: Installation,
    role: str | None = None,
    *,
    slug: str = SLUG,
    email: str | None = None,
    name: str = "Vera Novak",
    lang: str = "en",
    admin: bool = False,
) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield the client of a signed-in organizer with a proved second factor, and ``role`` in a letter unless None."""
    organizer = await add(site, email or f"{role or 'organizer'}@letters.example", name=name, lang=lang, admin=admin)
    await give_totp(site, organizer.id)
    if role is not None:
        await give_role(site, organizer.id, role, slug)
    async with stranger(site) as client:
        client.cookies.set("desk", await cookie(site, organizer.id), domain="localhost.local", path="/organizer/")
        yield client
