"""Switching to the keeper: what was stored before is recognized afterwards, and what was undone comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest

from petition.core import email_addresses
from petition.core.database import Database, opened
from petition.core.encryption import LetterKeys, Sealer, Wrapper
from petition.core.errors import SettingsError, Unavailable
from petition.core.ids import LetterId
from petition.core.keeper import NOT_SET, WRONG_KEEPER, KeeperClient, KeeperPurpose
from petition.core.settings import Process, load
from petition.core.tokens import Tokens
from petition.demo.inbox import Mail
from petition.imports import file_adding, undoing
from petition.imports.adding import ImportReport
from petition.imports.row_reading import Target
from petition.keeper import adoption
from petition.keeper.adoption import NOT_ADOPTED
from petition.letters.keys import keys_for
from petition.mail.suppression import Suppression
from petition.organizers.desk_key import DeskKey
from tests import rows
from tests.keeper import keepers
from tests.keeper.test_attacker import site_on
from tests.organizers import door, people
from tests.pages import assert_redirect
from tests.rows import rows_of
from tests.running import KEY, SLUG, Installation, environment, link_in, working

WRAPPER = Wrapper([KEY])
ORGANIZER = email_addresses.parse("organizer@letters.example")
VERA, BARRED, LISTED, NEVER = (f"{name}@letters.example" for name in ("vera", "barred", "listed", "never"))
LIST = f"name,email\nListed Person,{LISTED}\nOther Person,other@letters.example\n"


async def import_list(database: Database, client: KeeperClient, text: str = LIST) -> ImportReport:
    async with database.transaction() as conn:
        letter = await rows.letter(conn)
        target = Target(letter.id, letter.keys, letter.rules_version)
        return (await file_adding.add_rows(conn, target, BytesIO(text.encode()), keeper=client)).report


async def keys(database: Database) -> LetterKeys:
    async with database.connection() as conn:
        return await keys_for(conn, LetterId(1), WRAPPER)


async def sign(site: Installation, email: str) -> Mail:
    """Sign, and return the mail about it."""
    newest = site.inbox.newest
    async with asyncio.timeout(60):
        while (answer := await site.sign(email=email)).status_code == 503:
            await asyncio.sleep(0.1)  # the web has not yet seen that the letter was switched
    assert_redirect(answer, f"/en/{SLUG}/check-your-inbox")
    async with asyncio.timeout(60):
        while (mail := await site.mail_to(email)).number <= newest:
            await asyncio.sleep(0.05)
    return mail


async def test_what_was_stored_before_is_recognized(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with (
        keepers.a_keeper() as keeper,
        site_on(database_url, tmp_path, **keeper.settings) as (site, client),
        working(site.environ, site.inbox),
    ):
        await site.client.post(link_in(await sign(site, VERA)))
        waiting = link_in(await sign(site, "waiting@letters.example"))
        assert (await import_list(site.database, client)).people == 2
        async with site.database.transaction() as conn:
            letter = await rows.letter(conn)
            bar = await client.digest(letter.keys, BARRED, KeeperPurpose.SIGN)
            await conn.execute("INSERT INTO bar VALUES ($1, $2)", letter.id, bar)
            suppression = Suppression(WRAPPER, client)
            link = Tokens([KEY]).for_never(await suppression.digest(conn, NEVER))
            owner = await DeskKey(WRAPPER, client).of_mailbox(conn, ORGANIZER)
            await conn.execute("INSERT INTO organizer (digest, sealed, lang, name) VALUES ($1, '', 'en', '')", owner)
        stopped = await site.client.post(f"/en/never/{link}", data={"action": "stop"})
        assert_redirect(stopped, f"/en/never/{link}?done=1")
        before = await site.count()

        assert await adoption.adopt(site.database, client, WRAPPER) == 1
        assert await adoption.adopt(site.database, client, WRAPPER) == 0

        assert (await keys(site.database)).is_kept
        own = link_in(await sign(site, VERA))
        assert "/signature/" in own  # "you have signed already"
        assert_redirect(await site.client.post(waiting), f"/en/{SLUG}/signed")
        assert (await import_list(site.database, client)).people == 0
        barred = await sign(site, BARRED)
        assert "cannot sign the letter again" in (barred.body("plain") or "")
        assert (await site.count())["people"] == before["people"] + 1
        page = (await site.client.get(f"/en/never/{link}")).text
        assert "We do not write to you" in page
        async with site.database.transaction() as conn:
            organizer = await DeskKey(WRAPPER, client).of_mailbox(conn, ORGANIZER)
            assert await conn.fetchval("SELECT count(*) FROM organizer WHERE digest = $1", organizer) == 1
            stored = await suppression.stored(conn, [await suppression.digest(conn, NEVER)])
            assert await conn.fetchval("SELECT count(*) FROM suppressed WHERE digest = $1", stored[0]) == 1


async def test_an_undone_import_comes_back_without_doubles(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with keepers.a_keeper() as keeper, site_on(database_url, tmp_path, **keeper.settings) as (site, client):
        assert (await import_list(site.database, client)).people == 2
        async with site.database.transaction() as conn:
            letter = await rows.letter(conn)
            number = await conn.fetchval("SELECT max(number) FROM intake WHERE letter = $1", letter.id)
            assert await undoing.take_back(conn, letter.id, letter.keys, number) == 2
        await adoption.adopt(site.database, client, WRAPPER)
        async with site.database.transaction() as conn:
            report = await undoing.bring_back(conn, letter.id, await keys_for(conn, letter.id, WRAPPER), number)
        assert report.people == 2
        kept = await client.digest(await keys(site.database), LISTED, KeeperPurpose.SIGN)
        (row,) = await rows_of(site.database, "SELECT count(*) AS n FROM signature WHERE digest = $1", kept)
        assert row["n"] == 1
        assert (await import_list(site.database, client)).people == 0


async def test_a_stopped_switch_goes_on(database_url: str, tmp_path: Path, with_letter: None) -> None:
    """The keeper goes away after what belongs to no letter: the letter stays as it was, and is switched later."""
    async with keepers.a_folder() as folder, opened(database_url) as database:
        keeper = keepers.RunningKeeper(folder)
        settings = load(environment(tmp_path, database_url, 8000, **keeper.settings), role=Process.WEB)
        async with database.transaction() as conn:
            letter = await rows.letter(conn)
            await rows.add_pending(conn, letter, [VERA])
        async with KeeperClient(settings.keeper, database) as client:
            async with keepers.running(keeper):
                await adoption._adopt_installation(database, client)
            before = await rows_of(database, "SELECT digest FROM pending")
            with pytest.raises(Unavailable):
                await adoption.adopt(database, client, WRAPPER)
            assert await rows_of(database, "SELECT digest FROM pending") == before
            assert not (await keys(database)).is_kept
            async with keepers.running(keeper):
                await asyncio.sleep(1)  # the client rests after a failure
                assert await adoption.adopt(database, client, WRAPPER) == 1
                digest = await client.digest(await keys(database), VERA, KeeperPurpose.SIGN)
        assert await rows_of(database, "SELECT digest FROM pending") == [{"digest": digest}]
        assert digest != before[0]["digest"]


@asynccontextmanager
async def adopted(url: str, folder: Path) -> AsyncIterator[tuple[Database, keepers.RunningKeeper]]:
    async with keepers.a_keeper() as keeper, opened(url) as database:
        settings = load(environment(folder, url, 8000, **keeper.settings), role=Process.WEB)
        await adoption.look(database, settings)
        yield database, keeper


async def test_another_keeper_is_refused_and_makes_no_digest(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with adopted(database_url, tmp_path) as (database, _), keepers.a_keeper(key="cd" * 32) as other:
        settings = load(environment(tmp_path, database_url, 8000, **other.settings), role=Process.WEB)
        with pytest.raises(SettingsError, match="another key"):
            await adoption.look(database, settings)
        async with KeeperClient(settings.keeper, database) as client, database.connection() as conn:
            with pytest.raises(Unavailable, match=WRONG_KEEPER):
                await client.digest(await keys(database), VERA, KeeperPurpose.SIGN)
            findings = [finding async for finding in adoption.findings(conn, settings)]
        assert len(findings) == 1
        assert WRONG_KEEPER in findings[0]


async def test_a_process_without_the_keeper_does_not_start_and_stores_nothing(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with adopted(database_url, tmp_path) as (database, _):
        settings = load(environment(tmp_path, database_url, 8000), role=Process.WEB)
        with pytest.raises(SettingsError, match="set KEEPER_URL"):
            await adoption.look(database, settings)
        async with database.connection() as conn:
            assert [finding async for finding in adoption.findings(conn, settings)] == [NOT_SET]
            with pytest.raises(Unavailable):
                await DeskKey(WRAPPER).of_mailbox(conn, email_addresses.parse(VERA))
        with pytest.raises(Unavailable):
            await KeeperClient(None).digest(await keys(database), VERA, KeeperPurpose.SIGN)


async def test_check_says_what_is_wrong(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with keepers.a_keeper() as keeper, opened(database_url) as database:
        async with database.transaction() as conn:
            await rows.add_pending(conn, await rows.letter(conn), [VERA])
        right = load(environment(tmp_path, database_url, 8000, **keeper.settings), role=Process.WEB)
        wrong = keeper.settings | {"KEEPER_TOKEN": "x" * 40}
        refused = load(environment(tmp_path, database_url, 8000, **wrong), role=Process.WEB)
        async with database.connection() as conn:
            assert [finding async for finding in adoption.findings(conn, right)] == [NOT_ADOPTED]
            (finding,) = [finding async for finding in adoption.findings(conn, refused)]
        assert "refuses KEEPER_TOKEN" in finding
        with pytest.raises(SettingsError, match="refuses KEEPER_TOKEN"):
            await adoption.look(database, refused)
        await adoption.look(database, right)  # there are digests: nothing is switched by itself
        assert not (await keys(database)).is_kept
        async with KeeperClient(right.keeper, database) as client:
            await adoption.adopt(database, client, WRAPPER)
        async with database.connection() as conn:
            assert [finding async for finding in adoption.findings(conn, right)] == []
    async with opened(database_url) as database, database.connection() as conn:
        (finding,) = [finding async for finding in adoption.findings(conn, right)]
    assert "cannot be reached" in finding


async def test_organizers_sign_in_after_the_switch(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with (
        keepers.a_keeper() as keeper,
        site_on(database_url, tmp_path, **keeper.settings) as (site, client),
        working(site.environ, site.inbox),
    ):
        async with site.database.transaction() as conn:
            digest = await DeskKey(WRAPPER, client).of_mailbox(conn, ORGANIZER)
            sealed = Sealer(site.settings.contact_public_key).seal(ORGANIZER.address)
            statement = "INSERT INTO organizer (digest, sealed, lang, name) VALUES ($1, $2, 'en', '')"
            await conn.execute(statement, digest, sealed)
        await adoption.adopt(site.database, client, WRAPPER)
        async with people.stranger(site) as stranger:
            await door.ask(site, stranger, ORGANIZER.address)
            (link,) = await door.mailed_links(site, ORGANIZER.address)
            assert (await stranger.post(link)).status_code == 303
