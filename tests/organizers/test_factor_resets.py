"""A colleague's lost second factor: asked for by an owner, mailed to all who can stop it, carried out a day later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx2
import pyotp
import pytest

from petition.core.ids import OrganizerId
from petition.core.outbox import DirectMailJob
from petition.letters import taking_down
from petition.organizers import accounts, factor_resets, members
from petition.organizers.model import Role
from tests.organizers import people
from tests.organizers.people import SECRET
from tests.rows import rows_of, somebody_waits
from tests.running import SLUG, Installation

HERE = f"/organizer/{SLUG}/members"
OTHER = "other-letter"
ANNA, VERA, BORIS = "anna@letters.example", "vera@letters.example", "boris@letters.example"
PENDING = "SELECT organizer, asked_by FROM factor_reset"
ACTS = "SELECT organizer, act, ids FROM log WHERE act LIKE 'factor.reset%' ORDER BY id"
FACTORS = """
SELECT (SELECT count(*) FROM totp WHERE organizer = $1) + (SELECT count(*) FROM passkey WHERE organizer = $1)
     + (SELECT count(*) FROM recovery_code WHERE organizer = $1) AS number
"""
ADD_REST = """
WITH p AS (INSERT INTO passkey (id, organizer, public_key, uses, browser) VALUES ('\\x01', $1, '\\x02', 0, 'Firefox'))
INSERT INTO recovery_code (organizer, digest) VALUES ($1, '\\x03')
"""
DUE = "UPDATE factor_reset SET due_at = now() - interval '1 second'"
STALE = "UPDATE session SET proved_at = now() - interval '16 minutes'"


@dataclass
class Letter:
    """Vera owns the letter, Anna moderates it and another one, which Boris owns."""

    site: Installation
    vera: httpx2.AsyncClient
    anna: httpx2.AsyncClient
    boris: httpx2.AsyncClient
    ids: dict[str, OrganizerId]

    async def ask(self, email: str = ANNA) -> httpx2.Response:
        return await self.vera.post(f"{HERE}/reset", data={"organizer": str(self.ids[email])})

    async def execute(self, statement: str, *arguments: object) -> None:
        async with self.site.database.connection() as conn:
            await conn.execute(statement, *arguments)

    async def rows(self, statement: str, *arguments: object) -> list[dict[str, object]]:
        return await rows_of(self.site.database, statement, *arguments)

    async def factors(self, email: str = ANNA) -> object:
        (row,) = await self.rows(FACTORS, self.ids[email])
        return row["number"]

    async def carry_out(self) -> int:
        await self.execute(DUE)
        return await factor_resets.carry_out_due(self.site.database)


async def letter_on(site: Installation, stack: AsyncExitStack) -> Letter:
    async with site.database.connection() as conn:
        await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ($1, 1)", OTHER)
    enter = stack.enter_async_context
    vera = await enter(people.at_desk(site, "owner", email=VERA, name="Vera <Novak>"))
    anna = await enter(people.at_desk(site, "moderator", email=ANNA, name="Anna Berg"))
    boris = await enter(people.at_desk(site, "owner", slug=OTHER, email=BORIS, name="Борис", lang="ru"))
    ids = {email: (await people.add(site, email)).id for email in (ANNA, VERA, BORIS)}
    await people.give_role(site, ids[ANNA], "viewer", OTHER)
    letter = Letter(site, vera, anna, boris, ids)
    await letter.execute(ADD_REST, ids[ANNA])
    return letter


@pytest.fixture
async def letter(site: Installation) -> AsyncIterator[Letter]:
    async with AsyncExitStack() as stack:
        yield await letter_on(site, stack)


async def test_all_owners_of_all_letters_and_the_colleague_are_mailed(site_with_worker: Installation) -> None:
    site = site_with_worker
    async with AsyncExitStack() as stack:
        letter = await letter_on(site, stack)
        await stack.enter_async_context(people.at_desk(site, "editor", email="editor@letters.example"))
        await stack.enter_async_context(people.at_desk(site, "owner", email="second@letters.example"))
        assert (await letter.ask()).headers["location"] == f"{HERE}?done=reset"
        async with asyncio.timeout(120):
            while len(list(site.inbox)) < 4 or await letter.rows("SELECT 1 FROM outbox"):
                await asyncio.sleep(0.02)
    mails = {mail.to[0]: mail for mail in site.inbox}
    assert sorted(mails) == [ANNA, BORIS, "second@letters.example", VERA]
    owners, own, russian = (mails[email].body("plain") or "" for email in (VERA, ANNA, BORIS))
    assert "Vera <Novak> says that Anna Berg has lost" in owners
    assert f"/organizer/{SLUG}/members" in owners
    assert "says that you have lost" in own
    assert "/organizer/security" in own
    assert f"/organizer/{OTHER}/members" in russian
    assert "Anna Berg" in russian
    assert "says" not in russian
    assert "Vera &lt;Novak&gt;" in (mails[VERA].body("html") or "")
    for mail in mails.values():
        assert "Anna" not in mail.subject
        assert "Vera" not in mail.subject
        for kind in ("plain", "html"):
            assert "None" not in (mail.body(kind) or "")
            assert "/never/" not in (mail.body(kind) or "")


async def test_it_is_displayed_where_it_can_be_stopped(letter: Letter) -> None:
    await letter.ask()
    for client, page in (
        (letter.vera, HERE),
        (letter.boris, f"/organizer/{OTHER}/members"),
        (letter.anna, "/organizer/security"),
        (letter.anna, "/organizer/second?again=1"),
    ):
        text = (await client.get(page)).text
        assert "Vera &lt;Novak&gt;" in text, page
        assert ("/reset" in text) is ("second" not in page)
    assert "Anna" in (await letter.vera.get(HERE)).text
    # Proving the factor leads the colleague to where it can be stopped.
    answer = await letter.anna.post("/organizer/second", data={"code": pyotp.TOTP(SECRET).now()})
    assert answer.headers["location"] == "/organizer/security"


async def test_some_are_refused(letter: Letter) -> None:
    site = letter.site
    admin, outside, without = [
        await people.add(site, f"{name}@letters.example", admin=name == "admin") for name in ("admin", "out", "without")
    ]
    for organizer in (admin, outside):
        await people.give_totp(site, organizer.id)
    for organizer in (admin, without):
        await people.give_role(site, organizer.id, "editor")
    letter.ids |= {"admin": admin.id, "out": outside.id, "without": without.id}
    for email, words in (
        ("admin", "petition organizer reset"),
        ("out", factor_resets.NO_MEMBER),
        ("without", factor_resets.NO_FACTOR),
        (VERA, factor_resets.OWN_FACTOR),
    ):
        answer = await letter.ask(email)
        assert (answer.status_code, words in answer.text) == (409, True), email
    assert await letter.rows(PENDING) == []
    assert (await letter.ask()).status_code == 303
    assert factor_resets.IS_PENDING in (await letter.ask()).text
    assert len(await letter.rows(PENDING)) == 1
    for junk in ("", "x", "0", "99999999999"):
        answer = await letter.vera.post(f"{HERE}/reset", data={"organizer": junk})
        assert answer.status_code in {400, 409}, junk


async def test_it_needs_the_owners_own_fresh_factor(letter: Letter) -> None:
    await letter.execute(STALE)
    assert (await letter.ask()).status_code == 401
    assert await letter.rows(PENDING) == []
    form = {"organizer": str(letter.ids[ANNA]), "factor-code": pyotp.TOTP(SECRET).now()}
    answer = await letter.vera.post(f"{HERE}/reset", data=form)
    assert answer.headers["location"] == f"{HERE}?done=reset"


async def test_any_of_these_owners_and_the_colleague_can_stop_it(letter: Letter) -> None:
    whom = {"organizer": str(letter.ids[ANNA])}
    stops = (
        (letter.vera, f"{HERE}/reset/stop"),
        (letter.boris, f"/organizer/{OTHER}/members/reset/stop"),
        (letter.anna, "/organizer/security/reset"),
    )
    for client, path in stops:
        await letter.ask()
        assert "done=stopped" in (await client.post(path, data=whom)).headers["location"]
        assert (await client.post(path, data=whom)).status_code == 409
        assert await letter.carry_out() == 0
    assert await letter.factors() == 3
    acts = [(row["organizer"], row["act"]) for row in await letter.rows(ACTS)]
    assert acts == [
        pair
        for email in (VERA, BORIS, ANNA)
        for pair in ((letter.ids[VERA], "factor.reset_ask"), (letter.ids[email], "factor.reset_stop"))
    ]


async def test_without_the_factor_the_colleague_cannot_stop_it(letter: Letter) -> None:
    await letter.ask()
    async with people.stranger(letter.site) as mailbox_only:
        cookie = await people.cookie(letter.site, letter.ids[ANNA], proved=False)
        mailbox_only.cookies.set("desk", cookie, domain="localhost.local", path="/organizer/")
        assert (await mailbox_only.post("/organizer/security/reset")).status_code == 401
        assert "Vera &lt;Novak&gt;" in (await mailbox_only.get("/organizer/second")).text
    assert len(await letter.rows(PENDING)) == 1


async def test_a_stopped_reset_is_not_mailed(letter: Letter) -> None:
    await letter.ask()
    jobs = await letter.rows("SELECT letter AS letter_id, digest, lang, details FROM outbox")
    assert len(jobs) == 3
    for is_mailed in (True, False):
        async with letter.site.database.connection() as conn:
            for job in jobs:
                content = await factor_resets.write_asked(conn, DirectMailJob(**job))  # type: ignore[arg-type]
                assert (content is not None) is is_mailed
        await letter.execute("DELETE FROM factor_reset")


async def test_several_workers_carry_it_out_once_and_not_before_its_time(letter: Letter) -> None:
    site = letter.site
    await letter.ask()
    assert await factor_resets.carry_out_due(site.database) == 0
    await letter.execute("UPDATE factor_reset SET due_at = due_at - interval '23 hours 50 minutes'")
    assert await factor_resets.carry_out_due(site.database) == 0
    assert (await letter.anna.get("/organizer/")).status_code == 200
    await letter.execute("DELETE FROM outbox")
    await letter.execute(DUE)
    assert sum(await asyncio.gather(*(factor_resets.carry_out_due(site.database) for _ in range(4)))) == 1
    assert await letter.factors() == 0
    assert await letter.factors(VERA) == 1
    assert await letter.rows(PENDING) == []
    assert (await letter.anna.get("/organizer/")).headers["location"] == "/organizer/enter"
    assert (await letter.vera.get(HERE)).status_code == 200
    done = [row for row in await letter.rows(ACTS) if row["act"] == "factor.reset"]
    assert done == [{"organizer": None, "act": "factor.reset", "ids": [letter.ids[ANNA]]}]
    (job,) = await letter.rows("SELECT letter AS letter_id, digest, lang, details FROM outbox")
    async with site.database.connection() as conn:
        content = await factor_resets.write_done(conn, DirectMailJob(**job))  # type: ignore[arg-type]
    assert content is not None
    assert "second factor of a colleague reset" in (await letter.vera.get(f"/organizer/{SLUG}/log")).text


@pytest.mark.parametrize("change", ["role", "asker", "colleague", "admin", "organizer", "gone", "command"])
async def test_it_does_not_happen_once_its_ground_is_gone(letter: Letter, change: str) -> None:
    site, vera, anna = letter.site, letter.ids[VERA], letter.ids[ANNA]
    other = await people.add(site, "second@letters.example")
    await people.give_role(site, other.id, "owner")
    await letter.ask()
    async with site.database.transaction() as conn:
        (row,) = await letter.rows("SELECT id FROM letter WHERE slug = $1", SLUG)
        letter_id = row["id"]
        match change:
            case "role":
                await members.change_role(conn, other.id, letter_id, vera, Role.OWNER, Role.EDITOR)  # type: ignore[arg-type]
            case "asker":
                await members.remove(conn, other.id, letter_id, vera, Role.OWNER)  # type: ignore[arg-type]
            case "colleague":
                await members.remove(conn, other.id, letter_id, anna, Role.MODERATOR)  # type: ignore[arg-type]
            case "admin":
                await members.set_admin(conn, other.id, anna, admin=True)
            case "gone":
                await taking_down.take_down(conn, None, letter_id, SLUG)  # type: ignore[arg-type]
            case "organizer":
                await conn.execute("UPDATE organizer SET admin = true WHERE id = $1", other.id)
                await members.remove_organizer(conn, other.id, vera)
    if change == "command":
        await accounts.reset(site.database, site.settings, ANNA)
        await people.give_totp(site, anna)
    else:
        assert await letter.factors() == 3
    if change != "gone":
        assert await letter.rows(PENDING) == []
    assert await letter.carry_out() == 0
    assert await letter.factors() == (1 if change == "command" else 3)


async def test_the_worker_checks_again_what_a_page_did_not_stop(letter: Letter) -> None:
    await letter.ask()
    await letter.execute("UPDATE member SET role = 'editor' WHERE organizer = $1", letter.ids[VERA])
    assert await letter.carry_out() == 0
    assert await letter.factors() == 3
    assert await letter.rows(PENDING) == []


async def test_a_worker_waits_for_the_change_of_a_role(letter: Letter) -> None:
    site = letter.site
    await letter.ask()
    await people.give_role(site, letter.ids[BORIS], "owner")
    await letter.execute(DUE)
    (row,) = await letter.rows("SELECT id FROM letter WHERE slug = $1", SLUG)
    async with site.database.connection() as watcher:
        async with site.database.transaction() as conn:
            await members.remove(conn, letter.ids[BORIS], row["id"], letter.ids[VERA], Role.OWNER)  # type: ignore[arg-type]
            working = asyncio.create_task(factor_resets.carry_out_due(site.database))
            await somebody_waits(watcher)
        assert await working == 0
    assert await letter.factors() == 3


async def test_asking_counts_against_the_limit_of_mail(letter: Letter) -> None:
    whom = {"organizer": str(letter.ids[ANNA])}
    for _ in range(letter.site.settings.limits.invitations):
        assert (await letter.ask()).status_code == 303
        await letter.vera.post(f"{HERE}/reset/stop", data=whom)
    assert (await letter.ask()).status_code == 429
    assert await letter.rows(PENDING) == []
