"""On every route: Host, origin of POSTs, methods, headers, sizes and encodings."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
import pytest

import petition.web.app
from petition.core.i18n import load
from petition.core.resources import folder
from petition.web import http
from petition.web.content_codings import Coding
from petition.web.error_pages import FOR_PROGRAMS, TEXTS
from petition.web.page_cache import PageCache
from tests.addresses import METHODS, MOUNTED, every_route_is_visited, filled, patterns, taken
from tests.conftest import fresh_database
from tests.running import SLUG, Installation, installation, raw
from tests.web.test_content_codings import UNPACK

if TYPE_CHECKING:
    from tests.conftest import Conn

RUSSIAN = load(folder("locales"))["ru"]
LETTER = f"/en/{SLUG}"
FIRST_ANSWER = 10 * 1024  # bytes: see docs/decisions/bytes.md
ONE_CLICK = ("/never/{token}", "/unsubscribe/{token}")
ONES_OWN = ("/confirm/", "/signature/", "/never/", "/captcha/")
SCRIPTS = ("/static", "/embed.js", "/{lang}/{slug}/card.png")  # what changes with its address, or seldom
NEVER_KEPT = ("/check-your-inbox", "/sign", "/confirm", "/find", "/healthz", "/readyz", "/metrics")


@dataclass
class Town(Installation):
    """An installation with its page cache."""

    pages: PageCache = field(default_factory=PageCache)


@pytest.fixture(scope="module")
async def town(
    cluster: str, admin: "Conn", template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    """Give one running installation for all tests here: none of them confirms anything."""
    data, pages = tmp_path_factory.mktemp("front"), PageCache()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(fresh_database(cluster, admin, template))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(petition.web.app, "PageCache", lambda *_: pages)
            site = await stack.enter_async_context(installation(url, data, METRICS_TOKEN="t"))
        yield Town(**vars(site), pages=pages)


def in_russian(answer: httpx2.Response, status: int) -> bool:
    """Return whether this is the page for ``status`` in Russian."""
    title, message = (RUSSIAN.gettext(text) for text in TEXTS[status])
    return (
        answer.status_code == status
        and answer.headers["content-language"] == "ru"
        and '<html lang="ru"' in answer.text
        and title in answer.text
        and message in answer.text
    )


async def got(town: Town, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """Return an answer to GET; of events, which have no end, only the head."""
    async with town.client.stream("GET", path, headers=headers) as answer:
        if not path.endswith("/events"):
            await answer.aread()
    return answer


def test_no_route_is_left_out() -> None:
    assert every_route_is_visited()


@pytest.mark.parametrize("pattern", [*patterns("GET"), *MOUNTED.values()])
async def test_every_answer_is_guarded_and_none_sets_a_cookie(town: Town, pattern: str) -> None:
    head = {"authorization": "Bearer t"} if pattern == "/metrics" else {}
    answer = await got(town, await filled(pattern, town), head)
    # A loopback installation has no contact, so it has no security.txt.
    assert answer.status_code == (404 if "security.txt" in pattern else answer.status_code)
    assert answer.status_code in {200, 303, 404}
    headers = answer.headers
    assert "set-cookie" not in headers
    assert headers["x-content-type-options"] == "nosniff"
    secret = pattern == "/{lang}/preview/{token}"  # nothing can be sent from it, and its address must not leak
    assert headers["referrer-policy"] == ("no-referrer" if secret else "same-origin")
    if headers.get("content-type", "").startswith("text/html"):
        assert_a_page(answer, own="'none'" if secret else "'self'", framed=pattern.startswith("/embed/"))
    if any(part in pattern for part in ONES_OWN) or pattern.endswith(NEVER_KEPT):
        assert headers["cache-control"] == "no-store"
    if "etag" in headers:
        is_usual = headers["cache-control"] == "public, max-age=0, s-maxage=1"
        assert is_usual or pattern.startswith(SCRIPTS)


def assert_a_page(answer: httpx2.Response, *, own: str, framed: bool) -> None:
    """See that a page has a strict policy, one style sheet, no script of a stranger, and says its language.

    Only one may be ``framed`` by other sites. ``own`` is where scripts may come from and forms may go to.
    """
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy.get("frame-ancestors") == (None if framed else "'none'")
    assert policy["base-uri"] == "'none'"
    assert policy["form-action"] == own
    assert policy["script-src"] == own
    assert policy["style-src"].startswith("'sha256-")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "http" not in answer.headers["content-security-policy"]
    assert answer.headers["content-language"] == "en"
    assert answer.headers["cross-origin-opener-policy"] == ("unsafe-none" if framed else "same-origin")
    assert " style=" not in answer.text
    assert answer.text.count("<style") == 1


async def test_metrics_are_for_whoever_has_the_token(town: Town) -> None:
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "t"}):
        assert (await town.client.get("/metrics", headers=headers)).status_code == 401
    assert (await town.sign(email="counted@letters.example")).status_code == 303
    text = (await town.client.get("/metrics", headers={"authorization": "Bearer t"})).text
    for name in ("wishes_total{outcome=", "batch_size_count", "database_up"):
        assert re.search(rf"^petition_{re.escape(name)}.*[1-9]", text, re.MULTILINE), name
    assert "counted@" not in text


@pytest.mark.parametrize("pattern", [*patterns("GET"), *MOUNTED.values()])
async def test_head_works_wherever_get_does(town: Town, pattern: str) -> None:
    path = await filled(pattern, town)
    get, head = await got(town, path), await town.client.head(path)
    if head.headers.get("etag") != get.headers.get("etag"):  # a dated page has expired in between
        get = await got(town, path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("content-type", "etag", "cache-control", "location", "vary", "content-language", "content-encoding"):
        assert head.headers.get(name) == get.headers.get(name)


@pytest.mark.parametrize("pattern", sorted({*patterns("GET"), *patterns("POST")}))
async def test_a_wrong_method_is_refused(town: Town, pattern: str) -> None:
    path = await filled(pattern, town, "ru")
    for method in METHODS - taken(pattern):
        answer = await town.client.request(method, path, headers={"accept-language": "ru"})
        assert set(answer.headers["allow"].split(", ")) >= taken(pattern)
        if path.startswith(FOR_PROGRAMS):
            assert answer.status_code == 405
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == 405
        elif method == "HEAD":  # which has no text
            assert answer.status_code == 405
        else:
            assert in_russian(answer, 405), (method, path, answer.status_code)


@pytest.mark.parametrize(
    "path",
    ["/nothing/here", "/ru/no-such-letter", "/ru/signature/x", "/ru/confirm/x.y", "/x", "/de/",
     "/ru/privacy/more", f"/ru/{SLUG}/nothing", "/static/../core/settings.py", "/static/js/none.js", "/ru/%00",
     f"/ru/{SLUG}/picture/%00", "/ru/%00/picture/7", "/organizer/%00/", "/ru/a%2Fb",
     "/index.php", "/ru/confirm/" + "a" * 3000],
)  # fmt: skip
async def test_what_is_not_there_is_said_in_the_readers_language(town: Town, path: str) -> None:
    assert in_russian(await town.client.get(path, headers={"accept-language": "ru-RU,ru;q=0.9"}), 404)


async def test_an_error_is_put_into_words_once_for_all_who_make_it(town: Town) -> None:
    await town.client.get("/ru/wrong/address/0")
    before = http._error.cache_info().misses
    for number in range(1, 10):
        assert in_russian(await town.client.get(f"/ru/wrong/address/{number}"), 404)
    assert http._error.cache_info().misses == before
    assert "/wrong/" not in (await town.client.get("/ru/wrong/address/1")).text


async def test_the_language_of_the_address_wins_over_the_browsers(town: Town) -> None:
    answer = await town.client.get("/ru/no-such-letter", headers={"accept-language": "en"})
    assert in_russian(answer, 404)
    answer = await town.client.get("/en/no-such-letter", headers={"accept-language": "ru"})
    assert answer.headers["content-language"] == "en"


@pytest.mark.parametrize(
    ("accept_language", "lang"),
    [
        ("ru", "ru"),
        ("de, ru;q=0.5", "ru"),
        ("ru;q=0.1, en-GB;q=0.9", "en"),
        ("fa", "en"),
        ("", "en"),
        (";;q=,", "en"),
        ("en; q=0.3, ru ; q=0.8", "ru"),
        ("ru;q=nan, en;q=0.1", "en"),
        ("en;q=0, ru;q=0.001", "ru"),
        ("ru;q=0", "en"),
    ],
)
async def test_the_door_leads_to_the_readers_language(town: Town, accept_language: str, lang: str) -> None:
    answer = await town.client.get("/", headers={"accept-language": accept_language})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/{lang}/"
    assert "Accept-Language" in answer.headers["vary"]


@pytest.mark.parametrize(
    "host", ["letters.example", "localhost", "localhost:1", "127.0.0.1", "", "localhost:80@evil.example"]
)
async def test_a_foreign_host_is_refused(town: Town, host: str) -> None:
    for method, path in (("GET", f"/ru/{SLUG}"), ("POST", f"/ru/{SLUG}/sign"), ("GET", "/robots.txt")):
        answer = await town.client.request(method, path, headers={"host": host, "accept-language": "ru"})
        assert in_russian(answer, 421)


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "[2001:db8::7]", "web-1", ""])
async def test_load_balancers_and_prometheus_may_ask_by_address(town: Town, host: str) -> None:
    for path, more in (("/healthz", {}), ("/readyz", {}), ("/metrics", {"authorization": "Bearer t"})):
        answer = await town.client.get(path, headers={"host": host, **more})
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
    assert (await town.client.get("/metrics", headers={"host": host})).status_code == 401
    assert (await town.client.get("/healthz/", headers={"host": host})).status_code == 421


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "127.0.0.1", "[::1]"])
async def test_each_name_of_this_machine_is_ours(town: Town, name: str) -> None:
    host = f"{name}:{town.settings.port}"
    assert (await town.client.get(LETTER, headers={"host": host})).status_code == 200


ELSEWHERE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "nonsense"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "none", "origin": "null"},
    {"sec-fetch-site": "cross-site", "origin": "null"},
    {"origin": "http://localhost"},
    {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
    {"sec-fetch-site": "cross-site", "origin": "OURS"},
]
OURS = [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": "OURS"}]
OURS += [{"sec-fetch-site": "same-origin", "origin": "null"}]  # of Tor Browser, from an onion page


def ours(headers: dict[str, str], town: Town) -> dict[str, str]:
    return {name: value.replace("OURS", town.base) for name, value in headers.items()}


@pytest.mark.parametrize("headers", ELSEWHERE)
@pytest.mark.parametrize("pattern", [path for path in patterns("POST") if not path.endswith(ONE_CLICK)])
async def test_a_post_from_another_site_is_refused(town: Town, pattern: str, headers: dict[str, str]) -> None:
    path, lang = await filled(pattern, town, "ru"), {"accept-language": "ru"}
    assert in_russian(await town.client.post(path, headers=ours(headers, town) | lang), 403)


@pytest.mark.parametrize("headers", OURS)
@pytest.mark.parametrize(
    "pattern", [path for path in patterns("POST") if "{slug}" in path and not path.endswith(ONE_CLICK)]
)
async def test_a_post_from_our_page_or_from_none_is_taken(town: Town, pattern: str, headers: dict[str, str]) -> None:
    answer = await town.client.post(await filled(pattern, town), headers=ours(headers, town))
    # Without an answer the question of an audit is asked again.
    assert answer.status_code == (303 if "/audit/" in pattern else 422)


@pytest.mark.parametrize("headers", [*ELSEWHERE, *OURS])
@pytest.mark.parametrize("pattern", ["/{lang}/never/{token}", "/{lang}/{slug}/unsubscribe/{token}"])
async def test_unsubscribing_by_one_click_is_taken_from_anywhere(
    town: Town, pattern: str, headers: dict[str, str]
) -> None:
    path = await filled(pattern, town)
    body = {"List-Unsubscribe": "One-Click"}
    assert (await town.client.post(path, data=body, headers=ours(headers, town))).status_code == 200


@pytest.mark.parametrize("path", ["/organizer/never/queue", f"/en/{SLUG}/never/x/", "/never/x"])
async def test_no_other_address_is_open_for_having_that_word_in_it(town: Town, path: str) -> None:
    answer = await town.client.post(path, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert (await town.client.post("/organizer/never/x", headers={"sec-fetch-site": "cross-site"})).status_code == 404


@pytest.mark.parametrize("headers", ELSEWHERE)
async def test_reading_is_for_all(town: Town, headers: dict[str, str]) -> None:
    assert (await town.client.get(LETTER, headers=ours(headers, town))).status_code == 200


FOLLOWED = "?utm_source=chat&fbclid=1&as=person&lang=ru&_=2"


@pytest.mark.parametrize(
    "path", ["/en/", LETTER, f"{LETTER}/versions", f"{LETTER}/text", "/en/privacy", "/ru/security"]
)
async def test_unknown_queries_make_no_other_kept_copy(town: Town, path: str) -> None:
    plain = await town.client.get(path)
    cached = set(town.pages.fresh)
    assert path in cached
    for query in (FOLLOWED, "?", "?as=nonsense", "?%ff", "?as=person&as=person"):
        answer = await town.client.get(path + query)
        assert (answer.content, answer.headers["etag"]) == (plain.content, plain.headers["etag"])
    assert set(town.pages.fresh) == cached


async def test_an_escaped_question_mark_leads_to_no_kept_page(town: Town) -> None:
    assert (await town.client.get(f"{LETTER}?as=organization")).status_code == 200
    response = await town.client.get(f"{LETTER}%3Fas=organization")
    assert (response.status_code, response.headers["location"]) == (308, f"{LETTER}?as=organization")


async def test_the_form_of_organizations_is_the_one_other_copy(town: Town) -> None:
    person = await town.client.get(LETTER)
    organization = await town.client.get(f"{LETTER}?as=organization")
    assert organization.headers["etag"] != person.headers["etag"]
    more = await town.client.get(f"{LETTER}?as=organization&utm_source=chat")
    assert more.headers["etag"] == organization.headers["etag"]
    assert {path for path in town.pages.fresh if path.startswith(LETTER) and "?" in path} == {
        f"{LETTER}?as=organization"
    }


@pytest.mark.parametrize(
    "path", ["/en/", LETTER, f"{LETTER}/signatories", f"{LETTER}/versions", f"/api/v1/letters/{SLUG}"]
)
@pytest.mark.parametrize("query", ["", FOLLOWED])
async def test_who_has_the_page_is_told_so(town: Town, path: str, query: str) -> None:
    first = await town.client.get(path + query)
    mark = first.headers["etag"]
    for match in (mark, f'"other", {mark}', mark.removeprefix("W/"), "*"):
        again = await town.client.get(path + query, headers={"if-none-match": match})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == first.headers["cache-control"]
    assert (await town.client.get(path + query, headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.parametrize("path", ["/en/", LETTER, f"{LETTER}/find", f"{LETTER}/signatories", "/en/none"])
async def test_pages_are_compressed_for_those_who_can_read_that(town: Town, path: str) -> None:
    plain = await raw(town, path, "identity, gzip;q=0")
    for coding in (Coding.BROTLI, Coding.ZSTANDARD, Coding.GZIP):
        head, body = await raw(town, path, coding)
        assert f"content-encoding: {coding}\r\n".encode() in head
        assert UNPACK[coding](body) == plain[1]
    small = await raw(town, path, "gzip, deflate, br, zstd")
    assert b"content-encoding: br" in small[0]
    assert b"content-encoding" not in plain[0]
    assert b"vary: accept-encoding" in small[0]
    assert b"vary: accept-encoding" in plain[0]


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("query", ["", "?as=organization"])
async def test_the_letter_with_its_form_is_small(town: Town, lang: str, query: str) -> None:
    head, body = await raw(town, f"/{lang}/{SLUG}{query}", "br")
    assert b" 200 " in head.splitlines()[0]
    assert len(head) + len(body) <= FIRST_ANSWER


async def test_a_request_without_a_host_is_refused(town: Town) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", town.settings.port)
    writer.write(b"GET /en/ HTTP/1.0\r\n\r\n")
    assert b" 421 " in await reader.readline()
    writer.close()


async def test_an_onion_service_is_a_second_address(
    cluster: str, admin: "Conn", template: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    onion = "http://letters.onion"
    data = tmp_path_factory.mktemp("onion")
    async with fresh_database(cluster, admin, template) as url, installation(url, data, ONION_URL=onion) as site:
        for path in (LETTER, f"{LETTER}?as=organization", f"{LETTER}/find"):
            answer = await site.client.get(path)
            assert answer.headers["onion-location"] == onion + path.partition("?")[0]
        there = {"host": "letters.onion", "origin": onion}
        assert (await site.client.get(LETTER, headers=there)).status_code == 200
        assert (await site.client.post(f"{LETTER}/sign", headers=there)).status_code == 422
