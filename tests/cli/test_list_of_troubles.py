"""Each trouble of the handbook's list, planted in an installation that was well: its line names it and the cure."""

import asyncio
import contextlib
import os
import re
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from petition import postgres
from petition.cli import check_machine
from petition.core import database, dkim_keys
from petition.core.database import Connection, connect, schema_number
from petition.core.encryption import Sealer, Wrapper, new_contact_pair
from petition.core.keeper import KeeperClient
from petition.core.resources import PACKAGE
from petition.core.settings import Process, load
from petition.demo.inbox import Inbox
from petition.mail.suppression import Suppression
from tests.cli.test_check_mail_dns import GOOD, PAIR
from tests.commands import run
from tests.mail.dns_server import NameServer, answering
from tests.mail.post_office import PostOffice
from tests.mail.postfix_relay import certificate
from tests.running import KEY, PRIVATE_KEY, PUBLIC_KEY, have_published, working

HANDBOOK = (PACKAGE.parent / "docs/operators.md").read_text(encoding="utf-8")
YESTERDAY = datetime.now(UTC) - timedelta(hours=25)
REVERSE = {
    ("letters.example", "A"): ["192.0.2.1"],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["letters.example."],
}


@dataclass
class Well:
    """An installation in which nothing is wrong, and what was planted in it."""

    environ: dict[str, str]
    conn: Connection
    name_server: NameServer
    office: PostOffice
    folder: Path
    clean_up: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def sql(self, statement: str, undo: str) -> dict[str, str]:
        await self.conn.execute(statement)
        self.clean_up.push_async_callback(self.conn.execute, undo)
        return {}

    async def set_for_database(self, name: str, value: str) -> dict[str, str]:
        here = await self.conn.fetchval("SELECT quote_ident(current_database())")
        return await self.sql(f"ALTER DATABASE {here} SET {name} = {value}", f"ALTER DATABASE {here} RESET {name}")

    async def relay(self, office: PostOffice, url: str = "") -> dict[str, str]:
        await office.open()
        self.clean_up.push_async_callback(office.close)
        return {"SMTP_URLS": (url or office.url).format(port=office.port)}

    def dns(self, name: str, kind: str, *records: str) -> dict[str, str]:
        before = self.name_server.records.pop((name, kind))
        self.clean_up.callback(self.name_server.records.__setitem__, (name, kind), before)
        if records:
            self.name_server.records[name, kind] = list(records)
        return {}


Plant = Callable[[Well], Awaitable[Mapping[str, str]]]


def setting(**values: str) -> Plant:
    async def plant(_well: Well) -> Mapping[str, str]:
        return values

    return plant


def for_database(name: str, value: str) -> Plant:
    return lambda well: well.set_for_database(name, value)


def sql(statement: str, undo: str) -> Plant:
    return lambda well: well.sql(statement, undo)


def record(name: str, kind: str, *records: str) -> Plant:
    async def plant(well: Well) -> Mapping[str, str]:
        return well.dns(name, kind, *records)

    return plant


async def no_migration(well: Well) -> Mapping[str, str]:
    number = schema_number()
    kept = await well.conn.fetchrow("DELETE FROM migration WHERE number = $1 RETURNING name, checksum", number)
    put_back = "INSERT INTO migration (number, name, checksum) VALUES ($1, $2, $3)"
    well.clean_up.push_async_callback(well.conn.execute, put_back, number, *(kept or ()))
    return {}


async def connections(well: Well) -> Mapping[str, str]:
    here = await well.conn.fetchval("SELECT quote_ident(current_database())")
    return await well.sql(f"ALTER DATABASE {here} CONNECTION LIMIT 20", f"ALTER DATABASE {here} CONNECTION LIMIT -1")


async def fsync_off(well: Well) -> Mapping[str, str]:
    await well.conn.execute("ALTER SYSTEM SET fsync = off")
    await well.conn.execute("SELECT pg_reload_conf()")
    while await well.conn.fetchval("SHOW fsync") != "off":
        await asyncio.sleep(0.02)

    async def undo() -> None:
        await well.conn.execute("ALTER SYSTEM RESET fsync")
        await well.conn.execute("SELECT pg_reload_conf()")
        while await well.conn.fetchval("SHOW fsync") != "on":
            await asyncio.sleep(0.02)

    well.clean_up.push_async_callback(undo)
    return {}


async def other_pair(well: Well) -> Mapping[str, str]:
    """Have a mail wait whose address was sealed to another key."""
    sealed = Sealer(new_contact_pair()[0]).seal("vera@letters.example")
    add = "INSERT INTO outbox (purpose, digest, sealed, lang) VALUES ('waiting', '', $1, 'en')"
    await well.conn.execute(add, sealed)
    well.clean_up.push_async_callback(well.conn.execute, "DELETE FROM outbox")
    return {}


async def wide_folder(well: Well) -> Mapping[str, str]:
    folder = well.folder / "open"
    folder.mkdir()
    folder.chmod(0o755)
    return {"DATA_DIR": str(folder)}


async def no_starttls(well: Well) -> Mapping[str, str]:
    return await well.relay(PostOffice(), "smtp://127.0.0.1:{port}?starttls=1")


async def no_tls(well: Well) -> Mapping[str, str]:
    return await well.relay(PostOffice(), "smtps://127.0.0.1:{port}")


async def no_auth(well: Well) -> Mapping[str, str]:
    return await well.relay(PostOffice(), "smtp://user:password@127.0.0.1:{port}")


async def expired(well: Well) -> Mapping[str, str]:
    return await well.relay(PostOffice(tls=certificate(well.folder, 5)))


async def refuses_sender(well: Well) -> Mapping[str, str]:
    return await well.relay(PostOffice(at={"MAIL": "550 5.7.1 sender not allowed"}))


def expired_certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for localhost that ended yesterday, and of its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=localhost")
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(YESTERDAY - timedelta(days=9)).not_valid_after(YESTERDAY)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    files = folder / "keeper.crt", folder / "keeper.key"
    files[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


async def keeper_with_an_old_certificate(well: Well) -> Mapping[str, str]:
    cert, key = expired_certificate(well.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    well.clean_up.callback(server.close)
    port = server.sockets[0].getsockname()[1]
    return {"KEEPER_URL": f"https://localhost:{port}?ca={cert}", "KEEPER_TOKEN": "t" * 32}


# By the words of the handbook's list.
TROUBLES: Mapping[str, tuple[Plant, str]] = {
    "readers come without TLS": (setting(BASE_URL="http://letters.example"), ""),
    "the proxy is not listed": (setting(TRUSTED_PROXIES=""), ""),
    "everyone is a proxy": (setting(TRUSTED_PROXIES="0.0.0.0/0"), ""),
    "Tor shares a port with the proxy": (setting(ONION_URL="http://abc.onion"), ""),
    "the sender is nonsense": (setting(MAIL_FROM="nonsense"), ""),
    "a setting is misspelt": (setting(SMTP_URL="smtp://127.0.0.1"), ""),
    "the database is away": (setting(DATABASE_URL="postgresql://petition@127.0.0.1:1/petition"), ""),
    "the server has no such database": (setting(DATABASE_URL="other-database"), ""),
    "the database is read-only, a standby for one": (for_database("default_transaction_read_only", "on"), ""),
    "commits do not wait for the disk": (for_database("synchronous_commit", "off"), ""),
    "the server does not wait for the disk at all": (fsync_off, ""),
    "statements end too early": (for_database("statement_timeout", "'2s'"), ""),
    "the server's log would show names": (for_database("log_min_error_statement", "error"), ""),
    "too few connections": (connections, ""),
    "migrations are missing": (no_migration, ""),
    "the schema is newer than the program": (
        sql(
            f"INSERT INTO migration (number, name, checksum) VALUES ({schema_number() + 1}, 'newer', '')",
            f"DELETE FROM migration WHERE number = {schema_number() + 1}",
        ),
        "",
    ),
    "another SECRET_KEY": (setting(SECRET_KEY="another secret key, long enough for this"), ""),
    "another contact pair": (other_pair, ""),
    "a count is not its rows": (
        sql("UPDATE count SET people = people + 1", "UPDATE count SET people = people - 1"),
        "",
    ),
    "the clocks differ": (setting(), "clock"),
    "no worker runs": (
        sql(
            "UPDATE mail_worker SET seen_at = now() - interval '10 minutes'",
            "UPDATE mail_worker SET seen_at = now() + interval '1 hour'",
        ),
        "",
    ),
    "mail waits": (
        sql(
            "INSERT INTO outbox (purpose, digest, sealed, lang, due_at)"
            " VALUES ('waiting', '', '', 'en', now() - interval '1 hour')",
            "DELETE FROM outbox",
        ),
        "",
    ),
    "mail comes back from filters": (
        sql(
            "INSERT INTO incoming_mail_count (day, kind, number) VALUES (current_date, 'relay', 3)",
            "DELETE FROM incoming_mail_count",
        ),
        "",
    ),
    "the last backup is old": (
        sql(
            "UPDATE installation SET backed_up_at = now() - interval '9 days'",
            "UPDATE installation SET backed_up_at = NULL",
        ),
        "",
    ),
    "the disk is nearly full": (setting(), "disk"),
    "DATA_DIR is open to others": (wide_folder, ""),
    "DATA_DIR cannot be written to": (setting(DATA_DIR="/proc/self"), ""),
    "too few open files": (setting(), "files"),
    "a relay's name is unknown": (setting(SMTP_URLS="smtps://relay.invalid"), ""),
    "a relay does not listen": (setting(SMTP_URLS="smtp://127.0.0.1:1"), ""),
    "a relay has no STARTTLS": (no_starttls, ""),
    "a relay speaks no TLS on this port": (no_tls, ""),
    "a relay takes no password": (no_auth, ""),
    "a relay's certificate ends": (expired, ""),
    "a relay refuses our sender": (refuses_sender, "mail"),
    "mail is not signed": (setting(DKIM_PRIVATE_KEY=""), ""),
    "the DKIM record is missing": (record("petition._domainkey.letters.example", "TXT"), ""),
    "the DKIM record is of another key": (
        record(
            "petition._domainkey.letters.example",
            "TXT",
            dkim_keys.txt_strings(dkim_keys.read(dkim_keys.new_pair())[0].record),
        ),
        "",
    ),
    "SPF is missing": (record("letters.example", "TXT"), ""),
    "DMARC is missing": (record("_dmarc.letters.example", "TXT"), ""),
    "this machine has no reverse name": (record("1.2.0.192.in-addr.arpa", "PTR"), ""),
    "letters by mail have no MX": (setting(MAIL_IN="in.letters.example"), ""),
    "the keeper is away": (setting(KEEPER_URL="http://127.0.0.1:1", KEEPER_TOKEN="t" * 32), ""),
    "the keeper's certificate has expired": (keeper_with_an_old_certificate, ""),
    "mirrors cannot be written": (setting(MIRROR_DIR="/proc/self/mirrors"), ""),
}


def table() -> dict[str, str]:
    """Return the handbook's list: what is wrong, and what the line says, with "…" for what differs."""
    part = HANDBOOK.partition("### What `petition check` finds")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| ([^|`]+?) \| `(.+)` \|$", part, re.MULTILINE))


def test_the_handbook_lists_each_trouble() -> None:
    assert table().keys() == TROUBLES.keys()
    assert len(TROUBLES) >= 30
    for line in table().values():
        assert re.search(r"[;:,] ", line), "it has no cure"


@asynccontextmanager
async def an_installation(tmp_path: Path, server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Well]:
    """Run everything that `petition check` looks at, in public: a real server that waits for its disk, DNS, a relay."""
    office = PostOffice()
    with postgres.running(server_folder) as url:
        await database.migrate(url)
        environ = {
            "DATABASE_URL": url,
            "BASE_URL": "https://letters.example",
            "CONTROLLER": "A society <us@letters.example>",
            "SECRET_KEY": KEY,
            "CONTACT_PUBLIC_KEY": PUBLIC_KEY,
            "CONTACT_PRIVATE_KEY": PRIVATE_KEY,
            "TRUSTED_PROXIES": "127.0.0.1",
            "MAIL_FROM": "Letters <post@letters.example>",
            "BOUNCE_DOMAIN": "b.letters.example",
            "DKIM_PRIVATE_KEY": PAIR,
            "DATA_DIR": str(tmp_path),
        }
        conn = await connect(url)
        async with answering({**GOOD, **REVERSE}) as server, database.opened(url, max_size=2) as pool:
            await office.open()
            environ |= {"MX_RESOLVER": f"127.0.0.1:{server.port}", "SMTP_URLS": office.url}
            await have_published(load(environ, role=Process.WEB), pool)
            async with pool.transaction() as transaction:
                await Suppression(Wrapper((KEY,)), KeeperClient(None)).digest(transaction, "vera@letters.example")
            monkeypatch.setattr(check_machine, "MIN_ROOM", 1)  # how full this machine is
            try:
                yield Well(environ, conn, server, office, tmp_path)
            finally:
                await conn.close()
                await office.close()


async def check(well: Well, more: Mapping[str, str], special: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    environ = {name: value for name, value in (well.environ | dict(more)).items() if value or name not in more}
    if more.get("DATABASE_URL") == "other-database":
        environ["DATABASE_URL"] = well.environ["DATABASE_URL"].replace("/petition?", "/missing?")
    if special == "files":  # a limit of a process of its own: an account other than root cannot raise it again
        limited = f'ulimit -n 200; exec "{sys.executable}" -m petition check'
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            limited,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE.parent), **environ},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()
    with monkeypatch.context() as patch:
        if special == "disk":
            patch.setattr(check_machine, "MIN_ROOM", 1 << 60)
        if special == "clock":
            patch.setattr("petition.cli.check_database.now", lambda: YESTERDAY)
        return await run("check --mail us@letters.example" if special == "mail" else "check", environ)


async def test_each_trouble_is_named_with_its_cure(
    tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = dict[str, str]()
    async with an_installation(tmp_path, open_folder, monkeypatch) as well:
        worker = {name: value for name, value in well.environ.items() if name not in {"SMTP_URLS", "MAIL_FROM"}}
        async with working(worker, Inbox()):
            while not await well.conn.fetchval("SELECT count(*) FROM mail_worker"):
                await asyncio.sleep(0.02)
            code, output = await check(well, {}, "", monkeypatch)
        assert (code, [line for line in output.splitlines() if not line.startswith("keeper: ")]) == (0, ["all is well"])
        await well.conn.execute("INSERT INTO mail_worker (id, seen_at) VALUES (1, now() + interval '1 hour')")
        for trouble, line in table().items():
            plant, special = TROUBLES[trouble]
            async with well.clean_up:
                code, output = await check(well, await plant(well), special, monkeypatch)
            well.clean_up = contextlib.AsyncExitStack()
            pattern = ".*".join(re.escape(part) for part in line.split("…"))
            if code != 1 or not re.search(pattern, output.replace("`", "")) or "all is well" in output:
                wrong[trouble] = f"{code}: {output}"
        code, output = await check(well, {}, "", monkeypatch)
        assert output.splitlines()[-1] == "all is well", output
    assert wrong == {}, "\n".join(f"{trouble}: {said}" for trouble, said in wrong.items())
