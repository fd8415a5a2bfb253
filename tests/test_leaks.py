"""No list worth stealing: everything stored and everything logged is searched for everything that was typed."""

import asyncio
import base64
import json
import re
import signal
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from petition.core import database as databases
from petition.core import email_addresses
from petition.core.database import Database, opened
from petition.core.settings import Process, load
from petition.letters.model import Letter
from tests import rows
from tests.faults.processes import PATIENCE, command, run, web, worker_environ
from tests.faults.server import Server
from tests.mail.post_office import PostOffice
from tests.running import PRIVATE_KEY, SLUG, Installation, environment, free_port, publish

TABLES = "SELECT format('%I', relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"


@dataclass
class Told:
    """What somebody has typed."""

    address: str
    name: str
    city: str = ""
    affiliation: str = ""

    @property
    def addresses(self) -> set[str]:
        """Return the address in every spelling that may be written down."""
        mailbox = email_addresses.parse(self.address)
        return {self.address, mailbox.address, email_addresses.canonical(mailbox), mailbox.local, mailbox.local.lower()}

    @property
    def words(self) -> set[str]:
        """Return the words that tell who it was."""
        return {word for text in (self.name, self.city, self.affiliation) for word in text.split() if len(word) > 3}


PUBLIC = Told("quillwort.1+tag@gmail.com", "Wendelgard Abendstern", "Oberammergau", "Glockengießerin")
HIDDEN = Told("Ljubomudrov@letters.example", "Радомир Любомудров", "Верхнеуральск", "Часовщик")
COUNTED = Told("barkentine@letters.example", "Ysolde Barkentine", "Llanfairpwll", "Campanologist")
CHANGED = Told("hidden-later@letters.example", "Perpetua Sandalwood", "Kirkcudbright", "Thatcher")
WITHDRAWN = Told("zaoblachny@letters.example", "Мстислава Заоблачная", "Кологрив", "Бортница")
DELETED = Told("cooper-of-the-cove@letters.example", "Ethelred Frobisher", "Mousehole", "Cooper")
HELD = Told("tikhomirov@severny-pier.example", "Всеволод Тихомиров")
APPROVED = Told("osmunda@northpier.example", "Osmunda Ravenscroft")
NEVER = Told("wrong-version@letters.example", "Balthasar Quickthorn", "Trondenes", "Luthier")
STRANGER = Told("nobody.knows.me@yandex.ru", "Nepomuk Unbekannt")
IMPORTED = Told("Imported.Person@letters.example", "Crispin Overimport", "Ulverston", "Wheelwright")
REFUSED = Told("no.such.mailbox@letters.example", "Philippa Bouncebrook")
CRASHED = Told("crashed@letters.example", "Leocadia Crashworth")
NEVER_PUBLIC = (HIDDEN, COUNTED, HELD, APPROVED, NEVER, STRANGER, IMPORTED, REFUSED)
TAKEN_BACK = (CHANGED, WITHDRAWN, DELETED)
EVERYBODY = (PUBLIC, CRASHED, *NEVER_PUBLIC, *TAKEN_BACK)
HELD_NAME = "Товарищество Неразглашения"
APPROVED_NAME = "Northern Lighthouse Fellowship"


@dataclass
class Session:
    """An installation of processes, and everything that was done in it."""

    site: Installation
    letter: Letter
    post: PostOffice
    client: httpx2.AsyncClient
    links: dict[str, str] = field(default_factory=dict)

    async def sign(self, who: Told, visibility: str = "public", lang: str = "en", **changes: str) -> httpx2.Response:
        """Fill the form."""
        told = {"name": who.name, "email": who.address, "visibility": visibility}
        told |= {"city": who.city, "affiliation": who.affiliation}
        make = (
            self.site.organization_form if {"organization_en", "organization_ru"} & changes.keys() else self.site.form
        )
        form = await make(**(told | changes))
        return await self.client.post(f"/{lang}/{SLUG}/sign", data=form, headers=self.site.new_network())

    async def confirm(self, who: Told, visibility: str = "public", **changes: str) -> None:
        """Sign, wait for the mail, confirm."""
        assert (await self.sign(who, visibility, **changes)).status_code == 303
        await self.mailed(who)
        assert (await self.client.post(self.links[who.address])).status_code == 303

    async def mailed(self, who: Told) -> None:
        """Wait for the mail to somebody; remember its link."""
        recipient = email_addresses.parse(who.address).address
        async with asyncio.timeout(PATIENCE):
            while recipient not in self.post.recipients:
                await asyncio.sleep(0.02)
        found = re.search(r"/en/confirm/[\w.\-~]+", self.post.text(recipient))
        assert found
        self.links[who.address] = found[0]

    async def act(self, who: Told, **fields: str) -> None:
        """Do something on one's own page."""
        own = self.links[who.address].replace("confirm", "signature")
        assert (await self.client.get(own)).status_code == 200
        assert (await self.client.get(f"{own}/data.json")).status_code == 200
        assert (await self.client.post(own, data=fields)).status_code in {200, 303}


@pytest.fixture
async def server(open_folder: Path) -> AsyncIterator[Server]:
    """Give a PostgreSQL of this test's own, whose files and words can be searched."""
    own = Server(open_folder / "data")
    await own.start()
    await databases.migrate(own.url)
    yield own
    if own.is_running:
        await own.end(signal.SIGINT)


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """Give an open post office."""
    office = PostOffice()
    await office.open()
    yield office
    await office.close()


async def test_nothing_typed_is_found_where_it_must_not_be(server: Server, post: PostOffice, tmp_path: Path) -> None:
    data = tmp_path / "data"
    environ = environment(data, server.url, free_port(), BASE_URL="http://letters.localhost:8000")
    post.refused_recipients = {REFUSED.address: f"550 no such user <{REFUSED.address}>"}
    logs = [tmp_path / "web.log", tmp_path / "worker.log"]
    settings = load(environ, role=Process.WEB)
    async with opened(server.url, max_size=4) as database:
        await publish(settings, database)
        async with database.connection() as conn:
            letter = await rows.letter(conn)
        async with (
            web(environ, free_port(), logs[0]) as process,
            command("worker", worker_environ(environ, post.port), logs[1]),
        ):
            site = Installation(environ, settings, database, process.client)
            session = Session(site, letter, post, process.client)
            await what_people_do(session)
            await what_tools_do(session, tmp_path)
            await what_goes_wrong(session)
            keys = Path(f"/proc/{process.process.pid}/environ").read_bytes()
            assert PRIVATE_KEY.encode() not in keys
            assert settings.contact_public_key.encode() in keys
            await process.kill()
        stored = await dump(database)
    await server.end(signal.SIGKILL)
    places = [*logs, *(path for path in data.rglob("*") if path.is_file())]
    written = [squeezed(path.read_bytes()) for path in places] + [squeezed("".join(server.said).encode())]
    # Also what was written and deleted again: the rows' own files, and the log that PostgreSQL keeps of all changes.
    files = [squeezed(path.read_bytes()) for path in server.files()]

    see_that_the_search_finds_something(stored, written, files)
    addresses = {spelling for who in EVERYBODY for spelling in who.addresses}
    assert found(addresses, [stored, *written, *files]) == set()
    names = {word for who in NEVER_PUBLIC for word in who.words} | set(HELD_NAME.split())
    assert found(names, [stored, *written, *files]) == set()
    taken_back = {word for who in TAKEN_BACK for word in who.words}
    assert found(taken_back, [stored, *written]) == set()
    assert found({word for who in EVERYBODY for word in who.words} | set(APPROVED_NAME.split()), written) == set()
    assert found({PRIVATE_KEY}, [stored, *written, *files]) == set()


async def what_people_do(session: Session) -> None:
    """Sign in every way, change one's mind in every way."""
    client, site = session.client, session.site
    await session.confirm(PUBLIC, updates="yes")
    await session.confirm(HIDDEN, "organizers", updates="yes")
    await session.confirm(COUNTED, "counted")
    for who in TAKEN_BACK:
        await session.confirm(who)
        assert who.name in (await client.get(f"/en/{SLUG}/signatories", params={"q": who.name})).text
    await session.act(CHANGED, action="correct", name=f"{CHANGED.name} Jr.")
    await session.act(CHANGED, action="visibility", visibility="counted")
    await session.act(WITHDRAWN, action="withdraw")
    await session.act(DELETED, action="delete")
    await session.confirm(HELD, "organizers", organization_ru=HELD_NAME, website="https://severny-pier.example")
    await session.confirm(APPROVED, "organizers", organization_en=APPROVED_NAME, website="https://northpier.example")
    # Those who only tried.
    assert (await session.sign(NEVER, consent="")).status_code == 422
    assert (await session.sign(NEVER, version="0" * 64)).status_code == 422
    assert (await session.sign(NEVER, altcha="")).status_code == 422
    assert (await session.sign(NEVER, email=f"{NEVER.address}@")).status_code == 422
    assert (await session.sign(REFUSED, "organizers")).status_code == 303
    for who in (PUBLIC, HIDDEN, WITHDRAWN, STRANGER):
        form = {"email": who.address, "altcha": await site.challenge()}
        assert (await client.post(f"/ru/{SLUG}/find", data=form, headers=site.new_network())).status_code == 303
        code = {"email": who.address, "code": "000000"}
        answer = await client.post(f"/ru/{SLUG}/confirm", data=code, headers=site.new_network())
        assert answer.status_code == 422
        assert (await client.get(f"/en/{SLUG}/signatories", params={"q": who.name})).status_code == 200
    never = re.search(r"/en/never/[\w.\-~]+", session.post.text(HIDDEN.address.replace("LETTERS", "letters")))
    assert never
    assert (await client.post(never[0])).status_code == 200


async def what_tools_do(session: Session, folder: Path) -> None:
    """Let an organization in; import and export."""
    environ = session.site.environ
    held = await rows.rows_of(
        session.site.database,
        "SELECT id FROM signature WHERE digest = $1",
        rows.digest_of(session.letter, APPROVED.address),
    )
    code, said = await run(f"signatures approve {held[0]['id']}", environ)
    assert code == 0, said
    file = folder / "import.csv"
    line = f"person,{IMPORTED.name},{IMPORTED.address},{IMPORTED.city},{IMPORTED.affiliation}"
    file.write_text(f"kind,name,email,city,affiliation\n{line}\n", encoding="utf-8")
    code, said = await run(f"signatures import {SLUG} {file}", environ)
    assert code == 0, said
    code, said = await run(f"signatures export {SLUG}", environ)
    assert code == 0
    assert IMPORTED.name in said
    file.unlink()


async def what_goes_wrong(session: Session) -> None:
    """Have PostgreSQL refuse rows, so that it and everybody who hears of it would like to quote them."""
    async with session.site.database.connection() as conn:
        await conn.execute("ALTER TABLE pending ADD CONSTRAINT no_more CHECK (read_lang <> 'en') NOT VALID")
        await conn.execute("ALTER TABLE signature ADD CONSTRAINT no_more CHECK (read_lang <> 'ru') NOT VALID")
        assert (await session.sign(CRASHED)).status_code == 500
        assert (await session.sign(CRASHED, lang="ru")).status_code == 303
        (row,) = await conn.fetch("SELECT id FROM pending WHERE read_lang = 'ru'")
        link = f"/ru/confirm/{rows.token(session.letter, row['id'])}"
        assert (await session.client.post(link)).status_code == 500
        async with asyncio.timeout(PATIENCE):
            # The news of an approval waits for ten minutes.
            while await conn.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE purpose <> 'decision')"):
                await asyncio.sleep(0.05)
        assert await conn.fetchval("SELECT count(*) FROM refused_mail") == 1


async def dump(database: Database) -> bytes:
    """Return every table as text, as pg_dump writes it."""
    pieces: list[bytes] = []

    async def take(data: bytes) -> None:
        pieces.append(data)

    async with database.connection() as conn:
        for row in await conn.fetch(TABLES):
            await conn.copy_from_query(f"TABLE {row[0]}", output=take)
    return squeezed(b"".join(pieces))


def squeezed(data: bytes) -> bytes:
    """Return ``data`` ready to be searched: in lower case, without long stretches of nothing."""
    return re.sub(rb"\0{16,}", b"\0", data.lower())


def found(needles: Iterable[str], places: Iterable[bytes]) -> set[str]:
    """Return those of ``needles`` that are in one of ``places``, in whatever way they may be written."""
    everything = b"\n".join(places)
    return {needle for needle in needles if any(form in everything for form in _forms(needle))}


def _forms(needle: str) -> set[bytes]:
    """Return the needle as text, as hexadecimal digits, in an address, in JSON, and in base64; in lower case."""
    forms = set()
    for text in {needle, needle.lower(), needle.upper()}:
        raw = text.encode()
        # Whole groups of three bytes look the same wherever they stand, if they begin at a group.
        inner = (base64.b64encode(raw[skip : skip + (len(raw) - skip) // 3 * 3]) for skip in range(3))
        forms |= {raw, raw.hex().encode(), quote(text).encode(), json.dumps(text)[1:-1].encode(), *inner}
    return {form.lower() for form in forms if len(form) > 4}


def see_that_the_search_finds_something(stored: bytes, written: list[bytes], files: list[bytes]) -> None:
    """Fail if what may be found is not: the search would prove nothing then."""
    assert found(PUBLIC.words, [stored]) == PUBLIC.words
    assert found(set(APPROVED_NAME.split()), [stored]) == set(APPROVED_NAME.split())
    assert found(CHANGED.words | PUBLIC.words, files) == CHANGED.words | PUBLIC.words
    assert b"request failed" in written[0]
    assert b"refused" in written[1]
    assert b"database system is ready" in written[-1]
