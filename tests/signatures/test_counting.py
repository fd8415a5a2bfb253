"""What a signature, a list and an entry add to the count, and what a change of the count locks."""

from datetime import UTC, date, datetime, timedelta

import pytest

from petition.core.database import Connection, Record
from petition.core.ids import OrganizationId, PartnerId, TallyId
from petition.signatures import counting
from petition.signatures.counting import CountChange, EntryChange, HourChange
from petition.signatures.model import Counts, Kind
from tests.signatures.people import letter

ROW = "SELECT 7::bigint AS id, $1::text AS kind, $2::jsonb AS signals"
LOCKED = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'count'::regclass"
NOON = datetime(2022, 3, 5, 12, tzinfo=UTC)
NORTH, SOUTH = OrganizationId(1), OrganizationId(2)


async def row(conn: Connection, kind: Kind, partner: int | None = None) -> Record:
    signals = None if partner is None else {"partner": partner, "burst": 5}
    record: Record | None = await conn.fetchrow(ROW, kind.value, signals)
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("visibility", "import_number", "sign", "change"),
    [
        ("public", None, 1, CountChange(people=1)),
        ("organizers", None, 1, CountChange(people=1, hidden=1)),
        ("counted", 3, 1, CountChange(people=1, hidden=1, imported=1, listed_people=1)),
        ("public", 3, -1, CountChange(people=-1, imported=-1, listed_people=-1)),
        ("organizers", None, -1, CountChange(people=-1, hidden=-1)),
        ("organizers", 3, 0, CountChange()),
    ],
)
async def test_a_person(
    conn: Connection, visibility: str, import_number: int | None, sign: int, change: CountChange
) -> None:
    person = await row(conn, Kind.PERSON)
    assert CountChange.of_signature(person, visibility, import_number=import_number, sign=sign) == change


async def test_a_representative_counts_for_the_partner_only(conn: Connection) -> None:
    representative = await row(conn, Kind.ORGANIZATION, 7)
    change = CountChange.of_signature(representative, "organizers", import_number=3)
    assert change == CountChange(partners={(PartnerId(7), Kind.ORGANIZATION): 1})
    assert not change.is_in_count


def test_entries_count_once_and_as_imported_if_one_of_their_signatures_is() -> None:
    entries = EntryChange({NORTH: False}, {NORTH: True, SOUTH: False})
    assert CountChange.of_entries(entries) == CountChange(organizations=1, imported=1, listed_organizations=1)
    back = EntryChange(entries.after, entries.before)
    assert CountChange.of_entries(entries) + CountChange.of_entries(back) == CountChange()


def test_changes_add_up() -> None:
    one, two = (PartnerId(1), Kind.PERSON), (PartnerId(2), Kind.PERSON)
    change = (
        CountChange(people=2, partners={one: 1})
        + CountChange.of_list(3, {NOON: 3}, 1)
        + CountChange(partners={one: 1, two: -1})
    )
    hours = {NOON: HourChange(people=3, listed=3)}
    assert change == CountChange(5, hidden=1, imported=3, listed_people=3, hours=hours, partners={one: 2, two: -1})
    assert CountChange.of_visibility("public", "counted") == CountChange(hidden=1)
    assert CountChange.of_visibility("counted", "organizers") == CountChange()


async def test_the_count_moves_by_the_change_and_is_not_locked_without_one(conn: Connection) -> None:
    letter_id, _ = await letter(conn)
    await conn.execute("INSERT INTO count (letter) VALUES ($1) ON CONFLICT DO NOTHING", letter_id)
    revision = await conn.fetchval("SELECT revision FROM letter WHERE id = $1", letter_id)
    async with conn.transaction():
        await counting.apply(conn, letter_id, CountChange(), revision=True)
        assert await conn.fetchval(LOCKED) == 0
    assert await conn.fetchval("SELECT revision FROM letter WHERE id = $1", letter_id) == revision + 1
    await counting.apply(conn, letter_id, CountChange(people=3, organizations=2, hidden=1, imported=1))
    await counting.apply(conn, letter_id, CountChange(people=-1))
    counted = await conn.fetchrow(
        "SELECT people, organizations, hidden, imported FROM count WHERE letter = $1", letter_id
    )
    hour = await conn.fetchrow("SELECT people, organizations FROM count_hour WHERE letter = $1", letter_id)
    assert counted is not None
    assert hour is not None
    assert Counts(*counted) == Counts(2, 2, 1, 1)
    assert tuple(hour) == (2, 2)


def test_what_was_signed_in_the_past_stands_in_its_hours_and_leaves_them_again() -> None:
    later = NOON + timedelta(hours=5)
    entries = EntryChange({}, {NORTH: True, SOUTH: True})
    change = CountChange.of_list(3, {NOON: 2, later: 1}) + CountChange.of_entries(entries, {NORTH: NOON, SOUTH: later})
    assert dict(change.by_hour()) == {NOON: HourChange(2, 1, 3), later: HourChange(1, 1, 2)}
    # Someone who signs now stands in the present hour.
    assert dict((change + CountChange(people=1)).by_hour())[None] == HourChange(people=1)
    back = CountChange.of_list(3, {NOON: 2, later: 1}, sign=-1)
    back += CountChange.of_entries(EntryChange(entries.after, {}), {NORTH: NOON, SOUTH: later})
    assert (change + back).by_hour() == []
    assert not (change + CountChange(hidden=0) + back).imported
    tally = CountChange.of_tally(TallyId(1), 50, date(2022, 3, 5))
    assert dict(tally.by_hour()) == {datetime(2022, 3, 5, tzinfo=UTC): HourChange(people=50)}
    assert tally.imported == 50
    assert tally.listed_people == 0
