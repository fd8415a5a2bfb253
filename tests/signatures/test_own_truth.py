"""What a signatory is told and handed out is all there is; what is changed there is changed everywhere at once."""

import asyncio

from petition.cli import approve
from petition.core.encryption import Wrapper
from petition.stored_data.notice import NOTICE_VERSION
from tests import rows
from tests.pages import assert_redirect
from tests.running import KEY, SLUG, Installation, link_in

VERA = "vera@letters.example"
NAMES_IN_SEARCH = "UPDATE letter SET names_in_search = true, revision = revision + 1"


async def confirmed(site_with_worker: Installation, address: str = VERA, **fields: str) -> str:
    """Sign, confirm, and return the path of one's own page."""
    assert_redirect(await site_with_worker.sign(email=address, **fields), f"/en/{SLUG}/check-your-inbox")
    link = link_in(await site_with_worker.mail_to(address))
    await site_with_worker.client.post(link)
    return link.replace("/confirm/", "/signature/")


async def letter_page(site_with_worker: Installation, has: str) -> str:
    """Return the letter's page as soon as it has ``has``."""
    async with asyncio.timeout(120):
        while True:
            page = (await site_with_worker.client.get(f"/en/{SLUG}")).text
            if has in page:
                return page
            await asyncio.sleep(0.1)


async def test_a_corrected_name_is_corrected_on_the_letters_page_too(site_with_worker: Installation) -> None:
    async with site_with_worker.database.connection() as conn:
        await conn.execute(NAMES_IN_SEARCH)
    own = await confirmed(site_with_worker, name="Vera Misspelt")
    assert "which search engines may keep" in await letter_page(site_with_worker, "Vera Misspelt")
    await site_with_worker.client.post(own, data={"action": "correct", "name": "Vera Novak"})
    assert "Vera Misspelt" not in await letter_page(site_with_worker, "Vera Novak")


async def test_nothing_that_is_stored_is_missing_in_what_is_handed_out(site_with_worker: Installation) -> None:
    own = await confirmed(
        site_with_worker, "vera+tag@mailinator.com", name="VERA NOVAK", updates="yes", country="Germany"
    )
    document = (await site_with_worker.client.get(f"{own}/data.json")).json()
    (stored,) = await rows.rows_of(site_with_worker.database, "SELECT * FROM signature")
    # Ids, keyed digests and where an act leads back to say nothing about anybody; the names are handed out as they are.
    inner = {"id", "letter", "organization", "digest", "import_key", "name_key", "private", "network", "import"}
    inner |= {"group_number", "removed_from", "last_act", "domain", "mail_host"}
    inner |= {"erased_at"}  # when names were deleted: the document has none then
    inner |= {"sealed"}  # to a key that only the worker has: the document says that it is so
    assert document["is_sealed"] is False
    assert set(stored) - inner <= set(document)
    assert document["signals"] == stored["signals"] != {}
    assert (document["consent"], document["mail_lang"], document["address_kept_for"]) == (
        NOTICE_VERSION,
        "en",
        ["updates"],
    )


async def test_whoever_confirms_again_for_an_approved_organization_is_not_told_that_it_waits(
    site_with_worker: Installation,
) -> None:
    own = await confirmed(site_with_worker, "anna@northpier.example", kind="organization")
    link = own.replace("/signature/", "/confirm/")
    assert_redirect(await site_with_worker.client.post(link), f"/en/{SLUG}/signed?as=organization")
    async with site_with_worker.database.transaction() as conn:
        ids = [row["id"] for row in await conn.fetch("SELECT id FROM signature")]
        assert await approve.approve(conn, Wrapper([KEY]), ids) == ids
    assert_redirect(await site_with_worker.client.post(link), f"/en/{SLUG}/signed")
    page = (await site_with_worker.client.get(own)).text
    assert "until 30 days after" not in page
    assert "for questions about the organizers’ decision" in page
    async with site_with_worker.database.connection() as conn:
        await conn.execute("DELETE FROM contact")  # as the worker does after 30 days
    assert "We keep your address" not in (await site_with_worker.client.get(own)).text
