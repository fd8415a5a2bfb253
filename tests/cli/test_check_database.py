"""``petition check`` on databases that are unsafe, read-only, behind, ahead of nothing; each line with its cure."""

from typing import TYPE_CHECKING

import pytest

from petition.cli import check_database
from petition.core.database import schema_number
from tests.running import Installation

if TYPE_CHECKING:
    from tests.conftest import Conn


async def findings(site: Installation, url: str | None = None) -> list[str]:
    """Return what is found about the server, other than how the tests' own cluster is set up."""
    about = check_database.findings_about(url or str(site.settings.database_url), site.settings, ours=False)
    usual = ("fsync", "full_page_writes", "synchronous_commit is off")
    return [finding async for finding in about if not finding.startswith(usual)]


async def set_for_database(site: Installation, setting: str) -> None:
    async with site.database.connection() as conn:
        name = await conn.fetchval("SELECT current_database()")
        await conn.execute(f"ALTER DATABASE {name} SET {setting}")


async def test_a_database_of_ours_is_well(site: Installation) -> None:
    assert await findings(site) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("statement_timeout = '2s'", "statement_timeout is 2000 ms"),
        ("idle_in_transaction_session_timeout = '1s'", "idle_in_transaction_session_timeout is 1000 ms"),
        ("default_transaction_read_only = on", "the server is read-only"),
        ("log_min_error_statement = error", "log_min_error_statement is error: the server's log would contain rows"),
    ],
)
async def test_a_setting_that_harms_is_named_with_its_cure(site: Installation, setting: str, message: str) -> None:
    await set_for_database(site, setting)
    (finding,) = await findings(site)
    assert finding.startswith(message)


async def test_commits_that_are_not_waited_for_are_named(site: Installation) -> None:
    await set_for_database(site, "synchronous_commit = off")
    about = check_database.findings_about(str(site.settings.database_url), site.settings, ours=False)
    names = [finding async for finding in about]
    assert "synchronous_commit is off: confirmed signatures would be lost in a crash; set it to on" in names


async def test_a_statement_timeout_does_not_end_the_check(site: Installation, conn: "Conn") -> None:
    await set_for_database(site, "statement_timeout = 1")
    lines = [finding async for finding in check_database.findings(site.settings)]
    assert any("statement_timeout" in line for line in lines)


async def test_missing_migrations_are_numbered(site: Installation, conn: "Conn") -> None:
    await conn.execute("DELETE FROM migration WHERE number = $1", schema_number())
    assert await findings(site) == [
        f"its schema is at {schema_number() - 1}, this version needs {schema_number()}; run `petition migrate`"
    ]


async def test_mail_that_waits_too_long_asks_for_the_worker(site: Installation, conn: "Conn") -> None:
    assert (await site.sign()).status_code == 303
    await conn.execute("UPDATE outbox SET due_at = now() - interval '1 hour'")
    (finding,) = await findings(site)
    assert finding.startswith("1 mails have been waiting for more than 15 minutes")
