"""Public pages that need a letter of another kind than the album's: with news, previewed, embedded, taken down."""

import asyncio
from datetime import timedelta
from pathlib import Path

from petition.core.ids import QuestionId
from petition.core.tokens import Tokens
from petition.drafts import preview_link_queries
from petition.letters import taking_down
from tests import addresses, rows
from tests.browser import album
from tests.browser.album import CLOSE, QUIET, Way
from tests.browser.visitor import Town, Visitor
from tests.running import KEY, SLUG

ANSWERED, TAKEN = "answered-letter", "taken-letter"
PREVIEW = 77  # the number of the secret link
TEXT = {"title": "They have answered", "markdown": "With a yes.", "html": "<p>With a <b>yes</b>.</p>"}
TEXTS = {"en": TEXT, "ru": TEXT | {"title": "Нам ответили"}}
PUBLISH_NEWS = """
INSERT INTO news (letter, texts, shown, state, published_at)
SELECT id, $2, $2, 'published', now() FROM letter WHERE slug = ANY($1)
"""


async def furnish(town: Town, folder: Path) -> dict[str, Way]:
    """Publish two more letters, news on one of them, take the other down, link a draft; return the ways to all that."""
    for slug in (ANSWERED, TAKEN):
        await album.publish_copy(town, folder / slug, slug)
    async with town.site.database.transaction() as conn:
        await conn.execute(CLOSE, ANSWERED)
        await conn.execute(PUBLISH_NEWS, [ANSWERED, QUIET], TEXTS)
        await conn.execute("UPDATE letter SET revision = revision + 1")
        quiet = await rows.letter(conn, QUIET)
        await preview_link_queries.add(conn, PREVIEW, quiet.id, False, timedelta(days=1))
    await addresses.add_audit(town.site)
    async with town.site.database.transaction() as conn:
        letter = await rows.letter(conn)
    async with town.site.database.transaction() as conn:
        await taking_down.take_down(conn, None, (await rows.letter(conn, TAKEN)).id, TAKEN)
    await answers(town, f"/en/{TAKEN}", 410)
    return {
        "letter-answered": album.to(f"/{ANSWERED}"),
        "updates": album.to(f"/{ANSWERED}/updates"),
        "print": album.to(f"/{SLUG}/signatories/print"),
        "report-search": album.to(f"/{SLUG}/report?kind=person&q=Anna"),
        "report": _report,
        "how-we-count": album.to(f"/{SLUG}/how-we-count"),
        "audit": album.to(f"/{SLUG}/audit/{Tokens([KEY]).for_audit(letter.id, QuestionId(7))}?say=no"),
        "verify": album.to(f"/{SLUG}/verify"),
        "witness": album.to(f"/{SLUG}/witness"),
        "verified": _verified,
        "deleted": album.to(f"/{SLUG}/deleted"),
        "preview": album.to(f"/preview/{Tokens([KEY]).for_preview(quiet.id, PREVIEW)}"),
        "embed": album.to(f"/{SLUG}/embed?show=progress"),
        "taken-down": album.to(f"/{TAKEN}"),
        "frame": _frame("progress"),
        "frame-button": _frame("button"),
    }


async def answers(town: Town, path: str, status: int) -> None:
    """Wait until it does: the web asks the database twice a second what has changed."""
    while (await town.site.client.get(path)).status_code != status:
        await asyncio.sleep(0.05)


async def _verified(visitor: Visitor) -> None:
    await visitor.open("/verify")
    await visitor.page.fill("#f-receipt", "AAAA-" * 6 + "AA")
    await visitor.page.click("main form button")
    await visitor.page.wait_for_selector("[role=status]")


async def _report(visitor: Visitor) -> None:
    await visitor.open("/report?kind=person&q=Anna")
    await visitor.page.click("#entries ~ ol a")
    await visitor.page.wait_for_url("**/report/person/*")


def _frame(show: str) -> Way:
    async def go(visitor: Visitor) -> None:
        await visitor.follow(f"/embed/{SLUG}?lang={visitor.lang}&show={show}")

    return go
