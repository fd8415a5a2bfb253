"""Sharing pictures: checked, made anew, shown to readers once published, and to nobody before."""

import io
import struct
import zlib
from collections.abc import AsyncIterator

import httpx2
import pytest
from PIL import Image

from petition.drafts import pictures
from tests import rows
from tests.drafts import desk
from tests.organizers import people
from tests.running import SLUG, Installation

KEPT = "SELECT id, type, length(content) AS size FROM picture"


@pytest.fixture
async def editor(site: Installation) -> AsyncIterator[httpx2.AsyncClient]:
    async with people.at_desk(site, "editor") as client:
        yield client


def sent(content: bytes, lang: str = "en", name: str = "picture.png") -> dict[str, tuple[str, bytes, str]]:
    return {f"file.{lang}": (name, content, "image/png")}


def bomb() -> bytes:
    """Return a PNG of a few KB that says it is 30,000 pixels wide and high."""
    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


async def test_a_picture_is_shared_once_published(site: Installation, editor: httpx2.AsyncClient) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    content = desk.picture("JPEG", (2400, 1260), exif=exif)
    assert b"taken at home" in content
    form = await desk.opened(editor)
    answer = await desk.save(editor, form | {"alt.en": "The <sea>", "title.en": "Typed meanwhile"}, files=sent(content))
    assert answer.status_code == 303
    form = await desk.opened(editor)
    assert form["title.en"] == "Typed meanwhile"
    ((number, kind, size),) = [tuple(row.values()) for row in await rows.rows_of(site.database, KEPT)]
    assert kind == "image/jpeg"
    assert size < pictures.MAX_BYTES
    own = await editor.get(f"/organizer/{SLUG}/picture/{number}")
    assert (own.status_code, own.headers["content-type"], own.headers["cache-control"]) == (200, kind, "no-store")
    assert b"taken at home" not in own.content
    assert Image.open(io.BytesIO(own.content)).size == (1200, 630)
    address = f"/en/{SLUG}/picture/{number}"
    assert (await site.client.get(address)).status_code == 404
    assert "/picture/" not in await desk.public(site)  # but the one that is drawn
    await desk.change(editor, title_en=(await desk.opened(editor))["title.en"] + "!")
    note = {"note.en": "Better", "note.ru": "Лучше"}
    assert (await desk.publish(editor, **note)).status_code == 303
    public = await desk.public(site)
    assert f'<meta property="og:image" content="{site.base}{address}">' in public
    assert '<meta property="og:image:alt" content="The &lt;sea&gt;">' in public
    assert "/picture/" not in await desk.public(site, "ru")
    shown = await site.client.get(address)
    assert shown.content == own.content
    assert shown.headers["cache-control"].startswith("public, max-age=0")
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in shown.headers
    assert (await desk.save(editor, await desk.opened(editor) | {"drop.picture.en": "yes"})).status_code == 303
    assert (await site.client.get(address)).status_code == 200
    assert (await desk.publish(editor)).status_code == 303
    assert "/picture/" not in await desk.public(site)  # but the one that is drawn
    assert (await site.client.get(address)).status_code == 404
    assert await rows.rows_of(site.database, KEPT) == []


async def test_a_picture_without_words_blocks(editor: httpx2.AsyncClient) -> None:
    form = await desk.opened(editor)
    assert (await desk.save(editor, form, files=sent(desk.picture()))).status_code == 303
    page = await editor.get(desk.PUBLISH)
    assert "The picture has no description (English)." in page.text
    assert 'name="draft"' not in page.text


async def test_what_is_no_picture_is_refused_and_the_rest_is_saved(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    png = desk.picture()
    wrong = {
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>": pictures.NO_PICTURE,
        b"GIF89a" + b"\0" * 100: pictures.NO_PICTURE,
        desk.picture("GIF"): pictures.NO_PICTURE,
        desk.picture("TIFF"): pictures.NO_PICTURE,
        png[:200]: pictures.NO_PICTURE,
        b"\x89PNG\r\n\x1a\n": pictures.NO_PICTURE,
        bomb(): pictures.BAD_SIZE,
        desk.picture(size=(199, 400)): pictures.BAD_SIZE,
        png + b"\0" * pictures.MAX_BYTES: pictures.TOO_BIG,
    }
    for number, (content, message) in enumerate(wrong.items()):
        form = await desk.opened(editor)
        page = await desk.save(editor, form | {"goal": str(6000 + number)}, files=sent(content))
        assert page.status_code == 422
        assert message in page.text
        assert (await desk.opened(editor))["goal"] == str(6000 + number)
    assert await rows.rows_of(site.database, KEPT) == []


async def test_two_pictures_at_once_ask_again(site: Installation, editor: httpx2.AsyncClient) -> None:
    form = await desk.opened(editor)
    assert (await desk.save(editor, form, files=sent(desk.picture(colour="red")))).status_code == 303
    page = await desk.save(editor, form, files=sent(desk.picture(colour="blue")))
    assert page.status_code == 422
    assert "Someone else has chosen another picture in the meantime" in page.text
    (kept,) = await rows.rows_of(site.database, KEPT)
    again = await desk.save(editor, desk.fields(page), files=sent(desk.picture(colour="blue")))
    assert again.status_code == 303
    (now,) = await rows.rows_of(site.database, KEPT)
    assert now["id"] != kept["id"]


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 18, "9" * 40, "%00", "٣"])
async def test_made_up_pictures(site: Installation, editor: httpx2.AsyncClient, number: str) -> None:
    assert (await editor.get(f"/organizer/{SLUG}/picture/{number}")).status_code == 404
    assert (await site.client.get(f"/en/{SLUG}/picture/{number}")).status_code == 404
    assert (await site.client.get(f"/en/no-such-letter/picture/{number}")).status_code == 404
    assert (await site.client.get(f"/fr/{SLUG}/picture/{number}")).status_code == 404


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGBA", "image/png"), ("P", "image/png"), ("L", "image/jpeg"), ("CMYK", "image/jpeg")]
)
def test_any_kind_of_colour(mode: str, kind: str) -> None:
    source = desk.picture("JPEG" if mode == "CMYK" else "PNG", colour="#102030" if mode != "P" else "navy", mode="RGB")
    picture = Image.open(io.BytesIO(source)).convert(mode)
    out = io.BytesIO()
    picture.save(out, "JPEG" if mode == "CMYK" else "PNG")
    found, made = pictures.redraw(out.getvalue())
    assert found == kind == pictures.type_of(made)


def test_a_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    _, made = pictures.redraw(desk.picture("JPEG", (600, 300), exif=exif))
    assert Image.open(io.BytesIO(made)).size == (300, 600)


def test_a_note_of_the_camera_that_is_cut_off_is_no_error() -> None:
    whole = desk.picture("PNG", (300, 300))
    note = b"eXIf" + b"MM\0*"
    place = whole.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    with pytest.raises(pictures.BadPicture):
        pictures.redraw(whole[:place] + chunk + whole[place:])
