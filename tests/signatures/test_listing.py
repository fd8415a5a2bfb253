"""The public list: its order, its pages, who is in it."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petition.core.database import Connection
from petition.core.errors import NotFound
from petition.core.ids import SignatureId
from petition.signatures import listing, listing_queries
from petition.signatures.listing import Cursor
from petition.signatures.model import Kind
from tests.signatures.people import NOON, letter, organization, sign

moments = st.datetimes(timezones=st.just(UTC))


@given(moments, st.integers(0, 2**63 - 1))
def test_a_cursor_comes_back_as_it_went(moment: datetime, signature_id: SignatureId) -> None:
    cursor = Cursor(moment, signature_id)
    text = cursor.encode()
    assert Cursor.decode(text) == cursor
    assert len(text) == 22
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.one_of(st.text(max_size=40), st.binary(max_size=30).map(lambda raw: raw.decode("latin-1"))))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(NotFound):
        Cursor.decode(text)


@pytest.mark.parametrize(
    "text", ["", "A" * 22, "_" * 22, "f_________________w", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAA AAAA"]
)
def test_a_cursor_out_of_bounds_is_refused_or_harmless(text: str) -> None:
    try:
        cursor = Cursor.decode(text)
    except NotFound:
        return
    assert cursor.encode() == text


async def test_people_come_newest_first_in_pages_that_meet(conn: Connection) -> None:
    about, _ = await letter(conn)
    everybody = [f"Person {chr(97 + i)}" for i in range(7)]
    await sign(conn, about, *everybody)
    seen, after, pages = [], None, 0
    while True:
        entries, after = await listing.page(conn, about, Kind.PERSON, after, 3)
        seen += [entry.name for entry in entries]
        pages += 1
        if after is None:
            break
        after = Cursor.decode(after.encode())
    assert seen == everybody[::-1]
    assert pages == 3


async def test_a_full_last_page_has_no_next(conn: Connection) -> None:
    about, _ = await letter(conn)
    await sign(conn, about, "Anna", "Boris")
    entries, following = await listing.page(conn, about, Kind.PERSON, None, 2)
    assert [entry.name for entry in entries] == ["Boris", "Anna"]
    assert following is None


async def test_nobody_is_left_out_who_signed_in_the_same_moment(conn: Connection) -> None:
    about, _ = await letter(conn)
    for name in ("A", "B", "C", "D", "E"):
        await sign(conn, about, name)  # all at noon
    seen: list[str | None] = []
    after = None
    for _ in range(3):
        entries, after = await listing.page(conn, about, Kind.PERSON, after, 2)
        seen += [entry.name for entry in entries]
    assert sorted(map(str, seen)) == ["A", "B", "C", "D", "E"]
    assert after is None


async def test_a_place_out_of_this_world_is_an_empty_page_and_no_error(conn: Connection) -> None:
    about, _ = await letter(conn)
    await sign(conn, about, "Anna")
    for year, listed in ((1, 0), (9999, 1)):
        entries, _ = await listing.page(conn, about, Kind.PERSON, Cursor(datetime(year, 1, 1, tzinfo=UTC), 0))
        assert len(entries) == listed


async def test_only_who_is_confirmed_and_public_is_listed(conn: Connection) -> None:
    about, keys = await letter(conn)
    other, _ = await letter(conn)
    await sign(conn, about, "Shown", "Removed")
    await sign(conn, other, "Elsewhere")
    await conn.execute("UPDATE signature SET state = 'removed' WHERE name = 'Removed'")
    await conn.execute(
        "INSERT INTO signature (letter, id, listed_at, kind, state, visibility, private)"
        " VALUES ($1, 1, now(), 'person', 'confirmed', 'organizers', $2),"
        " ($1, 2, now(), 'person', 'confirmed', 'counted', NULL)",
        about,
        keys.hide({"name": "Hidden"}),
    )
    entries, _ = await listing.page(conn, about, Kind.PERSON)
    assert [entry.name for entry in entries] == ["Shown"]
    for word in ("Removed", "Elsewhere", "Hidden"):
        assert await listing.search(conn, about, Kind.PERSON, word) == []


async def test_an_organization_is_one_entry_with_both_names_and_its_public_representatives(conn: Connection) -> None:
    about, _ = await letter(conn)
    representatives = [("Anna", "confirmed"), (None, "confirmed"), ("Boris", "held"), ("Vera", "confirmed")]
    await organization(conn, about, "North Pier", "Северный пирс", representatives=representatives)
    await organization(conn, about, "Waiting", representatives=[("Gleb", "held")])
    await organization(conn, about, "Left", representatives=[])
    newer = NOON + timedelta(days=1)
    await organization(conn, about, None, "Новее", listed_at=newer)
    entries, following = await listing.page(conn, about, Kind.ORGANIZATION)
    assert [(entry.name_en, entry.name_ru) for entry in entries] == [(None, "Новее"), ("North Pier", "Северный пирс")]
    assert entries[1].representatives == ("Anna", "Vera")
    assert (entries[0].listed_at, following) == (newer, None)


async def test_a_merged_organization_is_not_listed_twice(conn: Connection) -> None:
    about, _ = await letter(conn)
    into = await organization(conn, about, "One")
    await organization(conn, about, "One again")
    await conn.execute("UPDATE organization SET merged_into = $1 WHERE name_en = 'One again'", into)
    entries, _ = await listing.page(conn, about, Kind.ORGANIZATION)
    assert [entry.name_en for entry in entries] == ["One"]
    assert [e.name_en for e in await listing.search(conn, about, Kind.ORGANIZATION, "one")] == ["One"]


async def fill(conn: Connection, about: int, count: int) -> None:
    """Add many people quickly, without words."""
    rows = [
        (
            about,
            secrets.randbits(63),
            NOON + timedelta(seconds=i),
            "person",
            "confirmed",
            "public",
            "N N",
            f"n{i % 997} n",
        )
        for i in range(count)
    ]
    columns = ("letter", "id", "listed_at", "kind", "state", "visibility", "name", "name_key")
    await conn.copy_records_to_table("signature", records=rows, columns=columns)
    await conn.execute("ANALYZE signature")


async def plan(conn: Connection, statement: str, *arguments: Any) -> str:
    rows = await conn.fetch("EXPLAIN " + statement, *arguments)
    return "\n".join(row[0] for row in rows)


async def test_pages_are_read_off_the_index(conn: Connection) -> None:
    about, _ = await letter(conn)
    await fill(conn, about, 20_000)
    middle = NOON + timedelta(seconds=10_000)
    for mode in ("force_custom_plan", "force_generic_plan"):
        await conn.execute(f"SET plan_cache_mode = {mode}")
        plan_text = await plan(conn, listing_queries.PAGE_OF_PEOPLE, about, middle, 0, 101)
        assert "Index Scan using signature_shown" in plan_text, plan_text
        assert "Sort" not in plan_text.replace("Incremental Sort", "").replace("Sort Key", "")
        # Only what is about to be opened, of the cursor's own time, and what a step of a sensitive letter leaves out:
        # no other row of an ordinary one.
        (filter_line,) = [line.strip() for line in plan_text.splitlines() if "Filter" in line]
        step = r"\(\(\(?.*IS NOT FALSE\) OR .*\)"
        assert re.fullmatch(
            rf"Filter: \(\(name IS NOT NULL\) AND \(ROW\(listed_at, id\) < [^A]*\) AND {step}\)", filter_line
        ), filter_line


async def test_words_are_looked_up_in_their_index(conn: Connection) -> None:
    about, _ = await letter(conn)
    await fill(conn, about, 20_000)
    for mode in ("force_custom_plan", "force_generic_plan"):
        async with conn.transaction():
            await conn.execute(f"SET LOCAL plan_cache_mode = {mode}")
            await listing_queries.use_index_of_words(conn)
            plan_text = await plan(conn, listing_queries.SORT_PEOPLE, about, f"'{about}:n5'")
            assert "Bitmap Index Scan on signature_words" in plan_text, plan_text
            await listing_queries.use_order_of_list(conn)
            plan_text = await plan(conn, listing_queries.SCAN_PEOPLE, about, None, 5000, ["% n %"])
            assert "Index Scan using signature_shown" in plan_text, plan_text
            assert "Sort" not in plan_text.replace("Incremental Sort", "").replace("Sort Key", "")
