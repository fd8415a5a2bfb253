"""The text page, used without scripts or as its script does."""

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
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = attributes.get("id") == "text"
        if not self._inside or "name" not in attributes or "disabled" in attributes:
            return
        if tag == "textarea":
            self._area = attributes["name"]
            self.values[self._area] = ""
        elif tag == "input" and (
            attributes.get("type") not in {"radio", "checkbox", "file"} or "checked" in attributes
        ):
            self.values[attributes["name"]] = attributes.get("value", "")

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
    form = _Fields()
    form.feed(page.text)
    assert "seen.goal" in form.values, page.text[:3000]
    return form.values


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
    """Send the form as the script does; return the JSON."""
    answer = await client.post(path, data=form, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def change(client: httpx2.AsyncClient, path: str = TEXT, **changes: str) -> None:
    """Change fields as ``title_en="…"``, without an error."""
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
    """Return the letter's public page once the web process has polled the database."""
    since = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    async with asyncio.timeout(120):
        while True:
            response = await site.client.get(f"/api/v1/letters/{slug}")
            if response.status_code == 200 and datetime.fromisoformat(response.json()["counted_at"]) >= since:
                break
            await asyncio.sleep(0.05)
    return (await site.client.get(f"/{lang}/{slug}")).text


def picture(kind: str = "PNG", size: tuple[int, int] = (640, 320), colour: str = "navy", **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new(more.pop("mode", "RGB"), size, colour).save(out, kind, **more)
    return out.getvalue()
