"""``petition burn``: a letter's keys and its signatories' addresses go at once; count and public names stay."""

import os
import subprocess
import sys

import pytest

from petition.core.errors import Gone, PetitionError
from petition.letters import burning, taking_down
from petition.signatures import burnt_names
from tests.rows import rows_of
from tests.running import SLUG, Installation, link_in
from tests.signatures.test_sealed_names import opener_of, seal, sign


def petition(site: Installation, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "petition", *arguments]
    environ = {"PATH": os.environ["PATH"], **site.environ}
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL
    )


async def test_what_goes_and_what_stays(site_with_worker: Installation) -> None:
    site = site_with_worker
    links = {}
    for visibility, name in (("public", "Vera Public"), ("organizers", "Oleg Inside"), ("counted", "")):
        await site.sign(email=f"{visibility}@letters.example", visibility=visibility, name=name, updates="yes")
        links[visibility] = link_in(await site.mail_to(f"{visibility}@letters.example"))
        assert (await site.client.post(links[visibility])).status_code == 303
    await site.sign(email="waits@letters.example")
    waits = link_in(await site.mail_to("waits@letters.example"))
    before = await site.count()
    burnt = petition(site, "burn", SLUG)
    assert burnt.returncode == 0, burnt.stderr
    assert "count and public names stay" in burnt.stdout
    assert await site.count() == before
    for table in ("contact", "pending", "outbox"):
        assert await rows_of(site.database, f"SELECT 1 FROM {table}") == [], table
    keys = await rows_of(site.database, "SELECT wrapped_digest_key, wrapped_name_key, state FROM letter")
    assert keys == [{"wrapped_digest_key": None, "wrapped_name_key": None, "state": "closed"}]
    page = await site.page_when(f"/en/{SLUG}/signatories?kind=person", lambda page: "Vera Public" in page)
    assert "Oleg Inside" not in page
    assert (await site.client.post(waits)).status_code in {404, 410}
    own = await site.client.get(links["organizers"].replace("/confirm/", "/signature/"))
    assert own.status_code in {200, 410}
    assert "Oleg Inside" not in own.text
    assert petition(site, "burn", SLUG).returncode == 0, "a second time is harmless"
    reopened = petition(site, "letter", "reopen", SLUG)
    assert reopened.returncode == 1, "without its key the same mailbox could sign twice"


async def test_what_is_refused(site_with_worker: Installation) -> None:
    site = site_with_worker
    unknown = petition(site, "burn", "no-such-letter")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("UPDATE letter SET state = 'draft' RETURNING id")
    with pytest.raises(PetitionError, match="draft"):
        async with site.database.transaction() as conn:
            await burning.burn(conn, None, letter)
    async with site.database.transaction() as conn:
        await taking_down.take_down(conn, None, letter, SLUG)
    with pytest.raises(Gone):
        async with site.database.transaction() as conn:
            await burning.burn(conn, None, letter)


async def _sealed_letter(site: Installation) -> None:
    """Have four people and an organization sign whose names wait for the hundredth signature."""
    await seal(site, 100)
    for visibility in ("public", "organizers", "public"):
        await sign(site, f"{visibility}@letters.example", name="Vera Quill", visibility=visibility, country="Sweden")
    await sign(site, "anna@northpier.example", kind="organization", name="Anna Quill", position="Chair")


async def test_names_that_wait_and_lists_of_addresses_go_too(site: Installation) -> None:
    await _sealed_letter(site)
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter")
        organizer = await conn.fetchval(
            "INSERT INTO organizer (name, lang, digest, sealed) VALUES ('', 'en', '\\x00', '\\x00') RETURNING id"
        )
        columns = "(letter, organizer, recipient, usable_at)"
        key = f"INSERT INTO address_key {columns} VALUES ($1, $2, 'age1' || repeat('q', 58), now()) RETURNING id"
        job = "INSERT INTO address_job (letter, key, organizer, state) VALUES ($1, $2, $3, 'done') RETURNING id"
        key_id = await conn.fetchval(key, letter, organizer)
        job_id = await conn.fetchval(job, letter, key_id, organizer)
        await conn.execute(
            "INSERT INTO address_part (letter, job, part, bytes) VALUES ($1, $2, 0, 'x')", letter, job_id
        )
    before = await site.count()
    assert petition(site, "burn", SLUG).returncode == 0
    assert await rows_of(site.database, "SELECT 1 FROM signature WHERE sealed IS NOT NULL") == []
    assert await rows_of(site.database, "SELECT 1 FROM address_part") == []
    assert await rows_of(site.database, "SELECT 1 FROM address_job") == []
    after = await site.count()
    assert after == before | {"hidden": before["people"]}


async def test_the_worker_erases_what_a_crash_left_and_opens_nothing(site: Installation) -> None:
    await _sealed_letter(site)
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter")
        await burning.burn(conn, None, letter)
        await conn.execute("UPDATE letter SET names_due_at = now()")
    opener = opener_of(site)
    while await opener.step():
        pass
    named = "SELECT 1 FROM signature WHERE sealed IS NOT NULL OR name IS NOT NULL"
    assert await rows_of(site.database, named) == []
    assert await burnt_names.erase(site.database, letter) == 0
    (counts,) = await rows_of(site.database, "SELECT people, hidden FROM count")
    assert counts["people"] == counts["hidden"]
