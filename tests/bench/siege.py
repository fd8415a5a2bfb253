"""``python -m tests.bench.siege [V3 …]``: does an honest visitor still sign while a recipe of the security review runs?

Each recipe gets an installation of its own, at the default limits unless said. Ten honest visitors, each from a network
of their own, fetch a challenge, solve it at the price that is asked (cheaply: the answer's time is measured, not the
sum's), sign, open the mailed link, and type the right code. Prints for each recipe how many succeeded and the median
and longest time in milliseconds. It also runs in a checkout of an older version, for the figures before.
"""

import asyncio
import contextlib
import secrets
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import httpx2

from petition import postgres
from petition.captcha.drawn import DrawnCodes
from petition.captcha.pow import ProofOfWork
from petition.core.database import connect, migrate
from petition.core.ids import SignatureId
from petition.letters.model import Letter
from tests import rows
from tests.captcha.installation import CHEAP, solve
from tests.running import KEY, SLUG, Installation, installation

VISITORS = 10
ONION = "letters7.onion"
SIGN, CODE = f"/en/{SLUG}/sign", f"/en/{SLUG}/confirm"


@dataclass
class Siege:
    """One installation under attack."""

    site: Installation
    letter: Letter
    numbers: "count[int]"

    @property
    def work(self) -> ProofOfWork:
        return ProofOfWork([KEY], price=CHEAP)

    def form(self, **fields: str) -> dict[str, str]:
        email = f"visitor{next(self.numbers)}@letters.example"
        typed = {"version": self.letter.version.digest, "name": "Vera Novak", "visibility": "public", "consent": "yes"}
        return {**typed, "email": email, **fields}

    def solved(self, step: int = 0) -> dict[str, str]:
        try:
            return {"altcha": solve(self.work.challenge(self.letter.id, price=step))}
        except TypeError:  # before there were steps
            challenge = self.work.challenge(self.letter.id, hard=step > 0)  # type: ignore[call-arg]
            return {"altcha": solve(challenge)}

    async def post(self, path: str, form: dict[str, str], headers: dict[str, str] | None = None) -> httpx2.Response:
        return await self.site.client.post(path, data=form, headers=self.site.new_network() | (headers or {}))

    async def flood(self, path: str, forms: list[dict[str, str]], headers: dict[str, str] | None = None) -> None:
        """Send forms, forty at once, as fast as they are answered."""
        for start in range(0, len(forms), 40):
            await asyncio.gather(*(self.post(path, form, headers) for form in forms[start : start + 40]))

    async def sign_honestly(self, headers: dict[str, str], *, scripts: bool, email: str = "") -> bool:
        """Return whether an honest visitor's signature was taken and its code confirms it."""
        form = self.form(**({"email": email} if email else {}))
        if scripts:
            ask = await self.site.client.get(f"/captcha/challenge?letter={SLUG}", headers=headers)
            data = ask.json()["parameters"]["data"]
            form |= self.solved(data.get("price", int(data["dear"])))
        else:
            token = DrawnCodes([KEY]).token("ABCDEABC", self.letter.id, hard=True)
            form |= {"drawn": token, "code": "ABCDEABC"}
        if (await self.post(SIGN, form, headers)).status_code != 303:
            return False
        found = await rows.rows_of(
            self.site.database,
            "SELECT p.id, p.digest FROM pending p JOIN outbox o ON o.letter = p.letter AND o.pending = p.id"
            " ORDER BY o.id DESC LIMIT 400",
        )
        digest = rows.digest_of(self.letter, form["email"])
        ids = [row["id"] for row in found if row["digest"] == digest]
        if not ids:
            return False
        code = {"email": form["email"], "code": rows.code(self.letter, SignatureId(ids[0]))}
        link = f"/en/confirm/{rows.token(self.letter, SignatureId(ids[0]))}"
        if (await self.site.client.get(link, headers=headers)).status_code != 200:
            return False
        return (await self.post(CODE, code, headers)).status_code == 303


Recipe = Callable[[Siege], Awaitable[None]]
TOR = {"host": ONION, "x-forwarded-for": "127.0.0.1"}
ATTACK = "--attack"
VICTIM = "victim@letters.example"


async def nothing(siege: Siege) -> None:
    """Attack nothing."""


async def one_challenge_replayed(siege: Siege) -> None:
    await siege.flood(SIGN, [siege.form() | siege.solved()] * 250)


async def empty_forms_of_many_networks(siege: Siege) -> None:
    for _ in range(520):
        await asyncio.gather(*(siege.post(SIGN, {}, _random_network()) for _ in range(40)))


async def strangers_at_a_mailbox(siege: Siege) -> None:
    await siege.flood(
        SIGN, [siege.form(email=VICTIM) | siege.solved() for _ in range(5)], {"x-forwarded-for": "9.9.9.9"}
    )
    for _ in range(5):
        await siege.post(CODE, {"email": VICTIM, "code": "000000"}, {"x-forwarded-for": "9.9.9.9"})


async def one_tor_visitor(siege: Siege) -> None:
    for number in range(61):
        await siege.post(CODE, {"email": f"x{number}@letters.example", "code": "000000"}, TOR)
    picture = {"drawn": DrawnCodes([KEY]).token("ABCDE", siege.letter.id, hard=False), "code": "WRONG"}
    await siege.flood(SIGN, [siege.form() | picture for _ in range(101)], TOR)
    await siege.flood(SIGN, [siege.form() | siege.solved(1)] * 3001, TOR)


async def from_elsewhere(siege: Siege, name: str) -> None:
    """Attack from another process, until cancelled: here it would take the server's own time."""
    attacker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.siege", ATTACK, name, siege.site.base
    )
    try:
        await attacker.wait()
    finally:
        attacker.kill()
        await attacker.wait()


async def forty_networks_ask_for_pages(siege: Siege) -> None:
    await from_elsewhere(siege, "ask")


async def heads_without_end(siege: Siege) -> None:
    await from_elsewhere(siege, "pour")


async def those_who_never_read(siege: Siege) -> None:
    await from_elsewhere(siege, "deaf")


async def pour_heads(url: SplitResult) -> None:
    """Go on for ever: ten connections, each with 40 MB of header lines."""
    head = f"GET /en/{SLUG} HTTP/1.1\r\nHost: {url.netloc}\r\n".encode()

    async def pour() -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                _, writer = await asyncio.open_connection("127.0.0.1", url.port)
                writer.write(head)
                for _ in range(400):
                    writer.write(b"a:b\r\n" * 20_000)
                    await writer.drain()
                writer.close()

    await asyncio.gather(*(pour() for _ in range(10)))


async def never_read(url: SplitResult) -> None:
    """Go on for ever: 200 connections that ask for twelve pages each and read nothing of them."""
    request = f"GET /en/{SLUG}/find HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode() * 12

    async def be_deaf() -> None:
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(OSError), socket.socket() as deaf:
                deaf.setblocking(False)
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                await loop.sock_connect(deaf, ("127.0.0.1", url.port))
                await loop.sock_sendall(deaf, request)
                await asyncio.sleep(30)

    await asyncio.gather(*(be_deaf() for _ in range(200)))


async def ask_for_pages(url: SplitResult) -> None:
    """Go on for ever: 400 connections, ten of each of forty networks."""

    async def ask(number: int) -> None:
        head = f"GET /en/{SLUG}/find HTTP/1.1\r\nHost: {url.netloc}\r\nX-Forwarded-For: 203.{number % 40}.114.9\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", url.port)
        while True:
            writer.write(head.encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].split()[0]))

    await asyncio.gather(*(ask(number) for number in range(400)))


RECIPES: dict[str, tuple[Recipe, dict[str, str]]] = {
    "none": (nothing, {}),
    "V3, one challenge replayed 250 times (LIMIT_LETTER=20)": (one_challenge_replayed, {"LIMIT_LETTER": "20"}),
    "V4, 20,800 empty forms of as many networks": (empty_forms_of_many_networks, {}),
    "V6, a stranger's sign-ups and codes for the visitor's mailbox": (strangers_at_a_mailbox, {}),
    "V11, 400 connections of 40 networks, all the while": (forty_networks_ask_for_pages, {}),
    "V5, header lines without end, all the while": (heads_without_end, {}),
    "V12, 200 connections that never read, all the while": (those_who_never_read, {}),
    "V7, one Tor visitor; by script": (one_tor_visitor, {"ONION_URL": f"http://{ONION}"}),
    "V7, one Tor visitor; by picture": (one_tor_visitor, {"ONION_URL": f"http://{ONION}"}),
}


# The visitors come while these run.
ENDLESS = {forty_networks_ask_for_pages, heads_without_end, those_who_never_read}
ATTACKERS = {"ask": ask_for_pages, "pour": pour_heads, "deaf": never_read}


def _random_network() -> dict[str, str]:
    return {"x-forwarded-for": f"2a{secrets.randbelow(90) + 10}:{secrets.randbits(16):x}:{secrets.randbits(16):x}::1"}


async def besiege(admin_url: str, folder: Path, name: str, recipe: Recipe, limits: dict[str, str]) -> str:
    """Return the line of one recipe."""
    database = f"siege_{secrets.token_hex(4)}"
    conn = await connect(admin_url)
    await conn.execute(f"CREATE DATABASE {database}")
    await conn.close()
    url = urlsplit(admin_url)._replace(path=f"/{database}").geturl()
    await migrate(url)
    async with installation(url, folder, **limits) as site:
        async with site.database.connection() as connection:
            letter = await rows.letter(connection)
        siege = Siege(site, letter, count(1))
        attack = asyncio.ensure_future(recipe(siege))
        if recipe in ENDLESS:
            await asyncio.sleep(3)
        else:
            await attack
        successes, times = 0, []
        for number in range(VISITORS):
            headers = TOR if "Tor" in name else {"x-forwarded-for": f"93.184.{number}.7"}
            start = time.perf_counter()
            email = VICTIM if recipe is strangers_at_a_mailbox and number == 0 else ""
            successes += await siege.sign_honestly(headers, scripts="picture" not in name, email=email)
            times.append((time.perf_counter() - start) * 1000)
        attack.cancel()
        await asyncio.gather(attack, return_exceptions=True)
    return f"{name:<62} {successes:>3}/{VISITORS} {statistics.median(times):>7.0f} {max(times):>7.0f}"


async def main(admin_url: str, folder: Path, only: list[str]) -> None:
    print(f"{'recipe':<62} {'signed':>6} {'median':>7} {'longest':>7}  (ms)")
    for name, (recipe, limits) in RECIPES.items():
        if only and name.partition(",")[0] not in only:
            continue
        print(await besiege(admin_url, folder, name, recipe, limits), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == [ATTACK]:
        asyncio.run(ATTACKERS[sys.argv[2]](urlsplit(sys.argv[3])))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        place.chmod(0o711)
        with postgres.running(place) as server_url:
            asyncio.run(main(server_url, place, sys.argv[1:]))
