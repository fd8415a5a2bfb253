"""Share card, feed and site map: valid, escaped, and without names of signatories."""

import asyncio
import re
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx2
import pytest

from petition.core.encryption import Wrapper
from petition.drafts import publishing
from petition.formats.xml import strip_invalid
from petition.letters import update_queries, updates
from petition.web.sharing.sitemap import MAP, XHTML, SitemapEntry, render_sitemap
from tests.letters.folders import other_letter
from tests.running import SLUG, Installation, publish
from tests.web.public.test_signatories import fill

ATOM = "{http://www.w3.org/2005/Atom}"
M, X = f"{{{MAP}}}", f"{{{XHTML}}}"
HARD = {
    "markup": "</title><script>alert(1)</script> & \"Tom\" 'n' ]]> <b>",
    "long": "W" * 200,
    "hebrew": "שמרו על הערוצים 123 (פתוחים)",
    "emoji": "Open 👩‍👩‍👧 channels 🇺🇦",
}


@pytest.fixture(params=HARD)
async def hard(request: pytest.FixtureRequest, site: Installation, tmp_path: Path) -> tuple[str, str]:
    """Give (slug, title) of a published letter with a title that might break something."""
    slug, title = f"hard-{request.param}", HARD[request.param]
    folder = other_letter(tmp_path, slug)
    for lang in ("en", "ru"):
        (folder / f"{lang}.md").write_text(
            f"# {title}\n\nText & <b>more</b>. [a link](/ru/privacy)\n", encoding="utf-8"
        )
    await publish(site.settings, site.database, folder)
    return slug, title


class Head(HTMLParser):
    """Collects title, metas and links of a page."""

    def __init__(self, page: httpx2.Response) -> None:
        super().__init__()
        self.metas: dict[str, str] = {}
        self.links: list[dict[str, str]] = []
        self.scripts = 0
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.scripts += tag == "script" and "src" not in attributes
        if tag == "meta" and (name := attributes.get("property") or attributes.get("name")):
            self.metas[name] = attributes["content"]
        if tag == "link":
            self.links.append(attributes)


async def test_the_letter_says_what_networks_ask(site: Installation, hard: tuple[str, str]) -> None:
    slug, title = hard
    page = await site.client.get(f"/ru/{slug}")
    head = Head(page)
    assert head.metas["og:title"] == title
    assert head.metas["og:url"] == f"{site.base}/ru/{slug}"
    assert head.metas["og:type"] == "article"
    assert head.metas["og:image"] == f"{site.base}/ru/{slug}/card.png?n=0"
    assert (head.metas["og:image:width"], head.metas["og:image:height"]) == ("1200", "630")
    assert head.metas["twitter:card"] == "summary_large_image"
    assert head.metas["og:description"].startswith("Text &")
    assert head.scripts == 0
    picture = await site.client.get(head.metas["og:image"])
    assert (picture.status_code, picture.content[:4]) == (200, b"\x89PNG")


async def test_feed_readers_and_engines_find_the_rest(site: Installation) -> None:
    page = await site.client.get(f"/en/{SLUG}?as=organization")
    links = Head(page).links
    assert {"rel": "canonical", "href": f"{site.base}/en/{SLUG}"} in links
    alternates = {link["hreflang"]: link["href"] for link in links if "hreflang" in link}
    assert alternates == {lang: f"{site.base}/{lang}/{SLUG}" for lang in ("en", "ru")}
    (feed,) = [link for link in links if link.get("type") == "application/atom+xml"]
    assert feed["href"] == f"{site.base}/en/{SLUG}/feed.atom"


async def test_a_copy_in_a_language_it_does_not_have_says_so(site: Installation, tmp_path: Path) -> None:
    await publish(site.settings, site.database, other_letter(tmp_path, "only-russian", languages=("ru",)))
    head = Head(await site.client.get("/en/only-russian"))
    assert {"rel": "canonical", "href": f"{site.base}/ru/only-russian"} in head.links
    assert head.metas["og:url"] == f"{site.base}/ru/only-russian"
    assert [link["hreflang"] for link in head.links if "hreflang" in link] == ["ru"]
    answer = await site.client.get("/en/only-russian/feed.atom")
    # The same entries under the same ids are the same words, whichever address they were asked under.
    assert answer.text == (await site.client.get("/ru/only-russian/feed.atom")).text
    assert answer.headers["content-language"] == "ru"
    entries = ET.fromstring(answer.content)
    assert entries.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "ru"


async def read(site: Installation, path: str) -> ET.Element:
    answer = await site.client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=1"
    assert "set-cookie" not in answer.headers
    again = await site.client.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    return ET.fromstring(answer.content)


def text(element: ET.Element, name: str) -> str:
    value = element.findtext(ATOM + name)
    assert value is not None, name
    return value


def check_feed(feed: ET.Element, path: str, base: str) -> None:
    """Fail unless the feed has what RFC 4287 wants of one."""
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    ids = [text(feed, "id")]
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    selves = [element.attrib["href"] for element in feed.findall(f"{ATOM}link") if element.attrib["rel"] == "self"]
    assert selves == [base + path]
    for entry in feed.findall(f"{ATOM}entry"):
        ids.append(text(entry, "id"))
        assert text(entry, "title")
        assert moment.fullmatch(text(entry, "updated"))
        content = entry.find(f"{ATOM}content")
        assert content is not None
        assert content.attrib["type"] == "html"
        assert len(content) == 0
    assert text(feed, "updated") == max(text(element, "updated") for element in feed.findall(f"{ATOM}entry"))
    assert all(re.fullmatch(r"tag:[\w.-]+,\d{4}-\d\d-\d\d:[\w/-]+", element) for element in ids)
    assert len(ids) == len(set(ids))


async def test_the_feed_is_valid_and_escaped(site: Installation, hard: tuple[str, str]) -> None:
    slug, title = hard
    feed = await read(site, f"/ru/{slug}/feed.atom")
    check_feed(feed, f"/ru/{slug}/feed.atom", site.base)
    assert text(feed, "title") == title
    content = feed.findtext(f"{ATOM}entry/{ATOM}content") or ""
    assert "<p>Text &amp; &lt;b&gt;more&lt;/b&gt;." in content
    assert 'href="/ru/privacy"' in content
    assert feed.attrib["{http://www.w3.org/XML/1998/namespace}base"] == f"{site.base}/"


async def test_a_new_version_is_a_new_entry_and_the_old_one_stays(site: Installation, tmp_path: Path) -> None:
    slug, path = "changing", "/en/changing/feed.atom"
    folder = other_letter(tmp_path, slug)
    await publish(site.settings, site.database, folder)
    before = await read(site, path)
    (folder / "en.md").write_text("# changing en\n\nOther text.\n", encoding="utf-8")
    languages = ("en", "ru")
    await publishing.import_folder(site.database, Wrapper(site.settings.secret_keys), folder, languages)
    await publishing.publish(site.database, slug)
    for _ in range(100):
        after = await read(site, path)
        if len(after.findall(f"{ATOM}entry")) == 2:
            break
        await asyncio.sleep(0.05)
    check_feed(after, path, site.base)
    assert text(after, "id") == text(before, "id")
    entries = after.findall(f"{ATOM}entry")
    assert text(entries[1], "id") == text(before.findall(f"{ATOM}entry")[0], "id")
    assert "Other text." in text(entries[0], "content")


async def test_the_site_map_pairs_languages(site: Installation, hard: tuple[str, str], tmp_path: Path) -> None:
    await publish(site.settings, site.database, other_letter(tmp_path, "only-russian", languages=("ru",)))
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now() WHERE slug = $1", hard[0])
        await conn.execute("UPDATE letter SET state = 'archived' WHERE slug = $1", SLUG)
    answer = await site.client.get("/sitemap.xml")
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    places = {}
    for url in ET.fromstring(answer.content).findall(f"{M}url"):
        pairs = {link.attrib["hreflang"]: link.attrib["href"] for link in url.findall(f"{X}link")}
        places[url.findtext(f"{M}loc")] = (pairs, url.findtext(f"{M}lastmod"))
    both = {lang: f"{site.base}/{lang}/{hard[0]}" for lang in ("en", "ru")}
    assert places[both["en"]][0] == places[both["ru"]][0] == both
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", places[both["en"]][1] or "")
    assert places[f"{site.base}/ru/only-russian"][0] == {"ru": f"{site.base}/ru/only-russian"}
    assert f"{site.base}/en/only-russian" not in places
    assert f"{site.base}/en/{SLUG}" not in places
    assert f"{site.base}/en/" in places
    robots = await site.client.get("/robots.txt")
    assert f"Sitemap: {site.base}/sitemap.xml" in robots.text.splitlines()


def test_a_site_map_has_an_end() -> None:
    places = (SitemapEntry(f"letter-{i}", ("en", "ru")) for i in range(30_000))
    assert len(ET.fromstring(render_sitemap(places, "https://letters.example"))) == 50_000


def test_what_no_document_can_hold_is_left_out() -> None:
    assert strip_invalid("a\0b\x0b\ufffe\ud800 Ж\U0001f600\n") == "ab Ж\U0001f600\n"


@pytest.mark.parametrize("path", ["/en/no-such-letter/feed.atom", f"/xx/{SLUG}/feed.atom", "/en/sitemap.xml"])
async def test_strangers_find_nothing(site: Installation, path: str) -> None:
    assert (await site.client.get(path)).status_code == 404


@pytest.mark.parametrize("path", [f"/en/{SLUG}/feed.atom", "/sitemap.xml"])
async def test_wrong_methods(site: Installation, path: str) -> None:
    assert (await site.client.post(path)).status_code == 405
    assert (await site.client.head(path)).status_code == 200


async def test_names_stay_where_their_owners_put_them(site: Installation) -> None:
    await fill(site, "Vera Novak")
    tag = "noindex, noarchive"
    for path in (f"/en/{SLUG}/signatories", f"/en/{SLUG}/signatories?q=vera", f"/api/v1/letters/{SLUG}/signatories"):
        answer = await site.client.get(path)
        assert "Vera Novak" in answer.text
        assert answer.headers["x-robots-tag"] == tag
        assert "stale" not in answer.headers["cache-control"]
    for path in (f"/en/{SLUG}", f"/en/{SLUG}/feed.atom", f"/en/{SLUG}/versions", "/sitemap.xml", f"/ru/{SLUG}"):
        assert "Vera Novak" not in (await site.client.get(path)).text


async def test_unless_the_letter_allows_it(site: Installation) -> None:
    await fill(site, "Vera Novak")
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET names_in_search = true, revision = revision + 1")
    for _ in range(200):
        page = await site.client.get(f"/en/{SLUG}")
        if "Vera Novak" in page.text:
            break
        await asyncio.sleep(0.05)
    assert "Vera Novak" in page.text
    assert "x-robots-tag" not in (await site.client.get(f"/en/{SLUG}/signatories")).headers
    assert "x-robots-tag" in (await site.client.get(f"/en/{SLUG}/signatories?q=vera")).headers


async def test_updates_stand_in_the_feed_as_readers_see_them(site: Installation) -> None:
    path = f"/ru/{SLUG}/feed.atom"
    before = await read(site, path)
    texts = {"en": {"title": "An <b>answer</b> & more", "markdown": "*Yes*, they said."}}
    async with site.database.transaction() as conn:
        letter = await conn.fetchval("SELECT id FROM letter")
        rendered_texts = {lang: asdict(text) for lang, text in updates.rendered(texts).items()}
        number = await update_queries.add(conn, letter, texts)
        assert number is not None
        await update_queries.write(conn, letter, number, texts, rendered_texts, updates.PUBLISHED, edited=False)
        await update_queries.add(conn, letter, {"en": {"title": "A draft", "markdown": "Secret."}})
        await update_queries.move_revision(conn, letter)
    for _ in range(100):
        after = await read(site, path)
        if len(after.findall(f"{ATOM}entry")) == 2:
            break
        await asyncio.sleep(0.05)
    check_feed(after, path, site.base)
    newest, first = after.findall(f"{ATOM}entry")
    assert text(newest, "title") == "An <b>answer</b> & more"
    assert text(newest, "content").strip() == "<p><em>Yes</em>, they said.</p>"
    assert newest.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "en"
    assert text(newest, "id") == f"{text(after, 'id')}/update/{number}"
    assert text(first, "id") == text(before.findall(f"{ATOM}entry")[0], "id")
    assert "Secret" not in ET.tostring(after, encoding="unicode")
