"""What became of the letter, where readers meet it elsewhere: feed, picture, frame, oEmbed, list of letters."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from petition.core.encryption import LetterKeys
from petition.core.ids import AddresseeId, LetterId, ResponseId
from petition.letters.addressees import Addressee, AddresseeState, Response
from petition.letters.model import Counts, Letter, State, Text, Version
from petition.letters.published import PublishedLetter
from petition.pictures.letter_pictures import card_of
from petition.pictures.share_card import MAX_LINE, draw
from tests.addressees.records import record
from tests.core.test_templates import LANGUAGES
from tests.running import SLUG, Installation

ATOM = "{http://www.w3.org/2005/Atom}"
NOW = datetime.now(UTC)
CARD = f"/en/{SLUG}/card.png"


async def text_when(site: Installation, path: str, is_so: Callable[[str], bool]) -> str:
    return await site.page_when(path, is_so)


@pytest.fixture
async def heard(site: Installation) -> Installation:
    """Give a site whose first addressee is silent for 61 days, and whose second changed course."""
    for name in ("Meridian Networks", "Halden Cloud"):
        await record(site.database, name, "delivered", NOW - timedelta(days=61))
    summary = {"en": "We <b>agree</b> & renew.", "ru": "Согласны."}
    await record(
        site.database, "Halden Cloud", "changed_course", NOW, summary=summary, url="https://halden.example/a?b&c"
    )
    await site.page_when(f"/en/{SLUG}", lambda page: "changed course" in page)
    return site


async def test_the_feed_has_deliveries_and_answers(heard: Installation) -> None:
    feed = await text_when(heard, f"/en/{SLUG}/feed.atom", lambda text: "changed course" in text)
    entries = {entry.findtext(f"{ATOM}title"): entry for entry in ET.fromstring(feed).iter(f"{ATOM}entry")}
    answer = entries["Halden Cloud: changed course"]
    content = answer.findtext(f"{ATOM}content") or ""
    assert "We &lt;b&gt;agree&lt;/b&gt; &amp; renew." in content
    assert 'href="https://halden.example/a?b&amp;c"' in content
    assert (answer.findtext(f"{ATOM}id") or "").endswith("/response/3")
    link = answer.find(f"{ATOM}link")
    assert link is not None
    assert link.attrib["href"].endswith(f"/en/{SLUG}/answers#r3")
    assert "Meridian Networks: the letter was delivered" in entries
    russian = await text_when(heard, f"/ru/{SLUG}/feed.atom", lambda text: "решение изменено" in text)
    assert "Согласны." in russian


async def test_the_frame_shows_it_where_there_is_room(heard: Installation) -> None:
    for lang, words in (("en", "silent for 61 days"), ("ru", "молчит 61 день")):
        page = await text_when(
            heard, f"/embed/{SLUG}?show=addressees&lang={lang}", lambda text: 'class="q a on"' in text
        )
        assert words in page
    usual = await text_when(heard, f"/embed/{SLUG}", lambda text: "changed course" in text)
    assert 'class="q a"' in usual
    assert "addressees" in (await heard.client.get(f"/en/{SLUG}/embed")).text


async def test_a_frame_of_a_letter_that_is_not_delivered_says_so(site: Installation) -> None:
    assert "has not been delivered yet" in (await site.client.get(f"/embed/{SLUG}?show=addressees")).text
    assert "has not been delivered yet" not in (await site.client.get(f"/embed/{SLUG}")).text


async def test_oembed_of_a_closed_letter_shows_what_it_reached(heard: Installation) -> None:
    address = f"/oembed?url={heard.base}/en/{SLUG}"
    assert "show=button" in (await heard.client.get(address)).json()["html"]
    async with heard.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now(), revision = revision + 1")
    async with asyncio.timeout(60):
        while "show=addressees" not in (await heard.client.get(address)).json()["html"]:
            await asyncio.sleep(0.05)
    index = await text_when(heard, "/en/", lambda text: "Halden Cloud: changed course" in text)
    assert "Halden Cloud: changed course · Meridian Networks: silent for 61 days" in index


async def test_the_picture_is_another_one(heard: Installation) -> None:
    page = (await heard.client.get(f"/en/{SLUG}")).text
    before = (await heard.client.get(CARD)).content
    assert "card.png?n=" in page
    mark = page.partition("card.png?n=")[2].partition('"')[0]
    assert "&amp;a=" in mark
    await record(heard.database, "Meridian Networks", "refused", NOW)
    after = await heard.page_when(f"/en/{SLUG}", lambda text: mark not in text)
    assert "refused" in after
    async with asyncio.timeout(60):
        while (await heard.client.get(CARD)).content == before:
            await asyncio.sleep(0.05)


def published(addressees: tuple[Addressee, ...]) -> PublishedLetter:
    texts = {lang: Text(f"Title {lang}", "", "") for lang in ("en", "ru")}
    version = Version(1, "0" * 64, NOW, texts, {}, 0)
    keys = LetterKeys(None, None)
    letter = Letter(
        LetterId(1), "a-letter", State.OPEN, None, NOW, None, None, False, 1, 1, (), addressees, version, keys
    )
    return PublishedLetter(letter, Counts(), NOW)


def test_words_on_the_picture_stay_on_one_line() -> None:
    delivered = (Response(ResponseId(1), AddresseeState.DELIVERED, NOW - timedelta(days=61)),)
    long = tuple(Addressee({"en": "Association of providers " * 4}, None, AddresseeId(n), delivered) for n in range(3))
    for language in (LANGUAGES["en"], LANGUAGES["ru"]):
        card = card_of(published(long), language, "https://a.example")
        assert 0 < len(card.news) <= MAX_LINE + 10  # breaks in long words come on top
    short = (Addressee({"en": "Halden"}, None, AddresseeId(1), delivered),)
    card = card_of(published(short), LANGUAGES["ru"], "https://a.example")
    assert card.news == "Halden: молчит 61 день"
    assert draw(card) != draw(card_of(published(()), LANGUAGES["ru"], "https://a.example"))


async def test_the_page_stays_in_its_weight(site: Installation) -> None:
    """With six addressees that each said as much as fits beside them, in Russian."""
    async with site.database.connection() as conn:
        for position in range(3, 12):
            await conn.execute(
                "INSERT INTO addressee (letter, position, names) SELECT id, $1, $2 FROM letter",
                position,
                {"en": f"Network {position}", "ru": f"Ассоциация независимых провайдеров № {position}"},
            )
    for position in range(3, 12):
        words = "".join(chr(0x430 + (position * 7 + n * n) % 32) + (" " if n % 9 == 8 else "") for n in range(900))
        await record(
            site.database,
            f"Network {position}",
            "answered",
            NOW,
            summary={"ru": words},
            url=f"https://{position}.example",
        )
    await site.page_when(f"/ru/{SLUG}", lambda page: page.count("есть ответ") >= 6)
    answer = await site.client.get(f"/ru/{SLUG}", headers={"accept-encoding": "gzip"})
    head = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
    assert int(answer.headers["content-length"]) + head <= 14 * 1024
    assert 'id="sign"' in answer.text
