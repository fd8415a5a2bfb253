"""Typed values that spreadsheets would run, looked for in every file that leaves: none of their cells is a formula."""

import asyncio
import io

import pytest
from pyrage import decrypt

from petition.exports import filtered
from petition.formats import xlsx_reader
from petition.moderation.model import Action
from petition.web.desk import statistics
from tests import rows
from tests.commands import called
from tests.exports.test_address_lists import ADDRESSES, KEY, REGISTER, make, wait_three_days
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation
from tests.signatures.test_csv_export import has_formula, split_by_excel

WILD = (
    *("=cmd|' /C calc'!A0", "+cmd|x!A1", "-2+3", "@SUM(1)", "\t=1+1", "\r=1+1", "＝cmd|x!A0", "\u200b=1+1"),
    *("Anna;=cmd|x!A0", "'=1+1", '"=1+1'),
)
DESK = f"/organizer/{SLUG}"
PLANT = """
WITH wild AS (SELECT w, n FROM unnest($1::text[]) WITH ORDINALITY AS u (w, n)),
     numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM signature WHERE kind = 'person')
UPDATE signature s SET name = w.w, affiliation = w.w, city = w.w FROM wild w JOIN numbered d USING (n) WHERE s.id = d.id
"""
PLANT_ORGANIZATION = "UPDATE organization SET name_en = $1, name_ru = $2, website = $3"


@pytest.fixture
async def bench(site: Installation) -> Bench:
    """Give a letter whose people and organization have all these values for names and details."""
    async with site.database.connection() as conn:
        bench = Bench(site.database, await rows.letter(conn))
    await bench.sign(*[f"Person {number}" for number in range(len(WILD))], updates="1")
    await bench.decide(Action.APPROVE, await bench.sign_for("North Pier"))
    async with site.database.connection() as conn:
        await conn.execute(PLANT, list(WILD))
        await conn.execute(PLANT_ORGANIZATION, *WILD[:3])
    return bench


def assert_text_only(content: bytes, *, values: int) -> None:
    """See that no spreadsheet finds a formula in a CSV file, whichever separator it takes, and that all is there."""
    text = content.decode("utf-8-sig")
    assert sum("cmd" in line for line in text.splitlines()) >= values
    for separator in ",;\t|":
        found = [
            part
            for line in text.splitlines(keepends=True)
            for part in split_by_excel(line, separator)
            if has_formula(part)
        ]
        assert not found, (separator, found)


async def test_the_desks_files(site: Installation, bench: Bench) -> None:
    columns = {f"c_{name}": "1" for name in filtered.COLUMNS}
    async with people.at_desk(site, "owner", name="=cmd|x!A0") as client:
        answer = await client.post(f"{DESK}/export", data={"form": "csv", "back": "", **columns})
        assert_text_only(answer.content, values=4)
        answer = await client.post(f"{DESK}/export", data={"form": "xlsx", "back": "", **columns})
        rows_read = [row for _, row in xlsx_reader.rows(io.BytesIO(answer.content)) if isinstance(row, list)]
        cells = [cell for row in rows_read for cell in row]  # the reader takes no formulas, so all are texts
        assert any("cmd" in cell for cell in cells)
        assert not [cell for cell in cells if has_formula(cell)]
        answer = await client.get(f"{DESK}/delivery/names.csv")
        assert_text_only(answer.content, values=4)
        assert_text_only((await client.get(f"{DESK}/log.csv")).content, values=1)  # the organizer's own name
        for what in statistics.FILES:
            assert_text_only((await client.get(f"{DESK}/statistics/{what}.csv")).content, values=0)


async def test_the_commands_file(site: Installation, bench: Bench) -> None:
    done = await asyncio.to_thread(called, "signatures", "export", SLUG, **site.environ)
    assert done.returncode == 0, done.stderr
    assert_text_only(done.stdout.encode(), values=4)


async def test_the_list_of_addresses(site: Installation, bench: Bench) -> None:
    """A mailbox may begin with a sign: so says RFC 5322."""
    await bench.confirm(["=cmd@letters.example", "+cmd@letters.example", "-cmd@letters.example"], updates="1")
    async with people.at_desk(site, "owner") as client:
        await client.post(ADDRESSES, data=REGISTER)
        key = await wait_three_days(site)
        await client.post(ADDRESSES, data={"step": "ask", "key": str(key)})
        assert await make(site)
        (job,) = await rows.rows_of(site.database, "SELECT id FROM address_job")
        answer = await client.post(f"{ADDRESSES}/{job['id']}")
    assert_text_only(decrypt(answer.content, [KEY]), values=3)
