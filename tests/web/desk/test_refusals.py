"""Who may not do something does not do it: every route with its real view, a plausible form, and the database before
and after; and whoever may, does change something by the same form.

Routes that have no form of their own here are sent one with every field there is, so that a new one is walked as well.
"""

import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx2
import pyotp
import pytest

from petition.core.audit_log import Actor
from petition.core.ids import OrganizerId
from petition.moderation import bulk_acts, messages
from petition.moderation.model import Action, Filter
from petition.organizers.model import Role
from petition.web.desk.routes import DESK, DeskRoute
from petition.web.desk.visit import Access
from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.organizers.people import SECRET
from tests.running import SLUG, Installation
from tests.web.desk.test_routes import OTHER, VISITORS, name_of, refusal

CREDENTIAL = {"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}


@dataclass
class World:
    """A letter with all that routes are about, and everybody who may come."""

    site: Installation
    bench: Bench
    ids: dict[str, str]
    organizers: dict[str, OrganizerId]
    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)

    def path(self, at: DeskRoute, slug: str = SLUG) -> str:
        """Return an address of the route, with ids that are there."""
        known = self.ids | {"slug": slug}
        return re.sub(r"{(\w+)(:\w+)?}", lambda match: known.get(match[1], "1"), at.path)

    def form(self, at: DeskRoute) -> dict[str, str]:
        """Return a form that the route takes."""
        own = FORMS.get(at.path)
        if own is None:
            return {key: self.filled(value) for form in FORMS.values() for key, value in form.items()}
        return {self.filled(key): self.filled(value) for key, value in own.items()}

    def filled(self, text: str) -> str:
        """Put ids into what stands in ``FORMS``."""
        return re.sub(r"<(\w+)>", lambda match: self.ids[match[1]], text)


# What stands in <> is an id of this world. Each of these changes something, for those who may.
FORMS: Mapping[str, Mapping[str, str]] = {
    "/organizer/enter": {"email": "owner@letters.example"},
    "/organizer/leave": {},
    "/organizer/language": {"lang": "ru"},
    "/organizer/second": {"code": "<code>"},
    "/organizer/second/challenge": {"for": "proof"},
    "/organizer/second/totp/begin": {},
    "/organizer/security/name": {"name": "Another Name"},
    "/organizer/security/codes": {},
    "/organizer/security/end": {"session": "others"},
    "/organizer/installation/invite": {"name": "Timur", "email": "timur@letters.example", "lang": "ru"},
    "/organizer/installation/cancel": {"invitation": "<invited>"},
    "/organizer/installation/admin": {"organizer": "<viewer>", "admin": "yes"},
    "/organizer/installation/remove": {"organizer": "<organizer>"},
    "/organizer/installation/own": {"letter": SLUG},
    "/organizer/{slug}/members": {"organizer": "<viewer>", "before": "viewer", "role": "moderator"},
    "/organizer/{slug}/members/invite": {"name": "Timur", "email": "timur@letters.example", "role": "viewer"},
    "/organizer/{slug}/members/cancel": {"invitation": "<asked>"},
    "/organizer/{slug}/members/restore": {"organizer": "<removed>"},
    "/organizer/{slug}/queue": {"s<vera>": "0", "act": "remove", "reason": "fake"},
    "/organizer/{slug}/undo": {"log": "<log>"},
    "/organizer/{slug}/signatures/{signature}": {"act": "note", "text": "Ask again"},
    "/organizer/{slug}/campaigns": {"act": "remove", "back": "kind=person"},
    "/organizer/{slug}/campaigns/{campaign}": {"step": "start", "reason": "fake"},
}
# What cannot be done by a form that is written down beforehand.
OTHERWISE = {
    "/organizer/enter/{token}",
    "/organizer/second/passkey",
    "/organizer/second/passkey/new",
    "/organizer/second/totp",
    "/organizer/security/remove",
}


@pytest.fixture
async def world(site: Installation) -> AsyncIterator[World]:
    """Give a furnished letter and everybody's client."""
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
        await conn.execute("INSERT INTO letter (slug, rules_version) VALUES ($1, 1)", OTHER)
    (vera, olga) = await bench.sign("Vera Novak", "Olga")
    held = await bench.sign_for("North Pier", website="https://northpier.example")
    outcome = await bench.remove(olga)
    async with site.database.transaction() as conn:
        by = Actor(None, bench.letter.id)
        campaign = await bulk_acts.create(conn, by, Action.REMOVE, Filter())
        await messages.send(conn, by, bench.letter.keys, held, "Are you there?")
    ids = {"signature": str(held), "campaign": str(campaign), "vera": str(vera), "log": str(outcome.log_id)}
    world = World(site, bench, ids | {"token": "a" * 43, "credential": json.dumps(CREDENTIAL)}, {})
    async with AsyncExitStack() as stack:
        for who in (*VISITORS, "removed", "inviting"):
            world.clients[who] = await stack.enter_async_context(people.stranger(site))
            if who != "stranger":
                await sit(world, who)
        await invited(world)
        await people.cookie(site, world.organizers["owner"])  # has entered in another browser as well
        yield world


async def sit(world: World, who: str) -> None:
    """Have somebody sit down as what they are called."""
    site = world.site
    organizer = (await people.add(site, f"{who}@letters.example", admin=who in {"admin", "inviting"})).id
    if who != "factorless":
        await people.give_totp(site, organizer)
    if who in {*Role, "removed", "inviting"}:
        await people.give_role(site, organizer, {"removed": "viewer", "inviting": "owner"}.get(who, who))
    if who == "other":
        await people.give_role(site, organizer, "owner", OTHER)
    cookie = await people.cookie(site, organizer, proved=who not in {"factorless", "unproved"})
    world.clients[who].cookies.set("desk", cookie, domain="localhost.local", path="/organizer/")
    world.organizers[who], world.ids[who] = organizer, str(organizer)
    world.ids["code"] = pyotp.TOTP(SECRET).at(int(time.time()))


async def invited(world: World) -> None:
    """Have somebody asked to join, somebody asked to the installation, and a member removed."""
    client = world.clients["inviting"]
    whom = {"name": "Asked", "email": "asked@letters.example", "role": "viewer"}
    await client.post(f"/organizer/{SLUG}/members/invite", data=whom)
    await client.post("/organizer/installation/invite", data=whom)
    form = {"organizer": world.ids["removed"], "before": "viewer", "act": "remove"}
    assert (await client.post(f"/organizer/{SLUG}/members", data=form)).status_code == 303
    for row in await rows.rows_of(world.site.database, "SELECT id, letter FROM invitation"):
        world.ids["invited" if row["letter"] is None else "asked"] = str(row["id"])


async def send(world: World, at: DeskRoute, who: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """Come to a route with its form."""
    content = world.form(at) if at.method == "POST" else None
    return await world.clients[who].request(at.method, world.path(at), data=content, headers=headers)


async def test_who_is_refused_changes_nothing(world: World) -> None:
    wrong = []
    for at in DESK:
        before = await rows.picture(world.site.database)
        for who in VISITORS:
            if (expected := refusal(at, who)) is None:
                continue
            answer = await send(world, at, who)
            if (answer.status_code, answer.headers.get("location")) != expected:
                wrong.append(f"{name_of(at)}, {who}: {answer.status_code} instead of {expected}")
        after = await rows.picture(world.site.database)
        wrong += [f"{name_of(at)} changed {table}" for table in before if before[table] != after[table]]
    assert wrong == []


async def test_what_comes_from_elsewhere_changes_nothing(world: World) -> None:
    wrong = []
    for at in [at for at in DESK if at.method != "GET"]:
        before = await rows.picture(world.site.database)
        for who in ("owner", "admin", "stranger"):
            for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
                answer = await send(world, at, who, headers)
                if answer.status_code != 403:
                    wrong.append(f"{name_of(at)}, {who}, {headers}: {answer.status_code}")
        after = await rows.picture(world.site.database)
        wrong += [f"{name_of(at)} changed {table}" for table in before if before[table] != after[table]]
    assert wrong == []


async def test_every_role_may_what_it_may(world: World) -> None:
    """The same forms do change something: so that nothing changed above means that they were refused."""
    unchanged = []
    for at in [at for at in DESK if at.path in FORMS and at.method == "POST"]:
        who = {Access.ADMIN: "inviting", Access.STRANGER: "stranger", Access.SIGNED_IN: "unproved"}.get(
            at.need, "owner"
        )
        who = "factorless" if at.path.endswith("/begin") else who
        before = await rows.picture(world.site.database)
        answer = await send(world, at, who)
        assert answer.status_code in {200, 303}, f"{name_of(at)}: {answer.status_code} {answer.text}"
        if await rows.picture(world.site.database) == before:
            unchanged.append(name_of(at))
        if who == "unproved":
            await sit(world, "unproved")
    assert unchanged == []


def test_every_form_is_of_a_route() -> None:
    posts = {at.path for at in DESK if at.method == "POST"}
    assert FORMS.keys() | OTHERWISE <= posts


async def test_another_letters_owner_reaches_nothing_of_this_one(world: World) -> None:
    """Under their own letter's address, with this letter's ids."""
    letter, client = world.bench.letter.id, world.clients["other"]
    for at in [at for at in DESK if "{slug}" in at.path]:
        before = await rows.picture(world.site.database, letter)
        content = world.form(at) if at.method == "POST" else None
        answer = await client.request(at.method, world.path(at, OTHER), data=content)
        assert answer.status_code < 500, name_of(at)
        assert "Vera Novak" not in answer.text
        assert "North Pier" not in answer.text
        assert await rows.picture(world.site.database, letter) == before, name_of(at)
