"""``make forge``: forge signatures through each gate of an installation on this machine; print and store the prices."""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from petition import postgres
from petition.captcha import picture
from petition.captcha.drawn import DrawnCodes
from petition.captcha.pow import ProofOfWork
from petition.core import database as databases
from petition.core.audit_log import Actor
from petition.core.database import connect, migrate
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.core.limits import Limits
from petition.moderation import bulk_acts, crowds
from petition.moderation.model import Action, Filter
from petition.signatures import counting
from petition.signatures.model import Reason
from tests.captcha.installation import solve
from tests.conftest import in_database
from tests.fixtures import EMPTY
from tests.forge.reader import Reader
from tests.mail.dns_server import answering
from tests.running import KEY, SLUG, Installation, installation, link_in, working

CORE_HOUR = 0.02  # € for an hour of one processor core: an assumption, stated with the result
RESULTS = Path("bench-results")
ORGANIZERS_OWN = 10  # honest signatures that have to stay
STATES = "SELECT state, flags, group_number FROM signature WHERE letter = $1 AND country = 'FJ'"


@dataclass
class Price:
    """What one way of forging took, for ``tried`` signatures."""

    gate: str
    tried: int
    requests: int
    seconds: float
    mailboxes: int
    domains: int
    counted: int
    held: int
    seen: str
    acts: int  # until all of them are removed; 0: each by hand
    removing: float  # seconds
    exact: bool  # the count after removing is the honest ones', and that of the rows

    def line(self) -> str:
        removed = f"{self.acts} in {self.removing:.1f} s" if self.acts else "each by hand"
        return (
            f"| {self.gate} | {self.tried} | {self.requests} | {self.seconds:.0f} | {self.mailboxes} | {self.domains} "
            f"| {self.counted} | {self.held} | {self.seen} | {removed} |"
        )


class Forger:
    """Signs with made-up names, and confirms by every mail that comes."""

    def __init__(self, site: Installation) -> None:
        self.site = site
        self.requests = 0

    async def sign(self, address: str, *, country: str = "FJ", token: str = "", code: str = "") -> bool:
        """Sign and confirm; return whether the form was taken."""
        site = self.site
        form = await site.form(email=address, name=f"Forged {address[:8]}", country=country)
        if token:
            form |= {"altcha": "", "drawn": token, "code": code}
        self.requests += 1
        answer = await site.client.post(f"/en/{SLUG}/sign", data=form, headers=site.new_network())
        if answer.status_code != 303:
            return False
        try:
            link = link_in(await site.mail_to(address, most=5))
        except TimeoutError:
            return True  # one mail too many for this mailbox
        self.requests += 1
        await site.client.post(link, headers=site.new_network())
        return True


async def forge(site: Installation, gate: str, addresses: Sequence[str], reader: Reader | None = None) -> Price:
    """Forge through one gate, on a letter with a few honest signatures, and remove what can be removed in bulk."""
    async with site.database.connection() as conn:
        await conn.execute(EMPTY)
        await conn.execute("UPDATE count SET people = 0, organizations = 0, hidden = 0")
        letter_id = LetterId(await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG))
    for n in range(ORGANIZERS_OWN):
        await Forger(site).sign(f"honest{n}of{len(gate)}@gmail.com", country="NZ")
    forger, drawn, began = Forger(site), DrawnCodes([KEY]), time.perf_counter()
    for address in addresses:
        if reader is None:
            await forger.sign(address)
            continue
        answer = picture.code(5)
        text = reader.read(picture.draw(answer))
        await forger.sign(address, token=drawn.token(answer, letter_id, hard=False), code=text)
    seconds = time.perf_counter() - began
    await crowds.flag(site.database, Limits())
    async with site.database.connection() as conn:
        rows = await conn.fetch(STATES, letter_id)
    states = Counter(row["state"] for row in rows)
    flags = Counter(flag for row in rows for flag in row["flags"])
    acts, removing, exact = await remove(site, letter_id, rows)
    return Price(
        gate=gate,
        tried=len(addresses),
        requests=forger.requests,
        seconds=seconds,
        mailboxes=len(set(addresses)),
        domains=len({address.rpartition("@")[2] for address in addresses}),
        counted=states["confirmed"],
        held=states["held"],
        seen=", ".join(f"flag `{flag}` {number}" for flag, number in flags.items()) or "statistics only",
        acts=acts,
        removing=removing,
        exact=exact,
    )


async def remove(site: Installation, letter_id: LetterId, rows: Sequence[databases.Record]) -> tuple[int, float, bool]:
    """Remove all that shares a group, by the desk's bulk act; return acts, seconds, and whether the count is exact."""
    groups = {row["group_number"] for row in rows if row["group_number"]}
    began, wrapper, actor = time.perf_counter(), Wrapper([KEY]), Actor(None, letter_id)
    for group in groups:
        async with site.database.transaction() as conn:
            number = await bulk_acts.create(conn, actor, Action.REMOVE, Filter(group=group))
            await bulk_acts.advance(conn, actor, number, "start", Reason.FAKE)
        while await bulk_acts.step(site.database, wrapper):
            pass
    seconds = time.perf_counter() - began
    left = sum(row["state"] == "confirmed" and not row["group_number"] for row in rows)
    async with site.database.connection() as conn:
        stored = (await counting.load_counts(conn, [letter_id]))[letter_id]
        exact = stored == await counting.counts_from_rows(conn, letter_id)
    return len(groups), seconds, exact and stored.people == ORGANIZERS_OWN + left


def proof_seconds(tries: int) -> float:
    """Return the processor seconds of one proof of work at its real price, in Python."""
    work, began = ProofOfWork([KEY]), time.process_time()
    for _ in range(tries):
        solve(work.challenge(LetterId(1)))
    return (time.process_time() - began) / tries


def read_rate(reader: Reader, tries: int) -> tuple[float, float]:
    """Return the share of whole codes that are read right, and the seconds for one."""
    answers = [picture.code(5) for _ in range(tries)]
    pictures = [picture.draw(answer) for answer in answers]
    began = time.perf_counter()
    right = sum(reader.read(png) == answer for png, answer in zip(pictures, answers, strict=True))
    return right / tries, (time.perf_counter() - began) / tries


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.forge")
    parser.add_argument("--number", type=int, default=120, help="signatures to forge through each gate")
    number = parser.parse_args().number
    folder = Path(tempfile.mkdtemp(prefix="petition-forge-"))
    folder.chmod(0o711)
    try:
        with postgres.running(folder) as url:
            asyncio.run(_measure(url, folder, number))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _measure(url: str, folder: Path, number: int) -> None:
    admin = await connect(url)
    await admin.execute("CREATE DATABASE forge")
    await admin.close()
    own = in_database(url, "forge")
    await migrate(own)
    reader = Reader()
    reader.learn(700)
    rate, reading = read_rate(reader, 100)
    proof = proof_seconds(5)
    ten = [f"forged-{n}.com" for n in range(10)]
    records: dict[tuple[str, str], list[str] | str | None] = {("catch-all.com", "MX"): ["1 mx.catch-all.com."]}
    for n, domain in enumerate(ten):
        records |= {(domain, "MX"): [f"1 mx.{domain}."], (f"mx.{domain}", "A"): ["203.0.113.5"]}
        records |= {
            (f"apart-{n}.com", "MX"): [f"1 mx.apart-{n}.com."],
            (f"mx.apart-{n}.com", "A"): [f"203.0.113.{n + 9}"],
        }
    gates = {
        "accounts at a large provider": [f"forged.n{n}x@outlook.com" for n in range(number)],
        "one account, dots and tags": [f"forged+{n}@gmail.com" for n in range(min(number, 20))],
        "one catch-all domain": [f"n{n}@catch-all.com" for n in range(number)],
        "ten domains, one mail host": [f"n{n}@{ten[n % 10]}" for n in range(number)],
        "ten domains, a host each": [f"n{n}@apart-{n % 10}.com" for n in range(number)],
    }
    async with answering(records) as server:
        resolver = {"MX_RESOLVER": f"127.0.0.1:{server.port}"}
        async with installation(own, folder, **resolver) as site, working(site.environ, site.inbox):
            prices = [await forge(site, gate, addresses) for gate, addresses in gates.items()]
            read = [f"reader{n}x@outlook.com" for n in range(number)]
            prices.append(await forge(site, "drawn codes, read by a program", read, reader))
    report(prices, proof, rate, reading)


def report(prices: Sequence[Price], proof: float, rate: float, reading: float) -> None:
    """Print the table, and write JSON beside those of ``make bench``."""
    print(f"Proof of work: {proof:.2f} s of one core in Python; {proof * 1e6 / 3600 * CORE_HOUR:.2f} € a million.")
    print(f"Drawn code: {100 * rate:.0f} % read by template matching, {reading:.3f} s each.\n")
    sizes = "tried", "requests", "seconds", "mailboxes", "domains"
    head = "gate", *sizes, "counted", "held", "seen as", "removed by acts"
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for price in prices:
        print(price.line())
    assert all(price.exact for price in prices), "a count is not that of the rows"
    RESULTS.mkdir(exist_ok=True)
    result = {"proof_seconds": proof, "read": rate, "read_seconds": reading, "prices": [asdict(p) for p in prices]}
    (RESULTS / "forge.json").write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
