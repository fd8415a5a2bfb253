"""Sensitive letters: what the mark does, and that between two steps nothing that readers see moves."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import httpx2

from petition.core import i18n
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId
from petition.drafts import publishing
from petition.letters import count_step_queries, published, sensitivity
from petition.letters.published import PublishedLetters
from petition.packages.making import PackageMaker
from tests import commands, rows
from tests.addresses import filled, patterns
from tests.organizers import people
from tests.pages import assert_redirect, check_page
from tests.rows import rows_of
from tests.running import KEY, SLUG, Installation
from tests.signatures.waiting import Waiting, execute

API = f"/api/v1/letters/{SLUG}"
TEXT = f"/organizer/{SLUG}/text"
MARK = f"/organizer/{SLUG}/sensitive"
# What differs at each visit (a copy is signed with its time), or is about one signature.
APART = (
    "/copy.html",
    "/captcha/challenge",
    "/confirm/",
    "/signature/",
    "/answer/",
    "/preview/",
    "/report/",
    "/healthz",
    "/readyz",
)
MORE = (
    f"{API}/history?step=hour",
    f"{API}/signatories?kind=organization",
    f"{API}/signatories?q=quill",
    f"/en/{SLUG}/signatories?kind=organization",
    f"/en/{SLUG}/signatories?q=quill",
    f"/en/{SLUG}/report?q=quill",
    f"/en/{SLUG}?from=sea",
)


async def walk(site: Installation) -> Mapping[str, bytes]:
    """Return what every public address says, in both languages, and the first event of the count."""
    addresses = [await filled(pattern, site, lang) for pattern in patterns("GET") for lang in ("en", "ru")]
    # What making the addresses has added is on the pages.
    await execute(site, "UPDATE letter SET revision = revision + 1")
    await refresh(site)
    paths = [path for path in (*addresses, *MORE) if not any(part in path for part in APART)]
    answers = {path: (await site.client.get(path, headers=site.new_network())).content for path in paths}
    async with site.client.stream("GET", f"{API}/events") as events:
        async for line in events.aiter_lines():
            if line.startswith("data:"):
                answers["events"] = line.encode()
                break
    return answers


async def refresh(site: Installation) -> None:
    """Have the web look at the database: the page of thanks without a ticket waits for that."""
    assert (await site.client.get(f"/en/{SLUG}/signed", headers=site.new_network())).status_code == 200


async def next_step(site: Installation) -> None:
    """Let ten minutes pass for the clock of sensitive letters."""
    await execute(site, "UPDATE count_step SET stepped_at = stepped_at - interval '10 minutes'")
    await refresh(site)


async def letter_id_of(site: Installation) -> LetterId:
    async with site.database.connection() as conn:
        return (await rows.letter(conn)).id


async def mark(site: Installation, *, sensitive: bool = True) -> None:
    async with site.database.transaction() as conn:
        letter_id = (await rows.letter(conn)).id
        assert await sensitivity.set_sensitive(conn, None, letter_id, sensitive=sensitive)
    await refresh(site)


async def sign(site: Installation, address: str, **fields: str) -> Waiting:
    """Have someone sign and confirm."""
    waiting = await Waiting.of(site, address, **fields)
    assert (await site.client.post(waiting.link)).status_code == 303
    return waiting


async def add_partner(site: Installation) -> None:
    await execute(
        site,
        "WITH p AS (INSERT INTO partner (letter, name, title, in_api) SELECT id, 'sea', 'Sea', true FROM letter"
        " WHERE slug = $1 RETURNING letter, id) INSERT INTO count_partner (letter, partner) SELECT letter, id FROM p",
        SLUG,
    )
    await execute(site, "UPDATE letter SET revision = revision + 1")


async def approve(client: httpx2.AsyncClient, waiting: Waiting) -> None:
    page = f"/organizer/{SLUG}/signatures/{waiting.id}"
    seen = (await client.get(page)).text.partition('name="seen" value="')[2].partition('"')[0]
    assert (await client.post(page, data={"act": "approve", "seen": seen})).status_code == 303


async def test_between_two_steps_nothing_moves_on_any_surface(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add_partner(site)
    await sign(site, "first@letters.example", name="Ann Quill")
    await mark(site)
    before = await walk(site)
    assert b"Ann Quill" in before[f"/en/{SLUG}/signatories"]
    await sign(site, "second@letters.example", name="Bela Quill", country="SE")
    hidden = await sign(site, "third@letters.example", visibility="organizers", name="Cy Quill")
    form = await site.form(email="fourth@letters.example", name="Dee Quill")
    signed = await site.client.post(
        f"/en/{SLUG}/sign?from=sea", data={**form, "from": "sea"}, headers=site.new_network()
    )
    assert signed.status_code == 303
    (pending,) = await rows_of(site.database, "SELECT id FROM pending WHERE signals ? 'partner'")
    async with site.database.connection() as conn:
        token = rows.token(await rows.letter(conn), pending["id"])
    assert (await site.client.post(f"/en/confirm/{token}")).status_code == 303
    organization = await sign(
        site, "fifth@letters.example", name="Eve Quill", organization_en="Quill Guild", kind="organization"
    )
    await approve(editor, organization)
    async with site.database.connection() as conn:
        exact = await rows.check_count(conn, await rows.letter(conn))
    assert (exact["people"], exact["organizations"], exact["hidden"]) == (4, 1, 1)
    await refresh(site)
    after = await walk(site)
    assert [path for path in before if after[path] != before[path]] == []
    assert hidden.id

    await next_step(site)
    moved = await walk(site)
    must_move = (
        f"/en/{SLUG}", API, f"{API}/count", f"{API}/history", f"{API}/history?step=hour", f"{API}/signatories",
        f"{API}/signatories?kind=organization", f"{API}/partners", f"/badge/{SLUG}.svg", f"/badge/{SLUG}.json",
        f"/embed/{SLUG}", f"/en/{SLUG}/signatories", f"/en/{SLUG}/signatories?q=quill", f"/en/{SLUG}/card.png",
        f"/en/{SLUG}/signatories/print", "/en/", "events",
    )  # fmt: skip
    assert [path for path in must_move if moved[path] == before[path]] == []
    counts = (await site.client.get(API)).json()["counts"]
    assert counts == {"total": 5, "people": 4, "organizations": 1, "hidden": 1, "imported": 0}
    assert (await site.client.get(f"{API}/partners")).json()["items"][0]["people"] == 1


async def test_a_name_taken_back_goes_at_once_and_the_count_follows(site: Installation) -> None:
    waiting = await sign(site, "first@letters.example", name="Ann Quill")
    await mark(site)
    assert (await site.client.post(waiting.own, data={"action": "withdraw"})).status_code == 303
    assert (await site.client.get(f"{API}/signatories")).json()["items"] == []
    assert (await site.client.get(f"{API}/count")).json()["total"] == 1
    await next_step(site)
    assert (await site.client.get(f"{API}/count")).json()["total"] == 0


async def test_signatories_read_that_they_are_counted_with_the_next_step(site: Installation) -> None:
    await mark(site)
    waiting = await Waiting.of(site, "first@letters.example", name="Ann Quill")
    answer = await site.client.post(waiting.link)
    thanks = (await site.client.get(answer.headers["location"])).text
    assert "You are counted with the next step" in thanks
    assert "to sign." not in thanks
    assert "So far: no signatures" in thanks or "So far: 0" in thanks
    assert "You are counted with the next step" in (await site.client.get(waiting.own)).text
    await next_step(site)
    assert "It counts." in (await site.client.get(waiting.own)).text
    russian = (await site.client.get(waiting.own.replace("/en/", "/ru/"))).text
    assert "next step" not in russian


async def test_who_signs_within_a_step_is_listed_in_no_order_and_at_its_time(site: Installation) -> None:
    await mark(site)
    for number in range(12):
        await sign(site, f"voice{number}@letters.example", name=f"Voice {number}")
    (times,) = await rows_of(
        site.database,
        "SELECT count(DISTINCT listed_at) AS steps, bool_and(date_bin('10 minutes', listed_at, 'epoch') = listed_at)"
        " AS is_step, min(listed_at - now()) AS wait FROM signature",
    )
    assert times["steps"] <= 2
    assert times["is_step"]
    assert timedelta(minutes=-1) < times["wait"] <= timedelta(minutes=10)
    await next_step(site)
    items = (await site.client.get(f"{API}/signatories")).json()["items"]
    assert len(items) == 12
    assert all(re.search(r":[0-5]0:00Z$", item["listed_at"]) for item in items)


async def test_a_version_published_in_between_says_how_many_were_seen(site: Installation) -> None:
    await sign(site, "first@letters.example")
    await mark(site)
    await sign(site, "second@letters.example")
    await execute(site, "UPDATE translation SET markdown = markdown || E'\\n\\nMore.'")
    assert await publishing.publish(site.database, SLUG) == 2
    (version,) = await rows_of(site.database, "SELECT signed_before FROM version WHERE number = 2")
    assert version["signed_before"] == 1


async def test_a_package_holds_what_readers_see(site: Installation) -> None:
    await sign(site, "first@letters.example", name="Ann Quill")
    await mark(site)
    await sign(site, "second@letters.example", name="Bela Quill")
    languages = i18n.load(site.settings.locales_dir)
    await PackageMaker(site.database, Wrapper([KEY]), languages, site.base).make(await letter_id_of(site), None)
    (package,) = await rows_of(site.database, "SELECT people, cardinality(person_ids) AS names FROM package")
    assert (package["people"], package["names"]) == (1, 1)


async def test_a_large_letter_moves_at_once_and_stays_so(site: Installation) -> None:
    await execute(site, "UPDATE count SET people = $1", count_step_queries.MAX_SMALL - 1)
    await mark(site)
    await sign(site, "first@letters.example", name="Ann Quill")
    await refresh(site)
    total = count_step_queries.MAX_SMALL
    assert (await site.client.get(f"{API}/count")).json()["total"] == total - 1
    await next_step(site)
    await sign(site, "second@letters.example", name="Bela Quill", country="SE")
    await refresh(site)
    assert (await site.client.get(f"{API}/count")).json()["total"] == total + 1
    newest = (await site.client.get(f"{API}/signatories")).json()["items"]
    assert {item["name"] for item in newest} == {"Ann Quill", "Bela Quill"}
    assert {item["country"] for item in newest} == {None}
    await execute(site, "UPDATE count SET people = 10")
    await next_step(site)
    assert (await site.client.get(f"{API}/count")).json()["total"] == 10


async def test_a_country_is_named_from_ten_people_on(site: Installation, editor: httpx2.AsyncClient) -> None:
    for number in range(9):
        await sign(site, f"voice{number}@letters.example", name=f"Voice {number}", country="SE")
    places = [
        f"{API}/signatories",
        f"/en/{SLUG}/signatories",
        f"/en/{SLUG}/signatories?q=voice",
        f"/en/{SLUG}/signatories/print",
    ]
    files = [f"/organizer/{SLUG}/statistics", f"/organizer/{SLUG}/statistics/people.csv"]
    files += [f"/organizer/{SLUG}/queue?state=confirmed"]
    sweden = re.compile("Sweden|SE\\b")

    async def naming(client: httpx2.AsyncClient, paths: list[str]) -> list[bool]:
        return [bool(sweden.search((await client.get(path)).text)) for path in paths]

    assert await naming(site.client, places) == [True] * 4
    assert await naming(editor, files) == [True] * 3
    await mark(site)
    assert await naming(site.client, places) == [False] * 4
    assert await naming(editor, files) == [False] * 3
    await sign(site, "tenth@letters.example", name="Voice 10", country="SE")
    await refresh(site)
    assert await naming(site.client, places) == [False] * 4
    await next_step(site)
    assert await naming(site.client, places) == [True] * 4
    assert await naming(editor, files) == [True] * 3


async def test_no_file_has_a_country_of_fewer_than_ten(site: Installation, editor: httpx2.AsyncClient) -> None:
    await sign(site, "first@letters.example", name="Ann Quill", country="SE")
    await mark(site)
    form = {"form": "csv", "back": "state=confirmed", "c_name": "1", "c_country": "1"}
    for text in (
        (await editor.post(f"/organizer/{SLUG}/export", data=form)).text,
        (await commands.run(f"signatures export {SLUG}", site.environ))[1],
    ):
        assert "Ann Quill" in text
        assert not re.search(r"\bSE\b", text)
    # Asked for by its country, it is not there.
    assert "Ann Quill" not in (await editor.get(f"/organizer/{SLUG}/queue?state=confirmed&country=SE")).text


async def test_a_mirror_counts_by_the_same_steps(site: Installation, tmp_path: Path) -> None:
    await sign(site, "first@letters.example", name="Ann Quill")
    await mark(site)
    await sign(site, "second@letters.example", name="Bela Quill")

    async def mirrored() -> tuple[int, int]:
        """Return the count of a copy, and of the page at this moment."""
        code, said = await commands.run(f"mirror {SLUG} {tmp_path / 'copy'}", site.environ)
        assert code == 0, said
        files = {path: path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
        assert not any(b"Quill" in content for content in files.values())
        total = json.loads((tmp_path / "copy/count.json").read_bytes())["total"]
        return total, (await site.client.get(API)).json()["counts"]["total"]

    assert await mirrored() == (1, 1)
    await next_step(site)
    assert await mirrored() == (2, 2)


async def test_names_stay_out_of_search_engines(site: Installation) -> None:
    await execute(site, "UPDATE letter SET names_in_search = true, revision = revision + 1")
    await sign(site, "first@letters.example", name="Ann Quill")
    await refresh(site)
    assert "Ann Quill" in (await site.client.get(f"/en/{SLUG}")).text
    assert "x-robots-tag" not in (await site.client.get(f"/en/{SLUG}/signatories")).headers
    await mark(site)
    assert "Ann Quill" not in (await site.client.get(f"/en/{SLUG}")).text
    listed = await site.client.get(f"/en/{SLUG}/signatories")
    assert listed.headers["x-robots-tag"] == "noindex, noarchive"
    assert "signatories" not in (await site.client.get("/sitemap.xml")).text
    assert not re.search(r'<input[^>]*name="updates"[^>]* checked', (await site.client.get(f"/en/{SLUG}")).text)


async def test_two_processes_step_once(site: Installation) -> None:
    await sign(site, "first@letters.example")
    await mark(site)
    (first,) = await rows_of(site.database, "SELECT stepped_at FROM count_step")
    other = PublishedLetters(site.database, Wrapper([KEY]))
    await other.refresh()
    await sign(site, "second@letters.example")
    await other.refresh()
    assert await rows_of(site.database, "SELECT stepped_at FROM count_step") == [first]
    counts = other.counts(SLUG)
    assert counts is not None
    assert (counts[0].total, counts[1]) == (1, first["stepped_at"])


async def test_a_clock_that_was_a_day_ahead_stops_no_step(site: Installation) -> None:
    await sign(site, "first@letters.example")
    await mark(site)
    await sign(site, "second@letters.example")
    await execute(site, "UPDATE count_step SET stepped_at = stepped_at + interval '1 day'")
    other = PublishedLetters(site.database, Wrapper([KEY]))
    await other.refresh()
    counts = other.counts(SLUG)
    assert counts is not None
    assert counts[0].total == 2


async def test_editors_mark_and_owners_take_the_mark_off(site: Installation, editor: httpx2.AsyncClient) -> None:
    assert "Mark as sensitive" in (await editor.get(TEXT)).text
    assert_redirect(await editor.post(MARK, data={"sensitive": "yes"}), f"{TEXT}?sensitive=yes#sensitive")
    page = (await editor.get(f"{TEXT}?sensitive=yes")).text
    assert "The letter is marked as sensitive." in page
    assert "Only an owner can take the mark off." in page
    check_page(await editor.post(MARK, data={"sensitive": "no"}), 403)
    assert (await editor.post(MARK, data={"sensitive": "maybe"})).status_code == 400
    async with people.at_desk(site, "owner", email="owner@letters.example") as owner:
        assert "Take the mark off" in (await owner.get(TEXT)).text
        assert_redirect(await owner.post(MARK, data={"sensitive": "no"}), f"{TEXT}?sensitive=no#sensitive")
    log = await rows_of(site.database, "SELECT before, after FROM log WHERE act = 'letter.sensitive' ORDER BY id")
    assert [tuple(row.values()) for row in log] == [("no", "yes"), ("yes", "no")]
    assert await rows_of(site.database, "SELECT 1 FROM count_step") == []
    await sign(site, "first@letters.example")
    await refresh(site)
    assert (await site.client.get(f"{API}/count")).json()["total"] == 1


async def test_a_folder_marks_and_never_takes_the_mark_off(site: Installation, tmp_path: Path) -> None:
    await publishing.export_folder(site.database, SLUG, tmp_path / "plain")
    assert "sensitive" not in (tmp_path / "plain" / "letter.toml").read_text(encoding="utf-8")
    await mark(site)
    await publishing.export_folder(site.database, SLUG, tmp_path / "marked")
    assert "sensitive = true\n" in (tmp_path / "marked" / "letter.toml").read_text(encoding="utf-8")
    languages = ("en", "ru")
    await publishing.import_folder(site.database, Wrapper([KEY]), tmp_path / "plain", languages)
    async with site.database.connection() as conn:
        assert (await published.read(conn, Wrapper([KEY]), await letter_id_of(site))).sensitive
    await mark(site, sensitive=False)
    await publishing.import_folder(site.database, Wrapper([KEY]), tmp_path / "marked", languages)
    async with site.database.connection() as conn:
        assert (await published.read(conn, Wrapper([KEY]), await letter_id_of(site))).sensitive
