"""Everything goes into one encrypted file and comes back elsewhere: counts, names, links in mails, settings."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import ANY

import httpx2
import pyrage
import pytest

from petition import postgres
from petition.cli import check_database
from petition.core import partitions
from petition.core.database import connect, opened
from petition.core.settings import Process, load
from petition.takeouts import queries
from tests.commands import run
from tests.conftest import fresh_database
from tests.organizers import people
from tests.running import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    SLUG,
    Installation,
    environment,
    free_port,
    installation,
    link_in,
    serving,
)

if TYPE_CHECKING:
    from tests.conftest import Conn

GOES_ON = {"statistics_hour", "statistics_total", "outbox", "decryption", "mail_worker", "relay", "relay_hour"} | {
    "installation",  # notes that it was backed up
}
NAMES = {"public": "Vera Public", "organizers": "Oleg Inside"}


@pytest.fixture
def identity(tmp_path: Path) -> tuple[str, Path]:
    """Give a public key and the file of its secret one, as age-keygen writes it."""
    key = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.write_text(f"# created: 2026-11-30\n# public key: {key.to_public()}\n{key}\n")
    return str(key.to_public()), path


@pytest.fixture(params=["another version", "the same version"])
def elsewhere(request: pytest.FixtureRequest, open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the URL of an empty database of another server, where there is one of another version."""
    system = shutil.which("postgres")
    if request.param == "another version":
        if system is None:
            pytest.skip("there is one PostgreSQL only")
        monkeypatch.setenv("PETITION_POSTGRES_BIN", str(Path(system).resolve().parent))
    with postgres.running(open_folder, fast=True) as url:
        yield url


@pytest.fixture
async def site(site_with_worker: Installation) -> Installation:
    """Give an installation with signatures of each kind, one that waits, and an organizer."""
    for visibility in ("public", "organizers", "counted"):
        await site_with_worker.sign(
            email=f"{visibility}@letters.example", visibility=visibility, name=NAMES.get(visibility, ""), updates="yes"
        )
        link = link_in(await site_with_worker.mail_to(f"{visibility}@letters.example"))
        assert (await site_with_worker.client.post(link)).status_code == 303
    await site_with_worker.sign(email="waits@letters.example", name="Nina Waits")
    await site_with_worker.mail_to("waits@letters.example")
    await people.add(site_with_worker, "owner@letters.example")
    return site_with_worker


def petition(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "petition", *arguments]
    return subprocess.run(
        command, env={"PATH": os.environ["PATH"], **environ}, capture_output=True, text=True, timeout=300, check=False
    )


def take(site: Installation, file: Path, recipient: str, *more: str) -> "subprocess.CompletedProcess[str]":
    environ = site.environ | {"CONTACT_PRIVATE_KEY": PRIVATE_KEY}
    return petition(environ, "takeout", str(file), "--recipient", recipient, *more)


def take_from(rows: io.BytesIO) -> queries.Sink:
    async def take(data: bytes) -> None:
        rows.write(data)

    return take


async def contents(url: str) -> dict[str, list[bytes]]:
    """Return the rows of every table, sorted."""
    conn = await connect(url)
    found: dict[str, list[bytes]] = {}
    try:
        for table, columns in (await queries.tables(conn)).items():
            rows = io.BytesIO()
            await queries.copy_out(conn, table, columns, take_from(rows))
            found[table] = sorted(rows.getvalue().splitlines())
    finally:
        await conn.close()
    return found


async def test_the_same_elsewhere(
    site: Installation, identity: tuple[str, Path], elsewhere: str, tmp_path: Path
) -> None:
    waits = link_in(await site.mail_to("waits@letters.example"))
    own = link_in(await site.mail_to("organizers@letters.example"))
    file = tmp_path / "all.age"
    taken = take(site, file, identity[0])
    assert taken.returncode == 0, taken.stderr
    before, count = await contents(site.settings.database_url or ""), await site.count()
    # The other machine knows its database, and nothing else.
    other = {"DATABASE_URL": elsewhere, "DATA_DIR": str(tmp_path / "other"), "BASE_URL": "https://letters.example"}
    restored = petition(other, "restore", str(file), "--identity", str(identity[1]))
    assert restored.returncode == 0, restored.stderr
    after = await contents(elsewhere)
    still = {name for name in before if before[name] == after[name]}
    assert {"letter", "signature", "pending", "contact", "organizer", "count", "log", "version"} <= still
    # The worker goes on while the takeout is compared.
    assert before.keys() - still <= GOES_ON
    lines = dict(line.split("=", 1) for line in (tmp_path / "other" / "restored-secrets.env").read_text().splitlines())
    assert lines["CONTACT_PUBLIC_KEY"] == PUBLIC_KEY
    assert lines["CONTACT_PRIVATE_KEY"] == PRIVATE_KEY
    assert (tmp_path / "other" / "restored-secrets.env").stat().st_mode & 0o077 == 0
    await links_work(elsewhere, tmp_path / "third", lines["SECRET_KEY"], waits, own, count)


async def links_work(url: str, folder: Path, secret: str, waits: str, own: str, count: dict[str, int]) -> None:
    """See that the links mailed by the first installation confirm, and open one's own page, on the second."""
    environ = environment(folder, url, free_port()) | {"SECRET_KEY": secret}
    settings = load(environ, role=Process.WEB)
    async with (
        opened(url, max_size=4) as database,
        serving(settings) as app,
        httpx2.AsyncClient(base_url=settings.base_url, timeout=120) as client,
    ):
        second = Installation(environ, settings, database, client, app)
        assert await second.count() == count
        assert "Oleg Inside" in (await client.get(own.replace("/confirm/", "/signature/"))).text
        assert (await client.post(waits)).status_code == 303
        assert (await second.count())["people"] == count["people"] + 1
        # New rows get numbers that no restored row has.
        assert (await second.sign(email="new@letters.example")).status_code == 303


async def test_a_takeout_fits_both_layouts(
    site: Installation, identity: tuple[str, Path], cluster: str, admin: "Conn", tmp_path: Path
) -> None:
    """Plain tables are taken out and restored into partitions, and those into plain tables again."""
    first, second = tmp_path / "plain.age", tmp_path / "divided.age"
    own = site.environ | {"CONTACT_PRIVATE_KEY": PRIVATE_KEY}
    assert await run(f"takeout {first} --recipient {identity[0]}", own) == (0, ANY)
    before = await contents(site.settings.database_url or "")
    async with (
        fresh_database(cluster, admin, "template0") as divided,
        fresh_database(cluster, admin, "template0") as plain,
    ):
        there = f"--identity {identity[1]}"
        assert await run(f"restore {first} {there} --partitions 3", own | {"DATABASE_URL": divided}) == (0, ANY)
        taken = await run(f"takeout {second} --recipient {identity[0]}", own | {"DATABASE_URL": divided})
        assert taken == (0, ANY)
        assert await run(f"restore {second} {there}", own | {"DATABASE_URL": plain}) == (0, ANY)
        for url, number in ((divided, 3), (plain, 0)):
            after = await contents(url)
            assert {name for name in before if before[name] != after[name]} <= GOES_ON
            assert len(after["signature"]) == 3
            conn = await connect(url)
            assert await partitions.count_partitions(conn) == number
            assert not [finding async for finding in check_database._counts(conn)]
            await conn.close()


async def test_nothing_readable_is_in_the_file(site: Installation, identity: tuple[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "all.age"
    assert take(site, file, identity[0]).returncode == 0
    assert file.stat().st_mode & 0o077 == 0
    assert list(tmp_path.glob("*.part")) == []
    content = file.read_bytes()
    assert content.startswith(b"age-encryption.org/v1")
    for secret in (b"Vera Public", b"Oleg Inside", SLUG.encode(), PRIVATE_KEY.encode()):
        assert secret not in content
    plain = pyrage.decrypt(content, [pyrage.x25519.Identity.from_str(identity[1].read_text().split()[-1])])
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:gz") as tar:
        rows = b"".join(tar.extractfile(member).read() for member in tar if member.name.startswith("tables/"))  # type: ignore[union-attr]
    # What the database has in the clear, and nothing that it does not.
    assert b"Vera Public" in rows
    for kept in (b"Oleg Inside", b"waits@letters.example", b"public@letters.example", b"Nina Waits"):
        assert kept not in rows


async def test_a_takeout_without_secrets_needs_them(
    site: Installation, identity: tuple[str, Path], database_url: str, cluster: str, admin: "Conn", tmp_path: Path
) -> None:
    file = tmp_path / "all.age"
    assert take(site, file, identity[0], "--without-secrets").returncode == 0
    async with empty_database(cluster, admin) as url:
        other = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path / "other"), "BASE_URL": "https://letters.example"}
        refused = petition(other, "restore", str(file), "--identity", str(identity[1]))
        assert refused.returncode == 1
        assert "SECRET_KEY" in refused.stderr
        wrong = other | {"SECRET_KEY": "x" * 40, "CONTACT_PUBLIC_KEY": PUBLIC_KEY}
        refused = petition(wrong, "restore", str(file), "--identity", str(identity[1]))
        assert refused.returncode == 1
        assert "SECRET_KEY is not the one" in refused.stderr
        right = wrong | {"SECRET_KEY": site.environ["SECRET_KEY"]}
        restored = petition(right, "restore", str(file), "--identity", str(identity[1]))
        assert restored.returncode == 0, restored.stderr


async def test_what_is_refused(
    site: Installation, identity: tuple[str, Path], cluster: str, admin: "Conn", tmp_path: Path
) -> None:
    file = tmp_path / "all.age"
    assert "age1" in take(site, file, "age1nonsense").stderr
    assert not file.exists()
    assert take(site, file, identity[0]).returncode == 0
    again = take(site, file, identity[0])
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    full = petition(site.environ, "restore", str(file), "--identity", str(identity[1]))
    assert (full.returncode, "is not empty" in full.stderr) == (1, True)
    stranger = tmp_path / "stranger.txt"
    stranger.write_text(str(pyrage.x25519.Identity.generate()))
    async with empty_database(cluster, admin) as url:
        other = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path / "other"), "BASE_URL": "https://letters.example"}
        whole = file.read_bytes()
        for content, key in (
            (whole, stranger),
            (whole[: len(whole) // 2], identity[1]),
            (whole[:-40], identity[1]),
            (whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:], identity[1]),
            (b"nothing of the kind", identity[1]),
        ):
            (tmp_path / "other.age").write_bytes(content)
            refused = petition(other, "restore", str(tmp_path / "other.age"), "--identity", str(key))
            assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
            assert re.search("cannot be decrypted|is damaged|no takeout", refused.stderr)
        restored = petition(other, "restore", str(file), "--identity", str(identity[1]))
        assert restored.returncode == 0, f"after all that the database is still empty: {restored.stderr}"


def empty_database(cluster: str, admin: "Conn") -> AbstractAsyncContextManager[str]:
    return fresh_database(cluster, admin, "template0")


@pytest.fixture
async def site_alone(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Installation]:
    async with installation(database_url, tmp_path) as running:
        yield running


async def test_a_loopback_installation_gets_its_secrets_as_files(
    site_alone: Installation, identity: tuple[str, Path], cluster: str, admin: "Conn", tmp_path: Path
) -> None:
    file = tmp_path / "all.age"
    assert take(site_alone, file, identity[0]).returncode == 0
    async with empty_database(cluster, admin) as url:
        other = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path / "other")}
        restored = petition(other, "restore", str(file), "--identity", str(identity[1]))
        assert restored.returncode == 0, restored.stderr
        secrets = tmp_path / "other" / "secrets"
        assert (secrets / "secret_key").read_text().strip() == site_alone.environ["SECRET_KEY"]
        assert (secrets / "contact_private_key").read_text().strip() == PRIVATE_KEY
        assert petition(other, "signatures", "export", SLUG).returncode == 0
