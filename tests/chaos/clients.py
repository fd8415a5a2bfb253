"""People who sign, confirm and sometimes withdraw, and readers; each notes in the ledger what the answer was."""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from petition.captcha.pow import ProofOfWork
from petition.letters.model import Letter
from tests.captcha.installation import CHEAP, solve
from tests.chaos.ledger import LATER, TAKEN, Answer, Ledger, Person, Sight
from tests.running import KEY, SLUG

PATIENCE = 40.0  # seconds until a client gives up on an answer
PAUSE = 0.25  # seconds between an act that was not answered 303, and its repetition
STEP = 20.0  # seconds after a clock was moved, in which a form may have a challenge of another day
LIFETIME = timedelta(minutes=20)  # of a challenge
COUNT = f"/api/v1/letters/{SLUG}/count"
HISTORY = f"/api/v1/letters/{SLUG}/history?step=hour"
LIST = f"/api/v1/letters/{SLUG}/signatories"
PAGES = (f"/en/{SLUG}", f"/ru/{SLUG}", f"/en/{SLUG}/embed")
_SYLLABLES = tuple(first + second for first in "bdfgklmnprstvz" for second in "aeiou")


class Connection:
    """A keep-alive connection to one port; it is opened again after each failure."""

    numbers = itertools.count()

    def __init__(self, ledger: Ledger, port: int, host: str) -> None:
        self._ledger, self.port, self._host = ledger, port, host
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.name = ""

    async def ask(self, what: str, request: str, network: str, form: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Send a request (``GET /path``); return status and body, 0 and nothing if no answer came."""
        asked_at = self._ledger.now()
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await self._exchange(request, network, form)
        except (OSError, EOFError, TimeoutError, ValueError):
            self.close()
            status, body = 0, b""
        self._ledger.answers.append(Answer(what, status, asked_at, self._ledger.now()))
        return status, body

    async def _exchange(self, request: str, network: str, form: dict[str, str] | None) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
            self.name = f"{self.port}-{next(self.numbers)}"
        reader, writer = self._streams
        head = f"{request} HTTP/1.1\r\nHost: {self._host}\r\nX-Forwarded-For: {network}\r\n"
        data = b""
        if form is not None:
            data = urlencode(form).encode()
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(data)}\r\n"
        writer.write(f"{head}\r\n".encode() + data)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        if fields.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), body

    def close(self) -> None:
        """Close it, if it is open."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Crowd:
    """Everyone who comes to one installation. ``ports`` are those of its web processes."""

    ledger: Ledger
    letter: Letter
    ports: list[int]
    host: str
    rate: float  # people a second
    seed: int
    ahead: timedelta = timedelta()  # of the installation's clock, against ours
    moved_at: float = float("-inf")  # when it was last set
    stopped: bool = False
    _tokens: dict[str, "asyncio.Future[str]"] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self._numbers = itertools.count(1)

    def arrived(self, mailbox: str, token: str) -> None:
        """Note a mail: the relay calls this."""
        person = self.ledger.people.get(mailbox)
        if person is None:
            self.ledger.strange_mails += 1
            return
        person.mailed_at.append(self.ledger.now())
        if not self._tokens[mailbox].done():
            self._tokens[mailbox].set_result(token)

    @asynccontextmanager
    async def coming(self, readers: int = 4) -> AsyncIterator[None]:
        """Have people come while the block runs; afterwards those who have begun finish."""
        tasks = [asyncio.create_task(self._come()), asyncio.create_task(self._look_at_the_past())]
        tasks += [asyncio.create_task(self._read(number)) for number in range(readers)]
        try:
            yield
        finally:
            self.stopped = True
            await asyncio.gather(*tasks)

    async def finish(self, seconds: float) -> None:
        """Wait until everyone who has begun is through."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
        for task in self._tasks:
            task.cancel()

    async def _come(self) -> None:
        while not self.stopped:
            task = asyncio.create_task(self._sign_and_confirm(next(self._numbers)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(self._draw.expovariate(self.rate))

    async def _sign_and_confirm(self, number: int) -> None:
        visibility = self._draw.choice(("public", "public", "organizers", "counted"))
        person = Person(_name(number), f"voice{number}@letters.example", visibility == "public")
        self.ledger.people[person.email] = person
        self._tokens[person.email] = asyncio.get_running_loop().create_future()
        network = f"198.{18 + number // 62500}.{number // 250 % 250}.{number % 250}"
        connection = Connection(self.ledger, self._port(), self.host)
        form = {
            "name": person.name,
            "email": person.email,
            "visibility": visibility,
            "consent": "yes",
            "kind": "person",
        }
        await self._until_taken(connection, "sign", f"/en/{SLUG}/sign", network, form)
        person.signed_at = self.ledger.now()
        token = await self._tokens[person.email]
        person.confirming_at = self.ledger.now()
        await self._until_taken(connection, "confirm", f"/en/confirm/{token}", network, {})
        person.confirmed_at = self.ledger.now()
        if self._draw.random() < 0.1:
            person.leaving_at = self.ledger.now()
            await self._until_taken(connection, "withdraw", f"/en/signature/{token}", network, {"action": "withdraw"})
            person.left_at = self.ledger.now()
        connection.close()

    async def _until_taken(
        self, connection: Connection, what: str, path: str, network: str, form: dict[str, str]
    ) -> None:
        """Send the form again and again until it is answered 303, as a patient person would."""
        sent = form | self._solved() if what == "sign" else form
        while True:
            status, _ = await connection.ask(what, f"POST {path}", network, sent)
            if status == TAKEN:
                return
            if status == 422 and self.ledger.now() - self.moved_at < STEP:
                self._forget_answer(what)  # a challenge of before the step: it is we who made it
            if what == "sign" and status not in {LATER, 0}:
                sent = form | self._solved()
            await asyncio.sleep(PAUSE)
            connection.port = self._port()
            connection.close()

    def _forget_answer(self, what: str) -> None:
        """Take back the last 422: nothing is wrong with it."""
        answers = self.ledger.answers
        last = next(
            place
            for place in reversed(range(len(answers)))
            if answers[place].what == what and answers[place].status == 422
        )
        del answers[last]

    def move_clock(self, ahead: timedelta) -> None:
        """Note that the clock of the last port's web has been moved: challenges are of its day, so people go there."""
        self.ahead, self.moved_at = ahead, self.ledger.now()

    def _port(self) -> int:
        return self._draw.choice(self.ports[-1:] if self.ahead else self.ports)

    def _solved(self) -> dict[str, str]:
        work = ProofOfWork([KEY], price=CHEAP, lifetime=LIFETIME + self.ahead)
        return {"version": self.letter.version.digest, "altcha": solve(work.challenge(self.letter.id))}

    async def _read(self, number: int) -> None:
        """Read pages and the count, over and over."""
        connection = Connection(self.ledger, self.ports[number % len(self.ports)], self.host)
        while not self.stopped:
            await connection.ask("read", f"GET {PAGES[number % len(PAGES)]}", f"203.0.113.{number}")
            await self._see(connection, COUNT, "count", f"203.0.113.{number}")
            await asyncio.sleep(0.05)
        connection.close()

    async def _look_at_the_past(self) -> None:
        connection = Connection(self.ledger, self.ports[0], self.host)
        while not self.stopped:
            await self._see(connection, HISTORY, "history", "203.0.113.250")
            await asyncio.sleep(0.5)
        connection.close()

    async def _see(self, connection: Connection, path: str, what: str, network: str) -> None:
        asked_at = self.ledger.now()
        status, body = await connection.ask(what, f"GET {path}", network)
        if status == 200:
            shown = json.loads(body)
            total = shown["total"] if what == "count" else shown["items"][-1]["total"] if shown["items"] else 0
            self.ledger.sights.append(Sight(what, connection.name, asked_at, self.ledger.now(), total))

    async def listed(self) -> tuple[int, list[str]]:
        """Return the count and every name of the list, as the API gives them."""
        connection = Connection(Ledger(), self.ports[0], self.host)
        _, body = await connection.ask("count", f"GET {COUNT}", "203.0.113.251")
        names: list[str] = []
        after = ""
        while True:
            _, page = await connection.ask("list", f"GET {LIST}?limit=500{after}", "203.0.113.251")
            whole = json.loads(page)
            names += [item["name"] for item in whole["items"]]
            if not whole["next"]:
                connection.close()
                return json.loads(body)["total"], names
            after = f"&after={whole['next']}"


def _name(number: int) -> str:
    """Return a name that no one else has and that looks like one."""

    def word(rest: int) -> Iterator[str]:
        for _ in range(4):
            rest, place = divmod(rest, len(_SYLLABLES))
            yield _SYLLABLES[place]

    return f"Vera {''.join(word(number * 7919 % len(_SYLLABLES) ** 4)).title()}"
