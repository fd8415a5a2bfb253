"""The worker's mirrors: written when something changed or the count is old, removed with their letter."""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from petition.core import i18n
from petition.core.database import Database
from petition.core.encryption import Wrapper
from petition.core.settings import Process, Settings, load
from petition.core.templates import Renderer
from petition.count_log import reading, sequencing, witnesses
from petition.count_log.cosignatures import Cosigner
from petition.letters.published import PublishedLetters
from petition.mirrors import folders, keeping
from petition.mirrors.keeping import MirrorFolder
from petition.mirrors.making import MirrorMaker
from petition.mirrors.manifest import MANIFEST
from petition.mirrors.model import addresses_of
from tests import commands
from tests.running import KEY, SLUG, environment


@pytest.fixture
def environ(database_url: str, tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "data", database_url, 8000, MIRROR_DIR=str(tmp_path / "mirrors"))


@pytest.fixture
def mirrors(database: Database, environ: dict[str, str]) -> MirrorFolder:
    settings = load(environ, role=Process.WEB)
    return folder_of(database, settings)


def folder_of(database: Database, settings: Settings) -> MirrorFolder:
    wrapper = Wrapper(settings.secret_keys)
    renderer = Renderer(i18n.load(settings.locales_dir), settings.base_url, settings.controller)
    maker = MirrorMaker(database, wrapper, renderer, addresses_of(settings))
    assert settings.mirrors.folder is not None
    return MirrorFolder(maker, PublishedLetters(database, wrapper), settings.mirrors.folder, settings.mirrors.max_age)


def written(mirrors: MirrorFolder) -> tuple[int, int]:
    """Return what is another for a file that was written anew, also within one second."""
    status = (mirrors.folder / SLUG / MANIFEST).stat()
    return status.st_ino, status.st_mtime_ns


async def test_a_mirror_is_written_once_and_again_when_something_changed(
    mirrors: MirrorFolder, database: Database, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await mirrors.step()
    first = written(mirrors)
    assert SLUG.encode() in (mirrors.folder / "index.html").read_bytes()
    assert (await commands.run(f"mirror --verify {mirrors.folder / SLUG}", {}))[0] == 0
    monkeypatch.setattr(keeping, "SPACING", timedelta(0))
    await mirrors.step()
    await folder_of(database, load(environ, role=Process.WEB)).step()  # a worker that has started anew
    assert written(mirrors) == first
    async with database.transaction() as conn:
        await conn.execute("UPDATE count SET people = people + 1")
    await mirrors.step()
    assert written(mirrors) != first
    assert (await commands.run(f"mirror --verify {mirrors.folder / SLUG}", {}))[0] == 0


async def test_the_count_log_is_in_it_as_the_site_serves_it(mirrors: MirrorFolder, database: Database) -> None:
    wrapper = Wrapper([KEY])
    while await sequencing.step(database, wrapper, "http://localhost:8000"):
        pass
    async with database.connection() as conn:
        letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        log = await reading.head(conn, letter_id)
        assert log is not None
        files = {path: content async for path, content in reading.files(conn, log)}
    await mirrors.step()
    assert {path: (mirrors.folder / SLUG / "log" / path).read_bytes() for path in files} == files
    assert "checkpoint" in files
    assert (await commands.run(f"mirror --verify {mirrors.folder / SLUG}", {}))[0] == 0


async def test_a_mirror_follows_the_log_alone(
    mirrors: MirrorFolder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "SPACING", timedelta(0))
    wrapper = Wrapper([KEY])
    while await sequencing.step(database, wrapper, "http://localhost:8000"):
        pass
    async with database.transaction() as conn:
        letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        people = "INSERT INTO count_log_queue (letter, kind, subject, number, exit) VALUES ($1, 1, 7, 1, 0)"
        await conn.execute(people, letter_id)
        await conn.execute("UPDATE count SET people = people + 1 WHERE letter = $1", letter_id)
    await mirrors.step()
    first = written(mirrors)
    await mirrors.step()
    assert written(mirrors) == first
    checkpoint = mirrors.folder / SLUG / "log" / "checkpoint"
    before = checkpoint.read_text()
    while await sequencing.sequence(database, wrapper, "http://localhost:8000", letter_id, SLUG):
        pass
    await mirrors.step()
    assert written(mirrors) != first
    assert checkpoint.read_text() != before
    second = written(mirrors)
    async with database.transaction() as conn:
        log = await reading.head(conn, letter_id)
        assert log is not None
        partner = Cosigner("witness.example.org", b"1" * 32)
        await witnesses.add(conn, None, letter_id, "Harbour Watch", str(partner.key))
        text = log.checkpoint.partition("\n\n")[0] + "\n"
        await witnesses.take(conn, wrapper, log, log.checkpoint + partner.sign(text))
    await mirrors.step()
    assert written(mirrors) != second
    assert partner.key.signed_at(checkpoint.read_text()) is not None
    assert (await commands.run(f"mirror --verify {mirrors.folder / SLUG}", {}))[0] == 0


async def test_what_changes_often_is_written_once_in_a_while(mirrors: MirrorFolder, database: Database) -> None:
    await mirrors.step()
    first = written(mirrors)
    async with database.transaction() as conn:
        await conn.execute("UPDATE count SET people = people + 1")
    await mirrors.step()
    assert written(mirrors) == first


async def test_an_old_count_is_written_anew(mirrors: MirrorFolder) -> None:
    await mirrors.step()
    first = written(mirrors)
    mirrors.max_age = timedelta(0)
    await mirrors.step()
    assert written(mirrors) != first


async def test_the_desk_learns_when_it_was_written_and_why_it_was_not(
    mirrors: MirrorFolder, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mirrors.step()
    row = await record(database)
    assert (row["failed_at"], row["files"] > 15, row["bytes"] > 100_000) == (None, True, True)
    assert row["written_at"] is not None

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    first = written(mirrors)
    mirrors.max_age = timedelta(0)
    with monkeypatch.context() as patch:
        patch.setattr(folders, "_write", full)
        await mirrors.step()
    assert (await record(database))["problem"] == "No space left on device"
    assert written(mirrors) == first
    assert [path.name for path in mirrors.folder.iterdir() if path.name.startswith(folders.NEW)] == []


async def record(database: Database) -> Any:
    async with database.connection() as conn:
        return await conn.fetchrow("SELECT * FROM mirror")


async def test_a_letter_that_was_taken_down_has_no_mirror_any_more(
    mirrors: MirrorFolder, database: Database, environ: dict[str, str]
) -> None:
    await mirrors.step()
    shutil.copytree(mirrors.folder / SLUG, mirrors.folder / "another-place")  # no mirror of ours has this name
    (mirrors.folder / "own").mkdir()
    assert (await commands.run(f"letter take-down {SLUG} --really {SLUG}", environ))[0] == 0
    await mirrors.step()
    assert sorted(path.name for path in mirrors.folder.iterdir() if path.is_dir()) == ["another-place", "own"]
    assert SLUG.encode() not in (mirrors.folder / "index.html").read_bytes()


async def test_the_mirror_of_a_letter_behind_the_newest_ones_stays(
    mirrors: MirrorFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mirrors.step()
    monkeypatch.setattr(keeping, "MAX_LETTERS", 0)
    await mirrors.step()
    assert (mirrors.folder / SLUG / MANIFEST).is_file()


async def test_a_folder_without_an_exchange_of_names_is_replaced_as_well(
    mirrors: MirrorFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mirrors.step()
    first = written(mirrors)
    monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    mirrors.max_age = timedelta(0)
    await mirrors.step()
    assert written(mirrors) != first
    assert [path.name for path in mirrors.folder.iterdir() if path.name.startswith((folders.OLD, folders.NEW))] == []


async def test_any_account_may_read_a_mirror(mirrors: MirrorFolder) -> None:
    before = os.umask(0o077)
    try:
        await mirrors.step()
    finally:
        os.umask(before)
    for path in (mirrors.folder / SLUG).rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    assert (mirrors.folder / SLUG).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MIRROR_URLS", "ftp://mirror.example"),
        ("MIRROR_URLS", "https://mirror.example/?plain=1"),
        ("MIRROR_URLS", "https://user:secret@mirror.example"),
        ("MIRROR_URLS", ",".join(f"https://{number}.example" for number in range(9))),
        ("MIRROR_MAX_AGE", "0"),
    ],
)
async def test_wrong_settings_are_refused_at_start(environ: dict[str, str], name: str, value: str) -> None:
    code, said = await commands.run(f"mirror {SLUG} out", {**environ, name: value})
    assert (code, name in said, "secret" in said) == (1, True, False)


async def test_check_says_what_is_wrong_with_a_mirror(
    database: Database, environ: dict[str, str], mirrors: MirrorFolder
) -> None:
    await mirrors.step()
    with_mirror = {**environ, "MIRROR_URLS": "http://127.0.0.1:9/letters"}
    code, said = await commands.run("check", with_mirror)
    assert code == 1
    assert f"mirror: 127.0.0.1:9: {SLUG}: the server cannot be read" in said
