"""The counter in a frame, the component's script, the page that hands both out, and oEmbed, as they are answered."""

import asyncio
import gzip
import html
import json
import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from petition.web.embeds.options import THEMES, VARIANTS, FrameOptions, accent_of, key_of
from petition.web.embeds.snippets import HEIGHTS, WIDTH
from tests.running import SLUG, Installation
from tests.web.api.test_endpoints import count_of, is_problem
from tests.web.embeds.people import partner
from tests.web.embeds.titles import TITLES, entitled

EMBED = f"/embed/{SLUG}"
BUILDER = f"/en/{SLUG}/embed"


class Seen(HTMLParser):
    """Notes every element with its attributes, and the text of all."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._is_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_style = tag == "style"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if not self._is_style:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


async def get(site: Installation, path: str) -> httpx2.Response:
    answer = await site.client.get(path)
    assert answer.status_code == 200, answer.text
    assert "set-cookie" not in answer.headers
    return answer


async def test_every_variant_in_both_languages(site: Installation) -> None:
    await count_of(site, people=3436, organizations=35)
    for lang, number in (("en", "3,471"), ("ru", "3\xa0471")):
        for show in VARIANTS:
            page = Seen((await get(site, f"{EMBED}?lang={lang}&show={show}")).text)
            assert number in page.text
            assert (len(page.all("progress")) == 1) == (show == "progress")
            assert ("35" in page.text) == (show == "organizations")
            links = [link["href"] for link in page.all("a")]
            assert links[0] == f"{site.base}/{lang}/{SLUG}"
            assert links[1:] == ([f"{site.base}/{lang}/{SLUG}#sign"] if show == "button" else [])
    async with site.database.transaction() as conn:
        await conn.execute("UPDATE letter SET goal = 1000, next_goals = '{4000,9000}', revision = revision + 1")
    for _ in range(200):
        page = Seen((await get(site, f"{EMBED}?show=progress")).text)
        if page.all("progress")[0]["max"] == "4000":  # the first one is reached, as on the letter's own page
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the goal that is reached is still shown")
    assert "goal=&#34;1000 4000 9000&#34;" in (await get(site, f"{BUILDER}?show=progress")).text
    for theme in THEMES:
        assert f'data-theme="{theme}"' in (await get(site, f"{EMBED}?theme={theme}")).text


async def test_only_a_frame_may_stand_in_other_peoples_pages(site: Installation) -> None:
    framed = (await get(site, EMBED)).headers
    assert "frame-ancestors" not in framed["content-security-policy"]
    assert "x-frame-options" not in framed
    for path in (f"/en/{SLUG}", BUILDER, f"/en/{SLUG}/signatories", "/en/"):
        assert "frame-ancestors 'none'" in (await get(site, path)).headers["content-security-policy"]
    policy = framed["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("#1F4B99", "#1f4b99"),
        ("c0392b", "#c0392b"),
        *(
            (bad, None)
            for bad in ("", "red", "#fff", "#12345", "#1234567", "#12345g", "#123456;}", "٣٣٣٣٣٣", "# 12345")
        ),
    ],
)
def test_an_accent_is_six_digits_and_nothing_else(typed: str, meant: str | None) -> None:
    assert accent_of(typed) == meant


async def test_an_accent_is_used_as_it_is_or_not_at_all(site: Installation) -> None:
    usual = await get(site, EMBED)
    assert (await get(site, f"{EMBED}?accent=%23c0392b")).text != usual.text
    assert "#c0392b" in (await get(site, f"{EMBED}?accent=C0392B")).text
    for bad in ("red", "%23fff", "000000%3B%7D*%7Bbackground%3Aurl(//x)%7D", "%3C/style%3E"):
        assert (await get(site, f"{EMBED}?accent={bad}")).text == usual.text


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES)
async def test_whatever_the_title_is_it_is_text(site: Installation, title: str) -> None:
    await entitled(site, title)
    frame = Seen((await get(site, f"{EMBED}?show=button")).text)
    assert title in frame.text
    assert {tag for tag, _ in frame.elements} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "b", "span", "a", "script")
    }
    assert len(frame.all("script")) == 1
    page = (await get(site, BUILDER)).text
    assert "<script>alert" not in page
    # What is copied is markup again: it shows the title, and brings no element that we did not write.
    snippets = [html.unescape(snippet) for snippet in re.findall(r'<code translate="no">(.*?)</code>', page, re.DOTALL)]
    assert len(snippets) == 8
    for snippet in (snippet for snippet in snippets if snippet.startswith("<")):
        parsed = Seen(snippet)
        assert {tag for tag, _ in parsed.elements} <= {"a", "img", "iframe", "script", "petition-counter", "data"}
        assert all(set(snippet) == {"async", "src"} for snippet in parsed.all("script"))
        assert title in parsed.text or parsed.all("img") or title in html.unescape(snippet)
    markdown = next(snippet for snippet in snippets if snippet.startswith("[!["))
    assert markdown.count(f"]({site.base}/") == 2
    assert not re.search(r"(?<!\\)<", markdown)
    body = (await get(site, f"/oembed?url={site.base}/en/{SLUG}")).json()
    assert body["title"] == title
    assert {tag for tag, _ in Seen(body["html"]).elements} == {"iframe", "a"}


async def test_the_component_is_small_and_has_the_words_of_every_language(site: Installation) -> None:
    answer = await get(site, "/embed.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert len(gzip.compress(answer.content)) <= 4096
    packed = await site.client.get("/embed.js", headers={"accept-encoding": "gzip"})
    assert int(packed.headers["content-length"]) <= 4096
    match = re.search(r"const WORDS = (.*);", answer.text)
    assert match
    words = json.loads(match[1])
    assert words["en"]["signatures"] == {"one": "signature", "other": "signatures"}
    assert words["ru"]["signatures"] == {"one": "подпись", "few": "подписи", "many": "подписей"}


async def test_unknown_parameters_make_no_other_copy(site: Installation) -> None:
    for path in (EMBED, BUILDER, f"/badge/{SLUG}.svg", f"/badge/{SLUG}.json", "/embed.js", f"/en/{SLUG}"):
        usual = await get(site, path)
        for junk in (
            "x=1",
            "lang=",
            "lang=xx",
            "theme=neon&style=3d&show=all",
            "from=nobody",
            "origin=https://a.example",
        ):
            answer = await get(site, f"{path}?{junk}")
            if path != BUILDER or "from" not in junk:  # that page says that no partner has this name
                assert answer.headers["etag"] == usual.headers["etag"], (path, junk)


def test_what_is_as_usual_makes_no_other_key() -> None:
    frame = FrameOptions.read({"lang": "en", "theme": "auto", "show": "count", "from": "x"}, ["en", "ru"], [])
    assert key_of("/embed/a", frame.query("en"), {}) == "/embed/a"
    other = FrameOptions.read({"from": "x", "show": "button", "lang": "ru"}, ["en", "ru"], ["x"])
    assert key_of("/embed/a", other.query("en"), {}) == "/embed/a?lang=ru&show=button&from=x"


async def test_the_builder_follows_the_choices(site: Installation) -> None:
    await partner(site, "north-pier")
    for lang in ("en", "ru"):
        plain = await get(site, f"/{lang}/{SLUG}/embed")
        assert f'<html lang="{lang}">' in plain.text
        assert plain.headers["cache-control"] == "public, max-age=0, s-maxage=1"
    query = "lang=ru&theme=dark&show=button&accent=%23c0392b&from=north-pier"
    page = (await get(site, f"{BUILDER}?{query}")).text
    (frame,) = Seen(page).all("iframe")
    assert parse_qs(urlsplit(frame["src"]).query) == {
        **{"lang": ["ru"], "theme": ["dark"], "show": ["button"], "from": ["north-pier"], "accent": ["c0392b"]}
    }
    assert f"{site.base}/ru/{SLUG}?from=north-pier" in html.unescape(page)
    wrong = (await get(site, f"{BUILDER}?accent=red&from=nobody%3Cb%3E")).text
    assert "Write the colour like this" in wrong
    assert "have not registered this name" in wrong
    assert "from=nobody" not in wrong
    assert "<b>" not in Seen(wrong).text
    assert f'href="{BUILDER}"' in (await get(site, f"/en/{SLUG}")).text


async def test_oembed_as_the_letter_page_says_where(site: Installation) -> None:
    links = Seen((await get(site, f"/ru/{SLUG}")).text).all("link")
    (discovery,) = [link for link in links if link.get("type") == "application/json+oembed"]
    body = (await get(site, discovery["href"].removeprefix(site.base))).json()
    assert {"version": body["version"], "type": body["type"]} == {"version": "1.0", "type": "rich"}
    assert (body["width"], body["height"]) == (WIDTH, HEIGHTS["button"])
    (frame,) = Seen(body["html"]).all("iframe")
    assert frame["src"] == f"{site.base}/embed/{SLUG}?lang=ru&show=button"
    assert (frame["width"], frame["height"]) == (str(WIDTH), str(HEIGHTS["button"]))
    assert "allow-same-origin" not in frame["sandbox"]


async def test_oembed_keeps_to_the_space_there_is(site: Installation) -> None:
    ask = f"/oembed?format=json&url={site.base}/en/{SLUG}"
    small = (await get(site, f"{ask}&maxwidth=300&maxheight=120")).json()
    assert (small["width"], small["height"]) == (300, HEIGHTS["count"])
    for junk in ("&maxwidth=x", "&maxheight=-5", "&maxwidth=99999999999999", "&maxheight="):
        assert (await get(site, ask + junk)).json()["width"] == WIDTH
    for narrow in ("&maxwidth=100", "&maxheight=50", "&maxheight=0"):
        assert is_problem(await site.client.get(ask + narrow), 404)


async def test_oembed_takes_every_name_of_ours_in_either_scheme(site: Installation) -> None:
    port = site.settings.port
    for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST"):
        for scheme in ("http", "https"):
            for more in ("", "/", "?utm_source=x", "#sign"):
                url = f"{scheme}://{host}:{port}/en/{SLUG}{more}"
                body = (await site.client.get("/oembed", params={"url": url})).json()
                (frame,) = Seen(body["html"]).all("iframe")
                assert frame["src"].startswith(f"{site.base}/embed/{SLUG}")
    for foreign in (f"http://127.0.0.1:{port + 1}", f"ftp://localhost:{port}", f"http://x@localhost:{port}"):
        answer = await site.client.get("/oembed", params={"url": f"{foreign}/en/{SLUG}"})
        assert is_problem(answer, 404)


async def test_oembed_refuses_what_is_not_ours(site: Installation) -> None:
    ours = f"{site.base}/en/{SLUG}"
    for url, status in (
        ("", 400),
        ("https://elsewhere.example/en/keep-the-channels-open", 404),
        (f"{site.base}.elsewhere.example/en/{SLUG}", 404),
        (f"{site.base}@elsewhere.example/en/{SLUG}", 404),
        *(
            (f"{site.base}{path}", 404)
            for path in ("", "/en/", "/xx/" + SLUG, "/en/no-such-letter", f"/en/{SLUG}/text")
        ),
        ("http://[", 404),
        ("javascript:alert(1)", 404),
        ("x" * 5000, 404),
    ):
        assert is_problem(await site.client.get("/oembed", params={"url": url}), status), url
    assert is_problem(await site.client.get("/oembed", params={"url": ours, "format": "xml"}), 501)
    assert is_problem(await site.client.get("/oembed", params={"url": ours, "format": ""}), 400)
    assert is_problem(await site.client.post("/oembed"), 405)


async def test_what_is_not_there_or_not_allowed(site: Installation) -> None:
    for path in ("/embed/no-such-letter", "/en/no-such-letter/embed", "/xx/no-such-letter/embed", "/embed/"):
        assert (await site.client.get(path)).status_code == 404
    for path in (EMBED, BUILDER, "/embed.js"):
        assert (await site.client.post(path)).status_code == 405
        assert (await site.client.head(path)).status_code == 200
