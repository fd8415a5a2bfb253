"""One life of an installation for all tests of this folder, and what was collected of it."""

import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from petition.core import database as databases
from petition.core import email_addresses
from petition.core.database import opened
from petition.core.decryptions import DecryptionCounts
from petition.core.keeper import KeeperClient, KeeperPurpose
from petition.core.settings import Process, load
from petition.worker import main
from tests import commands, rows
from tests.conftest import _open_folder
from tests.faults.processes import command, web, worker_environ
from tests.faults.server import Server
from tests.incoming_mail.letters_by_mail import DOMAIN
from tests.keeper import keepers
from tests.leaks import places
from tests.leaks.columns import ColumnContent, Keys, contents_of
from tests.leaks.living import Life, domain_keys
from tests.leaks.search import Finder
from tests.leaks.signatories import LETTERS, Signatory, everyone
from tests.letters.folders import other_letter
from tests.mail.dns_server import answering
from tests.mail.post_office import PostOffice
from tests.organizers import people
from tests.running import Installation, environment, free_port, publish

LOUD = "tests.leaks.loud"


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    """Give an open post office."""
    office = PostOffice()
    await office.open()
    yield office
    await office.close()


@dataclass
class Collected:
    """What there was in the end; contents by where they were."""

    signatories: list[Signatory]
    columns: list[ColumnContent] = field(default_factory=list)
    digests: dict[bytes, Signatory] = field(default_factory=dict)
    dump: bytes = b""
    pages: dict[str, bytes] = field(default_factory=dict)
    exports: dict[str, bytes] = field(default_factory=dict)
    own: dict[int, bytes] = field(default_factory=dict)
    log_files: bytes = b""
    log_entries: int = 0
    mirrors: Mapping[str, bytes] = field(default_factory=dict)
    takeout: bytes = b""
    takeout_rows: bytes = b""
    logs: dict[str, bytes] = field(default_factory=dict)
    data: Mapping[str, bytes] = field(default_factory=dict)
    server: bytes = b""  # all its files, with the log of changes
    restored: bytes = b""  # those of another one, without it
    mails: list[tuple[str, bytes]] = field(default_factory=list)
    web_environment: bytes = b""

    def __post_init__(self) -> None:
        self.finder = Finder(word for one in self.signatories for word in one.words)


@pytest.fixture(scope="module")
async def collected(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Collected]:
    for folder in _open_folder():
        yield await _lived(tmp_path_factory.mktemp("leaks"), folder)


async def _lived(folder: Path, open_folder: Path) -> Collected:
    everything = Collected(everyone())
    server = Server(open_folder / "data")
    await server.start()
    await databases.migrate(server.url)
    keeper_folder = open_folder / "k"
    keeper_folder.mkdir()
    async with AsyncExitStack() as stack:
        names = await stack.enter_async_context(answering(domain_keys(everything.signatories)))
        keeper = keepers.RunningKeeper(keeper_folder)
        await stack.enter_async_context(keepers.process(keeper, LOUD))
        maildir = folder / "maildir"
        for name in ("new", "cur", "tmp"):
            (maildir / name).mkdir(parents=True)
        port = free_port()
        environ = environment(
            folder / "data",
            server.url,
            port,
            BASE_URL=f"http://localhost:{port}",
            MAIL_IN=DOMAIN,
            MX_RESOLVER=f"127.0.0.1:{names.port}",
            LIMIT_ENTRY="1000",
            **keeper.settings,
        )
        await _live(folder, environ, server, maildir, everything)
    everything.logs |= {
        "web": (folder / "web.log").read_bytes(),
        "worker": (folder / "worker.log").read_bytes(),
        "keeper": (keeper_folder / "log").read_bytes(),
    }
    await server.end(signal.SIGINT)  # it writes all that it has in memory
    everything.logs["server"] = "".join(server.said).encode()
    everything.server = b"\n".join(path.read_bytes() for path in server.files())
    everything.data = places.files_below(folder / "data", keeper_folder, maildir)
    await _restore(folder, open_folder / "other", everything)
    return everything


async def _live(folder: Path, environ: dict[str, str], server: Server, maildir: Path, everything: Collected) -> None:
    post = PostOffice()
    await post.open()
    try:
        await _live_with(post, folder, environ, server, maildir, everything)
    finally:
        await post.close()
    everything.mails = [(to, bytes(mail)) for to, mail in zip(post.recipients, post.mails, strict=True)]


async def _live_with(
    post: PostOffice, folder: Path, environ: dict[str, str], server: Server, maildir: Path, everything: Collected
) -> None:
    settings = load(environ, role=Process.WEB)
    work = worker_environ(environ, post.port) | {"MAIL_IN_DIR": str(maildir)}
    (folder / "letters").mkdir()
    async with opened(server.url, max_size=16) as database, AsyncExitStack() as stack:
        for slug in LETTERS:
            await publish(settings, database, other_letter(folder / "letters", slug))
        # An organizer comes first: a database that nothing is in takes a keeper at once, and this test's part has none.
        site = Installation(environ, settings, database, await stack.enter_async_context(httpx2.AsyncClient()))
        first = next(iter(LETTERS))
        organizer = await stack.enter_async_context(people.at_desk(site, "owner", slug=first))
        (owner,) = await rows.rows_of(database, "SELECT id FROM organizer")
        for slug in LETTERS:
            await people.give_role(site, owner["id"], "owner", slug)
        process = await stack.enter_async_context(web(environ, settings.port, folder / "web.log", module=LOUD))
        site.client = process.client
        everything.web_environment = Path(f"/proc/{process.process.pid}/environ").read_bytes()
        life = Life(site, post, organizer, maildir)
        await life.command("keeper adopt")
        async with command("worker", work, folder / "worker.log", LOUD):
            await life.live(everything.signatories)
            await life.all_mails_sent()
        client = await stack.enter_async_context(KeeperClient(settings.keeper, database))
        await _note_digests(life, client, everything)
        await life.end_letters()
        chores = main.chores_of(load(work, role=Process.WORKER), DecryptionCounts(), client)
        for _ in range(2):
            await main.do_chores(database, chores)
        await life.ask_for_links(everything.signatories)
        await _collect(folder, life, everything, server.url)


async def _note_digests(life: Life, client: KeeperClient, everything: Collected) -> None:
    """Ask the keeper for the digest of each mailbox, while the letters have their keys."""
    async with life.site.database.connection() as conn:
        for slug in LETTERS:
            letter = await rows.letter(conn, slug)
            assert letter.keys.is_kept
            ones = [one for one in everything.signatories if one.slug == slug]
            mailboxes = [email_addresses.canonical(one.address, letter.rules_version) for one in ones]
            digests = await client.digests(letter.keys, mailboxes, KeeperPurpose.CHECK)
            everything.digests |= dict(zip(digests, ones, strict=True))


async def _collect(folder: Path, life: Life, everything: Collected, url: str) -> None:
    database = life.site.database
    everything.columns = await contents_of(database, await Keys.of(database))
    everything.dump = places.dump(url, folder / "dump.sql")
    for slug in places.LETTERS_THERE:
        everything.pages[slug] = await places.pages(life, slug)
        everything.exports[slug] = await places.exports(life, slug)
    everything.own = await places.own_pages(life, [one for one in everything.signatories if one.link])
    everything.log_files, everything.log_entries = await places.log_files(life)
    everything.mirrors = await places.mirrors(life, folder / "mirrors")
    everything.takeout, everything.takeout_rows = await places.takeout(life, folder / "all.age")


async def _restore(folder: Path, elsewhere: Path, everything: Collected) -> None:
    """Restore the takeout into another server, and read its files when that has ended."""
    other = Server(elsewhere)
    await other.start()
    environ = {"DATABASE_URL": other.url, "DATA_DIR": str(folder / "other"), "BASE_URL": "https://letters.example"}
    code, said = await commands.run(f"restore {folder / 'all.age'} --identity {folder / 'all.identity'}", environ)
    assert code == 0, said
    await other.end(signal.SIGINT)
    everything.restored = places.without_log(other.files())
