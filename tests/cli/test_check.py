"""``petition check``: what it says about the count; the settings and relays are told of in test_cli."""

from pathlib import Path

from petition.cli import check_database
from tests.running import installation


async def test_a_count_that_is_not_what_the_rows_say_is_told_of(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path) as site, site.database.connection() as conn:
        assert [each async for each in check_database.findings_about(database_url, site.settings, ours=True)] == []
        await conn.execute("UPDATE count SET people = people + 1")
        (finding,) = [each async for each in check_database.findings_about(database_url, site.settings, ours=True)]
        assert "keep-the-channels-open counts Counts(people=1" in finding
