"""The badge: text as text, escaped, as wide as its text, in every language, style and theme; and what Shields takes."""

import asyncio
import itertools
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest

from petition.pictures.badge import Badge, svg
from petition.pictures.colours import ACCENTS, contrast, ink_on, readable
from petition.pictures.text_widths import width_of
from petition.web.embeds.options import STYLES, THEMES
from tests.html_checker import problems
from tests.running import SLUG, Installation
from tests.web.api.test_endpoints import count_of
from tests.web.embeds.titles import TITLES, entitled

SPACE = "{http://www.w3.org/2000/svg}"
BADGE = f"/badge/{SLUG}.svg"
# What shields.io/badges/endpoint-badge knows.
SHIELDS = {"schemaVersion", "label", "message", "color", "labelColor", "isError", "namedLogo", "logoSvg", "logoColor"}
SHIELDS |= {"logoWidth", "logoSize", "logoPosition", "style", "cacheSeconds"}


def texts_of(picture: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SPACE}text")]


async def get(site: Installation, path: str, **headers: str) -> httpx2.Response:
    answer = await site.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


async def test_both_languages_have_their_words_and_their_digits(site: Installation) -> None:
    await count_of(site, people=3436, organizations=35)
    assert texts_of((await get(site, BADGE)).content) == ["signatures", "3,471"]
    assert texts_of((await get(site, f"{BADGE}?lang=ru")).content) == ["подписей", "3\xa0471"]
    await count_of(site, people=3437)
    assert texts_of((await get(site, f"{BADGE}?lang=ru")).content) == ["подписей", "3\xa0472"]


async def test_every_style_and_theme_is_well_formed_and_needs_nothing_from_anywhere(site: Installation) -> None:
    svgs = set()
    for lang, style, theme in itertools.product(("en", "ru"), STYLES, THEMES):
        answer = await get(site, f"{BADGE}?lang={lang}&style={style}&theme={theme}")
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=1"
        root = ElementTree.fromstring(answer.content)
        assert root.get("role") == "img"
        assert "url(http" not in answer.text
        assert "href" not in answer.text
        assert ("prefers-color-scheme" in answer.text) == (theme == "auto")
        svgs.add(answer.content)
    assert len(svgs) == 2 * len(STYLES) * len(THEMES)


async def test_the_nu_checker_finds_nothing_on_any_badge() -> None:
    title = TITLES["markup"]
    badges = [
        Badge("signatures", "1,000", title, style, theme, "en") for style, theme in itertools.product(STYLES, THEMES)
    ]
    badges += [Badge("подписей", "3\xa0471", TITLES["right-to-left"], style, "auto", "ru") for style in STYLES]
    documents = [(f"{badge.style} {badge.theme}", ".svg", svg(badge)) for badge in badges]
    assert await asyncio.to_thread(problems, documents) == []


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
async def test_whatever_the_title_is_it_is_only_read_out(site: Installation, title: str) -> None:
    await entitled(site, title)
    picture = (await get(site, BADGE)).content
    root = ElementTree.fromstring(picture)
    assert root.get("aria-label") == f"{title}: 0 signatures"
    assert root.findtext(f"{SPACE}title") == f"{title}: 0 signatures"
    assert texts_of(picture) == ["signatures", "0"]
    assert {element.tag.removeprefix(SPACE) for element in root.iter()} <= {
        *("svg", "title", "style", "clipPath", "rect", "g", "text")
    }


def test_what_xml_cannot_hold_is_left_out() -> None:
    picture = svg(Badge("a\0b", "\ud800\x08c\uffff", "\x1b<", "flat", "light", "en"))
    assert texts_of(picture) == ["ab", "c"]


def test_a_badge_is_as_wide_as_its_text() -> None:
    short, long = (svg(Badge("подписей", message, "", "flat", "light", "ru")) for message in ("1", "1\xa0234\xa0567"))
    widths = [float(ElementTree.fromstring(element).get("width") or 0) for element in (short, long)]
    assert 85 < widths[0] < 95
    assert 45 < widths[1] - widths[0] < 55
    # A "W" is wide, an "i" is not; marks on a letter have no width of their own; ideographs are square.
    assert width_of("W", 10) > 3 * width_of("i", 10)
    assert width_of("e\u0301", 10) == width_of("e", 10)
    assert width_of("請", 10) == 10


def test_everything_can_be_read() -> None:
    for accent in (*ACCENTS.values(), "#ffffff", "#000000", "#777777", "#ff0000", "#00ff00", "#0000ff", "#808000"):
        assert contrast(accent, ink_on(accent)) >= 4.5
        for paper in ("#ffffff", "#15171a"):
            assert contrast(readable(accent, paper), paper) >= 4.5
    assert readable("#1f4b99", "#ffffff") == "#1f4b99"


async def test_shields_gets_what_it_takes(site: Installation) -> None:
    await count_of(site, people=3436, organizations=35)
    body: dict[str, Any] = (await get(site, f"/badge/{SLUG}.json")).json()
    assert body == {"schemaVersion": 1, "label": "signatures", "message": "3,471", "color": "1f4b99"}
    assert set(body) <= SHIELDS
    assert (await get(site, f"/badge/{SLUG}.json?lang=ru")).json()["label"] == "подписей"


async def test_who_has_it_is_told_so(site: Installation) -> None:
    for path in (BADGE, f"{BADGE}?lang=ru&style=large&theme=dark", f"/badge/{SLUG}.json"):
        etag = (await get(site, path)).headers["etag"]
        again = await site.client.get(path, headers={"if-none-match": etag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["access-control-allow-origin"] == "*"


async def test_what_is_not_there_or_not_allowed(site: Installation) -> None:
    for path in ("/badge/no-such-letter.svg", "/badge/no-such-letter.json", f"/badge/{SLUG}", f"/badge/{SLUG}.png"):
        assert (await site.client.get(path)).status_code == 404
    for path in (BADGE, f"/badge/{SLUG}.json"):
        assert (await site.client.post(path)).status_code == 405
        assert (await site.client.head(path)).status_code == 200
