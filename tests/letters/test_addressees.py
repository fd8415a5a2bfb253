"""What became of a letter with its addressees: rows that stay through every edit, states and silence on every page."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from petition.core import resources
from petition.core.database import connect, migrate
from petition.core.encryption import Wrapper
from petition.core.ids import AddresseeId, ResponseId
from petition.drafts import publishing
from petition.letters.addressee_matching import StoredAddressee, match
from petition.letters.addressees import Addressee, AddresseeState, Response
from petition.letters.parties import Party
from tests.addressees.records import addressee_ids, record
from tests.conftest import fresh_database
from tests.rows import rows_of
from tests.running import SAMPLE, SLUG, Installation, installation

if TYPE_CHECKING:
    from tests.conftest import Conn

NOON = datetime(2026, 3, 6, 12, tzinfo=UTC)


def addressee(*events: tuple[str, int]) -> Addressee:
    """Return an addressee with these states, each so many days after the first noon."""
    responses = [
        Response(ResponseId(number), AddresseeState(state), NOON + timedelta(days=days))
        for number, (state, days) in enumerate(events, 1)
    ]
    return Addressee({"en": "Halden Cloud"}, None, AddresseeId(1), tuple(responses))


@pytest.mark.parametrize(
    ("events", "state", "days"),
    [
        ((), "not_sent", None),
        ((("delivered", 0),), "delivered", 61),
        ((("delivered", 0), ("delivered", 10)), "delivered", 61),
        ((("delivered", 0), ("acknowledged", 1)), "acknowledged", None),
        ((("delivered", 0), ("answered", 1), ("changed_course", 5)), "changed_course", None),
        ((("delivered", 0), ("refused", 2), ("delivered", 30)), "refused", None),
        ((("answered", 2),), "answered", None),
    ],
)
def test_the_state_is_the_newest_thing_it_did(events: tuple[tuple[str, int], ...], state: str, days: int) -> None:
    subject = addressee(*events)
    assert (subject.state, subject.days_silent(date(2026, 5, 6))) == (state, days)


def test_silence_is_counted_in_days_of_the_calendar_and_never_below_none() -> None:
    subject = addressee(("delivered", 0))
    assert [subject.days_silent(date(2026, 3, day)) for day in (5, 6, 7, 8)] == [0, 0, 1, 2]


def stored(
    number: int, position: int | None, *, history: bool = True, url: str | None = None, **names: str
) -> StoredAddressee:
    return StoredAddressee(AddresseeId(number), Party(names, url), position, history)


@pytest.mark.parametrize(
    ("parties", "rows"),
    [
        ([Party({"en": "Halden Cloud", "ru": "Халден"}), Party({"en": "Orsa Telecom"})], [1, 2]),
        ([Party({"en": "Orsa Telecom"}), Party({"en": "Halden Cloud", "ru": "Халден"})], [2, 1]),
        ([Party({"en": "Halden Clouds"}), Party({"en": "Orsa Telecom"})], [1, 2]),  # a misprint, mended
        (
            [Party({"en": "Halden Group", "ru": "Халден"}), Party({"en": "Orsa Telecom"})],
            [1, 2],
        ),  # one name stays
        ([Party({"en": "A new name"}, "https://orsa.example")], [2]),  # its website stays
        ([Party({"en": "Pier Networks"}), Party({"en": "Orsa Telecom"})], [None, 2]),  # another company
        ([Party({"en": "Former Ministry"})], [3]),  # named again
        ([Party({"en": "Orsa Telecom"}), Party({"en": "Orsa Telecom"})], [2, None]),
    ],
)
def test_a_line_of_an_edited_letter_is_recognized(parties: list[Party], rows: list[int | None]) -> None:
    known = [
        stored(1, 0, en="Halden Cloud", ru="Халден"),
        stored(2, 1, en="Orsa Telecom", url="https://orsa.example"),
        stored(3, None, en="Former Ministry"),
    ]
    assert match(known, parties) == rows


async def test_rows_stay_through_edits_imports_and_exports(site: Installation, tmp_path: Path) -> None:
    before = await addressee_ids(site.database)
    await record(site.database, "Meridian Networks", "delivered", NOON)
    await publishing.export_folder(site.database, SLUG, tmp_path / "first")
    assert (tmp_path / "first/letter.toml").read_bytes() == (SAMPLE / "letter.toml").read_bytes()
    toml = (tmp_path / "first/letter.toml").read_text()
    orsa, halden = toml.index('[[addressees]]\nname.en = "Orsa'), toml.index('[[addressees]]\nname.en = "Halden')
    moved = toml[:halden].rstrip() + "\n\n" + toml[orsa:].rstrip() + "\n\n" + toml[halden:orsa].rstrip() + "\n"
    (tmp_path / "first/letter.toml").write_text(moved.replace('"Meridian Networks"', '"Meridian Network"', 1))
    wrapper = Wrapper(site.settings.secret_keys)
    await publishing.import_folder(site.database, wrapper, tmp_path / "first", ("en", "ru"), publish=True)
    after = await addressee_ids(site.database)
    assert after["Meridian Network"] == before["Meridian Networks"]
    assert {name: after[name] for name in ("Halden Cloud", "Orsa Telecom")} == {
        name: before[name] for name in ("Halden Cloud", "Orsa Telecom")
    }
    await publishing.export_folder(site.database, SLUG, tmp_path / "second")
    second = tmp_path / "second/letter.toml"
    assert second.read_bytes() == (tmp_path / "first/letter.toml").read_bytes()
    # One whose line goes keeps what happened, out of readers' sight, and has it again when it comes back.
    text = second.read_text()
    start = text.index("[[addressees]]")
    second.write_text(text[:start] + text[text.index("[[addressees]]", start + 1) :])
    await publishing.import_folder(site.database, wrapper, tmp_path / "second", ("en", "ru"), publish=True)
    assert "Meridian Network" not in await addressee_ids(site.database)
    second.write_text(text)
    await publishing.import_folder(site.database, wrapper, tmp_path / "second", ("en", "ru"), publish=True)
    assert (await addressee_ids(site.database))["Meridian Network"] == before["Meridian Networks"]


async def test_page_and_api_say_what_became_of_it(site: Installation) -> None:
    today = datetime.now(UTC)
    delivered = today - timedelta(days=61)
    for name in ("Meridian Networks", "Halden Cloud"):
        await record(site.database, name, "delivered", delivered)
    summary = {"en": "We will renew the certificates.", "ru": "Мы продлим сертификаты."}
    await record(
        site.database, "Halden Cloud", "changed_course", today, summary=summary, url="https://halden.example/answer"
    )
    english = await site.page_when(f"/en/{SLUG}", lambda page: "changed course" in page)
    assert "silent for 61 days" in english
    assert "We will renew the certificates." in english
    assert 'href="https://halden.example/answer"' in english
    assert "not delivered yet" in english  # Orsa Telecom
    russian = await site.page_when(f"/ru/{SLUG}", lambda page: "решение изменено" in page)
    assert "молчит 61 день" in russian
    assert "Мы продлим сертификаты." in russian
    whole = (await site.client.get(f"/en/{SLUG}/answers")).text
    assert "Halden Cloud: changed course" in whole
    assert "Meridian Networks: the letter was delivered" in whole
    body = (await site.client.get(f"/api/v1/letters/{SLUG}")).json()
    assert [entry["state"] for entry in body["addressees"]] == ["delivered", "changed_course", "not_sent"]
    assert [entry["days_silent"] for entry in body["addressees"]] == [61, None, None]
    assert list(body["addressees"][1]) == ["name", "url", "state", "delivered_at", "days_silent", "answers"]
    (answer,) = body["addressees"][1]["answers"]
    assert (answer["summary"], answer["url"]) == (summary, "https://halden.example/answer")
    assert answer["at"] == today.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_closed_letter_begins_with_what_it_reached(site: Installation) -> None:
    await record(site.database, "Meridian Networks", "delivered", datetime.now(UTC) - timedelta(days=118))
    async with site.database.connection() as conn:
        await conn.execute("UPDATE letter SET state = 'closed', closed_at = now(), revision = revision + 1")
    page = await site.page_when(f"/en/{SLUG}", lambda page: "silent for 118 days" in page)
    assert page.index("What this letter reached") < page.index("silent for 118 days") < page.index('class="text"')


CLOCK = """
CREATE TABLE clock (behind interval NOT NULL);
INSERT INTO clock VALUES ('0');
CREATE FUNCTION public.now() RETURNS timestamptz STABLE LANGUAGE sql AS
  'SELECT pg_catalog.transaction_timestamp() + behind FROM public.clock';
"""


async def test_midnight_moves_the_days_without_a_revision(
    cluster: str, admin: "Conn", published: str, tmp_path: Path
) -> None:
    """The database's own clock is set: its ``now()`` is found before the one of the system."""
    async with fresh_database(cluster, admin, published) as url:
        conn = await connect(url)
        await conn.execute(CLOCK)
        name = await conn.fetchval("SELECT current_database()")
        await conn.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
        async with installation(url, tmp_path) as site:
            await record(site.database, "Meridian Networks", "delivered", datetime.now(UTC) - timedelta(days=60))
            before = await site.page_when(f"/en/{SLUG}", lambda page: "silent for 60 days" in page)
            assert "silent for 60 days" in (await site.client.get(f"/en/{SLUG}")).text
            revision = await conn.fetchval("SELECT revision FROM letter")
            await conn.execute("UPDATE clock SET behind = '1 day'")
            after = await site.page_when(f"/en/{SLUG}", lambda page: page != before and "silent for 61 days" in page)
            assert "silent for 60 days" not in after
            assert (await site.client.get(f"/api/v1/letters/{SLUG}")).json()["addressees"][0]["days_silent"] == 61
            assert await conn.fetchval("SELECT revision FROM letter") == revision
        await conn.close()


async def test_an_older_installation_keeps_its_addressees(cluster: str, admin: "Conn", tmp_path: Path) -> None:
    folder = resources.folder("migrations")
    number = int(next(folder.glob("*_add_addressees.sql")).name[:4])
    for path in folder.glob("*.sql"):
        if int(path.name[:4]) < number:
            shutil.copy(path, tmp_path)
    await admin.execute("CREATE DATABASE older")
    try:
        url = cluster.replace("/petition?", "/older?", 1)
        await migrate(url, tmp_path)
        conn = await connect(url)
        await conn.execute(OLD_ROWS)
        assert len(await migrate(url)) >= 1
        rows = await conn.fetch("SELECT letter, position, names, url FROM addressee ORDER BY letter, position")
        assert [(row["letter"], row["position"], row["names"]["en"], row["url"]) for row in rows] == [
            (1, 0, "Halden Cloud", "https://halden.example"),
            (1, 1, "Orsa Telecom", None),
            (2, 0, "Halden Cloud", None),
        ]
        assert [row["role"] for row in await conn.fetch("SELECT role FROM party")] == ["initiator"]
        await conn.close()
    finally:
        await admin.execute("DROP DATABASE older WITH (FORCE)")


OLD_ROWS = """
INSERT INTO letter (slug, state, rules_version) VALUES ('first', 'open', 1), ('second', 'draft', 1);
INSERT INTO party (letter, role, position, names, url) VALUES
  (1, 'initiator', 0, '{"en": "A Society"}', NULL),
  (1, 'addressee', 1, '{"en": "Orsa Telecom", "ru": "«Орса Телеком»"}', NULL),
  (1, 'addressee', 0, '{"en": "Halden Cloud"}', 'https://halden.example'),
  (2, 'addressee', 0, '{"en": "Halden Cloud"}', NULL);
"""


async def test_what_is_taken_back_is_gone_from_the_page(site: Installation) -> None:
    await record(site.database, "Halden Cloud", "refused", datetime.now(UTC))
    await site.page_when(f"/en/{SLUG}", lambda page: "refused" in page.partition("</style>")[2])
    async with site.database.connection() as conn:
        await conn.execute("UPDATE addressee_event SET undone_at = now()")
        await conn.execute("UPDATE letter SET revision = revision + 1")
    await site.page_when(f"/en/{SLUG}", lambda page: "refused" not in page.partition("</style>")[2])
    assert len(await rows_of(site.database, "SELECT id FROM addressee_event")) == 1
