"""Ways through the desk's door, for tests: asking, the mailed link, and the code that the asking browser displays."""

import asyncio
import re

import httpx2

from petition.core.ids import OrganizerId
from petition.demo.inbox import Mail
from petition.organizers import sign_in_links
from tests.running import Installation

LINK = re.compile(r"/organizer/enter/[\w-]{43}(?![\w-])")
CODE = re.compile(r'<p class="short-code">([A-Z0-9]{3} [A-Z0-9]{3})</p>')


async def ask(
    site: Installation, client: httpx2.AsyncClient, email: str, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """Ask for a link, from a network of one's own unless ``headers`` name another."""
    return await client.post("/organizer/enter", data={"email": email}, headers=headers or site.new_network())


async def code_of(client: httpx2.AsyncClient) -> str:
    """Return the code that the browser displays after asking."""
    match = CODE.search((await client.get("/organizer/enter?sent=1")).text)
    assert match
    return match[1]


def links_in(mails: list[Mail]) -> list[str]:
    """Return the path of the sign-in link in each mail, the oldest mail first."""
    bodies = sorted(mails, key=lambda mail: mail.number)
    return [match[0] for mail in bodies if (match := LINK.search(mail.body("plain") or ""))]


async def mailed_links(site: Installation, email: str, number: int = 1) -> list[str]:
    """Wait until so many mails have come to an address; return the paths of their links."""
    async with asyncio.timeout(60):
        while len(links := links_in([mail for mail in site.inbox if email in mail.to])) < number:
            await asyncio.sleep(0.02)
    return links


async def printed_link(site: Installation, organizer_id: OrganizerId) -> str:
    """Return the path of a link as a command prints it."""
    async with site.database.connection() as conn:
        return f"/organizer/enter/{await sign_in_links.link(conn, organizer_id)}"


async def let_pass(site: Installation, minutes: int) -> None:
    """Let time pass for links and asks."""
    async with site.database.connection() as conn:
        for table in ("entry", "sign_in_ask"):
            await conn.execute(f"UPDATE {table} SET expires_at = expires_at - make_interval(mins => $1)", minutes)
