"""No page of the desk reads a big table, neither do the list and its search: every statement that a page sends is
explained, and looks at few rows.

The pages are those that are measured (``tests/bench/desk_pages.py``), so a new one is looked at too.
"""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from petition.core import database as module
from petition.core import database_connections
from petition.core.database import connect
from petition.moderation import queue_queries
from petition.signatures import listing
from petition.signatures.listing import Cursor
from tests import rows
from tests.bench import desk_fill, desk_pages, fill, flat
from tests.bench.desk_pages import Look
from tests.conftest import fresh_database
from tests.running import SLUG, Installation, installation

if TYPE_CHECKING:
    from tests.conftest import Conn

ROWS = 40_000
MOST = {"signature": 6_000, "organization": 6_000, "log": 1_000}  # rows that one statement may look at: not all
MOST_OF_OTHERS = 1_000
BIG = {"signature", "log", "pending", "organization", "outbox", "name_word", "report", "contact"}
EXPLAINED = ("SELECT", "WITH")
# What each page looks at where there is a great deal is bounded by these; with a million rows they are larger.
BOUNDS = (
    (queue_queries, "PAGE_SCAN"),
    (queue_queries, "STEP_SCAN"),
    (queue_queries, "TOTAL_SCAN"),
    (listing, "FIRST_SCAN"),
    (listing, "MAX_SCAN"),
)
# Searches: names that many have, few, none; complete, begun, misspelt, in Latin letters.
SEARCHES = tuple(itertools.chain(*flat.SEARCHES.values()))


@dataclass
class Heard:
    """What the web process has asked its database since somebody listened."""

    statements: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def hear(self, query: Any) -> None:
        """Note one statement."""
        self.statements.append((query.query, tuple(query.args)))


@dataclass
class Busy:
    """An installation with a letter that very many have signed, and whoever listens to it."""

    site: Installation
    url: str
    heard: Heard
    known: dict[str, str]


@pytest.fixture(scope="module")
async def busy(
    cluster: str, admin: "Conn", template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Busy]:
    """Give a filled installation; the bounds of walks are as much smaller as it is."""
    heard, prepare = Heard(), database_connections.prepare

    async def listening(conn: Any, *, is_pooled: bool) -> None:
        await prepare(conn, is_pooled=is_pooled)
        conn.add_query_logger(heard.hear)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "prepare", listening)
        for where, name in BOUNDS:
            patch.setattr(where, name, 500)
        async with (
            fresh_database(cluster, admin, template) as url,
            installation(url, tmp_path_factory.mktemp("busy")) as site,
        ):
            conn = await connect(url)
            letter = await rows.letter(conn)
            await fill.sign(conn, letter.id, ROWS, desk_fill.furnish)
            cookie = await desk_pages.enter(conn, letter.id)
            await conn.close()
            places = await desk_fill.places(url, letter.id)
            site.client.cookies.set("desk", cookie, domain="localhost.local", path="/organizer/")
            yield Busy(site, url, heard, {"slug": SLUG} | {key: str(value) for key, value in places.items()})


LOOKS = list(
    desk_pages.looks(
        {
            name: f"{{{name}}}"
            for name in ("slug", "signature", "held", "organization", "campaign", "update", "addressee")
        }
    )
)


@pytest.mark.parametrize(("name", "look"), [(name, look) for name, _, look in LOOKS if look.entered])
async def test_it_looks_at_few_rows(busy: Busy, name: str, look: Look) -> None:
    path = next(path for other, path, _ in desk_pages.looks(busy.known) if other == name)
    await looks_at_few_rows(busy, path, look.status)


async def looks_at_few_rows(busy: Busy, path: str, status: int = 200) -> None:
    """Request a page, and explain each of its statements."""
    busy.heard.statements.clear()
    answer = await busy.site.client.get(path)
    assert answer.status_code == status
    asked = list(busy.heard.statements)
    assert asked, "nobody was heard"
    conn = await connect(busy.url)
    try:
        for mode in ("force_custom_plan", "force_generic_plan"):
            await conn.execute(f"SET plan_cache_mode = {mode}")
            for statement, arguments in asked:
                await check(conn, statement, arguments)
    finally:
        await conn.close()


async def test_the_list_looks_at_few_rows(busy: Busy) -> None:
    middle = Cursor(datetime.now(UTC) - ROWS // 2 * fill.APART, 1)
    for after in ("", f"&after={middle.encode()}"):
        await looks_at_few_rows(busy, f"/ru/{SLUG}/signatories?kind=person{after}")


@pytest.mark.parametrize("q", SEARCHES)
async def test_a_search_looks_at_few_rows(busy: Busy, q: str) -> None:
    await looks_at_few_rows(busy, f"/ru/{SLUG}/signatories?q={quote(q)}")


async def check(conn: "Conn", statement: str, arguments: tuple[Any, ...]) -> None:
    """Carry a statement out again as the page did; fail if it looks at many rows of a table that has many."""
    if not statement.lstrip().startswith(EXPLAINED) or "set_config" in statement:
        await conn.execute(statement, *arguments)
        return
    plan = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
    for node in nodes(json.loads(plan)[0]["Plan"]):
        looked = node["Actual Loops"] * (
            node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        )
        if node.get("Relation Name") in BIG:
            assert looked <= MOST.get(node["Relation Name"], MOST_OF_OTHERS), (
                f"{looked} rows of {node['Relation Name']}: {statement}\n{json.dumps(node, indent=1)}"
            )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's nodes."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)
