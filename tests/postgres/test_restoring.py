"""The restore drill of the handbook: ``petition backup`` and ``restore``; an old link confirms in what they bring."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition import postgres
from petition.cli import check_database
from petition.core.database import connect
from petition.postgres import clients
from tests.commands import run
from tests.conftest import fresh_database
from tests.running import SLUG, Installation, installation, link_in, working

if TYPE_CHECKING:
    from tests.conftest import Conn

NAME = re.compile(r"petition-\d{8}T\d{6}Z\.dump")


async def two_links(site: Installation) -> list[str]:
    """Have two people sign; return their links."""
    async with working(site.environ, site.inbox):
        for name in ("vera", "boris"):
            assert (await site.sign(email=f"{name}@letters.example")).status_code == 303
        return [link_in(await site.mail_to(f"{name}@letters.example")) for name in ("vera", "boris")]


async def restored_into(url: str, environ: dict[str, str], path: Path, **more: str) -> tuple[int, str]:
    return await run(f"restore {path}", environ | {"DATABASE_URL": url} | more)


@pytest.fixture
async def empty(cluster: str, admin: "Conn") -> AsyncIterator[str]:
    async with fresh_database(cluster, admin, "template0") as url:
        yield url


@pytest.mark.parametrize("is_migrated", [False, True])
async def test_into_an_embedded_server(
    cluster: str, admin: "Conn", published: str, tmp_path: Path, open_folder: Path, is_migrated: bool
) -> None:
    folder = tmp_path / "backups"
    async with fresh_database(cluster, admin, published) as url, installation(url, tmp_path) as site:
        links = await two_links(site)
        assert (await site.client.post(links[0])).status_code == 303
        code, text = await run(f"backup {folder}", site.environ)
        assert (code, "read through once" in text, "secrets are not in it" in text) == (0, True, True)
    (dump,) = folder.iterdir()
    assert NAME.fullmatch(dump.name)
    assert (folder.stat().st_mode & 0o077, dump.stat().st_mode & 0o077) == (0, 0)
    with postgres.running(open_folder) as restored:
        if is_migrated:  # as petition serve leaves it
            assert (await run("migrate", site.environ | {"DATABASE_URL": restored}))[0] == 0
        code, text = await restored_into(restored, site.environ, folder)
        assert (code, f"restored {dump.name}" in text) == (0, True), text
        async with installation(restored, tmp_path / "restored") as site:
            assert (await site.count())["people"] == 1
            assert (await site.client.post(links[1])).headers["location"].startswith(f"/en/{SLUG}/signed")
            assert (await site.count())["people"] == 2
            assert "Vera Novak" in (await site.client.get(f"/en/{SLUG}/signatories")).text
            found = [finding async for finding in check_database.findings_about(restored, site.settings, ours=True)]
            assert found == []


async def test_only_into_an_empty_database(site: Installation, tmp_path: Path) -> None:
    assert (await run(f"backup {tmp_path}", site.environ))[0] == 0
    assert (await site.sign()).status_code == 303
    code, text = await run(f"restore {tmp_path}", site.environ)
    assert (code, text) == (1, "petition: the database is not empty: a backup is restored into an empty one\n")
    async with site.database.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM pending") == 1


async def test_another_secret_is_told(site: Installation, empty: str, tmp_path: Path) -> None:
    assert (await run(f"backup {tmp_path / 'b'}", site.environ))[0] == 0
    code, text = await restored_into(empty, site.environ, tmp_path / "b", SECRET_KEY="f" * 64)
    assert (code, "everything is restored, but SECRET_KEY" in text) == (1, True), text


async def test_a_broken_dump_leaves_nothing(site: Installation, empty: str, tmp_path: Path) -> None:
    assert (await run(f"backup {tmp_path / 'b'}", site.environ))[0] == 0
    (dump,) = (tmp_path / "b").iterdir()
    whole = dump.read_bytes()
    dump.write_bytes(whole[: len(whole) * 9 // 10])
    code, text = await restored_into(empty, site.environ, dump)
    assert (code, text.startswith("petition: pg_restore: ")) == (1, True), text
    conn = await connect(empty)
    try:
        assert await conn.fetchval("SELECT to_regclass('letter')") is None
    finally:
        await conn.close()
    dump.write_bytes(whole)
    assert (await restored_into(empty, site.environ, dump))[0] == 0


async def test_older_ones_go_and_nothing_else(site: Installation, tmp_path: Path) -> None:
    for name in ("petition-20260101T000000Z.dump", "petition-20260102T000000Z.dump", "mine.dump"):
        (tmp_path / name).write_bytes(b"PGDMP")
    code, text = await run(f"backup {tmp_path} --keep 2", site.environ)
    assert (code, "1 older ones deleted" in text) == (0, True)
    names = sorted(path.name for path in tmp_path.glob("*.dump"))
    assert (names[:2], len(names)) == (["mine.dump", "petition-20260102T000000Z.dump"], 3)


async def test_a_database_that_is_away_leaves_no_file(site: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    code, text = await run(f"backup {folder}", site.environ | {"DATABASE_URL": "postgresql://p@127.0.0.1:1/x"})
    assert (code, text.startswith("petition: "), folder.exists()) == (1, True, False)


@pytest.mark.parametrize("content", [b"", b"age-encryption.org/v1\n", b"text"])
async def test_what_is_no_backup(site: Installation, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    said = "petition: this is no backup, and a takeout needs --identity\n"
    assert await run(f"restore {file}", site.environ) == (1, said)
    said = f"petition: {tmp_path} holds no backup: `petition backup` calls them petition-….dump\n"
    assert await run(f"restore {tmp_path}", site.environ) == (1, said)


def test_a_password_is_no_argument() -> None:
    url = "postgresql://petition:a%20b@127.0.0.1:5432/x?statement_cache_size=0&lock_timeout=5s&sslmode=disable"
    assert clients.libpq(url) == ("postgresql://petition@127.0.0.1:5432/x?sslmode=disable", {"PGPASSWORD": "a b"})
    assert clients.libpq("postgresql://p@/x?host=/run/pg&password=c") == (
        "postgresql://p@/x?host=%2Frun%2Fpg",
        {"PGPASSWORD": "c"},
    )
