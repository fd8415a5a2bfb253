"""Times are typed on the clock of the organizer's zone, which the page names, and stored in UTC."""

from datetime import UTC, datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.addressees.model import day_in
from petition.core import time_zones
from petition.core.errors import Refused
from petition.drafts import draft_fields, local_times
from tests.drafts import desk
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

BERLIN = "UPDATE organizer SET zone = 'Europe/Berlin'"
NEW = "/organizer/a-new-one"
UPDATES = f"/organizer/{SLUG}/updates"
NEWS = {"title_en": "They have answered", "text_en": "A yes."}
DRAFT = "SELECT value FROM edit WHERE field = 'closes_at'"


async def execute(site: Installation, statement: str) -> None:
    async with site.database.connection() as conn:
        await conn.execute(statement)


def named(page: httpx2.Response, name: str) -> str:
    """Return the value of an input."""
    return page.text.partition(f'name="{name}"')[2].partition(">")[0].partition('value="')[2].partition('"')[0]


async def test_a_letter_opens_at_the_hour_of_the_organizers_zone(site: Installation) -> None:
    async with people.at_desk(site, "editor") as client:
        await execute(site, BERLIN)
        await client.post("/organizer/letters/new", data={"title.en": "New", "slug": "a-new-one"})
        await desk.change(client, f"{NEW}/text", text_en="Text", addressees_0_en="You", initiators_0_en="We")
        page = await client.get(f"{NEW}/publish")
        assert "Day and time (Berlin)" in page.text
        assert named(page, "zone") == "Europe/Berlin"
        form = {"publish_at": "2099-07-01T18:00"}
        # The zone that the page named counts, also if another one was chosen meanwhile.
        await execute(site, "UPDATE organizer SET zone = ''")
        await client.post(f"{NEW}/publish/schedule", data=form | {"zone": "Europe/Berlin"})
        (letter,) = await rows_of(site.database, "SELECT publish_at FROM letter WHERE slug = 'a-new-one'")
        assert letter["publish_at"] == datetime(2099, 7, 1, 16, 0, tzinfo=UTC)
        for zone in ({}, {"zone": ""}, {"zone": "Moon/Base"}):  # none that is known: the organizer's
            await client.post(f"{NEW}/publish/schedule", data=form | zone)
            (letter,) = await rows_of(site.database, "SELECT publish_at FROM letter WHERE slug = 'a-new-one'")
            assert letter["publish_at"] == datetime(2099, 7, 1, 18, 0, tzinfo=UTC)
        assert "Day and time (UTC)" in (await client.get(f"{NEW}/publish")).text


async def test_an_update_and_its_mailing(site: Installation) -> None:
    async with people.at_desk(site, "editor") as client:
        await execute(site, BERLIN)
        form = {"act": "schedule", "publish_at": "2099-01-02T03:04", "zone": "Europe/Berlin"}
        where = (await client.post(UPDATES, data=NEWS | form)).headers["location"].partition("?")[0]
        (row,) = await rows_of(site.database, "SELECT publish_at FROM news")
        assert row["publish_at"] == datetime(2099, 1, 2, 2, 4, tzinfo=UTC)
        page = await client.get(where)
        assert named(page, "publish_at") == "2099-01-02T03:04"  # as it was typed
        assert "UTC\xa002:04 · Moscow\xa005:04" in page.text
        past = await client.post(UPDATES, data=NEWS | form | {"publish_at": "2001-01-01T00:00"})
        assert named(past, "publish_at") == "2001-01-01T00:00"


async def test_the_closing_time_of_a_draft(site: Installation) -> None:
    async with people.at_desk(site, "editor") as client:
        await execute(site, BERLIN)
        await desk.change(client, closes_at="2099-07-01T18:30")
        assert [row["value"] for row in await rows_of(site.database, DRAFT)] == ["2099-07-01T16:30:00"]
        page = await client.get(desk.TEXT)
        assert "Closes (Berlin)" in page.text
        form = desk.fields(page)
        assert form["closes_at"] == "2099-07-01T18:30:00"
        # What a colleague has changed comes on this organizer's clock.
        await execute(site, "UPDATE edit SET value = '2099-07-01T17:00:00' WHERE field = 'closes_at'")
        said = await desk.by_script(client, form)
        assert said["fresh"]["closes_at"] == "2099-07-01T19:00:00"
        # The hour that comes twice: what nobody touched stays what it was.
        await execute(site, "UPDATE edit SET value = '2027-10-31T01:30:00' WHERE field = 'closes_at'")
        form = await desk.opened(client)
        assert form["closes_at"] == "2027-10-31T02:30:00"
        assert (await desk.by_script(client, form))["wrote"] is False
        refused = await desk.save(client, form | {"closes_at": "tomorrow"})
        assert 'value="tomorrow"' in refused.text


async def test_a_day_of_the_log_is_the_organizers(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        await desk.change(client, goal="6000")
        await execute(site, "UPDATE organizer SET zone = 'Asia/Yekaterinburg'")
        await execute(site, "ALTER TABLE log DISABLE TRIGGER log_is_append_only")
        await execute(site, "UPDATE log SET at = '2026-03-04T20:00Z' WHERE act = 'letter.write'")  # the 5th, at 01:00
        for day, is_there in (("2026-03-04", False), ("2026-03-05", True)):
            page = await client.get(f"/organizer/{SLUG}/log?day={day}")
            assert "Day (Yekaterinburg)" in page.text
            assert ("Nothing matches." not in page.text) is is_there


NOON = datetime(2026, 3, 5, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "typed", "stored"),
    [
        ("", "2026-03-05", NOON),
        ("", "2026-03-04", datetime(2026, 3, 4, tzinfo=UTC)),
        ("", "2026-03-06", None),
        ("Pacific/Kiritimati", "2026-03-06", NOON),  # there the 6th has begun
        ("Pacific/Kiritimati", "2026-03-07", None),
        ("Pacific/Pago_Pago", "2026-03-05", NOON),
        ("Pacific/Pago_Pago", "2026-03-04", datetime(2026, 3, 4, tzinfo=UTC)),
    ],
)
def test_today_is_today_where_the_organizer_is(zone: str, typed: str, stored: datetime | None) -> None:
    now = time_zones.in_zone(NOON, zone)
    if stored is None:
        with pytest.raises(Refused):
            day_in({"on": typed}, now)
    else:
        assert day_in({"on": typed}, now) == stored


async def test_paper_signatures_of_a_day_that_has_begun_elsewhere(site: Installation) -> None:
    async with people.at_desk(site, "editor") as client:
        await execute(site, "UPDATE organizer SET zone = 'Pacific/Kiritimati'")
        today = datetime.now(time_zones.find("Pacific/Kiritimati")).date()
        form = {"step": "add", "people": "12", "counted_on": today.isoformat(), "source_en": "A square"}
        assert (await client.post(f"/organizer/{SLUG}/tally", data=form)).status_code == 303
    (tally,) = await rows_of(site.database, "SELECT counted_on FROM tally")
    assert tally["counted_on"] <= min(today, datetime.now(UTC).date())


@given(
    moment=st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),  # noqa: DTZ001
    zone=st.sampled_from(["", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"]),
)
def test_what_is_shown_and_sent_again_is_the_same(moment: datetime, zone: str) -> None:
    stored = {"closes_at": moment.isoformat(), "opened_at": moment.isoformat()}
    seen = {f"seen.{name}": draft_fields.digest(value) for name, value in stored.items()}
    assert local_times.to_utc(local_times.from_utc(stored, zone) | seen, zone) == stored


def test_days_and_what_is_no_time_stay_as_they_are() -> None:
    assert local_times.from_utc({"opened_at": "2022-03-05"}, "Europe/Berlin") == {"opened_at": "2022-03-05"}
    typed = {"opened_at": "2022-03-05", "closes_at": "tomorrow", "goal": "5"}
    assert local_times.to_utc(typed, "Europe/Berlin") == {"opened_at": "2022-03-05", "closes_at": "tomorrow"}


@pytest.mark.parametrize(
    ("local", "moments"),
    [
        ("2026-03-29T01:59", ["00:59"]),
        ("2026-03-29T02:30", ["01:30"]),  # skipped: the clock shows 03:30 then
        ("2026-10-25T02:30", ["00:30", "01:30"]),
        ("2026-10-25T03:00", ["02:00"]),
        ("9999-12-31T23:59", ["22:59"]),
        ("0001-01-01T00:00", ["00:00"]),
    ],
)
def test_nights_on_which_clocks_change(local: str, moments: list[str]) -> None:
    found = time_zones.moments_of(datetime.fromisoformat(local), "Europe/Berlin")
    assert [f"{moment:%H:%M}" for moment in found] == moments
