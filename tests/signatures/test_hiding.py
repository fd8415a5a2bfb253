"""A public name is hidden from a date on, everywhere, by the worker."""

from datetime import UTC, datetime, timedelta

import pytest

from petition.core.encryption import Wrapper
from petition.letters import taking_down
from petition.signatures import hiding
from tests import rows
from tests.pages import check_page
from tests.running import KEY, SLUG, Installation
from tests.signatures.waiting import Waiting, execute

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
ROW = "SELECT visibility, name, private, visible_until, hide_as FROM signature"
DAY_HAS_COME = "UPDATE signature SET visible_until = (now() AT TIME ZONE 'UTC')::date"
LIST = f"/en/{SLUG}/signatories"


async def confirmed(site: Installation, **fields: str) -> Waiting:
    """Add a public signature."""
    waiting = await Waiting.of(site, **fields)
    assert (await site.client.post(waiting.link)).status_code == 303
    return waiting


@pytest.mark.parametrize("hide_as", ["organizers", "counted"])
async def test_on_the_day_the_name_is_gone_everywhere(site_with_worker: Installation, hide_as: str) -> None:
    site = site_with_worker
    vera = await confirmed(site)
    assert "Vera Novak" in (await site.client.get(LIST)).text
    form = {"action": "hide_from", "day": TOMORROW, "hide_as": hide_as}
    answer = await site.client.post(vera.own, data=form)
    assert answer.headers["location"].endswith("?done=hide_from")
    check_page(await site.client.get(f"{vera.own}?done=hide_from"), 200)
    assert (await site.client.get(f"{vera.own}/data.json")).json()["visible_until"] == TOMORROW
    assert "Vera Novak" in (await site.client.get(LIST)).text
    await execute(site, DAY_HAS_COME)
    await site.page_when(LIST, lambda page: "Vera Novak" not in page)
    assert "Vera Novak" not in (await site.client.get(f"/api/v1/letters/{SLUG}/signatories")).text
    (row,) = await rows.rows_of(site.database, ROW)
    assert (row["visibility"], row["name"], row["visible_until"]) == (hide_as, None, None)
    assert (row["private"] is not None) == (hide_as == "organizers")
    count = await site.count()
    assert (count["people"], count["hidden"]) == (1, 1)


async def test_before_the_day_nothing_happens_and_it_can_be_taken_back(site: Installation) -> None:
    vera = await confirmed(site)
    await site.client.post(vera.own, data={"action": "hide_from", "day": TOMORROW, "hide_as": "counted"})
    assert not await hiding.step(site.database, Wrapper([KEY]))
    (row,) = await rows.rows_of(site.database, ROW)
    assert (row["name"], row["hide_as"]) == ("Vera Novak", "counted")
    await site.client.post(vera.own, data={"action": "hide_from", "day": ""})
    (row,) = await rows.rows_of(site.database, ROW)
    assert (row["visible_until"], row["hide_as"]) == (None, None)


async def test_who_hides_the_name_at_once_has_no_date_left(site: Installation) -> None:
    vera = await confirmed(site)
    await site.client.post(vera.own, data={"action": "hide_from", "day": TOMORROW, "hide_as": "counted"})
    await site.client.post(vera.own, data={"action": "visibility", "visibility": "organizers"})
    (row,) = await rows.rows_of(site.database, ROW)
    assert (row["visibility"], row["visible_until"]) == ("organizers", None)


@pytest.mark.parametrize(
    "form",
    [
        {"day": "2020-01-01", "hide_as": "counted"},
        {"day": "9999-01-01", "hide_as": "counted"},
        {"day": "soon", "hide_as": "counted"},
        {"day": TOMORROW, "hide_as": "public"},
        {"day": TOMORROW},
    ],
)
async def test_what_cannot_be(site: Installation, form: dict[str, str]) -> None:
    vera = await confirmed(site)
    check_page(await site.client.post(vera.own, data={"action": "hide_from", **form}), 422)
    (row,) = await rows.rows_of(site.database, ROW)
    assert row["visible_until"] is None


async def test_a_name_that_is_not_public_has_nothing_to_hide(site: Installation) -> None:
    vera = await confirmed(site, visibility="organizers")
    form = {"action": "hide_from", "day": TOMORROW, "hide_as": "counted"}
    check_page(await site.client.post(vera.own, data=form), 422)


async def test_a_letter_taken_down_holds_no_other_up(site: Installation) -> None:
    """Its rows go in batches: until then they are still there."""
    await confirmed(site)
    await execute(site, f"{DAY_HAS_COME}, hide_as = 'counted'")
    async with site.database.transaction() as conn:
        letter = await rows.letter(conn)
        await taking_down.take_down(conn, None, letter.id, SLUG)
    assert not await hiding.step(site.database, Wrapper([KEY]))
