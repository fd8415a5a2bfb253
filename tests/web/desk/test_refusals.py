"""A refused request changes nothing: every route with its real view, a plausible form, and the database before and
after; and the same form does change something for a visitor with access.

Routes without a form of their own here get one with every field there is, so that a new route is covered as well.
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
    """A letter with an object for every route, and a client for every visitor."""

    site: Installation
    bench: Bench
    ids: dict[str, str]
    organizers: dict[str, OrganizerId]
    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict)

    def path(self, route: DeskRoute, slug: str = SLUG) -> str:
        """Return an address of the route, with ids that exist."""
        known = self.ids | {"slug": slug}
        return re.sub(r"{(\w+)(:\w+)?}", lambda match: known.get(match[1], "1"), route.path)

    def form(self, route: DeskRoute) -> dict[str, str]:
        """Return a form that the route accepts."""
        own = FORMS.get(route.path)
        if own is None:
            return {key: self.filled(value) for form in FORMS.values() for key, value in form.items()}
        return {self.filled(key): self.filled(value) for key, value in own.items()}

    def filled(self, text: str) -> str:
        """Replace ``<name>`` from ``FORMS`` with that id."""
        return re.sub(r"<(\w+)>", lambda match: self.ids[match[1]], text)


# Names in <> are ids of this world. Each form changes something for a visitor with access.
FORMS: Mapping[str, Mapping[str, str]] = {
    "/organizer/enter": {"email": "owner@letters.example"},
    "/organizer/leave": {},
    "/organizer/language": {"lang": "ru"},
    "/organizer/second": {"code": "<code>"},
    "/organizer/second/challenge": {"for": "proof"},
    "/organizer/second/totp/begin": {},
    "/organizer/security/name": {"name": "Another Name"},
    "/organizer/security/codes": {},
    "/organizer/security/reset": {},
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
    "/organizer/{slug}/members/reset": {"organizer": "<editor>"},
    "/organizer/{slug}/members/reset/stop": {"organizer": "<editor>"},
    "/organizer/{slug}/queue": {"s<vera>": "0", "act": "remove", "reason": "fake"},
    "/organizer/{slug}/undo": {"log": "<log>"},
    "/organizer/{slug}/signatures/{signature}": {"act": "note", "text": "Ask again"},
    "/organizer/{slug}/campaigns": {"act": "remove", "back": "kind=person"},
    "/organizer/{slug}/campaigns/{campaign}": {"step": "start", "reason": "fake"},
}
# Routes whose form cannot be written down beforehand.
OTHERWISE = {
    "/organizer/enter/{token}",
    "/organizer/second/passkey",
    "/organizer/second/passkey/new",
    "/organizer/second/totp",
    "/organizer/security/remove",
}


@pytest.fixture
async def world(site: Installation) -> AsyncIterator[World]:
    """Return a letter with content, and a client for every visitor."""
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
        for visitor in (*VISITORS, "removed", "inviting"):
            world.clients[visitor] = await stack.enter_async_context(people.stranger(site))
            if visitor != "stranger":
                await sign_in(world, visitor)
        await add_invitations(world)
        answer = await world.clients["inviting"].post(
            f"/organizer/{SLUG}/members/reset", data={"organizer": world.ids["owner"]}
        )
        assert answer.status_code == 303
        await people.cookie(site, world.organizers["owner"])  # signed in with another browser as well
        yield world


async def sign_in(world: World, visitor: str) -> None:
    """Sign a visitor in with the rights of the name."""
    site = world.site
    organizer_id = (await people.add(site, f"{visitor}@letters.example", admin=visitor in {"admin", "inviting"})).id
    if visitor != "factorless":
        await people.give_totp(site, organizer_id)
    if visitor in {*Role, "removed", "inviting"}:
        await people.give_role(site, organizer_id, {"removed": "viewer", "inviting": "owner"}.get(visitor, visitor))
    if visitor == "other":
        await people.give_role(site, organizer_id, "owner", OTHER)
    cookie = await people.cookie(site, organizer_id, proved=visitor not in {"factorless", "unproved"})
    world.clients[visitor].cookies.set("desk", cookie, domain="localhost.local", path="/organizer/")
    world.organizers[visitor], world.ids[visitor] = organizer_id, str(organizer_id)
    world.ids["code"] = pyotp.TOTP(SECRET).at(int(time.time()))


async def add_invitations(world: World) -> None:
    """Add an invitation to the letter, one to the installation, and a removed member."""
    client = world.clients["inviting"]
    invitation = {"name": "Asked", "email": "asked@letters.example", "role": "viewer"}
    await client.post(f"/organizer/{SLUG}/members/invite", data=invitation)
    await client.post("/organizer/installation/invite", data=invitation)
    form = {"organizer": world.ids["removed"], "before": "viewer", "act": "remove"}
    assert (await client.post(f"/organizer/{SLUG}/members", data=form)).status_code == 303
    for row in await rows.rows_of(world.site.database, "SELECT id, letter FROM invitation"):
        world.ids["invited" if row["letter"] is None else "asked"] = str(row["id"])


async def send(
    world: World, route: DeskRoute, visitor: str, headers: Mapping[str, str] | None = None
) -> httpx2.Response:
    """Send a route its form."""
    content = world.form(route) if route.method == "POST" else None
    return await world.clients[visitor].request(route.method, world.path(route), data=content, headers=headers)


async def test_refused_requests_change_nothing(world: World) -> None:
    wrong = []
    for route in DESK:
        before = await rows.picture(world.site.database)
        for visitor in VISITORS:
            if (expected := refusal(route, visitor)) is None:
                continue
            answer = await send(world, route, visitor)
            if (answer.status_code, answer.headers.get("location")) != expected:
                wrong.append(f"{name_of(route)}, {visitor}: {answer.status_code} instead of {expected}")
        after = await rows.picture(world.site.database)
        wrong += [f"{name_of(route)} changed {table}" for table in before if before[table] != after[table]]
    assert wrong == []


async def test_requests_from_other_sites_change_nothing(world: World) -> None:
    wrong = []
    for route in [route for route in DESK if route.method != "GET"]:
        before = await rows.picture(world.site.database)
        for visitor in ("owner", "admin", "stranger"):
            for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
                answer = await send(world, route, visitor, headers)
                if answer.status_code != 403:
                    wrong.append(f"{name_of(route)}, {visitor}, {headers}: {answer.status_code}")
        after = await rows.picture(world.site.database)
        wrong += [f"{name_of(route)} changed {table}" for table in before if before[table] != after[table]]
    assert wrong == []


async def test_permitted_requests_change_something(world: World) -> None:
    """The same forms do change something, so above it was the refusal that kept the database unchanged."""
    unchanged = []
    for route in [route for route in DESK if route.path in FORMS and route.method == "POST"]:
        visitor = {Access.ADMIN: "inviting", Access.STRANGER: "stranger", Access.SIGNED_IN: "unproved"}.get(
            route.access, "owner"
        )
        visitor = "factorless" if route.path.endswith("/begin") else visitor
        before = await rows.picture(world.site.database)
        answer = await send(world, route, visitor)
        assert answer.status_code in {200, 303}, f"{name_of(route)}: {answer.status_code} {answer.text}"
        if await rows.picture(world.site.database) == before:
            unchanged.append(name_of(route))
        if visitor == "unproved":
            await sign_in(world, "unproved")
    assert unchanged == []


def test_every_form_is_of_a_route() -> None:
    posts = {route.path for route in DESK if route.method == "POST"}
    assert FORMS.keys() | OTHERWISE <= posts


async def test_another_letters_owner_reaches_nothing_of_this_one(world: World) -> None:
    """Under their own letter's address, with this letter's ids."""
    letter, client = world.bench.letter.id, world.clients["other"]
    for route in [route for route in DESK if "{slug}" in route.path]:
        before = await rows.picture(world.site.database, letter)
        content = world.form(route) if route.method == "POST" else None
        answer = await client.request(route.method, world.path(route, OTHER), data=content)
        assert answer.status_code < 500, name_of(route)
        assert "Vera Novak" not in answer.text
        assert "North Pier" not in answer.text
        assert await rows.picture(world.site.database, letter) == before, name_of(route)
