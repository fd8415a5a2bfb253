"""Mails to owners and admins about what takes names or rights: who gets them, what they say, how many there are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx2
import pytest

from petition.core import i18n
from petition.core.ids import OrganizerId
from petition.core.outbox import DirectMailJob
from petition.core.templates import Renderer
from petition.organizers import act_notices
from petition.organizers.act_notices import NoticedAct
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

VERA, BORIS, ANNA = "vera@letters.example", "boris@letters.example", "anna@letters.example"
EXPORT = {"form": "csv", "c_name": "1", "back": "state=confirmed"}
OUTBOX = "SELECT letter, digest, lang, details FROM outbox WHERE purpose = 'desk_act' ORDER BY id"


@dataclass(frozen=True)
class Letter:
    """A letter with two owners and a viewer; Vera is an admin as well."""

    site: Installation
    vera: httpx2.AsyncClient
    ids: dict[str, OrganizerId]

    async def notices(self) -> list[tuple[str, set[str]]]:
        """Return (act, recipients) of what waits in the outbox."""
        rows = await rows_of(self.site.database, OUTBOX)
        digests = await rows_of(self.site.database, "SELECT id, digest FROM organizer")
        emails = {number: email for email, number in self.ids.items()}
        names = {row["digest"]: emails.get(row["id"], "?") for row in digests}
        acts: dict[str, set[str]] = {}
        for row in rows:
            acts.setdefault(row["details"]["act"], set()).add(names[row["digest"]])
        return list(acts.items())


async def letter_on(site: Installation, stack: AsyncExitStack) -> Letter:
    enter = stack.enter_async_context
    vera = await enter(people.at_desk(site, "owner", email=VERA, name="Vera <Novak>", admin=True))
    await enter(people.at_desk(site, "owner", email=BORIS, name="Борис", lang="ru"))
    await enter(people.at_desk(site, "viewer", email=ANNA, name="Anna Berg"))
    return Letter(site, vera, {email: (await people.add(site, email)).id for email in (VERA, BORIS, ANNA)})


@pytest.fixture
async def letter(site: Installation) -> AsyncIterator[Letter]:
    async with AsyncExitStack() as stack:
        yield await letter_on(site, stack)


async def send(one: Letter, path: str, /, **form: str) -> None:
    answer = await one.vera.post(f"/organizer/{path}", data=form)
    assert answer.status_code in {200, 303}, answer.text


async def test_an_export_is_mailed_to_all_owners_once_an_hour(letter: Letter) -> None:
    for file_format in ("csv", "xlsx", "json", "csv"):
        await send(letter, f"{SLUG}/export", **EXPORT | {"form": file_format})
    assert await letter.notices() == [("export", {VERA, BORIS})]
    assert len(await rows_of(letter.site.database, OUTBOX)) == 2


async def test_rights_are_mailed(letter: Letter) -> None:
    anna = str(letter.ids[ANNA])
    await send(letter, f"{SLUG}/members/invite", name="M", email="m@evil.example", role="owner")
    await send(letter, f"{SLUG}/members/invite", name="N", email="n@evil.example", role="editor")
    await send(letter, f"{SLUG}/members", organizer=anna, before="viewer", role="owner")
    await send(letter, f"{SLUG}/members", organizer=str(letter.ids[BORIS]), before="owner", act="remove")
    await send(letter, "installation/admin", organizer=anna, admin="yes")
    everyone = {VERA, BORIS, ANNA}
    assert await letter.notices() == [
        ("owner_invited", {VERA, BORIS}),
        ("owner_added", everyone),
        ("owner_removed", everyone),  # the removed one, too
        ("admin_added", {VERA, ANNA}),
    ]


async def test_a_lesser_role_is_not_mailed(letter: Letter) -> None:
    await send(letter, f"{SLUG}/members", organizer=str(letter.ids[ANNA]), before="viewer", role="editor")
    assert await letter.notices() == []


async def test_a_take_over_is_mailed(letter: Letter) -> None:
    async with letter.site.database.connection() as conn:
        await conn.execute("DELETE FROM member WHERE organizer = $1", letter.ids[VERA])
    await send(letter, "installation/own", letter=SLUG)
    assert await letter.notices() == [("take_over", {VERA, BORIS})]


async def test_names_shown_again_are_mailed(letter: Letter) -> None:
    await send(letter, f"{SLUG}/switches", name="hide_list", value="on", revision="0")
    assert await letter.notices() == []
    await send(letter, f"{SLUG}/switches", name="hide_list", act="undo", revision="1")
    assert await letter.notices() == [("names_shown", {VERA, BORIS})]


async def test_a_take_down_is_mailed_although_all_rows_of_the_letter_go(letter: Letter) -> None:
    await send(letter, f"{SLUG}/state/gone", slug=SLUG)
    assert await letter.notices() == [("take_down", {VERA, BORIS})]


async def test_the_mail_says_who_and_what_to_do(site_with_worker: Installation) -> None:
    async with AsyncExitStack() as stack:
        letter = await letter_on(site_with_worker, stack)
        await send(letter, f"{SLUG}/export", **EXPORT)
        async with asyncio.timeout(120):
            while len(list(site_with_worker.inbox)) < 2 or await rows_of(
                site_with_worker.database, "SELECT FROM outbox"
            ):
                await asyncio.sleep(0.02)
    mails = {mail.to[0]: mail for mail in site_with_worker.inbox}
    assert sorted(mails) == [BORIS, VERA]
    english, russian = (mails[email].body("plain") or "" for email in (VERA, BORIS))
    assert "Vera <Novak> has started to download the names" in english
    assert "Vera &lt;Novak&gt;" in (mails[VERA].body("html") or "")
    assert f"/organizer/{SLUG}/members" in russian
    assert "has started" not in russian
    for mail in mails.values():
        assert "Vera" not in mail.subject
        assert "/never/" not in (mail.body("plain") or "")


@pytest.mark.parametrize("act", NoticedAct)
@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_there_are_words_for_every_act(letter: Letter, act: NoticedAct, lang: str) -> None:
    async with letter.site.database.transaction() as conn:
        letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        await conn.execute("UPDATE organizer SET lang = $1", lang)
        await act_notices.notify(conn, act, letter.ids[VERA], letter_id, letter.ids[ANNA])
        await act_notices.notify(conn, act, None, letter_id)  # of the command line
        rows = await conn.fetch(OUTBOX)
        assert len(rows) == 3
        job = DirectMailJob(None, rows[0]["digest"], "en", rows[0]["details"])
        content = await act_notices.write_mail(conn, job)
    assert content is not None
    assert (content.lang, content.heeds_never) == (lang, False)
    assert {"actor": "Vera <Novak>", "subject": "Anna Berg"}.items() <= content.context.items()
    context = {
        **content.context,
        "lang": lang,
        "base_url": "https://letters.example",
        "about": content.letter and content.letter.about(lang),
        "names": content.names,
        "controller": "",
    }
    text = _renderer(letter.site).render("email/desk_act/body.txt", lang, **context)
    assert "Vera <Novak>" in text.split("\n\n")[0]
    assert "None" not in text


def _renderer(site: Installation) -> Renderer:
    return Renderer(i18n.load(site.settings.locales_dir), site.settings.base_url, None)
