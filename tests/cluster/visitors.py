"""Visitors who sign, read their mail and confirm, through the proxy; they know only what they were answered."""

import asyncio
import contextlib
import email
import email.policy
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

import httpx2
from aiosmtpd.smtp import SMTP, Envelope, Session

from petition.captcha.pow import ProofOfWork
from tests.captcha.installation import CHEAP, solve
from tests.cluster.machine_files import HOST
from tests.cluster.network import address
from tests.deploy.proxies import trusting
from tests.running import KEY, SLUG

SMTP_PORT = 2525
LETTER_ID = 1  # the first of a new installation
SIGNERS = 8
PAUSE = 0.1  # seconds between two forms of one signer
RETRY = 0.25  # seconds after which a refused visitor tries again
ANSWER_TIMEOUT = 40.0  # seconds; no answer at all is a failure
LINK = re.compile(r"https?://[^/\s]+(/[a-z]{2}/confirm/[\w.\-~]+)")
VERSION = re.compile(r'name="?version"? value="?([0-9a-f]+)')
LETTERS = "abcdefghij"
POW = ProofOfWork([KEY], price=CHEAP)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered; status 0: nothing. Times are of ``time.monotonic``."""

    act: str  # sign, confirm or read
    status: int
    began_at: float
    ended_at: float


@dataclass
class Visitors:
    """Everything that they were answered, by the number of the person."""

    answers: list[Answer] = field(default_factory=list)
    signed: dict[int, float] = field(default_factory=dict)  # 303 on the form, and when
    confirmed: dict[int, float] = field(default_factory=dict)  # 303 on the link, and when
    mails: Counter[int] = field(default_factory=Counter)
    links: "asyncio.Queue[tuple[int, str]]" = field(default_factory=asyncio.Queue)
    own_pages: dict[int, str] = field(default_factory=dict)  # of those who have confirmed
    hidden: set[int] = field(default_factory=set)  # who took their name off the list
    is_stopped: bool = False
    is_done: bool = False
    version: str = ""
    first_number: int = 1
    strange: str = ""  # the newest page that no visitor should have been answered

    def __post_init__(self) -> None:
        self.next_number = self.first_number
        self.client = client()

    async def read_version(self) -> None:
        """Read which text is agreed to from the letter's page."""
        page = await self.client.get(f"/en/{SLUG}")
        match = VERSION.search(page.text)
        assert match, page.text[:2000]
        self.version = match[1]

    async def post(self, act: str, path: str, number: int, form: dict[str, str] | None = None) -> int:
        """Send a form from a network of its own; return the status, 0 without an answer."""
        network = {"x-forwarded-for": f"198.{18 + number // 65536 % 2}.{number // 256 % 256}.{number % 256}"}
        began_at, status = time.monotonic(), 0
        with contextlib.suppress(httpx2.TransportError):
            answer = await self.client.post(path, data=form or {}, headers=network)
            status = answer.status_code
            if status not in {303, 503}:
                self.strange = answer.text
        self.answers.append(Answer(act, status, began_at, time.monotonic()))
        return status

    async def sign_on(self) -> None:
        """Sign as another person each time, until stopped."""
        while not self.is_stopped:
            number, self.next_number = self.next_number, self.next_number + 1
            if await self.post("sign", f"/en/{SLUG}/sign", number, self._form(number)) == 303:
                self.signed[number] = time.monotonic()
            await asyncio.sleep(PAUSE)

    def _form(self, number: int) -> dict[str, str]:
        return {
            "version": self.version,
            "kind": "person",
            "name": name_of(number),
            "email": f"voice{number}@letters.example",
            "visibility": "public",
            "consent": "yes",
            "altcha": solve(POW.challenge(LETTER_ID)),  # type: ignore[arg-type]
        }

    async def confirm_on(self) -> None:
        """Open the links in mails; who is refused clicks again."""
        while not self.is_done:
            number, link = await self.links.get()
            if self.is_done:
                return
            if await self.post("confirm", link, number) == 303:
                self.confirmed.setdefault(number, time.monotonic())
                self.own_pages[number] = link.replace("/confirm/", "/signature/")
            else:
                await asyncio.sleep(RETRY)
                self.links.put_nowait((number, link))

    def stop_confirming(self) -> None:
        """Have no more links opened."""
        self.is_done = True

    async def read_on(self) -> None:
        """Read the letter's page again and again."""
        while not self.is_stopped:
            began_at, status = time.monotonic(), 0
            with contextlib.suppress(httpx2.TransportError):
                status = (await self.client.get(f"/en/{SLUG}")).status_code
            self.answers.append(Answer("read", status, began_at, time.monotonic()))
            await asyncio.sleep(PAUSE)

    def newest(self) -> int:
        """Return who confirmed last."""
        return max(self.own_pages, key=lambda number: self.confirmed[number])

    async def hide(self, number: int) -> None:
        """Have a person take their name off the list."""
        fields = {"action": "visibility", "visibility": "organizers"}
        async with asyncio.timeout(30):
            while await self.post("hide", self.own_pages[number], number, fields) != 303:
                await asyncio.sleep(RETRY)
        self.hidden.add(number)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Take a mail in (aiosmtpd calls this)."""
        message = email.message_from_bytes(envelope.original_content or b"", EmailMessage, policy=email.policy.default)
        part = message.get_body(("plain",))
        match = LINK.search(part.get_content() if part else "")
        number = int(re.sub(r"\D", "", envelope.rcpt_tos[0].partition("@")[0]) or 0)
        if match and number:
            self.mails[number] += 1
            if self.mails[number] == 1:
                self.links.put_nowait((number, match[1]))
        return "250 stored"

    async def until_confirmed(self, more: int, seconds: float = 60) -> None:
        """Wait until ``more`` people have confirmed from now. Raises ``TimeoutError``."""
        goal = len(self.confirmed) + more
        async with asyncio.timeout(seconds):
            while len(self.confirmed) < goal:
                await asyncio.sleep(0.05)

    async def until_calm(self, seconds: float = 60) -> None:
        """Wait until all who were answered 303 have confirmed, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.signed.keys() - self.confirmed.keys():
                    await asyncio.sleep(0.1)


def client() -> httpx2.AsyncClient:
    """Return a client of the proxy that takes its certificate."""
    transport = _Named(verify=trusting(), limits=httpx2.Limits(max_connections=100, max_keepalive_connections=40))
    return httpx2.AsyncClient(
        base_url=f"https://{address('proxy')}", headers={"host": HOST}, transport=transport, timeout=ANSWER_TIMEOUT
    )


class _Named(httpx2.AsyncHTTPTransport):
    """Says in the TLS handshake which site it wants, though it connects to a bare address."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.extensions = {**request.extensions, "sni_hostname": HOST}
        return await super().handle_async_request(request)


def name_of(number: int) -> str:
    """Return a name of letters only, another for each number."""
    return "Vera " + "".join(LETTERS[int(digit)] for digit in f"{number:06d}").capitalize()


def number_of(name: str) -> int:
    """Return whose name that is."""
    return int("".join(str(LETTERS.index(letter)) for letter in name.removeprefix("Vera ").lower()))


@asynccontextmanager
async def visiting(visitors: Visitors) -> AsyncIterator[None]:
    """Have them sign, confirm and read until the block ends; who was answered 303 goes on to confirm meanwhile."""
    loop = asyncio.get_running_loop()
    lines: list[SMTP] = []

    def take_mail() -> SMTP:
        lines.append(SMTP(visitors, hostname="relay.test", loop=loop, enable_SMTPUTF8=True))
        return lines[-1]

    server = await loop.create_server(take_mail, "0.0.0.0", SMTP_PORT)
    acts = [visitors.sign_on] * SIGNERS + [visitors.read_on, *[visitors.confirm_on] * SIGNERS]
    tasks = [asyncio.create_task(act()) for act in acts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.close()
        for line in lines:  # or the worker would go on to bring these visitors the mail of the next
            if line.transport is not None:
                line.transport.close()
        await visitors.client.aclose()
