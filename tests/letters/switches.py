"""Switches as somebody puts them who has just looked at the page."""

import httpx2

from petition.letters.switches import ON
from tests.running import SLUG

HERE = f"/organizer/{SLUG}/switches"
GENERAL = "/organizer/installation/switches"
PAGE = f"/en/{SLUG}"
SIGN = f"/en/{SLUG}/sign"
WHY = {"text_en": "Forged <b>signatures</b> came in.", "text_ru": "Пришли поддельные подписи."}
ESCAPED = "Forged &lt;b&gt;signatures&lt;/b&gt; came in."
LOG = "SELECT letter IS NULL AS general, act, before, after FROM log WHERE act LIKE 'switch.%' ORDER BY id"


async def put(
    client: httpx2.AsyncClient, name: str, value: str = ON, where: str = HERE, **more: str
) -> httpx2.Response:
    """Put a switch into a position, as somebody who has just looked."""
    revision = await revision_of(client, name, where)
    return await client.post(where, data={"name": name, "value": value, "revision": revision, **more})


async def revision_of(client: httpx2.AsyncClient, name: str, where: str = HERE) -> str:
    page = (await client.get(where)).text
    section = page.partition(f'aria-labelledby="s-{name}"')[2]
    return section.partition('name="revision" value="')[2].partition('"')[0]
