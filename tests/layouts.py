"""Which tests run on a partitioned database too; beside the test's letter it has two that no test may touch."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from petition.core import partitions
from petition.core.database import connect, migrate, opened
from petition.core.settings import Process, load
from tests.running import environment, publish

if TYPE_CHECKING:
    import asyncpg

    Conn = asyncpg.Connection[asyncpg.Record]

HERE = Path(__file__).parent
PLAIN, PARTITIONS = "plain tables", "partitions"
NUMBER = 3

# File → which of its tests.
ON_BOTH: Mapping[str, str] = {
    "test_road.py": "",
    "core/test_migrating.py": "index_is_built",
    "count_log/test_sequencing.py": "two_workers_take|entry_comes_before|exits_have|old_processes_counted",
    "exports/test_whole_letter.py": "",
    "imports/test_adding.py": "imported_once|not_counted_twice|one_entry_under|same_time",
    "imports/test_undoing.py": "in_many_steps|corrected_file|moderator_has_decided",
    "letters/test_taking_down.py": "every_table|nothing_is_left|holds_are_waited|worker_clears",
    "mailings/test_sending.py": "never_again",
    "moderation/test_anything.py": "",
    "moderation/test_decisions.py": "stays_exact|many_moderators|undoing_an_approval|flags",
    "moderation/test_desk.py": "pages_of_the_queue|every_page_is|one_burst|another_letters",
    "signatures/test_confirm.py": "only_the_button|twice|code",
    "signatures/test_counting.py": "",
    "signatures/test_later_form.py": "both_links",
    "signatures/test_listing.py": "^(?!test_pages_are_read|test_words_are_looked)",  # names of indexes
    "signatures/test_search.py": "",
    "signatures/test_self_service.py": "",
    "statistics/test_figures.py": "^(?!test_a_letter_can_be_deleted)",  # all letters are
    "worker/test_retention.py": "",
}

# Each of two drafts has three signatures, one of an organization, what belongs to them, and what waits. All of it lies
# at the row addresses at which the test's letter has its first rows.
BYSTANDERS = """
WITH l AS (
  INSERT INTO letter (slug, rules_version) SELECT 'bystander-' || i, 1 FROM generate_series(1, 2) i RETURNING id
), c AS (INSERT INTO count (letter) SELECT id FROM l),
o AS (INSERT INTO organization (letter, id, name_en, name_key) SELECT id, 1, 'Lighthouse', 'lighthouse' FROM l),
s AS (
  INSERT INTO signature (letter, id, listed_at, kind, organization, state, visibility, name, name_key, digest)
  SELECT l.id, v.* FROM l, (VALUES
    (1::bigint, now(), 'person'::kind, NULL::bigint, 'confirmed'::signature_state, 'public'::visibility,
     'Anna Bystander', 'anna bystander', '\\x01'::bytea),
    (2, now(), 'person', NULL, 'held', 'organizers', NULL, NULL, '\\x02'),
    (3, now(), 'organization', 1, 'confirmed', 'public', 'Vera Bystander', 'vera bystander', '\\x03')) v
), k AS (INSERT INTO contact (letter, signature, purpose, sealed) SELECT id, 1, 'updates', '\\x04' FROM l),
p AS (
  INSERT INTO pending (letter, id, kind, digest, fields, sealed, version, consent, read_lang, mail_lang)
  SELECT id, 4, 'person', '\\x05', '\\x06', '\\x07', 1, 1, 'en', 'en' FROM l
)
INSERT INTO name_word (letter, kind, word, near) SELECT id, 'person', 'anna', '{1}' FROM l
"""

STATE = """
SELECT t.line FROM letter l, LATERAL (
  SELECT s::text AS line FROM signature s WHERE s.letter = l.id
  UNION ALL SELECT p::text FROM pending p WHERE p.letter = l.id
  UNION ALL SELECT c::text FROM contact c WHERE c.letter = l.id
  UNION ALL SELECT o::text FROM organization o WHERE o.letter = l.id
  UNION ALL SELECT w::text FROM name_word w WHERE w.letter = l.id
  UNION ALL SELECT n::text FROM count n WHERE n.letter = l.id
) t WHERE l.slug LIKE 'bystander-%' ORDER BY 1
"""


def is_on_both(file: Path, test: str) -> bool:
    """Return whether a test runs on both layouts."""
    names = ON_BOTH.get(file.relative_to(HERE).as_posix()) if file.is_relative_to(HERE) else None
    return names is not None and re.search(names, test) is not None


def in_database(url: str, name: str) -> str:
    """Return the address of another database of the same server."""
    return url.replace("/petition?", f"/{name}?", 1)


class DividedTemplates:
    """Partitioned databases to be cloned: an empty one, and one with the sample letter and the bystanders."""

    def __init__(self, cluster: str, admin: "Conn", folder: Path) -> None:
        self._cluster, self._admin, self._folder = cluster, admin, folder
        self._made: set[str] = set()
        self._bystanders: list[str] = []

    async def name(self, *, with_letter: bool) -> str:
        """Return the name of a template, making it the first time."""
        if "divided" not in self._made:
            await self._admin.execute("DROP DATABASE IF EXISTS divided")  # half made by a test that failed
            await self._admin.execute("CREATE DATABASE divided")
            url = in_database(self._cluster, "divided")
            await migrate(url)
            await partitions.divide(url, NUMBER)
            self._made.add("divided")
        if with_letter and "divided_published" not in self._made:
            await self._publish()
            self._made.add("divided_published")
        return "divided_published" if with_letter else "divided"

    async def _publish(self) -> None:
        await self._admin.execute("DROP DATABASE IF EXISTS divided_published")
        await self._admin.execute("CREATE DATABASE divided_published TEMPLATE divided STRATEGY file_copy")
        url = in_database(self._cluster, "divided_published")
        async with opened(url, max_size=1) as database:
            await publish(load(environment(self._folder, url, 8000), role=Process.WEB), database)
            async with database.connection() as conn:
                await conn.execute(BYSTANDERS)
        self._bystanders = await self._read(url)

    async def check_bystanders(self, url: str) -> None:
        """Fail if a test has changed a row of a letter that is not its own."""
        assert await self._read(url) == self._bystanders, "a row of another letter was changed"

    async def _read(self, url: str) -> list[str]:
        conn = await connect(url)
        try:
            return [row["line"] for row in await conn.fetch(STATE)]
        finally:
            await conn.close()
