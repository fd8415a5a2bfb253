"""The desk's pages and how long their first byte takes, of a letter that a thousand have signed and a million.

Every address of the desk that can be read stands in ``PAGES``, with all that may make it slow: ``tests/test_bench.py``
fails for one that does not.
"""

import secrets
import socket
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from petition.core.database import Connection, connect
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.organizers import queries, sessions
from tests.bench import desk_fill
from tests.bench.place import Web
from tests.bench.visitors import BROWSER
from tests.running import KEY, SLUG

RATIO = "first byte "
PATIENCE = 60  # seconds
ADD_MEMBER = "INSERT INTO member (letter, organizer, role) VALUES ($1, $2, 'owner') ON CONFLICT DO NOTHING"
ADD_TOTP = "INSERT INTO totp (organizer, wrapped_secret, last_step) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING"


@dataclass(frozen=True)
class Look:
    """One look at a page: what stands in its address, and what it is answered with."""

    query: str = ""
    status: int = 200
    values: Mapping[str, str] | None = None  # for the parameters of the path; the letter's are known
    entered: bool = True


QUEUE = (
    *("", "state=held", "state=confirmed", "state=removed", "state=withdrawn", "kind=person", "kind=organization"),
    *("flag=any", "flag=link", "flag=obscene", "flag=any&group=3", "lang=ru", "lang=en", "lang=de"),
    *("country=RU", "country=KZ", "country=FJ", "source=web", "source=import", "source=import&lang=de"),
    *("source=partner", "partner=north", "partner=north&lang=en"),
    *("state=removed&country=FR", "kind=person&flag=burst&country=DE", "state=confirmed&kind=organization&lang=en"),
    *("wait=any", "wait=all", "wait=held", "wait=reported", "wait=flagged", "wait=answered", "wait=any&lang=en"),
    *("wait=all&sort=confirmed", "wait=any&sort=name", "wait=all&sort=signed", "kind=organization&sort=name"),
    *("q=иванов", "q=ив", "q=networks", "q=qqqq", "q=мария+иванова", "q=иванов&state=removed", "q=ив&flag=any"),
)

PAGES: Mapping[str, tuple[Look, ...]] = {
    "/organizer/": (Look(),),
    "/organizer/enter": (Look(entered=False),),
    "/organizer/enter/{token}": (Look(values={"token": "made-up"}, entered=False, status=410),),
    "/organizer/second": (Look(status=303),),
    "/organizer/second/totp": (Look(status=303),),
    "/organizer/security": (Look(),),
    "/organizer/installation": (Look(),),
    "/organizer/installation/access": (Look(),),
    "/organizer/installation/relays": (Look(),),
    "/organizer/installation/switches": (Look(),),
    "/organizer/installation/mails": (Look(),),
    "/organizer/installation/mails/{mail}": (Look(values={"mail": "confirm"}),),
    "/organizer/letters/new": (Look(),),
    "/organizer/letters/slug": (Look("slug=a-letter"), Look(f"slug={SLUG}"), Look("title=A+letter")),
    "/organizer/{slug}/": (Look(),),
    "/organizer/{slug}/access": (Look(),),
    "/organizer/{slug}/audits": (Look(),),
    "/organizer/{slug}/domains": (Look(),),
    "/organizer/{slug}/text": (Look(),),
    "/organizer/{slug}/picture/{picture}": (Look(values={"picture": "7"}),),
    "/organizer/{slug}/preview": (Look(),),
    "/organizer/{slug}/publish": (Look(),),
    "/organizer/{slug}/state": (Look(),),
    "/organizer/{slug}/switches": (Look(),),
    "/organizer/{slug}/updates": (Look(),),
    "/organizer/{slug}/updates/{update}": (Look(),),
    "/organizer/{slug}/updates/{update}/mail": (Look(), Look("html=en")),
    "/organizer/{slug}/partners": (Look(),),
    "/organizer/{slug}/witnesses": (Look(),),
    "/organizer/{slug}/employers": (Look(),),
    "/organizer/{slug}/delivery": (Look(),),
    "/organizer/{slug}/delivery/{addressee}": (Look(),),
    "/organizer/{slug}/delivery/file/{file}": (Look(values={"file": "1"}, status=404),),
    "/organizer/{slug}/delivery/package.pdf": (Look(status=404),),
    "/organizer/{slug}/delivery/names.csv": (Look(),),
    "/organizer/{slug}/delivery/sheet.pdf": (Look(),),
    "/organizer/{slug}/import": (Look(),),
    "/organizer/{slug}/import/{number}": (Look(values={"number": "1"}),),
    "/organizer/{slug}/import/{number}/problems.csv": (Look(values={"number": "1"}),),
    "/organizer/{slug}/export": (Look(), Look("country=FR&state=confirmed&flag=any")),
    "/organizer/{slug}/addresses": (Look(),),
    "/organizer/{slug}/members": (Look(),),
    "/organizer/{slug}/queue": tuple(map(Look, QUEUE)),
    "/organizer/{slug}/signatures/{signature}": (
        Look(),
        Look(values={"signature": "{held}"}),
        Look("like=networks", values={"signature": "{organization}"}),
        Look("with={held}", values={"signature": "{organization}"}),
    ),
    "/organizer/{slug}/campaigns": (Look(),),
    "/organizer/{slug}/campaigns/{campaign}": (Look(),),
    "/organizer/{slug}/log": (
        Look(),
        Look("before=40"),
        Look("done=3&other={signature}&missed=1"),
        Look("person=1"),
        Look("act=signature.remove"),
        Look("day=2026-11-01"),
        Look("bulk={campaign}"),
    ),
    "/organizer/{slug}/log.csv": (Look(),),
    "/organizer/{slug}/statistics": (Look(),),
    "/organizer/{slug}/statistics/{what}.csv": (
        Look(values={"what": "hours"}),
        Look(values={"what": "days"}),
        Look(values={"what": "people"}),
    ),
}


def address(path: str, look: Look, known: Mapping[str, str]) -> str:
    """Return the address of one look, as a browser asks for it."""
    whole = path.format(**{**known, **{name: value.format(**known) for name, value in (look.values or {}).items()}})
    return f"{whole}?{look.query.format(**known)}" if look.query else whole


def looks(known: Mapping[str, str]) -> Iterator[tuple[str, str, Look]]:
    """Yield (name, address, look) of every page; the name is the same for every letter."""
    names = {
        name: name
        for name in ("slug", "signature", "held", "organization", "campaign", "token", "what", "update", "addressee")
    }
    for path, of in PAGES.items():
        for look in of:
            yield address(path, look, names).removeprefix("/organizer"), address(path, look, known), look


@dataclass(frozen=True)
class Seat:
    """An organizer with every right, who has shown a second factor."""

    port: int
    cookie: str
    known: Mapping[str, str]

    @classmethod
    async def taken(cls, web: Web) -> "Seat":
        """Take a seat at the desk of ``web``."""
        conn = await connect(web.url)
        try:
            cookie = await enter(conn, web.letter.id)
        finally:
            await conn.close()
        places = await desk_fill.places(web.url, web.letter.id)
        return cls(web.port, cookie, {"slug": SLUG} | {name: str(value) for name, value in places.items()})

    def first_byte(self, path: str, look: Look) -> float:
        """Return the seconds from asking for a page to its first byte, on a connection that stands already."""
        cookie = f"Cookie: desk={self.cookie}\r\n" if look.entered else ""
        asked = f"GET {quoted(path)} HTTP/1.1\r\nHost: localhost:{self.port}\r\n{BROWSER}{cookie}\r\n".encode()
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            began = time.perf_counter()
            connection.sendall(asked)
            answer = connection.recv(4096)
            took = time.perf_counter() - began
        if answer[9:12] != str(look.status).encode():
            raise RuntimeError(f"{path} was answered with {answer[:40]!r}")
        return took


async def enter(conn: Connection, letter_id: LetterId) -> str:
    """Have the administrator enter who owns the letter, and did all that stands in its log; return the cookie."""
    who = desk_fill.ORGANIZER
    await conn.execute("UPDATE organizer SET admin = true, lang = 'ru' WHERE id = $1", who)
    await conn.execute(ADD_MEMBER, letter_id, who)
    await conn.execute(ADD_TOTP, who, Wrapper([KEY]).wrap(b"JBSWY3DPEHPK3PXP"))
    token, number = sessions.new_token(), secrets.randbits(62)
    await queries.add_session(conn, number, sessions.digest_of(token), who, "Firefox, Linux")
    await queries.renew_session(conn, number, sessions.digest_of(token))
    return token


def quoted(path: str) -> str:
    """Return an address as it goes over the wire."""
    return "".join(each if each.isascii() else "".join(f"%{byte:02X}" for byte in each.encode()) for each in path)


def measure(few: Seat, many: Seat, times: int) -> Iterator[tuple[str, float]]:
    """Yield for each page the median time of its first byte with many signatures over that with few, asked in turn,
    and the two medians in milliseconds."""
    for (name, one, look), (_, other, _) in zip(looks(few.known), looks(many.known), strict=True):
        taken: list[tuple[float, float]] = []
        for _ in range(times + 2):
            taken.append((few.first_byte(one, look), many.first_byte(other, look)))
        small, large = (1000 * statistics.median(each) for each in zip(*taken[2:], strict=True))
        yield f"{RATIO}{name}", large / small
        yield f"ms of {name}, few", small
        yield f"ms of {name}, many", large
