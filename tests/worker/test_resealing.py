"""A new contact pair: what the former one sealed is sealed anew; links and mails go on working meanwhile."""

from collections.abc import Sequence

import pytest

from petition.core.database import Database, Record
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, new_contact_pair
from petition.stored_data.model import Form
from petition.stored_data.tables import TABLES
from petition.worker import resealing
from petition.worker.resealing import SEALED_COLUMNS, Resealer
from tests.leaks.columns import opens
from tests.organizers import people
from tests.rows import rows_of
from tests.running import PRIVATE_KEY, SLUG, Installation, link_in, working
from tests.signatures.waiting import execute

NEW_PUBLIC, NEW_PRIVATE = new_contact_pair()
ROTATED = {
    "CONTACT_PUBLIC_KEY": NEW_PUBLIC,
    "CONTACT_PRIVATE_KEY": NEW_PRIVATE,
    "OLD_CONTACT_PRIVATE_KEYS": PRIVATE_KEY,
}
# Sealed to keys of owners and auditors.
OTHERS = {("address_part", "bytes"), ("audit_address_list", "bytes")}


def resealer() -> Resealer:
    return Resealer(Opener(NEW_PRIVATE, DecryptionCounts(), [PRIVATE_KEY]))


async def sealed(database: Database) -> list[bytes]:
    """Return everything that is sealed."""
    return [
        row["sealed"]
        for table in SEALED_COLUMNS
        for row in await rows_of(database, f"SELECT sealed FROM {table} WHERE sealed IS NOT NULL")
    ]


async def opened_by_new(database: Database) -> tuple[int, int]:
    """Return how many values there are, and how many the new key opens alone."""
    values = await sealed(database)
    return len(values), sum(opens(NEW_PRIVATE, value) for value in values)


async def fill(site: Installation) -> str:
    """Have something sealed in each way; return the link of a form that waits."""
    async with working(site.environ, site.inbox):
        await site.sign(email="news@letters.example", updates="yes")
        assert (await site.client.post(link_in(await site.mail_to("news@letters.example")))).status_code == 303
        await execute(site, "UPDATE letter SET publish_at_number = 99, revision = revision + 1")
        await site.page_when(f"/en/{SLUG}", lambda page: "Names are shown when" in page)
        await site.sign(email="sealed@letters.example", updates="yes")
        assert (await site.client.post(link_in(await site.mail_to("sealed@letters.example")))).status_code == 303
        await site.sign(email="waits@letters.example")
        waits = link_in(await site.mail_to("waits@letters.example"))
    await people.add(site, "owner@letters.example")
    form = {"email": "news@letters.example", "altcha": await site.challenge()}
    assert (await site.client.post(f"/en/{SLUG}/find", data=form, headers=site.new_network())).status_code == 303
    assert (await site.sign(email="later@letters.example")).status_code == 303  # its mail waits
    return waits


def test_every_column_that_is_sealed_to_the_pair_is_walked() -> None:
    described = {
        (table.name, name)
        for table in TABLES.values()
        for columns in table.columns
        if columns.form is Form.SEALED
        for name in columns.names
    }
    assert described - OTHERS == {(table, "sealed") for table in SEALED_COLUMNS}


async def test_a_killed_walk_is_followed_by_another(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(site)
    monkeypatch.setattr(resealing, "BATCH", 1)
    total, new = await opened_by_new(site.database)
    assert (total >= 7, new) == (True, 0)
    replace, done = Resealer._replace, list[str]()

    async def dies(self: Resealer, database: Database, table: str, rows: Sequence[Record]) -> int:
        if len(done) == 3:
            raise ConnectionError("killed")
        done.append(table)
        return await replace(self, database, table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Resealer, "_replace", dies)
        with pytest.raises(ConnectionError):
            await resealer().walk(site.database)
    assert 0 < (await opened_by_new(site.database))[1] <= 3
    later = resealer()
    assert await later.walk(site.database) == total - 3
    assert await opened_by_new(site.database) == (total, total)
    assert await later.walk(site.database) == 0
    assert await resealer().walk(site.database) == 0


async def test_links_and_mails_go_on_working(site: Installation) -> None:
    waits = await fill(site)
    assert (await site.client.post(waits)).status_code == 303
    async with working(site.environ, site.inbox, **ROTATED):
        # The first mails go out while their addresses are still sealed to the former pair, or have just been resealed.
        assert "/signature/" in link_in(await site.mail_to("news@letters.example"))
        later = link_in(await site.mail_to("later@letters.example"))
        assert (await site.client.post(later)).status_code == 303
        await site.sign(email="again@letters.example")  # a web process that has not been restarted
        await site.mail_to("again@letters.example")
    counts = await rows_of(site.database, "SELECT sum(uses) AS uses FROM decryption WHERE purpose = 'key_rotation'")
    assert counts[0]["uses"] >= 3
