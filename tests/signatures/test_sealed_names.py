"""Names that wait: sealed from the form on, counted meanwhile, opened by the worker, shown together."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from petition.core import stored_keys
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener, Sealer, Wrapper, new_contact_pair
from petition.core.errors import Refused
from petition.drafts import publishing, store
from petition.exports.filtered import COLUMNS
from petition.letters import queries
from petition.moderation import namesakes
from petition.signatures import opening_names, sealed_names
from petition.signatures.opening_names import NameOpener
from tests import rows
from tests.leaks.columns import dump
from tests.organizers import people
from tests.pages import check_page
from tests.rows import rows_of
from tests.running import KEY, PRIVATE_KEY, PUBLIC_KEY, SLUG, Installation
from tests.signatures.waiting import Waiting, execute

API = f"/api/v1/letters/{SLUG}"
QUEUE = f"/organizer/{SLUG}/queue"
NAMES = ("Zora Quill", "Quillworks", "Quilltown")
TYPED = {"name": "Zora Quill", "affiliation": "Quillworks", "city": "Quilltown", "country": "Sweden"}


async def seal(site: Installation, number: int | None = 3, at: datetime | None = None) -> None:
    """Have the letter seal its names, as one that was published so."""
    await execute(
        site, "UPDATE letter SET publish_at_number = $1, publish_at_date = $2, revision = revision + 1", number, at
    )
    await refresh(site)


async def refresh(site: Installation) -> None:
    assert (await site.client.get(f"/en/{SLUG}/signed", headers=site.new_network())).status_code == 200


async def sign(site: Installation, address: str, **fields: str) -> Waiting:
    """Fill in the form and confirm."""
    answer = await site.sign(email=address, **fields)
    assert answer.status_code == 303, answer.text
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        signature_id = await conn.fetchval(
            "SELECT id FROM pending WHERE digest = $1 ORDER BY created_at DESC", rows.digest_of(letter, address)
        )
    waiting = Waiting(site, letter, signature_id)
    assert (await site.client.post(waiting.link)).status_code == 303
    return waiting


def opener_of(site: Installation) -> NameOpener:
    return NameOpener(site.database, Opener(PRIVATE_KEY, DecryptionCounts()), Wrapper([KEY]))


async def open_all(site: Installation) -> None:
    opener = opener_of(site)
    while await opener.step():
        pass
    await refresh(site)


async def listed(site: Installation) -> Sequence[str]:
    """Return the public names in the API; none while it says that they are not shown."""
    answer = await site.client.get(f"{API}/signatories")
    return [] if answer.status_code == 403 else [item["name"] for item in answer.json()["items"]]


async def unreadable(site: Installation, *words: str) -> bool:
    """Return whether none of ``words`` can be read in the database, with all keys that the web has."""
    stored = await dump(site.database)
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
        hidden = await conn.fetch("SELECT fields FROM pending UNION ALL SELECT private FROM signature")
    revealed = " ".join(str(letter.keys.reveal(row["fields"])) for row in hidden if row["fields"])
    return not any(word.encode() in stored or word in revealed for word in words)


async def test_a_name_is_sealed_from_the_form_on(site: Installation, editor: httpx2.AsyncClient) -> None:
    await seal(site)
    page = (await site.client.get(f"/en/{SLUG}")).text
    assert "Names are shown when 3 have signed." in page
    assert "Until then your name is sealed" in page
    assert (await site.sign(email="pending@letters.example", **TYPED)).status_code == 303
    assert await unreadable(site, *NAMES)
    (pending,) = await rows_of(site.database, "SELECT id FROM pending")
    async with site.database.connection() as conn:
        link = f"/en/confirm/{rows.token(await rows.letter(conn), pending['id'])}"
    shown = (await site.client.get(link)).text
    assert "Sealed: no one can read it yet." in shown
    assert "Quill" not in shown
    assert (await site.client.post(link)).status_code == 303
    assert await unreadable(site, *NAMES)
    (row,) = await rows_of(site.database, "SELECT state, visibility, name, private, country FROM signature")
    assert tuple(row.values()) == ("confirmed", "public", None, None, "SE")

    await refresh(site)
    counts = (await site.client.get(API)).json()["counts"]
    assert (counts["total"], counts["hidden"]) == (1, 1)
    assert (await site.client.get(f"{API}/signatories")).status_code == 403
    for path in (f"/en/{SLUG}", f"/en/{SLUG}/signatories"):
        assert "Names are shown when 3 have signed." in (await site.client.get(path)).text
    check_page(await site.client.get(f"/en/{SLUG}/signatories/print"), 404)
    assert "sealed name" in (await editor.get(f"{QUEUE}?state=confirmed")).text
    form = {"form": "csv", "back": "state=confirmed", **{f"c_{name}": "1" for name in COLUMNS}}
    exported = (await editor.post(f"/organizer/{SLUG}/export", data=form)).content.decode("utf-8-sig")
    (line,) = csv.DictReader(io.StringIO(exported))
    assert (line["visibility"], line["name"], line["affiliation"], line["city"]) == ("public", "", "", "")


async def test_names_are_shown_together_also_after_a_worker_was_killed(
    site: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening_names, "BATCH", 2)
    await seal(site, 5)
    for number in range(3):
        await sign(site, f"voice{number}@letters.example", name=f"Voice Quill {number}")
    hidden = await sign(site, "hidden@letters.example", name="Hidden Quill", visibility="organizers")
    opener = opener_of(site)
    assert not await opener.step()
    await sign(site, "counted@letters.example", visibility="counted", name="")
    steps = 0
    while (await rows_of(site.database, "SELECT names_published_at FROM letter"))[0]["names_published_at"] is None:
        await refresh(site)
        assert await listed(site) == []
        assert (await site.client.get(API)).json()["counts"]["hidden"] == 5
        assert await opener_of(site).step()  # another worker each time: what one has done is not lost
        steps += 1
    assert steps == 3  # two batches, and the moment in which all are shown
    await refresh(site)
    assert sorted(await listed(site)) == [f"Voice Quill {number}" for number in range(3)]
    found = (await site.client.get(f"{API}/signatories?q=quill")).json()["items"]
    assert len(found) == 3
    assert (await site.client.get(API)).json()["counts"] == {
        "total": 5, "people": 5, "organizations": 0, "hidden": 2, "imported": 0
    }  # fmt: skip
    assert "Hidden Quill" in (await site.client.get(hidden.own)).text
    (row,) = await rows_of(site.database, "SELECT name, sealed, private FROM signature WHERE id = $1", hidden.id)
    assert (row["name"], row["sealed"]) == (None, None)
    assert row["private"] is not None
    (log,) = await rows_of(site.database, "SELECT organizer FROM log WHERE act = 'letter.names_shown'")
    assert log["organizer"] is None
    async with site.database.connection() as conn:
        await rows.check_count(conn, await rows.letter(conn))
    await sign(site, "later@letters.example", name="Later Quill")  # shown at once, as for any letter
    assert "Later Quill" in await listed(site)


async def test_the_worker_opens_them_when_the_number_is_reached(site_with_worker: Installation) -> None:
    site = site_with_worker
    await seal(site, 2)
    await sign(site, "first@letters.example", name="First Quill")
    assert await listed(site) == []
    await sign(site, "second@letters.example", name="Second Quill")
    page = await site.page_when(f"/en/{SLUG}/signatories", lambda text: "Quill" in text)
    assert page.count("Quill") == 2
    used = await rows_of(site.database, "SELECT sum(uses) AS uses FROM decryption WHERE purpose = 'sealed_names'")
    assert used[0]["uses"] in {None, 2}  # stored within a second


async def test_signatories_change_and_take_back_what_is_sealed(site: Installation) -> None:
    await seal(site, 9)
    waiting = await sign(site, "first@letters.example", **TYPED)
    own = (await site.client.get(waiting.own)).text
    assert "Sealed: no one can read it yet." in own
    data = (await site.client.get(f"{waiting.own}/data.json")).json()
    assert (data["is_sealed"], data["name"], data["visibility"]) == (True, None, "public")

    async def act(**form: str) -> None:
        assert (await site.client.post(waiting.own, data=form)).status_code == 303

    async def opened() -> dict[str, str] | None:
        (row,) = await rows_of(site.database, "SELECT sealed, name, private FROM signature")
        assert (row["name"], row["private"]) == (None, None)
        opener = Opener(PRIVATE_KEY, DecryptionCounts())
        return opener.open_fields(row["sealed"], 1, "sealed_names") if row["sealed"] else None  # type: ignore[arg-type]

    assert await opened() == {"name": "Zora Quill", "affiliation": "Quillworks", "city": "Quilltown"}
    await act(action="correct", name="Dora Quill", city="Quillham")
    assert await opened() == {"name": "Dora Quill", "city": "Quillham"}
    await act(action="visibility", visibility="organizers")
    assert await opened() == {"name": "Dora Quill", "city": "Quillham"}
    assert await unreadable(site, "Quill")
    await act(action="visibility", visibility="counted")
    assert await opened() is None
    refused = await site.client.post(waiting.own, data={"action": "visibility", "visibility": "public"})
    assert refused.status_code == 422
    await act(action="visibility", visibility="public", name="Flora Quill")
    assert await opened() == {"name": "Flora Quill"}
    async with site.database.connection() as conn:
        assert (await rows.check_count(conn, await rows.letter(conn)))["people"] == 1
    await act(action="withdraw")
    (row,) = await rows_of(site.database, "SELECT state, sealed FROM signature")
    assert tuple(row.values()) == ("withdrawn", None)
    await act(action="delete")
    assert await rows_of(site.database, "SELECT 1 FROM signature") == []


async def test_a_later_form_replaces_what_is_sealed(site: Installation) -> None:
    await seal(site, 2)
    await sign(site, "first@letters.example", name="Zora Quil")
    await sign(site, "first@letters.example", name="Zora Quill")
    await sign(site, "second@letters.example", name="Other Person")
    await open_all(site)
    assert sorted(await listed(site)) == ["Other Person", "Zora Quill"]


async def test_an_organization_is_approved_and_its_representative_stays_sealed(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    await seal(site, 2)
    waiting = await sign(site, "anna@northpier.example", kind="organization", name="Anna Quill", position="Quillmaster")
    assert await unreadable(site, "Anna Quill", "Quillmaster")
    page = f"/organizer/{SLUG}/signatures/{waiting.id}"
    text = (await editor.get(page)).text
    assert "North Pier Network" in text
    seen = text.partition('name="seen" value="')[2].partition('"')[0]
    assert (await editor.post(page, data={"act": "approve", "seen": seen})).status_code == 303
    assert await unreadable(site, "Anna Quill", "Quillmaster")
    await refresh(site)
    assert (await site.client.get(f"{API}/signatories?kind=organization")).status_code == 403
    await sign(site, "second@letters.example", name="Other Person")
    await open_all(site)
    (entry,) = (await site.client.get(f"{API}/signatories?kind=organization")).json()["items"]
    assert (entry["name_en"], entry["representatives"]) == ("North Pier Network", ["Anna Quill"])


async def test_what_is_held_is_opened_without_being_shown(site: Installation, editor: httpx2.AsyncClient) -> None:
    await seal(site, 2)
    await execute(site, "INSERT INTO switch (name, value, texts) VALUES ('hold', 'on', '{}')")
    held = await sign(site, "held@letters.example", name="Held Quill")
    await execute(site, "DELETE FROM switch")
    for number in range(2):
        await sign(site, f"voice{number}@letters.example", name=f"Voice {number}")
    await open_all(site)
    assert sorted(await listed(site)) == ["Voice 0", "Voice 1"]
    page = f"/organizer/{SLUG}/signatures/{held.id}"
    text = (await editor.get(page)).text
    assert "Held Quill" in text
    seen = text.partition('name="seen" value="')[2].partition('"')[0]
    assert (await editor.post(page, data={"act": "approve", "seen": seen})).status_code == 303
    assert "Held Quill" in await listed(site)


async def test_moderators_see_flags_computed_before_sealing(site: Installation) -> None:
    await seal(site, 9)
    await sign(site, "first@letters.example", name="Vеra Nоvak")  # two letters are Cyrillic
    (row,) = await rows_of(site.database, "SELECT flags FROM signature")
    assert row["flags"] == ["disguised"]
    assert sealed_names.signals_before({"name": "Fuck You"}) == {"obscene": True}
    assert sealed_names.signals_before({"name": "Vera Novak"}) == {}


async def test_a_list_from_elsewhere_opens_nothing(site: Installation) -> None:
    await seal(site, 3)
    await sign(site, "first@letters.example", name="First Quill")
    await execute(site, "UPDATE count SET people = people + 10, imported = imported + 10")
    assert not await opener_of(site).step()
    assert await listed(site) == []


async def test_a_date_opens_them_too(site: Installation) -> None:
    await seal(site, 1000, datetime.now(UTC) + timedelta(days=1))
    page = (await site.client.get(f"/en/{SLUG}")).text
    assert "Names are shown when 1,000 have signed, or on " in page
    assert "Имена появятся" in (await site.client.get(f"/ru/{SLUG}")).text
    await sign(site, "first@letters.example", name="First Quill")
    assert not await opener_of(site).step()
    await seal(site, None, datetime.now(UTC) - timedelta(seconds=1))
    await open_all(site)
    assert await listed(site) == ["First Quill"]


async def test_a_name_sealed_to_another_key_keeps_no_one_from_being_shown(site: Installation) -> None:
    await seal(site, 2)
    for number in range(2):
        await sign(site, f"voice{number}@letters.example", name=f"Voice {number}")
    (row, _) = await rows_of(site.database, "SELECT id FROM signature ORDER BY id")
    foreign = Sealer(new_contact_pair()[0]).seal_fields({"name": "Lost"})
    await execute(site, "UPDATE signature SET sealed = $1 WHERE id = $2", foreign, row["id"])
    await open_all(site)
    assert len(await listed(site)) == 1
    assert PUBLIC_KEY


async def test_details_that_no_key_opens_keep_no_one_from_being_shown(site: Installation) -> None:
    await seal(site, 2)
    await sign(site, "anna@northpier.example", kind="organization", name="Anna Quill", position="Quillmaster")
    await execute(site, "UPDATE signature SET private = '\\x00' WHERE kind = 'organization'")
    for number in range(2):
        await sign(site, f"voice{number}@letters.example", name=f"Voice {number}")
    await open_all(site)
    assert sorted(await listed(site)) == ["Voice 0", "Voice 1"]


async def test_repeated_names_are_flagged_once_they_are_open(site: Installation) -> None:
    await seal(site, 5)
    for number in range(5):
        await sign(site, f"voice{number}@letters.example", name="Vera Novak")
    await execute(site, "UPDATE signature SET listed_at = listed_at - interval '5 minutes'")
    assert await namesakes.check(site.database, Wrapper([KEY])) == 0
    await open_all(site)
    assert await namesakes.check(site.database, Wrapper([KEY])) == 5


async def test_another_contact_pair_is_found_before_the_names_are_due(site: Installation) -> None:
    await seal(site, 9)
    await sign(site, "first@letters.example", name="First Quill")
    await execute(site, "DELETE FROM outbox")
    async with site.database.connection() as conn:
        assert await stored_keys.other_pair(conn, Opener(PRIVATE_KEY, DecryptionCounts())) is None
        finding = await stored_keys.other_pair(conn, Opener(new_contact_pair()[1], DecryptionCounts()))
    assert finding is not None
    assert "names that wait to be shown" in finding


async def test_hidden_names_stay_hidden_when_the_number_is_reached(site: Installation) -> None:
    await seal(site, 2)
    await execute(site, "INSERT INTO switch (name, value, texts) VALUES ('hide_list', 'on', '{}')")
    for number in range(2):
        await sign(site, f"voice{number}@letters.example", name=f"Voice {number}")
    await open_all(site)
    assert await listed(site) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"publish_at_number": "500"}, "publish_at_number"),
        ({"publish_at_number": ""}, "publish_at_number"),
        ({"publish_at_date": "2027-02-01T00:00:00"}, "publish_at_date"),
        ({"publish_at_date": ""}, "publish_at_date"),
        ({"publish_at_number": "2000", "publish_at_date": "2027-04-01T00:00:00"}, None),
    ],
)
async def test_once_open_it_comes_later_and_never_sooner(
    site: Installation, changes: dict[str, str], field: str | None
) -> None:
    await seal(site, 1000, datetime(2027, 3, 1, tzinfo=UTC))
    async with site.database.transaction() as conn:
        row = await queries.by_slug(conn, SLUG, lock=True)
        assert row is not None
        draft = await store.load(conn, row)
        assert draft.fields["publish_at_number"] == "1000"
        if field is None:
            await store.write(conn, draft, changes, None)
            return
        with pytest.raises(Refused) as refused:
            await store.write(conn, draft, changes, None)
    assert refused.value.field == field


async def test_an_open_letter_cannot_begin_to_seal(site: Installation) -> None:
    async with site.database.transaction() as conn:
        row = await queries.by_slug(conn, SLUG, lock=True)
        assert row is not None
        draft = await store.load(conn, row)
        for changes in ({"publish_at_number": "5"}, {"publish_at_date": "2099-01-01T00:00:00"}):
            with pytest.raises(Refused):
                await store.write(conn, draft, changes, None)


async def test_the_desk_takes_both_before_the_letter_opens(site: Installation) -> None:
    await execute(site, "UPDATE letter SET version = NULL, state = 'draft', opened_at = NULL")
    await execute(site, "DELETE FROM version")
    async with people.at_desk(site, "editor", email="editor@letters.example") as client:
        text = (await client.get(f"/organizer/{SLUG}/text")).text
        assert "Show names when so many have signed" in text
        seen = {
            f"seen.{name}": text.partition(f'name="seen.{name}" value="')[2].partition('"')[0]
            for name in ("publish_at_number", "publish_at_date")
        }
        one = await client.post(f"/organizer/{SLUG}/text", data={**seen, "publish_at_number": "1"})
        check_page(one, 422)
        form = {**seen, "publish_at_number": "1 000", "publish_at_date": "2099-03-01 18:00"}
        assert (await client.post(f"/organizer/{SLUG}/text", data=form)).status_code == 303
    (row,) = await rows_of(site.database, "SELECT publish_at_number, publish_at_date FROM letter")
    assert tuple(row.values()) == (1000, datetime(2099, 3, 1, 18, tzinfo=UTC))
    assert await publishing.publish(site.database, SLUG) is not None
    await refresh(site)
    assert "Names are shown when 1,000 have signed, or on " in (await site.client.get(f"/en/{SLUG}")).text
