"""A whole installation on loopback: the real web server, the real worker, a real SMTP server, on the test's loop."""

import asyncio
import contextlib
import os
import re
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import uvicorn

from petition.captcha.pow import ProofOfWork
from petition.core import i18n
from petition.core.database import Database, opened
from petition.core.encryption import Wrapper, new_contact_pair
from petition.core.resources import PACKAGE
from petition.core.settings import Process, Settings, load
from petition.demo.inbox import Inbox, Mail, receiving
from petition.drafts import publishing
from petition.web import server as web_server
from petition.web.app import create_app
from petition.web.connection import GuardedProtocol
from petition.web.gateway import Gateway
from petition.web.listening import listening
from petition.worker import main
from tests.captcha.installation import CHEAP, solve

KEY = "a secret key of the tests, long enough for them"
SAMPLE = PACKAGE / "sample"
SLUG = "keep-the-channels-open"
PUBLIC_KEY, PRIVATE_KEY = new_contact_pair()
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: a client's own would read a hundred certificates


def free_port() -> int:
    """Return a port without a listener a moment ago, and none that the system gives to outgoing connections."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)  # hypothesis seeds ``random`` alike in every process
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def on_this_machine(seconds: float) -> float:
    """Return what so many seconds of an idle machine may take here, by how many wait for its processors."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass
class Installation:
    """One letter, published, on a running web server; ``client`` is a visitor without a cookie jar to speak of."""

    environ: dict[str, str]
    settings: Settings
    database: Database
    client: httpx2.AsyncClient
    app: Gateway | None = None  # where it runs on the test's loop
    inbox: Inbox = field(default_factory=Inbox)
    networks: int = 0

    @property
    def base(self) -> str:
        """Return the public address."""
        return self.settings.base_url

    async def challenge(self, slug: str = SLUG, *, price: int = 0) -> str:
        """Return a solved challenge, cheaply made under the same key."""
        async with self.database.connection() as conn:
            letter = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", slug)
        return solve(ProofOfWork([KEY], price=CHEAP).challenge(letter, price=price))

    async def digest(self, slug: str = SLUG) -> str:
        """Return the digest of the current version."""
        async with self.database.connection() as conn:
            return str(
                await conn.fetchval(
                    "SELECT v.digest FROM letter l JOIN version v ON v.letter = l.id AND v.number = l.version"
                    " WHERE l.slug = $1",
                    slug,
                )
            )

    def new_network(self) -> dict[str, str]:
        """Return the header of a visitor from another network each time."""
        self.networks += 1
        n = self.networks
        return {"X-Forwarded-For": f"198.{18 + n // 65536 % 2}.{n // 256 % 256}.{n % 256}"}

    async def form(self, slug: str = SLUG, **changes: str) -> dict[str, str]:
        """Return a well filled form of a person with a solved challenge; ``changes`` replace fields."""
        return {
            "version": await self.digest(slug),
            "kind": "person",
            "name": "Vera Novak",
            "email": "vera@letters.example",
            "visibility": "public",
            "consent": "yes",
            "altcha": await self.challenge(slug),
            **changes,
        }

    async def organization_form(self, slug: str = SLUG, **changes: str) -> dict[str, str]:
        """Return a well filled form of an organization's representative."""
        own = {"kind": "organization", "organization_en": "North Pier Network", "website": "https://northpier.example"}
        return await self.form(slug, **(own | {"email": "anna@northpier.example", "position": "Director"} | changes))

    async def sign(self, lang: str = "en", slug: str = SLUG, **changes: str) -> httpx2.Response:
        """Sign as a person would, from a network of one's own."""
        kind = changes.get("kind", "person")
        form = await (self.organization_form if kind == "organization" else self.form)(slug, **changes)
        return await self.client.post(f"/{lang}/{slug}/sign", data=form, headers=self.new_network())

    async def mail_to(self, address: str, most: float = 120) -> Mail:
        """Wait for the newest mail to ``address``."""
        async with asyncio.timeout(most):
            while True:
                for mail in self.inbox:
                    if address in mail.to:
                        return mail
                await asyncio.sleep(0.02)

    async def page_when(self, path: str, is_so: Callable[[str], bool]) -> str:
        """Return the page at ``path`` as soon as it is so: the web looks for changes now and then."""
        async with asyncio.timeout(120):
            while not is_so(page := (await self.client.get(path)).text):
                await asyncio.sleep(0.05)
        return page

    async def count(self, slug: str = SLUG) -> dict[str, int]:
        """Return the letter's row of ``count``."""
        async with self.database.connection() as conn:
            row = await conn.fetchrow(
                "SELECT people, organizations, hidden, imported FROM count c JOIN letter l ON l.id = c.letter"
                " WHERE slug = $1",
                slug,
            )
        assert row is not None
        return dict(row)


def link_in(mail: Mail) -> str:
    """Return the path of the link to confirm, or to one's own page."""
    found = re.search(r"https?://[^/\s]+(/[a-z]{2}/(?:confirm|signature)/[\w.\-~]+)", mail.body("plain") or "")
    assert found, mail.body("plain")
    return found[1]


def code_in(mail: Mail) -> str:
    """Return the six digits."""
    found = re.search(r"\b(\d{6})\b", mail.body("plain") or "")
    assert found
    return found[1]


def environment(folder: Path, database_url: str, port: int, **more: str) -> dict[str, str]:
    """Return the settings of a web process that never sees the private key."""
    return {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(folder),
        "PORT": str(port),
        "SECRET_KEY": KEY,
        "CONTACT_PUBLIC_KEY": PUBLIC_KEY,
        "TRUSTED_PROXIES": "127.0.0.0/8",
        "DATABASE_PATIENCE": "30",  # the machine of a test may be busy; tests/faults/ sets what a server has
        **more,
    }


class _Server(uvicorn.Server):
    """Ends at once when ``told``: uvicorn itself looks ten times a second, and then waits another tenth for nobody."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told = asyncio.Event()

    async def main_loop(self) -> None:
        while not self.told.is_set():
            await self.on_tick(0)  # writes the date
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.005)
        for server in self.servers:
            await server.wait_closed()
        await self.lifespan.shutdown()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Gateway]:
    """Run the web server on this loop; give its application."""
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        http=GuardedProtocol,
        lifespan="on",
        # The clients let go of idle connections after 5 seconds. If the server did so at the same moment, on a busy
        # machine a request would now and then meet a connection that is just being closed.
        timeout_keep_alive=300,
    )
    web_server.use_settings(settings)
    server = _Server(config)
    # Signals are the test run's own.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    with listening(settings) as sockets:
        task = asyncio.create_task(server.serve(sockets))
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        try:
            yield app
        finally:
            app.stop()  # a browser would listen to the count for an hour
            server.told.set()
            await task


@asynccontextmanager
async def working(environ: dict[str, str], inbox: Inbox, **changes: str) -> AsyncIterator[None]:
    """Run the worker and an SMTP server for ``inbox`` on this loop."""
    stop = asyncio.Event()
    async with receiving(inbox) as smtp_port:
        more = {
            "SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}",
            "MAIL_FROM": "Letters <letters@letters.example>",
            "CONTACT_PRIVATE_KEY": PRIVATE_KEY,
        }
        task = asyncio.create_task(main.run(load(environ | more | changes, role=Process.WORKER), stop))
        try:
            yield
        finally:
            stop.set()
            await task


async def publish(settings: Settings, database: Database, folder: Path = SAMPLE) -> str:
    """Import and publish the letter in ``folder``; return its slug."""
    languages = tuple(i18n.load(settings.locales_dir))
    slug, _ = await publishing.import_folder(database, Wrapper(settings.secret_keys), folder, languages, publish=True)
    return slug


async def have_published(settings: Settings, database: Database) -> None:
    """See that the sample letter is open since now; where the database is a clone of one that has it, that is quick."""
    async with database.connection() as conn:
        if await conn.fetchval(SINCE_NOW, SLUG):
            return
    await publish(settings, database)


SINCE_NOW = """
WITH l AS (UPDATE letter SET created_at = now(), opened_at = now() WHERE slug = $1 RETURNING id),
     c AS (UPDATE count SET changed_at = now() FROM l WHERE letter = l.id)
UPDATE version SET published_at = now() FROM l WHERE letter = l.id RETURNING true
"""


@asynccontextmanager
async def installation(database_url: str, folder: Path, **more: str) -> AsyncIterator[Installation]:
    """Run the web with the sample letter; mail stays in the outbox until ``working`` runs too."""
    environ = environment(folder, database_url, free_port(), **more)
    settings = load(environ, role=Process.WEB)
    async with opened(database_url, max_size=4) as database:
        await have_published(settings, database)
        async with (
            serving(settings) as app,
            httpx2.AsyncClient(base_url=settings.base_url, timeout=300, verify=NO_TLS) as client,
        ):
            yield Installation(environ, settings, database, client, app)


async def raw(site: Installation, path: str, encodings: str = "gzip", more: bytes = b"") -> tuple[bytes, bytes]:
    """Ask for a path; return the head (in lower case, with the empty line) and the body as they come over the wire."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.settings.port)
    lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{site.settings.port}", f"Accept-Encoding: {encodings}"]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + more)
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.lower() + b"\r\n\r\n", body
