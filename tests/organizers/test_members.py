"""Members of a letter: inviting, changing, removing; there is always an owner."""

import asyncio
import re

import httpx2
import pytest

from petition.core.errors import Refused
from petition.core.ids import OrganizerId
from petition.core.outbox import DirectMailJob
from petition.organizers import invitations, members
from petition.organizers.model import Role
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

HERE = f"/organizer/{SLUG}/members"
TIMUR = "timur@letters.example"
INVITED = {"name": "Тимур", "email": TIMUR, "role": "moderator", "lang": "ru"}
MEMBERS = "SELECT organizer, role::text FROM member ORDER BY organizer"
ACTS = "SELECT act, before, after FROM log WHERE act LIKE 'member.%' ORDER BY id"


async def invite(client: httpx2.AsyncClient, **changes: str) -> httpx2.Response:
    return await client.post(f"{HERE}/invite", data=INVITED | changes)


async def link_to(site: Installation, email: str = TIMUR, count: int = 1) -> str:
    """Wait for invitation ``count``; return its link."""
    async with asyncio.timeout(120):
        while len(mails := [mail for mail in site.inbox if email in mail.to]) < count:
            await asyncio.sleep(0.02)
    found = re.search(r"/organizer/enter/[\w-]+", mails[0].body("plain") or "")
    assert found
    return found[0]


async def roles(site: Installation) -> dict[int, str]:
    return {row["organizer"]: row["role"] for row in await rows_of(site.database, MEMBERS)}


async def test_an_invitation_makes_an_organizer_and_a_member(site_with_worker: Installation) -> None:
    async with people.at_desk(site_with_worker, "owner") as client, people.stranger(site_with_worker) as timur:
        answer = await invite(client)
        assert answer.headers["location"] == f"{HERE}?done=invited"
        assert "Тимур" in (await client.get(HERE)).text
        link = await link_to(site_with_worker)
        shown = await timur.get(link)
        assert '<html lang="ru">' in shown.text
        assert len(await roles(site_with_worker)) == 1
        assert (await timur.post(link)).headers["location"] == "/organizer/second"
        assert sorted((await roles(site_with_worker)).values()) == ["moderator", "owner"]
        for method in ("GET", "POST"):
            assert (await timur.request(method, link)).status_code == 410
    rows = await rows_of(site_with_worker.database, "SELECT name, lang, admin FROM organizer ORDER BY id DESC LIMIT 1")
    assert rows == [{"name": "Тимур", "lang": "ru", "admin": False}]
    assert await rows_of(site_with_worker.database, "SELECT * FROM invitation") == []
    acts = await rows_of(site_with_worker.database, ACTS)
    assert [(act["act"], act["after"]) for act in acts] == [
        ("member.invite", "moderator"),
        ("member.join", "moderator"),
    ]


async def test_a_known_organizer_joins_under_the_name_they_have_and_loses_no_right(
    site_with_worker: Installation,
) -> None:
    known = await people.add(site_with_worker, TIMUR, name="Timur B.")
    async with people.at_desk(site_with_worker, "owner") as client, people.stranger(site_with_worker) as timur:
        await invite(client)
        link = await link_to(site_with_worker)
        await people.give_role(site_with_worker, known.id, "editor")
        await timur.post(link)
    assert (await roles(site_with_worker))[known.id] == "editor"
    assert {"name": "Timur B."} in await rows_of(site_with_worker.database, "SELECT name FROM organizer")


async def test_accepting_an_invitation_does_not_raise_a_members_role(site_with_worker: Installation) -> None:
    known = await people.add(site_with_worker, TIMUR, name="Timur B.")
    async with people.at_desk(site_with_worker, "owner") as client, people.stranger(site_with_worker) as timur:
        await invite(client, role="owner")
        link = await link_to(site_with_worker)
        await people.give_role(site_with_worker, known.id, "viewer")
        assert (await timur.post(link)).status_code == 303
    assert (await roles(site_with_worker))[known.id] == "viewer"
    acts = await rows_of(site_with_worker.database, ACTS)
    assert [act["act"] for act in acts] == ["member.invite"]


async def test_an_owner_learns_that_an_address_is_a_members_already(site: Installation) -> None:
    known = await people.add(site, TIMUR, name="Timur B.")
    await people.give_role(site, known.id, "editor")
    async with people.at_desk(site, "owner") as client:
        form = {"name": "Timur", "email": TIMUR, "role": "viewer", "lang": "en"}
        answer = await client.post(f"/organizer/{SLUG}/members/invite", data=form)
        assert answer.status_code == 422
        assert "This address is a member’s already." in answer.text
        assert await rows_of(site.database, "SELECT FROM invitation") == []


async def test_a_second_invitation_takes_the_place_of_the_first(site_with_worker: Installation) -> None:
    async with people.at_desk(site_with_worker, "owner") as client, people.stranger(site_with_worker) as timur:
        await invite(client)
        first = await link_to(site_with_worker)
        await invite(client, role="viewer", email="TIMUR@letters.example")
        second = await link_to(site_with_worker, "TIMUR@letters.example")
        assert (await timur.post(first)).status_code == 410
        assert (await timur.post(second)).status_code == 303
    assert sorted((await roles(site_with_worker)).values()) == ["owner", "viewer"]


async def test_an_invitation_can_be_taken_back_but_not_by_another_letters_owner(site_with_worker: Installation) -> None:
    async with people.at_desk(site_with_worker, "owner") as client, people.stranger(site_with_worker) as timur:
        await invite(client)
        link = await link_to(site_with_worker)
        (row,) = await rows_of(site_with_worker.database, "SELECT id FROM invitation")
        async with site_with_worker.database.connection() as conn:
            await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ('other', 1)")
        async with people.at_desk(site_with_worker, "owner", slug="other", email="o@letters.example") as other:
            answer = await other.post("/organizer/other/members/cancel", data={"invitation": str(row["id"])})
            assert answer.status_code == 303
        assert (await timur.get(link)).status_code == 200
        for _ in range(2):
            answer = await client.post(f"{HERE}/cancel", data={"invitation": str(row["id"])})
            assert answer.headers["location"] == f"{HERE}?done=cancelled"
        for method in ("GET", "POST"):
            assert (await timur.request(method, link)).status_code == 410


async def test_an_invitation_taken_back_before_the_worker_came_is_not_mailed(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        await invite(client)
        (job,) = await rows_of(site.database, "SELECT letter AS letter_id, digest, lang, details FROM outbox")
        async with site.database.connection() as conn:
            assert await invitations.write_mail(conn, DirectMailJob(**job)) is not None
            await conn.execute("DELETE FROM invitation")
            assert await invitations.write_mail(conn, DirectMailJob(**job)) is None


async def test_an_invitation_lasts_a_week(site_with_worker: Installation) -> None:
    async with people.at_desk(site_with_worker, "owner") as client, people.stranger(site_with_worker) as timur:
        await invite(client)
        link = await link_to(site_with_worker)
        async with site_with_worker.database.connection() as conn:
            await conn.execute("UPDATE invitation SET expires_at = now()")
        for method in ("GET", "POST"):
            assert (await timur.request(method, link)).status_code == 410
    assert len(await roles(site_with_worker)) == 1


@pytest.mark.parametrize(
    ("changes", "field"), [({"email": "no"}, "email"), ({"name": " "}, "name"), ({"role": "admin"}, "role")]
)
async def test_a_form_with_something_wrong_invites_nobody(
    site: Installation, changes: dict[str, str], field: str
) -> None:
    async with people.at_desk(site, "owner") as client:
        answer = await invite(client, **changes)
    assert answer.status_code == 422
    assert f'id="e-{field}"' in answer.text
    assert "Тимур" in answer.text or field == "name"
    assert await rows_of(site.database, "SELECT * FROM outbox") == []


async def test_who_wants_no_mail_from_here_is_not_invited_by_mail(site_with_worker: Installation) -> None:
    async with people.at_desk(site_with_worker, "owner") as client:
        await invite(client)
        link = re.search(r"/ru/never/\S+", (await site_with_worker.mail_to(TIMUR)).body("plain") or "")
        assert link
        assert (await site_with_worker.client.post(link[0])).status_code == 200
        await invite(client)
        async with asyncio.timeout(120):
            while await rows_of(site_with_worker.database, "SELECT * FROM outbox"):
                await asyncio.sleep(0.02)
    assert len([mail for mail in site_with_worker.inbox if TIMUR in mail.to]) == 1


async def test_invitations_are_limited(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        for number in range(50):
            answer = await invite(client, email=f"n{number}@letters.example")
            assert answer.status_code == 303
        assert (await invite(client)).status_code == 429
    assert len(await rows_of(site.database, "SELECT * FROM outbox")) == 50


async def test_a_role_is_changed_if_it_is_still_what_was_shown(site: Installation) -> None:
    timur = (await people.add(site, TIMUR)).id
    await people.give_role(site, timur, "viewer")
    async with people.at_desk(site, "owner") as client:
        change = {"organizer": str(timur), "before": "viewer", "role": "editor"}
        assert (await client.post(HERE, data=change)).headers["location"] == f"{HERE}?done=changed"
        answer = await client.post(HERE, data=change)
        assert answer.status_code == 409
        assert "Someone else changed this in the meantime" in answer.text
        assert (await roles(site))[timur] == "editor"
        same = {"organizer": str(timur), "before": "editor", "role": "editor"}
        assert (await client.post(HERE, data=same)).status_code == 303
    assert await rows_of(site.database, ACTS) == [{"act": "member.role", "before": "viewer", "after": "editor"}]


async def test_a_removed_member_is_out_at_once_and_can_come_back(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client, people.at_desk(site, "editor") as timur:
        (_, row) = await rows_of(site.database, MEMBERS)
        gone = {"organizer": str(row["organizer"]), "before": "editor", "act": "remove"}
        answer = await client.post(HERE, data=gone)
        assert answer.headers["location"] == f"{HERE}?done=removed&who={row['organizer']}"
        assert "Undo" in (await client.get(answer.headers["location"])).text
        assert (await timur.get(f"/organizer/{SLUG}/")).status_code == 403
        assert (await client.post(HERE, data=gone)).status_code == 409
        answer = await client.post(f"{HERE}/restore", data={"organizer": str(row["organizer"])})
        assert answer.headers["location"] == f"{HERE}?done=restored"
        assert (await timur.get(f"/organizer/{SLUG}/")).status_code == 200
        assert (await roles(site))[row["organizer"]] == "editor"
        answer = await client.post(f"{HERE}/restore", data={"organizer": str(row["organizer"])})
        assert answer.status_code == 409


async def test_nobody_is_brought_back_who_was_never_there(site: Installation) -> None:
    stranger = (await people.add(site, TIMUR)).id
    async with people.at_desk(site, "owner") as client:
        for given in (stranger, 99_999):
            answer = await client.post(f"{HERE}/restore", data={"organizer": str(given)})
            assert answer.status_code == 409
    assert len(await roles(site)) == 1


@pytest.mark.parametrize("act", [{"role": "editor"}, {"act": "remove"}])
async def test_the_last_owner_stays(site: Installation, act: dict[str, str]) -> None:
    async with people.at_desk(site, "owner") as client:
        (row,) = await rows_of(site.database, MEMBERS)
        answer = await client.post(HERE, data={"organizer": str(row["organizer"]), "before": "owner"} | act)
        assert answer.status_code == 409
        assert "A letter needs an owner" in answer.text
    assert list((await roles(site)).values()) == ["owner"]
    assert await rows_of(site.database, ACTS) == []


async def test_two_owners_cannot_make_each_other_less_at_once(site: Installation) -> None:
    ids = [(await people.add(site, f"{name}@letters.example")).id for name in ("anna", "boris")]
    for each in ids:
        await people.give_role(site, each, "owner")
    (letter,) = await rows_of(site.database, "SELECT id FROM letter")

    async def lower(actor_id: OrganizerId, whom: OrganizerId) -> bool:
        try:
            async with site.database.transaction() as conn:
                await members.change_role(conn, actor_id, letter["id"], whom, Role.OWNER, Role.VIEWER)
        except Refused:
            return False
        return True

    done = await asyncio.gather(lower(ids[0], ids[1]), lower(ids[1], ids[0]))
    assert sorted(done) == [False, True]
    assert sorted((await roles(site)).values()) == ["owner", "viewer"]


async def test_an_owner_who_goes_is_led_away(site: Installation) -> None:
    other = (await people.add(site, TIMUR)).id
    await people.give_role(site, other, "owner")
    async with people.at_desk(site, "owner") as client:
        me = max(await roles(site))
        answer = await client.post(HERE, data={"organizer": str(me), "before": "owner", "act": "remove"})
        assert answer.headers["location"] == "/organizer/"
        assert (await client.get(HERE)).status_code == 403


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"organizer": "1"},
        {"organizer": "x", "before": "owner", "role": "viewer"},
        {"organizer": "-1", "before": "owner", "role": "viewer"},
        {"organizer": "9" * 40, "before": "owner", "role": "viewer"},
        {"organizer": "١", "before": "owner", "act": "remove"},
        {"organizer": "1", "before": "root", "role": "owner"},
        {"organizer": "1", "before": "viewer", "role": "root"},
    ],
)
async def test_a_forged_form_is_refused(site: Installation, form: dict[str, str]) -> None:
    async with people.at_desk(site, "owner") as client:
        assert (await client.post(HERE, data=form)).status_code == 400
    assert list((await roles(site)).values()) == ["owner"]


async def test_members_of_other_letters_are_out_of_reach(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ('other', 1)")
    theirs = (await people.add(site, TIMUR)).id
    await people.give_role(site, theirs, "viewer", "other")
    async with people.at_desk(site, "owner") as client:
        for act in ({"role": "owner"}, {"act": "remove"}):
            form = {"organizer": str(theirs), "before": "viewer"} | act
            assert (await client.post(HERE, data=form)).status_code == 409
            assert (await client.post("/organizer/other/members", data=form)).status_code == 404
    assert (await roles(site))[theirs] == "viewer"


async def test_an_invitation_says_who_invites_into_which_role_and_letter(site_with_worker: Installation) -> None:
    site = site_with_worker
    async with people.at_desk(site, "owner") as client:
        await rows_of(site.database, "UPDATE organizer SET name = 'Olga <Owner>' RETURNING id")
        await invite(client)
        mail = await site.mail_to(TIMUR)
    titles = await rows_of(site.database, "SELECT title FROM translation WHERE lang = 'ru'")
    text, html = mail.body("plain") or "", mail.body("html") or ""
    assert "Olga <Owner>" in text
    assert "Olga &lt;Owner&gt;" in html
    for body in (text, html):
        assert titles[0]["title"] in body
        assert "модератор" in body
    assert "Olga" not in mail.subject
