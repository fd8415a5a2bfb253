"""The picture beside a shared link: looked at once by a person, compared ever after."""

import asyncio
import io
from pathlib import Path

import httpx2
import pytest
from PIL import Image, ImageChops, ImageStat

from petition.core.errors import Unavailable
from petition.letters.model import Counts
from petition.pictures.share_card import MAX_TITLE, Card, direction_of, draw, drawable
from petition.web import share_card_cache
from petition.web.share_card_cache import CardCache
from tests.running import SLUG, Installation
from tests.web.api.test_endpoints import count_of

KEPT = Path(__file__).parent / "share_cards"
SMALL = (400, 210)
PAPER = (251, 250, 246)
FAR = 3.0  # of 255, on average: another version of the drawing library may place a hair otherwise, but nothing more
PLAIN = Card(
    "en", "Keep the channels open", "en", "ltr", "An open letter", "3,400+", "signatures", "A Society", "a.example"
)
TITLES = {
    "markup": "<b>Tom & \"Jerry\"</b> 'quoted' #set text(red) $x^2$ *bold* _it_ @ref \\ ~",
    "long": "A title of two hundred characters " * 6,
    "one-word": "Щ" * 200,
    "hebrew": "שמרו על הערוצים פתוחים ב-Internet לכולם",
    "emoji": "Open 👩‍👩‍👧‍👦 channels 🇺🇦 now ☎️ 1️⃣",
}


def titled(title: str) -> Card:
    """Return a card with that title, as the view makes it."""
    title_text = drawable(title, MAX_TITLE)
    return Card(
        "en", title_text, "en", direction_of(title_text), PLAIN.to, PLAIN.number, PLAIN.label, PLAIN.sender, PLAIN.site
    )


def compare(png: bytes, name: str) -> None:
    """Fail unless the picture looks like the snapshot; leave it beside that one if it does not."""
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", (1200, 630))
        drawn = image.convert("L").resize(SMALL, Image.Resampling.LANCZOS)
    snapshot = KEPT / f"{name}.png"
    if snapshot.exists():
        with Image.open(snapshot) as image:
            difference = ImageStat.Stat(ImageChops.difference(drawn, image.convert("L"))).mean[0]
        if difference <= FAR:
            return
    drawn.quantize(16).save(KEPT / f"{name}.new.png", optimize=True)
    raise AssertionError(f"{name} looks different: see {name}.new.png beside it")


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_it_looks_as_it_did(site: Installation, lang: str) -> None:
    await count_of(site, people=3436, organizations=35)
    answer = await site.client.get(f"/{lang}/{SLUG}/card.png")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "public, max-age=600"
    assert "set-cookie" not in answer.headers
    assert len(answer.content) < 60_000
    compare(without_port(answer), lang)


def without_port(answer: httpx2.Response) -> bytes:
    """Return the picture without the address of the test's server in its lower right corner."""
    with Image.open(io.BytesIO(answer.content)) as image:
        plain = image.convert("RGB")
    plain.paste(PAPER, (700, 549, 1200, 630))
    painted = io.BytesIO()
    plain.save(painted, "PNG")
    return painted.getvalue()


WIDE = ("ВЫСОКОПРОФЕССИОНАЛЬНЫЕ ЩИТЫ", "W" * 24, "</title><img src=x onerror=alert(1)>")


@pytest.mark.parametrize("title", WIDE)
def test_a_long_word_is_not_cut_off_at_the_edge(title: str) -> None:
    """What does not fit is cut off where the line ends; nothing of a title that fits comes near."""
    with Image.open(io.BytesIO(draw(titled(title)))) as image:
        plain = image.convert("RGB")
    assert plain.crop((88, 60, 1112, 400)).getcolors(1) is None  # there is a title
    assert plain.crop((1106, 60, 1112, 400)).getcolors(1) == [(6 * 340, PAPER)]


@pytest.mark.parametrize("name", TITLES)
def test_no_title_breaks_it(name: str) -> None:
    compare(draw(titled(TITLES[name])), name)


def top_of_title(title: str) -> int:
    """Return the first line of pixels, below the addressees, that has ink."""
    with Image.open(io.BytesIO(draw(titled(title)))) as image:
        lines = image.convert("L").crop((0, 100, 1200, 480)).point(lambda grey: 255 * (grey < 128))
    box = lines.getbbox()
    assert box
    return 100 + box[1]


@pytest.mark.parametrize(("plain", "marked"), [("Ель", "Ёль"), ("Иод", "Йод"), ("Uno", "Üno")])
def test_what_stands_above_a_capital_is_not_cut_off(plain: str, marked: str) -> None:
    assert top_of_title(plain) - top_of_title(marked) > 14


def test_what_is_left_out_of_a_title() -> None:
    assert drawable("Open 👩‍👩‍👧 channels 🇺🇦 now", 200) == "Open channels now"
    assert drawable("🙏🏽☎️", 200) == ""
    assert drawable("№ 5 © «Ё» ™ → §", 200) == "№ 5 © «Ё» ™ → §"
    assert len(drawable("word " * 60, 200)) <= 200
    assert drawable("x" * 60, 200).replace("\u200b", "") == "x" * 60
    assert "\n" not in drawable("a\nb\t c", 200)
    assert [direction_of(text) for text in ("1 שלום", "سلام", "Hi שלום", "…", "Ё")] == [
        "rtl",
        "rtl",
        "ltr",
        "ltr",
        "ltr",
    ]


def test_a_count_moves_in_steps() -> None:
    steps = {total: Counts(people=total).step for total in (0, 7, 99, 100, 109, 110, 3471, 99_999, 1_234_567)}
    assert steps == {
        **{0: 0, 7: 7, 99: 99, 100: 100, 109: 100, 110: 110},
        **{3471: 3400, 99_999: 99_000, 1_234_567: 1_200_000},
    }


async def test_it_is_another_one_only_when_the_step_is(site: Installation) -> None:
    path = f"/en/{SLUG}/card.png"
    await count_of(site, people=3410, organizations=0)
    first = await site.client.get(path)
    await count_of(site, people=3470, organizations=0)
    known = {"if-none-match": first.headers["etag"]}
    assert (await site.client.get(path, headers=known)).status_code == 304
    assert (await site.client.get(f"{path}?n=anything")).headers["etag"] == first.headers["etag"]
    page = await site.client.get(f"/en/{SLUG}")
    assert f'content="{site.base}{path}?n=3400"' in page.text
    await count_of(site, people=3510, organizations=0)
    assert (await site.client.get(path, headers=known)).status_code == 200


async def test_strangers_and_wrong_methods(site: Installation) -> None:
    assert (await site.client.get("/en/no-such-letter/card.png")).status_code == 404
    assert (await site.client.get(f"/xx/{SLUG}/card.png")).status_code == 404
    assert (await site.client.post(f"/en/{SLUG}/card.png")).status_code == 405
    head = await site.client.head(f"/en/{SLUG}/card.png")
    assert (head.status_code, head.content) == (200, b"")


async def test_one_drawn_however_many_ask() -> None:
    cards = CardCache()
    pictures = await asyncio.gather(*(cards.picture("en/a", PLAIN) for _ in range(5)))
    assert len({id(picture) for picture in pictures}) == 1
    assert (await cards.picture("en/a", titled("Another"))).etag != pictures[0].etag


async def test_memory_has_an_end() -> None:
    size = len(draw(PLAIN))
    cards = CardCache(max_bytes=int(size * 2.5))
    first = await cards.picture("en/a", PLAIN)
    await cards.picture("en/b", PLAIN)
    assert await cards.picture("en/a", PLAIN) is first
    third = await cards.picture("en/c", PLAIN)
    assert await cards.picture("en/a", PLAIN) is first  # b was asked for less lately
    assert await cards.picture("en/c", PLAIN) is third
    assert sum(len(picture.png) for picture in cards._pictures.values()) <= size * 2.5


async def test_too_many_are_asked_to_come_again_or_get_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share_card_cache, "MAX_WAITING", 1)
    cards = CardCache()
    last = await cards.picture("en/0", PLAIN)
    busy = [asyncio.create_task(cards.picture(f"en/{i}", titled(f"Letter {i}"))) for i in (1, 2)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await cards.picture("en/3", titled("Letter 3"))
    assert await cards.picture("en/0", titled("Letter 0")) is last
    assert len(await asyncio.gather(*busy)) == 2


async def test_nothing_is_kept_of_a_letter_that_was_taken_down() -> None:
    cards = CardCache()
    for key in ("en/a", "ru/a", "en/aa"):
        await cards.picture(key, PLAIN)
    cards.purge("a")
    assert list(cards._pictures) == ["en/aa"]
    assert cards._bytes == len(cards._pictures["en/aa"].png)
