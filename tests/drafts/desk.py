"""The text page as somebody without scripts uses it, or as its script does."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import httpx2
from PIL import Image

from tests.running import SLUG, Installation

TEXT = f"/organizer/{SLUG}/text"
PUBLISH = f"/organizer/{SLUG}/publish"


class _Fields(HTMLParser):
    """Collects what a browser would send of the text page's form, files left out."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._inside = False
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = given.get("id") == "text"
        if not self._inside or "name" not in given or "disabled" in given:
            return
        if tag == "textarea":
            self._area = given["name"]
            self.values[self._area] = ""
        elif tag == "input" and (given.get("type") not in {"radio", "checkbox", "file"} or "checked" in given):
            self.values[given["name"]] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            self.values[self._area] = self.values[self._area].removeprefix("\n")
            self._area = None
        elif tag == "form":
            self._inside = False


def fields(page: httpx2.Response) -> dict[str, str]:
    """Return the values of the text page's form."""
    found = _Fields()
    found.feed(page.text)
    assert "seen.goal" in found.values, page.text[:3000]
    return found.values


async def opened(client: httpx2.AsyncClient, path: str = TEXT) -> dict[str, str]:
    """Open the text page; return its form."""
    page = await client.get(path)
    assert page.status_code == 200, page.text
    return fields(page)


async def save(client: httpx2.AsyncClient, form: dict[str, str], path: str = TEXT, **more: Any) -> httpx2.Response:
    """Send the form as a browser without scripts does; line ends become CR LF, as there."""
    sent = {name: value.replace("\n", "\r\n") for name, value in form.items()}
    files = more.pop("files", None) or {"file.en": ("", b"", "application/octet-stream")}
    return await client.post(path, data={"act": "save", **sent}, files=files, **more)


async def by_script(client: httpx2.AsyncClient, form: dict[str, str], path: str = TEXT) -> dict[str, Any]:
    """Send the form as the script does; return what it is told."""
    answer = await client.post(path, data=form, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def change(client: httpx2.AsyncClient, path: str = TEXT, **changes: str) -> None:
    """Change fields as ``title_en="…"``; all is well."""
    form = await opened(client, path)
    known = {name.replace(".", "_"): name for name in form}
    changed = {known[name]: value for name, value in changes.items()}
    answer = await save(client, form | changed, path)
    assert answer.status_code == 303, answer.text


async def publish(client: httpx2.AsyncClient, path: str = PUBLISH, **more: str) -> httpx2.Response:
    """Open the page and publish what it shows."""
    page = await client.get(path)
    digest = page.text.partition('name="draft" value="')[2].partition('"')[0]
    return await client.post(path, data={"draft": digest, **more})


async def public(site: Installation, lang: str = "en", slug: str = SLUG) -> str:
    """Return the letter's page as readers see it once the web has looked."""
    since = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    async with asyncio.timeout(120):
        while True:
            told = await site.client.get(f"/api/v1/letters/{slug}")
            if told.status_code == 200 and datetime.fromisoformat(told.json()["counted_at"]) >= since:
                break
            await asyncio.sleep(0.05)
    return (await site.client.get(f"/{lang}/{slug}")).text


def picture(kind: str = "PNG", size: tuple[int, int] = (640, 320), colour: str = "navy", **more: Any) -> bytes:
    """Return a picture."""
    out = io.BytesIO()
    Image.new(more.pop("mode", "RGB"), size, colour).save(out, kind, **more)
    return out.getvalue()
