"""Partners as an organizer would have registered them."""

import asyncio

from petition.core.ids import OrganizerId, PartnerId
from petition.letters import partners
from tests.running import SLUG, Installation


async def partner(site: Installation, name: str, title: str = "North Pier", *, in_api: bool = False) -> PartnerId:
    """Register a partner, and wait until the web knows it."""
    async with site.database.transaction() as conn:
        letter_id = await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG)
        partner_id = await partners.add(conn, OrganizerId(1), letter_id, name, title, in_api)
    for _ in range(200):
        if f'value="{name}"' in (await site.client.get(f"/en/{SLUG}?from={name}")).text:
            return partner_id
        await asyncio.sleep(0.05)
    raise AssertionError("the web did not take up the partner")
