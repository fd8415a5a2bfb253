"""A stolen session: what it cannot do without the second factor, route by route."""

from collections.abc import AsyncIterator, Mapping

import httpx2
import pyotp
import pytest

from petition.web.desk.routes import DESK, DeskRoute
from petition.web.desk.visit import Access
from tests.drafts.desk import opened
from tests.organizers import people
from tests.rows import picture, rows_of
from tests.running import SLUG, Installation
from tests.web.desk.test_routes import OURS, Walk, name_of, path_of, walk

__all__ = ["walk"]

AGE = "UPDATE session SET proved_at = now() - interval '20 minutes' WHERE proved_at IS NOT NULL"
RENEW = "UPDATE session SET proved_at = now() WHERE proved_at IS NOT NULL"

# Every form that takes names or rights, gives rights, cannot be undone, or speaks in the letter's name.
FRESH: Mapping[str, list[dict[str, str]]] = {
    "/organizer/second/challenge": [{"for": "new"}],
    "/organizer/second/passkey/new": [{}],
    "/organizer/second/totp": [{"code": "123456"}],
    "/organizer/second/totp/begin": [{}],
    "/organizer/security/name": [{"name": "Timur"}],
    "/organizer/security/remove": [{"totp": "yes"}],
    "/organizer/security/codes": [{}],
    "/organizer/security/end": [{"session": "others"}, {"session": "1"}, {}],
    "/organizer/installation/invite": [{}],
    "/organizer/installation/admin": [{"organizer": "1", "admin": "yes"}],
    "/organizer/installation/remove": [{"organizer": "1"}],
    "/organizer/installation/own": [{"letter": SLUG}],
    "/organizer/installation/switches": [{"name": "hide_list", "value": "off"}, {"name": "banner", "value": "on"}],
    "/organizer/{slug}/sensitive": [{"sensitive": "no"}, {}],
    "/organizer/{slug}/preview/link": [{"act": "make"}, {}],
    "/organizer/{slug}/publish": [{}],
    "/organizer/{slug}/publish/schedule": [{"publish_at": "2099-01-01T00:00"}],
    "/organizer/{slug}/publish/address": [{"slug": "another"}],
    "/organizer/{slug}/members": [{"organizer": "1", "before": "viewer", "role": "owner"}, {"act": "remove"}],
    "/organizer/{slug}/members/invite": [{"role": "owner"}],
    "/organizer/{slug}/members/restore": [{"organizer": "1"}],
    "/organizer/{slug}/members/reset": [{"organizer": "1"}],
    "/organizer/{slug}/state/gone": [{"slug": SLUG}],
    "/organizer/{slug}/switches": [
        {"name": "hide_list", "value": "off"},
        {"name": "read_only", "value": "off"},
        {"name": "hide_list", "act": "undo", "value": "on"},
        {"name": "hide_list", "value": ""},
    ],
    "/organizer/{slug}/updates": [{"act": "publish"}, {"act": "schedule"}],
    "/organizer/{slug}/updates/{update}": [{"act": "publish"}, {"act": "schedule"}, {"act": "back"}],
    "/organizer/{slug}/updates/{update}/mail": [
        {"act": "mail"},
        {"act": "schedule"},
        {"act": "resume"},
        {"act": "resend"},
    ],
    "/organizer/{slug}/signatures/{signature}": [
        {"act": act} for act in ("message", "second", "drop_message", "drop_note", "vouch")
    ],
    "/organizer/{slug}/domains": [{"act": "trust", "domain": "school.example"}, {}],
    "/organizer/{slug}/state": [{"move": "reopen"}],
    "/organizer/{slug}/tally": [{"step": "add", "people": "1000"}, {"step": "correct"}, {"step": "redo"}],
    "/organizer/{slug}/delivery/{addressee}": [
        {"act": act} for act in ("contact", "mail", "remind", "publish", "link", "redo")
    ],
    "/organizer/{slug}/reminder": [{"reminder": "on"}, {}],
    "/organizer/{slug}/partners": [{"act": "add"}, {"act": "change"}, {"act": "restore"}, {}],
    "/organizer/{slug}/employers": [{"act": "add"}, {"act": "offer"}, {}],
    "/organizer/{slug}/delivery/{addressee}/event": [{}],
    "/organizer/{slug}/campaigns/{campaign}": [{"step": "start"}, {"step": "resume"}, {"step": "revert"}],
    "/organizer/{slug}/import/{number}": [{"step": "start"}, {"step": "undo"}, {"step": "redo"}],
    "/organizer/{slug}/export": [{"form": "csv"}, {"form": "json"}, {"form": "xlsx"}, {}],
    "/organizer/{slug}/witnesses": [{"act": "add"}, {"act": "restore"}, {}],
    "/organizer/{slug}/addresses": [{"step": "register"}, {"step": "ask"}],
    "/organizer/{slug}/addresses/{job}": [{}],
    "/organizer/{slug}/audits": [{"act": "auditor", "name": "X"}, {"act": "announce"}, {}],
    "/organizer/{slug}/audits/{audit}": [{"act": "key"}, {"act": "draw"}, {}],
    "/organizer/{slug}/audits/{audit}/addresses": [{}],
}
# Forms of these routes that need no fresh factor: they stop or hide something, or ask for nothing that leaves.
CALM: Mapping[str, list[dict[str, str]]] = {
    "/organizer/second/challenge": [{"for": "proof"}],
    "/organizer/installation/switches": [{"name": "stop", "value": "on"}],
    "/organizer/{slug}/switches": [{"name": "hide_list", "value": "on"}, {"name": "captcha", "value": "stronger"}],
    "/organizer/{slug}/sensitive": [{"sensitive": "yes"}],
    "/organizer/{slug}/preview/link": [{"act": "drop"}],
    "/organizer/{slug}/publish/schedule": [{"act": "cancel"}],
    "/organizer/{slug}/updates": [{"act": "save"}, {"act": "preview"}],
    "/organizer/{slug}/updates/{update}": [{"act": "save"}, {"act": "remove"}],
    "/organizer/{slug}/updates/{update}/mail": [{"act": "undo"}, {"act": "pause"}, {"act": "cancel"}, {"act": "test"}],
    "/organizer/{slug}/signatures/{signature}": [{"act": "approve"}, {"act": "note"}],
    "/organizer/{slug}/campaigns/{campaign}": [{"step": "pause"}, {"step": "cancel"}],
    "/organizer/{slug}/import/{number}": [{"step": "check"}, {"step": "cancel"}],
    "/organizer/{slug}/witnesses": [{"act": "retire"}],
    "/organizer/{slug}/addresses": [{"step": "revoke"}],
    "/organizer/{slug}/delivery/{addressee}": [{"act": "revoke"}, {"act": "undo"}, {"act": "decline"}],
    "/organizer/{slug}/reminder": [{"reminder": "off"}],
    "/organizer/{slug}/partners": [{"act": "retire"}],
    "/organizer/{slug}/employers": [{"act": "stop"}],
    "/organizer/{slug}/audits": [{"act": "abandon"}],
    "/organizer/{slug}/audits/{audit}": [{"act": "abandon"}],
    "/organizer/{slug}/domains": [{"act": "distrust"}],
    "/organizer/{slug}/state": [{"move": "close"}, {"move": "archive"}],
    "/organizer/{slug}/tally": [{"step": "undo"}],
}
# A route that changes something is in one of these lists.
UNMARKED = {
    "/organizer/leave",
    "/organizer/language",
    "/organizer/second",
    "/organizer/second/passkey",
    "/organizer/security/preferences",
    "/organizer/security/reset",
    "/organizer/installation/cancel",
    "/organizer/installation/relays",  # a test mail to one's own address
    "/organizer/letters/new",
    "/organizer/{slug}/",
    "/organizer/{slug}/text",
    "/organizer/{slug}/copy",
    "/organizer/{slug}/members/cancel",
    "/organizer/{slug}/members/reset/stop",
    "/organizer/{slug}/delivery/package",
    "/organizer/{slug}/queue",
    "/organizer/{slug}/undo",
    "/organizer/{slug}/campaigns",
    "/organizer/{slug}/import",
    "/organizer/{slug}/import/mappings",
}
# Files without a name that is not on the public list.
NAMELESS = {
    "/organizer/{slug}/log.csv",
    "/organizer/{slug}/statistics/{what}.csv",
    "/organizer/{slug}/delivery/names.csv",
    "/organizer/{slug}/delivery/package.pdf",
    "/organizer/{slug}/delivery/sheet.pdf",
}

POSTS = {route.path: route for route in DESK if route.method == "POST" and route.access is not Access.STRANGER}
MARKED_GETS = [route for route in DESK if route.method == "GET" and route.fresh is not None]


def test_every_route_that_changes_something_is_listed() -> None:
    assert POSTS.keys() == FRESH.keys() | UNMARKED
    assert {path for path, route in POSTS.items() if route.fresh} == FRESH.keys()
    files = {route.path for route in DESK if route.method == "GET" and "." in route.path.rpartition("/")[2]}
    assert files - NAMELESS == {route.path for route in MARKED_GETS if "." in route.path.rpartition("/")[2]}


async def age(walk: Walk, statement: str) -> None:
    async with walk.site.database.connection() as conn:
        await conn.execute(statement)


async def post(walk: Walk, route: DeskRoute, form: dict[str, str], accept: str = "text/html") -> tuple[int, str, str]:
    visitor = {Access.ADMIN: "admin", Access.AUDITOR: "auditor"}.get(route.access, "owner")
    headers = OURS | {"Cookie": f"desk={walk.cookies[visitor]}", "Accept": accept, "Sec-Fetch-Mode": "cors"}
    answer = await walk.client.post(path_of(route), data=form, headers=headers)
    return answer.status_code, answer.headers.get("at", ""), answer.text


async def test_a_stale_factor_is_asked_for_again(walk: Walk) -> None:
    await age(walk, AGE)
    for path, forms in FRESH.items():
        for form in forms:
            status, at, text = await post(walk, POSTS[path], form)
            assert (status, at) == (401, ""), (path, form)
            assert 'name="factor-code"' in text
            for name, value in form.items():
                assert f'<input type="hidden" name="{name}" value="{value}">' in text, (path, form)
            assert await post(walk, POSTS[path], form, "application/json") != (204, name_of(POSTS[path]), "")
    for route in MARKED_GETS:
        answer = await walk.visit(route, "owner")
        assert (answer.status_code, answer.headers["location"].partition("&")[0]) == (303, "/organizer/second?again=1")


async def test_calm_forms_need_no_fresh_factor(walk: Walk) -> None:
    await age(walk, AGE)
    for path, forms in CALM.items():
        for form in forms:
            assert (await post(walk, POSTS[path], form))[:2] == (204, name_of(POSTS[path])), (path, form)


async def test_a_fresh_factor_is_not_asked_for(walk: Walk) -> None:
    await age(walk, RENEW)
    for path, forms in FRESH.items():
        for form in forms:
            assert (await post(walk, POSTS[path], form))[:2] == (204, name_of(POSTS[path])), (path, form)
    for route in MARKED_GETS:
        assert (await walk.visit(route, "owner")).status_code == 204


async def test_a_file_is_not_read_before_the_factor(walk: Walk) -> None:
    await age(walk, AGE)
    route = POSTS["/organizer/{slug}/import/{number}"]
    headers = OURS | {"Cookie": f"desk={walk.cookies['owner']}"}
    answer = await walk.client.post(path_of(route), data={"step": "start"}, files={"file": b"x"}, headers=headers)
    assert answer.headers["location"] == f"/organizer/second?again=1&back=/organizer/{SLUG}/import"


@pytest.fixture
async def stolen(site: Installation) -> AsyncIterator[tuple[Installation, httpx2.AsyncClient]]:
    """Yield an installation, and an owner's client whose factor was proved twenty minutes ago."""
    async with people.at_desk(site, "owner", admin=True) as client:
        async with site.database.connection() as conn:
            await conn.execute(AGE)
        yield site, client


EXPORT = {"form": "csv", "c_name": "1", "back": "state=confirmed"}


async def test_a_stolen_session_gets_nothing(stolen: tuple[Installation, httpx2.AsyncClient]) -> None:
    """The recipe of the review, whole: export, an owner, an admin, a take-over, the end of others' sessions."""
    site, client = stolen
    victim = await people.add(site, "victim@letters.example")
    await people.cookie(site, victim.id)
    before = await picture(site.database)
    for path, form in (
        (f"/organizer/{SLUG}/export", EXPORT),
        (f"/organizer/{SLUG}/export", EXPORT | {"form": "xlsx"}),
        (f"/organizer/{SLUG}/export", EXPORT | {"form": "json", "factor-code": ""}),
        (f"/organizer/{SLUG}/members/invite", {"name": "M", "email": "m@evil.example", "role": "owner"}),
        ("/organizer/installation/admin", {"organizer": str(victim.id), "admin": "yes"}),
        ("/organizer/installation/own", {"letter": SLUG}),
        ("/organizer/security/end", {"session": "others"}),
        (f"/organizer/{SLUG}/state/gone", {"slug": SLUG}),
    ):
        answer = await client.post(path, data=form)
        assert answer.status_code in {401, 422}, path
        assert "Verify your second factor" in answer.text
    assert {name: rows for name, rows in (await picture(site.database)).items() if name != "quota"} == {
        name: rows for name, rows in before.items() if name != "quota"
    }


async def test_the_factor_and_the_form_are_sent_together(
    stolen: tuple[Installation, httpx2.AsyncClient],
) -> None:
    site, client = stolen
    form = {"name": "Anna <b>", "email": "anna@letters.example", "role": "viewer", "lang": "ru"}
    path, cookie = f"/organizer/{SLUG}/members/invite", client.cookies["desk"]
    wrong = await client.post(path, data=form | {"factor-code": "000000"})
    assert wrong.status_code == 422
    assert "This code is wrong" in wrong.text
    assert '<input type="hidden" name="name" value="Anna &lt;b&gt;">' in wrong.text
    assert "000000" not in wrong.text
    code = pyotp.TOTP(people.SECRET).now()
    answer = await client.post(path, data=form | {"factor-code": code})
    assert answer.headers["location"] == f"/organizer/{SLUG}/members?done=invited"
    assert client.cookies["desk"] != cookie
    acts = await rows_of(
        site.database, "SELECT act FROM log WHERE act IN ('session.prove', 'member.invite') ORDER BY id"
    )
    assert [row["act"] for row in acts] == ["session.prove", "member.invite"]
    client.cookies["desk"] = cookie  # the thief's
    assert (await client.get(f"/organizer/{SLUG}/members")).headers["location"] == "/organizer/enter"


async def test_a_form_that_fails_leaves_a_cookie_that_works(
    stolen: tuple[Installation, httpx2.AsyncClient],
) -> None:
    _, client = stolen
    code = pyotp.TOTP(people.SECRET).now()
    answer = await client.post(f"/organizer/{SLUG}/members", data={"before": "nonsense", "factor-code": code})
    assert answer.status_code == 400
    assert (await client.get(f"/organizer/{SLUG}/members")).status_code == 200


async def test_codes_at_the_step_up_are_limited(stolen: tuple[Installation, httpx2.AsyncClient]) -> None:
    _, client = stolen
    for _ in range(10):
        assert (await client.post("/organizer/security/codes", data={"factor-code": "000000"})).status_code == 422
    answer = await client.post("/organizer/security/codes", data={"factor-code": pyotp.TOTP(people.SECRET).now()})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")


async def test_ones_own_session_can_end_without_the_factor(
    stolen: tuple[Installation, httpx2.AsyncClient],
) -> None:
    site, client = stolen
    (row,) = await rows_of(site.database, "SELECT id FROM session")
    answer = await client.post("/organizer/security/end", data={"session": str(row["id"])})
    assert answer.headers["location"].startswith("/organizer/enter")


@pytest.mark.parametrize(
    ("back", "location"),
    [
        (f"/organizer/{SLUG}/import/1?page=2", f"/organizer/{SLUG}/import/1?page=2"),
        ("https://evil.example/", "/organizer/"),
        ("//evil.example/organizer/", "/organizer/"),
        ("/organizer//evil.example", "/organizer/"),
        ("/organizer/\\evil.example", "/organizer/"),
        ("/organizer/\r\nx: y", "/organizer/"),
        ("/organizer/" + "a" * 600, "/organizer/"),
        ("/organizer/../en/", "/organizer/"),
        ("/organizer/..", "/organizer/"),
        ("/organizer/%2e%2E/en/", "/organizer/"),
        ("/organizer/x%5c..%5c..%5cen", "/organizer/"),
        ("/organizer/%0d%0ax: y", "/organizer/"),
        (f"/organizer/{SLUG}/queue?q=1%2F2..", f"/organizer/{SLUG}/queue?q=1%2F2.."),
    ],
)
async def test_the_way_back_stays_at_the_desk(
    stolen: tuple[Installation, httpx2.AsyncClient], back: str, location: str
) -> None:
    _, client = stolen
    page = await client.get("/organizer/second", params={"again": "1", "back": back})
    assert (f'<input type="hidden" name="back" value="{location}">' in page.text) is (location == back)
    code = pyotp.TOTP(people.SECRET).now()
    answer = await client.post("/organizer/second", data={"code": code, "back": back})
    assert answer.headers["location"] == location
    answer = await client.post("/organizer/language", data={"lang": "ru", "back": back})
    assert answer.headers["location"] == location


async def published(site: Installation) -> list[str]:
    """Return the updates' texts."""
    return [row["text"] for row in await rows_of(site.database, "SELECT texts::text AS text FROM news ORDER BY id")]


@pytest.mark.parametrize("begin", ["publish", "schedule"])
async def test_an_update_that_readers_get_is_not_rewritten(
    stolen: tuple[Installation, httpx2.AsyncClient], begin: str
) -> None:
    site, client = stolen
    path, texts = f"/organizer/{SLUG}/updates", {"title_en": "News", "text_en": "Good news"}
    await renew(site)
    made = await client.post(path, data=texts | {"act": begin, "publish_at": "2099-01-01T00:00"})
    assert made.status_code == 303, made.text
    at = made.headers["location"].partition("?")[0]
    (row,) = await rows_of(site.database, "SELECT revision FROM news")
    await age_all(site)
    form = texts | {"act": "save", "text_en": "Bad news", "revision": str(row["revision"])}
    answer = await client.post(at, data=form)
    assert (answer.status_code, "Verify your second factor" in answer.text) == (401, True)
    assert all("Bad news" not in text for text in await published(site))
    answer = await client.post(at, data=form | {"factor-code": people.code()})
    assert answer.status_code == 303
    assert any("Bad news" in text for text in await published(site))


async def test_a_draft_of_an_update_can_be_saved(stolen: tuple[Installation, httpx2.AsyncClient]) -> None:
    _, client = stolen
    texts = {"title_en": "News", "text_en": "Good news", "act": "save"}
    made = await client.post(f"/organizer/{SLUG}/updates", data=texts)
    at = made.headers["location"].partition("?")[0]
    assert (await client.post(at, data=texts | {"text_en": "Better news", "revision": "1"})).status_code == 303


@pytest.mark.parametrize("is_script", [False, True])
async def test_a_letter_that_opens_by_itself_is_not_rewritten(
    stolen: tuple[Installation, httpx2.AsyncClient], is_script: bool
) -> None:
    site, client = stolen
    await client.post("/organizer/letters/new", data={"title.en": "A new one", "slug": "a-new-one"})
    path = "/organizer/a-new-one/text"
    form = await opened(client, path) | {"title.en": "Another one", "act": "save"}
    assert (await client.post(path, data=form)).status_code == 303  # a draft without a date
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET publish_at = now() + interval '1 day' WHERE slug = 'a-new-one'")
    headers = {"accept": "application/json"} if is_script else {}
    form = await opened(client, path) | {"title.en": "Written by a thief", "act": "save"}
    assert form["seen.title.en"]
    answer = await client.post(path, data=form, headers=headers)
    assert answer.status_code == 401
    assert "Written by a thief" not in (await client.get(path)).text
    if is_script:
        return
    assert '<input type="hidden" name="title.en" value="Written by a thief">' in answer.text
    answer = await client.post(path, data=form | {"factor-code": people.code()})
    assert answer.status_code == 303, answer.text
    assert "Written by a thief" in (await client.get(path)).text


async def renew(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute(RENEW)


async def age_all(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute(AGE)
