"""Every route of the desk against every kind of visitor: the table alone decides, independent of the views.

The views are replaced by one that names its route, so that the test knows which requests were admitted; a new route is
covered as soon as it is in the table.
"""

import re
import secrets
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from petition.core import i18n
from petition.core.database import opened
from petition.core.settings import Process as Process
from petition.core.settings import load
from petition.core.templates import Renderer
from petition.letters.switches import InstallationNotices
from petition.organizers.model import Role
from petition.web import app, error_pages
from petition.web.app import build_services
from petition.web.count_stream import CountStreams
from petition.web.desk import guard
from petition.web.desk.routes import DESK, DeskRoute, routes
from petition.web.desk.visit import Access, DeskVisit, OpenVisit
from petition.web.page_cache import PageCache
from petition.web.services import Services
from tests.conftest import fresh_database
from tests.organizers import people
from tests.running import SLUG, Installation, environment, publish

if TYPE_CHECKING:
    import asyncpg

OTHER = "another-letter"
VISITORS = ("stranger", "factorless", "unproved", "organizer", *Role, "other", "admin")
OURS = {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-origin"}


def name_of(route: DeskRoute) -> str:
    return f"{route.method} {route.path}"


def path_of(route: DeskRoute, slug: str = SLUG) -> str:
    """Return an address of the route, with 1 for every id."""
    return re.sub(r"{(\w+)(:\w+)?}", lambda match: slug if match[1] == "slug" else "1", route.path)


@dataclass
class Walk:
    """The desk's routes with stub views, and the cookies of the visitors."""

    client: httpx2.AsyncClient
    cookies: dict[str, str]
    site: Installation

    async def visit(
        self, route: DeskRoute, visitor: str, headers: dict[str, str] | None = None, slug: str = SLUG
    ) -> httpx2.Response:
        cookie = {"Cookie": f"desk={self.cookies[visitor]}"} if visitor in self.cookies else {}
        return await self.client.request(
            route.method, path_of(route, slug), headers=cookie | (OURS if headers is None else headers)
        )


def stub(route: DeskRoute) -> DeskRoute:
    async def for_strangers(_visit: OpenVisit) -> Response:
        return Response(status_code=204, headers={"at": name_of(route)})

    async def view(visit: DeskVisit) -> Response:
        slug = visit.letter_or_none.slug if visit.letter_or_none else ""
        return Response(status_code=204, headers={"at": name_of(route), "slug": slug})

    if route.access is Access.STRANGER:
        return replace(route, view=for_strangers)
    return replace(route, view=view)


@pytest.fixture(scope="module")
async def walk(
    cluster: str,
    admin: "asyncpg.Connection[asyncpg.Record]",
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Walk]:
    async with AsyncExitStack() as stack:
        folder = tmp_path_factory.mktemp("walk")
        url = await stack.enter_async_context(fresh_database(cluster, admin, template))
        environ = environment(folder, url, 8000)
        settings = load(environ, role=Process.WEB)
        database = await stack.enter_async_context(opened(url, max_size=2))
        await publish(settings, database)
        renderer = Renderer(i18n.load(settings.locales_dir), settings.base_url, None)
        streams = CountStreams(settings)
        services = build_services(settings, database, renderer, PageCache(), InstallationNotices(), streams)
        framework = Starlette(routes=routes([stub(route) for route in DESK]), exception_handlers=error_pages.HANDLERS)
        transport = httpx2.ASGITransport(with_state(framework, services))
        client = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=settings.base_url))
        site = Installation(environ, settings, database, client)
        yield Walk(client, await cookies(site), site)


def with_state(framework: Starlette, services: Services) -> Any:
    async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await framework({**scope, "state": {"services": services}}, receive, send)

    return application


async def cookies(site: Installation) -> dict[str, str]:
    """Return the cookie of every signed-in visitor."""
    cookies = {}
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO letter (slug, rules_version, wrapped_digest_key, wrapped_name_key) VALUES ($1, 1, $2, $2)",
            OTHER,
            secrets.token_bytes(8),
        )
    for visitor in VISITORS[1:]:
        organizer_id = (await people.add(site, f"{visitor}@letters.example", admin=visitor == "admin")).id
        if visitor != "factorless":
            await people.give_totp(site, organizer_id)
        if visitor in set(Role):
            await people.give_role(site, organizer_id, visitor)
        await people.give_role(site, organizer_id, "owner", OTHER) if visitor == "other" else None
        cookies[visitor] = await people.cookie(site, organizer_id, proved=visitor not in {"factorless", "unproved"})
    return cookies


def refusal(route: DeskRoute, visitor: str) -> tuple[int, str | None] | None:
    """Return the expected (status, location), or None for visitors with access."""
    if route.access is Access.STRANGER:
        return None
    if visitor == "stranger":
        return (303, "/organizer/enter") if route.method == "GET" else (401, None)
    if route.access is Access.SIGNED_IN:
        if visitor == "unproved" and route.fresh and route.path != "/organizer/second/challenge":
            return (303, f"/organizer/second?again=1&back={route.path}") if route.method == "GET" else (401, None)
        return None
    if visitor in {"factorless", "unproved"}:
        return (303, "/organizer/second") if route.method == "GET" else (401, None)
    if route.access is Access.ADMIN:
        return None if visitor == "admin" else (403, None)
    if not route.access.roles:
        return None
    if visitor not in set(Role):
        return 404, None
    return _refusal_of_role(route, Role(visitor))


def _refusal_of_role(route: DeskRoute, role: Role) -> tuple[int, str | None] | None:
    if any(role.covers(required) for required in route.access.roles):
        return None
    # The link to a letter leads to its first page, and an auditor on to the audits.
    is_first_page = role is Role.AUDITOR and route.path == "/organizer/{slug}/"
    return (303, f"/organizer/{SLUG}/audits") if is_first_page else (403, None)


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("route", DESK, ids=name_of)
async def test_access(walk: Walk, route: DeskRoute, visitor: str) -> None:
    answer = await walk.visit(route, visitor)
    refused = refusal(route, visitor)
    if refused is None:
        assert (answer.status_code, answer.headers.get("at")) == (204, name_of(route))
        if route.access.roles:
            assert answer.headers["slug"] == SLUG
    else:
        assert (answer.status_code, answer.headers.get("location")) == refused
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("route", [route for route in DESK if route.method != "GET"], ids=name_of)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8001"},
        {"Origin": "https://localhost:8000"},
        {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=lambda headers: " ".join(headers.values()) or "no headers",
)
async def test_what_another_site_sends_is_refused(walk: Walk, route: DeskRoute, headers: dict[str, str]) -> None:
    for visitor in ("owner", "admin", "stranger"):
        assert (await walk.visit(route, visitor, headers)).status_code == 403


@pytest.mark.parametrize("headers", [{"Origin": "http://localhost:8000"}, {"Sec-Fetch-Site": "same-origin"}, OURS])
async def test_either_header_is_enough(walk: Walk, headers: dict[str, str]) -> None:
    route = next(route for route in DESK if route.path == "/organizer/leave")
    assert (await walk.visit(route, "owner", headers)).status_code == 204


@pytest.mark.parametrize(
    ("base", "host", "origin", "ours"),
    [
        ("https://letters.example", "letters.example", "https://letters.example", True),
        ("https://letters.example", "letters.example:443", "https://letters.example", True),  # as some proxies say
        ("http://letters.example", "LETTERS.example:80", "http://letters.example", True),
        ("https://letters.example", "letters.example:80", "https://letters.example", False),
        ("https://letters.example", "letters.example:443", "https://elsewhere.example", False),
        ("http://localhost:8000", "localhost:8000", "http://127.0.0.1:8000", False),
    ],
)
def test_the_usual_port_may_stand_in_host(base: str, host: str, origin: str, ours: bool) -> None:
    services = SimpleNamespace(settings=SimpleNamespace(base_url=base, onion_url=None))
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    request = Request({"type": "http", "headers": headers, "state": {"services": services}})
    if ours:
        guard.check_origin(request)
        return
    with pytest.raises(HTTPException) as refused:
        guard.check_origin(request)
    assert refused.value.status_code == 403


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "a" * 5000, "%00", "юникод"])
async def test_a_made_up_cookie_opens_nothing(walk: Walk, cookie: str) -> None:
    answer = await walk.client.get("/organizer/", headers={b"Cookie": b"desk=" + cookie.encode()})
    assert answer.headers["location"] == "/organizer/enter"


@pytest.mark.parametrize("path", ["/organizer/no-such-letter/", f"/organizer/{SLUG}/nothing", "/organizer/enter/a/b"])
async def test_what_the_table_does_not_have_is_not_there(walk: Walk, path: str) -> None:
    for visitor in ("owner", "admin"):
        answer = await walk.client.get(path, headers={"Cookie": f"desk={walk.cookies[visitor]}"})
        assert answer.status_code == 404


def test_the_table_holds_every_route_below_the_desk() -> None:
    mounts = [route for route in app.ROUTES if isinstance(route, Mount) and route.path == "/organizer"]
    (mount,) = mounts
    inner = [("/organizer" + route.path, route.methods or set()) for route in mount.routes if isinstance(route, Route)]
    assert len(inner) == len(mount.routes) == len(DESK)
    for (path, methods), route in zip(inner, DESK, strict=True):
        assert (path, methods - {"HEAD"}) == (route.path, {route.method})
    others = [route.path for route in app.ROUTES if isinstance(route, Route | Mount) and route not in mounts]
    assert [path for path in others if path.startswith("/organizer")] == ["/organizer"]
    assert app.ROUTES.index(mount) < [getattr(route, "path", "") for route in app.ROUTES].index("/{lang}/{slug}")


@pytest.mark.parametrize("route", DESK, ids=name_of)
def test_a_letters_routes_need_a_role_there(route: DeskRoute) -> None:
    assert ("{slug}" in route.path) == bool(route.access.roles)
    assert route.method in {"GET", "POST"}
