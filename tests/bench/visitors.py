"""The bytes that visitors send, made before anything is measured; and the rows that wait for them to confirm."""

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote, urlencode

from petition.captcha.pow import ProofOfWork
from petition.core import email_addresses
from petition.core.encryption import Sealer
from petition.core.tokens import Tokens
from petition.letters.model import Letter
from petition.stored_data.notice import NOTICE_VERSION
from tests.bench.fill import CITIES
from tests.captcha.installation import CHEAP, solve
from tests.crowd import Crowd
from tests.running import KEY, PUBLIC_KEY

# One in seven has a domain of their own, one in fifty in Cyrillic letters.
DOMAINS = ("gmail.com", "yandex.ru", "mail.ru", "gmail.com", "proton.me", "outlook.com", "university.example") * 7 + (
    "почта.рф",
)
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: ru,en-US;q=0.7,en;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-User: ?1\r\n"
)
FIRST = secrets.randbelow(1_000_000_000)  # a letter that is kept for the next run knows those of this one
PENDING_COLUMNS = (
    *("letter", "id", "kind", "digest", "fields", "sealed", "version", "consent", "read_lang", "mail_lang", "network"),
)


@dataclass
class Visitors:
    """People nobody has seen yet, each from a network of their own."""

    letter: Letter
    _numbers: Iterator[int] = field(default_factory=lambda: count(FIRST))
    _crowd: Crowd = field(default_factory=lambda: Crowd(seed=2))
    _draw: random.Random = field(default_factory=lambda: random.Random(3))

    def typed(self) -> dict[str, str]:
        """Return what the next person types: two in three want to be seen by all, two in three tell a city."""
        number, name = next(self._numbers), self._crowd.name()
        visibility = self._draw.choice(("public", "public", "public", "public", "organizers", "counted"))
        form = {"name": name, "email": f"visitor.{number}@{DOMAINS[number % len(DOMAINS)]}", "visibility": visibility}
        if number % 3:
            form |= {"city": CITIES[number % 9], "country": "Россия" if number % 2 else "Germany"}
        return form

    def signing(self, how_many: int, port: int) -> list[bytes]:
        """Return requests to sign, each with a solved challenge; good for twenty minutes."""
        work = ProofOfWork([KEY], price=CHEAP)
        path = f"/ru/{self.letter.slug}/sign"
        requests = []
        for _ in range(how_many):
            solved = solve(work.challenge(self.letter.id))
            rest = {"version": self.letter.version.digest, "kind": "person", "consent": "yes", "altcha": solved}
            requests.append(post(port, path, self.network(), urlencode(self.typed() | rest).encode()))
        return requests

    def waiting(self, how_many: int) -> list[tuple[Any, ...]]:
        """Return rows of ``pending`` as ``signing`` leaves them (``PENDING_COLUMNS``)."""
        letter, sealer = self.letter, Sealer(PUBLIC_KEY)
        rows = []
        for _ in range(how_many):
            typed = self.typed()
            mailbox = email_addresses.parse(typed.pop("email"))
            if typed["visibility"] == "counted":
                typed = {key: value for key, value in typed.items() if key not in {"name", "city", "country"}}
            if "country" in typed:
                typed["country"] = "RU" if typed["country"] == "Россия" else "DE"
            digest = letter.keys.digest(email_addresses.canonical(mailbox, letter.rules_version))
            secret = digest, letter.keys.hide(typed), sealer.seal(mailbox.address)
            place = letter.id, secrets.randbits(63), "person"
            rows.append((*place, *secret, 1, NOTICE_VERSION, "ru", "ru", secrets.token_bytes(16)))
        return rows

    def confirming(self, rows: list[tuple[Any, ...]], port: int) -> list[bytes]:
        """Return the requests that confirm ``rows``."""
        tokens = Tokens([KEY])
        paths = (f"/ru/confirm/{tokens.for_signature(row[0], row[1])}" for row in rows)
        return [post(port, path, self.network(), b"") for path in paths]

    def searching(self, how_many: int, port: int) -> list[bytes]:
        """Return searches: whole names, surnames, given names, beginnings, typing errors, and what nobody is called."""
        path = f"/ru/{self.letter.slug}/signatories?q="
        return [get(port, path + quote(self._question(i))) for i in range(how_many)]

    def _question(self, number: int) -> str:
        words = self._crowd.name().split()
        wrong = list(words[-1])
        wrong[self._draw.randrange(len(wrong))] = self._draw.choice("аоиеeaio")
        kinds = (
            " ".join(words),
            words[-1],
            words[0],
            words[-1][:3],
            words[0][:2],
            "".join(wrong),
            f"{words[0]} {''.join(wrong)}",
            words[-1].lower()[::-1],
        )
        return kinds[number % len(kinds)]

    def network(self) -> str:
        """Return the address of somebody who has not been here yet."""
        number = next(self._numbers)
        return f"{100 + number // 65536 % 20}.{number // 16777216 % 256}.{number // 256 % 256}.{number % 256}"


def get(port: int, path: str, more: str = "") -> bytes:
    """Return a browser's request; ``more`` are further header lines."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{BROWSER}{more}\r\n".encode()


def proxy_lines(number: int) -> str:
    """Return the lines that nginx adds to a visitor's request."""
    return f"X-Forwarded-For: 203.0.113.{number % 256}\r\nX-Forwarded-Proto: https\r\nX-Request-ID: {number:032x}\r\n"


def post(port: int, path: str, network: str, body: bytes) -> bytes:
    """Return a browser's form, as the proxy in front hands it on."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\n{BROWSER}Origin: http://localhost:{port}\r\n"
        f"X-Forwarded-For: {network}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
