"""Addresses with what people and programs add to them: led to the right one, in one hop, and never anywhere else."""

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.tokens import Tokens
from petition.web.app import ROUTES
from petition.web.shared_addresses import paths_of, pattern_of, repair, tokens_in
from tests.running import KEY, SLUG, Installation, installation
from tests.signatures.people import sign

LANGUAGES = ("en", "ru")
PATTERNS = [
    pattern_of(path)
    for path in sorted(paths_of(ROUTES), key=lambda path: not path.endswith("/"))
    if not path.startswith("/static")
]
TOKEN = Tokens([KEY]).for_signature(1, 7)  # type: ignore[arg-type]

BEHIND = [
    *("/", "//", ".", ",", ")", "]", ">", "»", "”", "’", '"', "'", ";", ":", "!", "?", "…", " ", ").", "/)", "!»", "*"),
    *("\u00a0", "\u200b", "\ufeff", "\u00ad", "\u2069", "\u200f", "\ufe0f", "\\", "\ufffd", " (1)", "👍"),
    *("&fbclid=1", "&utm_source=x&utm_medium=y", "?utm_source=x", "?gclid=1", "?igsh=1&mc_eid=2", "&yclid=3&ysclid=4"),
]


def escaped(text: str) -> str:
    return quote(text, safe="/")


@pytest.mark.parametrize(
    "path",
    [
        f"/en/{SLUG}",
        f"/ru/{SLUG}/signatories",
        f"/en/{SLUG}/feed.atom",
        f"/en/{SLUG}/card.png",
        f"/en/{SLUG}/embed",
        f"/api/v1/letters/{SLUG}",
        f"/api/v1/letters/{SLUG}/count",
        f"/embed/{SLUG}",
        f"/badge/{SLUG}.svg",
        "/embed.js",
        "/ru/privacy",
        "/ru/security",
        f"/en/confirm/{TOKEN}",
        f"/en/signature/{TOKEN}",
        f"/en/signature/{TOKEN}/data.json",
        f"/organizer/{SLUG}/queue",
    ],
)
async def test_what_stands_behind_an_address_is_cut(shared_site: Installation, path: str) -> None:
    for number, behind in enumerate(BEHIND):
        method = ("GET", "HEAD")[number % 2]
        response = await shared_site.client.request(method, path + escaped(behind))
        assert (response.status_code, response.headers.get("location")) == (308, path), behind


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        (f"/EN/{SLUG}", f"/en/{SLUG}"),
        (f"/en/{SLUG.upper()}", f"/en/{SLUG}"),
        (f"/Ru/{SLUG.title()}/SIGNATORIES", f"/ru/{SLUG}/signatories"),
        (f"/en//{SLUG}/", f"/en/{SLUG}"),
        ("/EN", "/en/"),
        ("/en.", "/en/"),
        ("/Ru/", "/ru/"),
        (f"/API/V1/Letters/{SLUG.upper()}/Count", f"/api/v1/letters/{SLUG}/count"),
        (f"/Embed/{SLUG.upper()}", f"/embed/{SLUG}"),
        (f"/badge/{SLUG}.SVG", f"/badge/{SLUG}.svg"),
        (f"/EN/Confirm/{TOKEN}", f"/en/confirm/{TOKEN}"),
        (f"/organizer/{SLUG.upper()}/Queue/", f"/organizer/{SLUG}/queue"),
        ("/Organizer", "/organizer/"),
        (f"/en/{SLUG[:4]}%C2%AD{SLUG[4:]}", f"/en/{SLUG}"),
        (f"/en/{SLUG}%25E2%2580%258B", f"/en/{SLUG}"),
        (f"/en/{SLUG}%20-%20read", f"/en/{SLUG}"),
        (f"/en/{SLUG}/?kind=person&utm_source=x", f"/en/{SLUG}?kind=person"),
        (f"/en/{SLUG}%3Fas=organization&fbclid=2", f"/en/{SLUG}?as=organization"),
        (f"/en/{SLUG}&x=%0d%0aSet-Cookie:a=1", f"/en/{SLUG}"),
        ("/robots.txt/", "/robots.txt"),
    ],
)
async def test_another_spelling_leads_to_ours(shared_site: Installation, typed: str, path: str) -> None:
    response = await shared_site.client.get(typed)
    assert (response.status_code, response.headers.get("location")) == (308, path)
    assert "set-cookie" not in response.headers
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("typed", "accept", "path"),
    [
        (f"/{SLUG}", "ru,en;q=0.5", f"/ru/{SLUG}"),
        (f"/{SLUG}", "de", f"/en/{SLUG}"),
        (f"/{SLUG.upper()}.", "ru", f"/ru/{SLUG}"),
        (f"/{SLUG}/", "ru", f"/ru/{SLUG}"),
        (f"/{SLUG}/signatories", "ru", f"/ru/{SLUG}/signatories"),
        (f"/{SLUG}?from=&utm_source=poster", "en", f"/en/{SLUG}?from="),
    ],
)
async def test_a_short_name_leads_to_the_readers_language(
    shared_site: Installation, typed: str, accept: str, path: str
) -> None:
    response = await shared_site.client.get(typed, headers={"accept-language": accept})
    assert (response.status_code, response.headers.get("location")) == (303, path)
    assert response.headers["vary"] == "Accept-Language"


@pytest.mark.parametrize(
    "path",
    [
        "/en/no-such-letter/",
        "/no-such-letter",
        "/en/no-such-letter.",
        f"/de/{SLUG}",
        f"/en/{SLUG}/no-such-page/",
        f"/en/{SLUG}и",
        f"/en/confirm/{TOKEN.swapcase()}",
        f"/en/confirm/{TOKEN.swapcase()}.",
        f"/en/confirm/{TOKEN[:-1]}",
        "/en/confirm/nonsense)",
        "/%2Fevil.example/",
        "/\\evil.example",
        "/%2F%2Fevil.example/en",
        "/en//evil.example/%0d%0aLocation:x",
        "/.",
        "/metrics/",
    ],
)
async def test_what_is_not_ours_stays_an_error(shared_site: Installation, path: str) -> None:
    response = await shared_site.client.get(path)
    if path == "/.":
        assert response.headers["location"] in {"/en/", "/ru/"}
    else:
        assert response.status_code == 404
        assert "location" not in response.headers


async def test_the_token_is_cut_and_nothing_else(shared_site: Installation) -> None:
    for behind in ("_", "__", "-", "*", ".)", "%E2%80%8B.", "спасибо", "%20see%20you"):
        response = await shared_site.client.get(f"/en/signature/{TOKEN}{behind}")
        assert response.headers.get("location") == f"/en/signature/{TOKEN}", behind


async def test_only_reading_is_redirected(shared_site: Installation) -> None:
    response = await shared_site.client.post(f"/en/{SLUG}/sign/", data={})
    assert response.status_code in {404, 405}


async def test_the_target_answers(shared_site: Installation) -> None:
    for typed in (f"/EN/{SLUG}/.", f"/en/{SLUG}/signatories)", f"/api/v1/letters/{SLUG}/", f"/embed/{SLUG}/"):
        response = await shared_site.client.get(typed)
        assert (await shared_site.client.get(response.headers["location"])).status_code == 200


async def test_programs_of_other_sites_may_follow(shared_site: Installation) -> None:
    response = await shared_site.client.get(f"/api/v1/letters/{SLUG}/count/")
    assert response.headers["access-control-allow-origin"] == "*"


async def test_names_in_a_query_are_cleaned_too(shared_site: Installation) -> None:
    organization = (await shared_site.client.get(f"/en/{SLUG}?as=organization")).text
    for query in ("as=Organization", "as=organization.", "as=organization%E2%80%8B", "as=organization&utm_source=x"):
        assert (await shared_site.client.get(f"/en/{SLUG}?{query}")).text == organization
    russian = (await shared_site.client.get(f"/badge/{SLUG}.svg?lang=ru")).text
    assert (await shared_site.client.get(f"/badge/{SLUG}.svg?lang=RU)")).text == russian


async def test_the_list_opens_at_a_shared_place(shared_site: Installation) -> None:
    async with shared_site.database.connection() as conn:
        letter = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        await sign(conn, letter, "Ada Lovelace")
    page = f"/en/{SLUG}/signatories?kind=person"
    assert "Ada Lovelace" in (await shared_site.client.get(page)).text
    assert "Ada Lovelace" in (await shared_site.client.get(f"{page})".replace("person", "Person"))).text


@pytest.mark.parametrize("tail", ["", "/", ".", "?utm_source=x", "%E2%80%8B"])
async def test_oembed_reads_what_people_paste(shared_site: Installation, tail: str) -> None:
    address = f"{shared_site.base}/RU/{SLUG.upper()}{tail}"
    response = await shared_site.client.get("/oembed", params={"url": address})
    assert response.status_code == 200
    assert "lang=ru" in response.json()["html"]


@pytest.mark.parametrize(
    "host", ["письмо.рф", "ПИСЬМО.рф.", "xn--h1aigbl0e.xn--p1ai", "%D0%BF%D0%B8%D1%81%D1%8C%D0%BC%D0%BE.рф"]
)
async def test_oembed_knows_a_cyrillic_host_however_it_is_written(
    database_url: str, tmp_path: Path, with_letter: None, host: str
) -> None:
    address = {"BASE_URL": "https://письмо.рф", "CONTROLLER": "The letter's society, us@letters.example"}
    async with installation(database_url, tmp_path, **address) as site:
        base = f"http://127.0.0.1:{site.environ['PORT']}"
        headers = {"Host": "xn--h1aigbl0e.xn--p1ai"}
        async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=60) as client:
            url = f"https://{host}/ru/{SLUG}"
            response = await client.get("/oembed", params={"url": url})
            assert response.status_code == 200
            assert "https://xn--h1aigbl0e.xn--p1ai/embed/" in response.json()["html"]
            assert (await client.get("/oembed", params={"url": url.replace(host, "письма.рф")})).status_code == 404


PIECES = st.one_of(
    st.sampled_from(
        [SLUG, SLUG.upper(), "en", "RU", "confirm", TOKEN, "signature", "api", "v1", "letters", "organizer"]
    ),
    st.sampled_from([*BEHIND, "\\", "//", "evil.example", "@", "\r\n", "%0d%0a", "http:", ":"]),
    st.text(max_size=6),
)


@given(st.lists(PIECES, max_size=8).map("/".join), st.lists(PIECES, max_size=4).map("".join))
def test_a_repaired_address_is_safe_and_final(front: str, behind: str) -> None:
    repaired = repair(f"/{front}{behind}", PATTERNS, LANGUAGES)
    if repaired is None:
        return
    assert re.fullmatch(r"/(?:[A-Za-z0-9_.~-]+/?)*", repaired.path)
    assert not urlsplit(repaired.path).netloc
    again = repair(repaired.path, PATTERNS, LANGUAGES)
    assert again is not None
    assert again.path == repaired.path


WITHOUT_DIGITS = st.sampled_from([behind for behind in BEHIND if not re.match(r"\W*[0-9]", behind)])


@given(WITHOUT_DIGITS, WITHOUT_DIGITS, st.booleans())
def test_any_two_additions_are_taken_off(first: str, second: str, is_upper: bool) -> None:
    path = f"/en/{SLUG}/signatories"
    repaired = repair((path.upper() if is_upper else path) + first + second, PATTERNS, LANGUAGES)
    assert repaired is not None
    assert repaired.path == path


@given(st.text(max_size=40))
def test_no_character_of_a_token_is_changed(text: str) -> None:
    assert all(text.startswith(token) for token in tokens_in(text))
