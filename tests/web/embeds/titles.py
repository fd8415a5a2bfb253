"""Titles that would break a page that does not escape them, or does not expect them."""

import asyncio
import json

from tests.running import SLUG, Installation

TITLES = {
    "markup": """<b>&amp; "quoted" 'single'</b><script>alert(1)</script>]]>-->""",
    "long": "Связь " * 33 + "цц",
    "right-to-left": "رسالة مفتوحة (2022) «مرحبا»",
    "emoji": "👩‍👩‍👧 Open 🕊️ letter 🇺🇦",
}


async def entitled(site: Installation, title: str) -> None:
    """Give the letter this title in every language, and wait until the web serves it."""
    async with site.database.transaction() as conn:
        texts = await conn.fetchval("SELECT texts FROM version")
        changed = {lang: text | {"title": title} for lang, text in texts.items()}
        await conn.execute("UPDATE version SET texts = $1", changed)
        await conn.execute("UPDATE letter SET revision = revision + 1")
    for _ in range(200):
        body = (await site.client.get(f"/api/v1/letters/{SLUG}")).json()
        if json.dumps(body["translations"]["ru"]["title"]) == json.dumps(title):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the web did not take up the title")
