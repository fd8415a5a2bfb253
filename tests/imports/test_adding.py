"""Signatories from a file: all or nothing, nothing twice, and the count equals the rows."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petition.core import email_addresses
from petition.core.database import Connection, connect
from petition.core.encryption import LetterKeys
from petition.core.errors import ImportRefused, KeyDestroyed
from petition.core.ids import LetterId
from petition.imports import file_adding, row_reading
from petition.imports.adding import ImportReport
from petition.imports.row_reading import Target
from petition.signatures import counting, listing, self_service_queries
from petition.signatures.csv_format import Entry
from petition.signatures.model import Counts, Kind, Visibility
from tests.exports.lines import csv_file
from tests.rows import somebody_waits
from tests.signatures.people import letter, organization, sign

FILE = """\
kind,name,name_ru,email,affiliation,city,country,signed_at,visibility
person,Vera Novak,,vera@letters.example,North Pier,Riga,Latvia,2022-03-05T10:00:00Z,public
person,Пётр Иванов,,,,Казань,Россия,2022-03-06,
person,,,counted@letters.example,,,,,counted
person,Anna Ek,,anna@letters.example,,,,,organizers
organization,North Pier Network // Сеть «Северный пирс»,,,,,,2022-03-04,
organization,,"ООО ""Ромашка",,,,RU,,public
"""


def target(ids_and_keys: tuple[LetterId, LetterKeys]) -> Target:
    return Target(ids_and_keys[0], ids_and_keys[1], email_addresses.NEWEST)


async def import_text(conn: Connection, into: Target, text: str, *, dry_run: bool = False) -> ImportReport:
    async with conn.transaction():
        return (await file_adding.add_rows(conn, into, io.BytesIO(text.encode()), dry_run=dry_run)).report


async def counted(conn: Connection, letter_id: LetterId) -> Counts:
    """Return the stored count, checked against the rows."""
    stored = (await counting.load_counts(conn, [letter_id]))[letter_id]
    assert stored == await counting.counts_from_rows(conn, letter_id)
    hours = await conn.fetchrow(
        "SELECT sum(people), sum(organizations), sum(listed) FROM count_hour WHERE letter = $1", letter_id
    )
    assert hours is not None
    listed = stored.listed_people + stored.listed_organizations
    assert (hours[0] or 0, hours[1] or 0, hours[2] or 0) == (stored.people, stored.organizations, listed)
    return replace(stored, listed_people=0, listed_organizations=0)


async def test_a_file_is_imported_once(conn: Connection) -> None:
    into = target(await letter(conn))
    before = await conn.fetchval("SELECT revision FROM letter WHERE id = $1", into.letter_id)
    report = await import_text(conn, into, FILE)
    assert report == ImportReport(6, people=4, organizations=2, representatives=2, hidden=3, known=0, mailboxes=3)
    assert await counted(conn, into.letter_id) == Counts(4, 2, 3, 6)
    assert await conn.fetchval("SELECT revision FROM letter WHERE id = $1", into.letter_id) > before
    again = await import_text(conn, into, FILE)
    assert again == ImportReport(6, people=0, organizations=0, representatives=0, hidden=0, known=6)
    assert await counted(conn, into.letter_id) == Counts(4, 2, 3, 6)


async def test_who_took_a_signature_back_is_not_brought_back_by_the_same_file(conn: Connection) -> None:
    into = target(await letter(conn))
    await import_text(conn, into, FILE)
    pyotr = await conn.fetchval("SELECT id FROM signature WHERE country = 'RU' AND kind = 'person'")
    assert await self_service_queries.withdraw(conn, into.letter_id, pyotr)
    again = await import_text(conn, into, FILE)
    assert (again.people, again.known) == (0, 6)


async def test_what_is_stored_and_what_is_not(conn: Connection) -> None:
    into = target(await letter(conn))
    await import_text(conn, into, FILE)
    rows = await conn.fetch("SELECT * FROM signature ORDER BY listed_at")
    everything = " ".join(f"{value!r}" for row in rows for value in row.values())
    everything += " ".join(row["word"] for row in await conn.fetch("SELECT word FROM name_word"))
    for absent in ("vera@", "letters.example", "Пётр", "петр", "Казань", "Anna"):
        assert absent not in everything
    vera = next(row for row in rows if row["name"] == "Vera Novak")
    assert (vera["country"], vera["city"], vera["state"]) == ("LV", "Riga", "confirmed")
    assert vera["signed_at"] == datetime(2022, 3, 5, 10, tzinfo=UTC)
    assert vera["digest"] == into.keys.digest(email_addresses.canonical("vera@letters.example", into.rules_version))
    hidden = [into.keys.reveal(row["private"]) for row in rows if row["private"]]
    assert {"name": "Пётр Иванов", "city": "Казань"} in hidden
    entries, _ = await listing.page(conn, into.letter_id, Kind.ORGANIZATION)
    assert [(entry.name_en, entry.name_ru) for entry in entries] == [
        (None, 'ООО "Ромашка'),
        ("North Pier Network", "Сеть «Северный пирс»"),
    ]
    assert [entry.name for entry in await listing.search(conn, into.letter_id, Kind.PERSON, "навак vera")] == []
    assert [entry.name for entry in await listing.search(conn, into.letter_id, Kind.PERSON, "novac")] == ["Vera Novak"]
    assert len(await listing.search(conn, into.letter_id, Kind.ORGANIZATION, "ромошка")) == 1


async def test_one_bad_row_stops_all_and_every_bad_row_is_named(conn: Connection) -> None:
    into = target(await letter(conn))
    text = FILE + "person,,,,,,,,public\nperson,X Y,,not an address,,,,,\nanimal,Cat,,,,,,,\n"
    with pytest.raises(ImportRefused) as refused:
        await import_text(conn, into, text)
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["line 8", "line 10"]
    assert await conn.fetchval("SELECT count(*) FROM signature") == 0
    assert await counted(conn, into.letter_id) == Counts()


async def test_a_dry_run_tells_the_same_and_changes_nothing(conn: Connection) -> None:
    into = target(await letter(conn))
    await organization(conn, into.letter_id, "North Pier Network")
    await conn.execute("UPDATE organization SET key_en = 'north pier network'")
    foreseen = await import_text(conn, into, FILE, dry_run=True)
    for table in ("signature", "organization"):
        assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 1
    assert await conn.fetchval("SELECT count(*) FROM name_word") == 3
    assert await import_text(conn, into, FILE) == foreseen
    assert foreseen.organizations == 1


async def test_who_has_signed_is_not_counted_twice(conn: Connection) -> None:
    into = target(await letter(conn))
    digest = into.keys.digest(email_addresses.canonical("vera@letters.example", into.rules_version))
    (vera,) = await sign(conn, into.letter_id, "Vera Novak")
    await conn.execute("UPDATE signature SET digest = $1 WHERE id = $2", digest, vera)
    barred = into.keys.digest(email_addresses.canonical("anna@letters.example", into.rules_version))
    await conn.execute("INSERT INTO bar VALUES ($1, $2)", into.letter_id, barred)
    report = await import_text(conn, into, FILE)
    assert (report.people, report.known) == (4, 0), "what a mailbox has done is not reported"
    assert await conn.fetchval("SELECT count(*) FROM signature WHERE kind = 'person'") == 3


async def test_two_people_of_one_name_are_two_and_one_mailbox_is_one(conn: Connection) -> None:
    into = target(await letter(conn))
    text = "kind,name,email,visibility\n" + "person,Anna Ek,,public\n" * 3
    text += (
        "person,Bo Li,bo@letters.example,\nperson,Bo Li,bo@letters.example,\nperson,B. Li,BO@letters.example,public\n"
    )
    report = await import_text(conn, into, text)
    assert (report.people, report.known, report.repeated) == (4, 0, 2)
    again = await import_text(conn, into, text)
    assert (again.people, again.known, again.repeated) == (0, 4, 2)
    assert (await import_text(conn, into, text + "person,Anna Ek,,public\n")).people == 1
    assert await counted(conn, into.letter_id) == Counts(5, 0, 1, 5)


async def test_another_visibility_makes_no_second_person(conn: Connection) -> None:
    into = target(await letter(conn))
    for visibility in ("public", "organizers"):
        await import_text(conn, into, f"kind,name,visibility\nperson,Anna Ek,{visibility}\n")
    assert await counted(conn, into.letter_id) == Counts(1, 0, 0, 1)


async def test_rows_of_one_time_keep_the_order_of_the_file(conn: Connection) -> None:
    into = target(await letter(conn))
    text = "kind,name,visibility\n" + "".join(f"person,Person {chr(97 + i)},public\n" for i in range(9))
    await import_text(conn, into, text)
    entries, _ = await listing.page(conn, into.letter_id, Kind.PERSON)
    assert [entry.name for entry in entries] == [f"Person {chr(97 + i)}" for i in range(9)]
    await import_text(conn, into, "kind,name\n" + "".join(f"organization,Pier {i}\n" for i in range(9)))
    entries, _ = await listing.page(conn, into.letter_id, Kind.ORGANIZATION)
    assert [entry.name_en for entry in entries] == [f"Pier {i}" for i in range(9)]


async def test_an_organization_is_one_entry_under_whichever_name_it_comes(conn: Connection) -> None:
    into = target(await letter(conn))
    text = (
        "kind,name,name_ru\n"
        "organization,North Pier,\n"
        'organization,,"Сеть ""Пирс"""\n'
        "organization,north  pier,Сеть «Пирс»\n"  # both names lead to entries of their own: left apart
        "organization,South Pier,\n"
        "organization,«South Pier»,Южный пирс\n"
        "organization,,южный пирс\n"
    )
    report = await import_text(conn, into, text)
    assert (report.organizations, report.representatives) == (3, 6)
    entries, _ = await listing.page(conn, into.letter_id, Kind.ORGANIZATION)
    assert {(entry.name_en, entry.name_ru) for entry in entries} == {
        ("North Pier", None),
        (None, 'Сеть "Пирс"'),
        ("South Pier", "Южный пирс"),
    }
    assert await counted(conn, into.letter_id) == Counts(0, 3, 0, 3)
    more = await import_text(conn, into, "kind,name\norganization,Южный пирс\n")
    assert (more.organizations, more.representatives) == (0, 1)
    assert await counted(conn, into.letter_id) == Counts(0, 3, 0, 3)
    assert len(await listing.search(conn, into.letter_id, Kind.ORGANIZATION, "южный")) == 1


async def test_an_entry_that_is_there_counts_as_imported_once_a_row_of_it_is(conn: Connection) -> None:
    into = target(await letter(conn))
    organization_id = await organization(conn, into.letter_id, "North Pier")
    await conn.execute("UPDATE organization SET key_en = 'north pier' WHERE id = $1", organization_id)
    await conn.execute("UPDATE count SET organizations = 1")
    await conn.execute("INSERT INTO count_hour VALUES ($1, now(), 0, 1)", into.letter_id)
    report = await import_text(conn, into, "kind,name\norganization,North Pier\n")
    assert (report.organizations, report.representatives) == (0, 1)
    assert await counted(conn, into.letter_id) == Counts(0, 1, 0, 1)


async def test_without_the_letters_keys_nothing_is_imported(conn: Connection) -> None:
    letter_id, keys = await letter(conn)
    with pytest.raises(KeyDestroyed):
        await import_text(conn, target((letter_id, replace(keys, digest_key=None))), FILE)


async def test_confirmations_at_the_same_time_are_neither_lost_nor_doubled(conn: Connection, database_url: str) -> None:
    """A signatory confirms between the search for known mailboxes and the insert."""
    into = target(await letter(conn))
    digest = into.keys.digest(email_addresses.canonical("vera@letters.example", into.rules_version))
    other = await connect(database_url)
    try:
        confirming = other.transaction()
        await confirming.start()
        (vera,) = await sign(other, into.letter_id, "Vera Novak")
        await other.execute("UPDATE signature SET digest = $1 WHERE id = $2", digest, vera)
        importing = asyncio.create_task(import_text(conn, into, FILE))
        await somebody_waits(other)
        await other.execute("UPDATE count SET people = people + 1 WHERE letter = $1", into.letter_id)
        await confirming.commit()
        report = await importing
    finally:
        await other.close()
    assert (report.people, report.known) == (4, 0), "the report does not show who has signed"
    stored = await conn.fetchval("SELECT people FROM count WHERE letter = $1", into.letter_id)
    assert stored == (await counting.counts_from_rows(conn, into.letter_id)).people == 4


async def test_progress_is_reported(conn: Connection) -> None:
    into = target(await letter(conn))
    text = "kind,name\n" + "person,Anna Ek\n" * (row_reading.STEP * 2 + 1)
    counts: list[int] = []
    async with conn.transaction():
        await file_adding.add_rows(conn, into, io.BytesIO(text.encode()), progress=counts.append)
    assert counts == [row_reading.STEP, row_reading.STEP * 2, row_reading.STEP * 2 + 1]


words = st.sampled_from(["Anna", "Пётр", "O'Neil", "=1+1", "-", "ё", "Ек, Ли", 'a "b"', "Zoë", "李"])
people = st.builds(
    Entry,
    kind=st.just(Kind.PERSON),
    visibility=st.sampled_from(Visibility),
    name=st.lists(words, min_size=1, max_size=3).map(" ".join).filter(lambda name: any(c.isalpha() for c in name)),
    email=st.one_of(st.none(), st.sampled_from(["a@letters.example", "b@letters.example"])),
    city=st.one_of(st.none(), words),
    country=st.sampled_from([None, "RU", "LV"]),
    signed_at=st.one_of(st.none(), st.just(datetime(2022, 3, 5, tzinfo=UTC))),
)
organizations_ = st.builds(
    Entry,
    kind=st.just(Kind.ORGANIZATION),
    visibility=st.sampled_from([Visibility.PUBLIC, Visibility.ORGANIZERS]),
    name_en=st.sampled_from(["North Pier", "North  pier", "South Pier"]),
    name_ru=st.sampled_from([None, "Пирс", "«Пирс»", "Южный"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(st.lists(st.one_of(people, organizations_), max_size=8), min_size=1, max_size=3))
async def test_the_count_equals_the_rows_whatever_is_imported(
    conn: Connection, files: Sequence[Sequence[Entry]]
) -> None:
    into = target(await letter(conn))
    for entries in files:
        text = csv_file(entries)
        foreseen = await import_text(conn, into, text, dry_run=True)
        assert await import_text(conn, into, text) == foreseen
        stored = await counted(conn, into.letter_id)
        assert stored.imported == stored.total
        again = await import_text(conn, into, text)
        assert (again.people, again.representatives) == (0, 0)
        assert await counted(conn, into.letter_id) == stored
