"""A picture that was read is no price: above a limit its signature waits, and nobody is refused."""

from pathlib import Path

import pytest

from petition.captcha.drawn import DrawnCodes
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId, SignatureId
from petition.letters.model import Letter
from petition.moderation import bulk_acts
from petition.signatures import ceilings
from tests import rows
from tests.fixtures import HourClock
from tests.organizers import people
from tests.pages import assert_redirect
from tests.running import KEY, SLUG, Installation, installation

INBOX = f"/en/{SLUG}/check-your-inbox"
SIGNALS = "SELECT signals FROM pending WHERE letter = $1 ORDER BY created_at"


async def letter_of(site: Installation) -> LetterId:
    async with site.database.connection() as conn:
        return LetterId(await conn.fetchval("SELECT id FROM letter WHERE slug = $1", SLUG))


async def confirm(site: Installation, letter: Letter, signature_id: SignatureId) -> None:
    answer = await site.client.post(f"/en/confirm/{rows.token(letter, signature_id)}")
    assert answer.status_code == 303


async def sign_by_picture(site: Installation, n: int, network: str) -> None:
    """Sign as who runs no scripts does; the answer is that of every other sign-up."""
    token = DrawnCodes([KEY]).token("ABCDE", await letter_of(site), hard=False)
    form = await site.form(email=f"reader{n}@letters.example", altcha="", drawn=token, code="ABCDE")
    answer = await site.client.post(f"/en/{SLUG}/sign", data=form, headers={"x-forwarded-for": network})
    assert_redirect(answer, INBOX)


async def test_where_a_harder_sum_is_asked_for_a_picture_buys_a_signature_that_waits(
    database_url: str, tmp_path: Path, with_letter: None, one_hour: HourClock
) -> None:
    async with installation(database_url, tmp_path, LIMIT_NETWORK="2") as site:
        for n in range(4):
            await sign_by_picture(site, n, "192.0.2.1")
        one_hour.next_hour()
        await sign_by_picture(site, 4, "192.0.2.1")
        await sign_by_picture(site, 5, "192.0.2.2")
        signals = [row["signals"] for row in await rows.rows_of(site.database, SIGNALS, await letter_of(site))]
        assert signals == [None] * 4 + [{"drawn": True}, None]


async def test_above_the_budget_of_a_letter_signatures_by_picture_wait_and_others_do_not(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with installation(database_url, tmp_path, LIMIT_DRAWN_LETTER="4") as site:
        await above_the_budget(site)


async def above_the_budget(site: Installation) -> None:
    for n in range(8):
        await sign_by_picture(site, n, f"192.0.2.{n}")
    assert_redirect(await site.sign(email="solver@letters.example"), INBOX)
    letter_id = await letter_of(site)
    by_address = {
        row["digest"]: row["id"]
        for row in await rows.rows_of(site.database, "SELECT id, digest FROM pending WHERE letter = $1", letter_id)
    }
    async with site.database.connection() as conn:
        letter = await rows.letter(conn, SLUG)
    for n in range(8):
        await confirm(site, letter, by_address[rows.digest_of(letter, f"reader{n}@letters.example")])
    await confirm(site, letter, by_address[rows.digest_of(letter, "solver@letters.example")])
    states = await rows.rows_of(
        site.database, "SELECT state, flags, name FROM signature WHERE letter = $1 ORDER BY signed_at", letter_id
    )
    waiting = [row for row in states if row["state"] == "held"]
    # The drawn ceiling of a limit of four is six at most.
    assert 2 <= len(waiting) <= 7
    assert all(row["flags"] == ["drawn"] and row["name"] is None for row in waiting)
    assert states[-1]["state"] == "confirmed"
    assert (await site.count())["people"] == 9 - len(waiting)
    await approve_all(site)
    assert (await site.count())["people"] == 9


async def approve_all(site: Installation) -> None:
    """Approve what waits for its pictures, by the flag, in one act."""
    desk = f"/organizer/{SLUG}"
    async with people.at_desk(site, "moderator") as client:
        assert "flag=drawn" in (await client.get(f"{desk}/queue?flag=drawn&state=held")).text
        form = {"act": "approve", "back": "flag=drawn&state=held"}
        bulk_act = (await client.post(f"{desk}/campaigns", data=form)).headers["location"]
        assert (await client.post(bulk_act, data={"step": "start"})).status_code == 303
        while await bulk_acts.step(site.database, Wrapper([KEY])):
            continue


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 20, 100])
def test_a_ceiling_is_drawn_around_its_limit_and_differs(limit: int) -> None:
    drawn = [ceilings.threshold(n.to_bytes(32, "big"), limit) for n in range(5000)]
    small = [ceiling for ceiling in drawn if ceiling < limit // 2]
    assert min(drawn) in {0, 1}
    assert max(drawn) == limit // 2 + limit or limit == 0
    assert len(small) < len(drawn) / 15
