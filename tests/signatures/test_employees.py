"""Employees who sign without their names: proven by their mailbox, shown by employer and number, never written."""

import httpx2
import pytest
from asyncpg import CheckViolationError

from petition.exports.filtered import COLUMNS
from petition.signatures import names_end
from petition.signatures.employee_queries import MIN_NUMBER
from petition.signatures.model import AFFILIATION
from tests.letters.test_sensitive import mark, next_step
from tests.pages import check_page, form_in
from tests.rows import rows_of
from tests.running import SLUG, Installation
from tests.signatures.test_sealed_names import refresh, sign, unreadable
from tests.signatures.waiting import Waiting, execute

API = f"/api/v1/letters/{SLUG}"
DESK = f"/organizer/{SLUG}/employers"
HALDEN = {
    "act": "add",
    "name_en": "Halden Cloud",
    "name_ru": "Халден",
    "domains": "Halden.example, mail.halden.example",
}
TYPED = {"name": "Zora Quill", "affiliation": "Quillworks", "city": "Quilltown", "country": "Sweden"}
NAMES = ("Zora Quill", "Quillworks", "Quilltown")


async def add(site: Installation, editor: httpx2.AsyncClient, **fields: str) -> None:
    answer = await editor.post(DESK, data=HALDEN | fields)
    assert answer.status_code == 303, answer.text
    await refresh(site)


async def employee(site: Installation, number: int, **fields: str) -> Waiting:
    return await sign(site, f"worker{number}@halden.example", **{"visibility": AFFILIATION} | fields)


async def shown(site: Installation) -> list[tuple[str, int | None, int | None]]:
    """Return what the API says: (name, people, fewer_than) of each employer."""
    items = (await site.client.get(f"{API}/affiliations")).json()["items"]
    return [(item["name"]["en"], item["people"], item["fewer_than"]) for item in items]


async def listed(site: Installation, lang: str = "en") -> str:
    page = (await site.client.get(f"/{lang}/{SLUG}/signatories", headers=site.new_network())).text
    return " ".join(page.partition('class="quiet employees">')[2].partition("</p>")[0].split())


async def test_only_who_has_a_mailbox_there_signs_and_no_name_is_written(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    assert f'name="visibility" value="{AFFILIATION}"' not in (await site.client.get(f"/en/{SLUG}")).text
    refused = await site.sign(email="worker@halden.example", visibility=AFFILIATION)
    check_page(refused, 422)
    await add(site, editor)
    page = (await site.client.get(f"/en/{SLUG}")).text
    assert "your employer can read that mailbox" in page
    assert "halden.example" in page
    for address in ("zora@gmail.com", "zora@halden.example.org", "zora@eu.halden.example", "zora+2@halden.example"):
        refused = await site.sign(email=address, visibility=AFFILIATION, **TYPED)
        check_page(refused, 422)
        assert 'id="e-email"' in refused.text
    assert not await rows_of(site.database, "SELECT FROM pending")

    answer = await site.sign(email="zora@halden.example", visibility=AFFILIATION, **TYPED)
    assert answer.headers["location"] == f"/en/{SLUG}/check-your-inbox"
    assert await unreadable(site, *NAMES)
    await sign(site, "zora@halden.example", visibility=AFFILIATION, **TYPED)
    assert await unreadable(site, *NAMES)
    rows = await rows_of(site.database, "SELECT visibility, name, private, country, employer FROM signature")
    assert [(row["visibility"], row["name"], row["private"], row["country"]) for row in rows] == [
        ("counted", None, None, None)
    ]
    assert rows[0]["employer"] is not None


async def test_shown_are_employer_and_number_from_five_on(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await add(site, editor, name_en="Orsa Telecom", name_ru="", domains="orsa.example")
    assert await shown(site) == []
    await sign(site, "one@orsa.example", visibility=AFFILIATION)
    workers = [await employee(site, number) for number in range(MIN_NUMBER - 1)]
    assert await shown(site) == [("Halden Cloud", None, 5), ("Orsa Telecom", None, 5)]
    assert "fewer than 5" in await listed(site)
    workers.append(await employee(site, 99))
    assert await shown(site) == [("Halden Cloud", 5, None), ("Orsa Telecom", None, 5)]
    line = await listed(site, "ru")
    assert "Халден" in line
    assert "halden.example, mail.halden.example" in line
    counts = (await site.client.get(API)).json()["counts"]
    async with site.database.connection() as conn:
        assert await conn.fetchval("SELECT people FROM count") == 6
        assert await conn.fetchval("SELECT hidden FROM count") == 6
    assert counts["total"] <= 6
    desk = (await editor.get(DESK)).text
    assert "fewer than 5" in desk

    answer = await site.client.post(workers[0].own, data={"action": "withdraw"}, headers=site.new_network())
    assert answer.status_code == 303
    assert await shown(site) == [("Halden Cloud", None, 5), ("Orsa Telecom", None, 5)]
    (row,) = await rows_of(site.database, "SELECT employer, digest FROM signature WHERE state = 'withdrawn'")
    assert tuple(row.values()) == (None, None)


async def test_a_mailbox_counts_once_whatever_it_chooses(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await employee(site, 1)
    again = await site.sign(email="worker1@halden.example", visibility="public", **TYPED)
    known = await site.sign(email="worker2@halden.example", visibility=AFFILIATION)
    assert (again.status_code, again.headers["location"]) == (known.status_code, known.headers["location"])
    async with site.database.connection() as conn:
        assert await conn.fetchval("SELECT people FROM count") == 1


async def test_the_own_page_changes_it_once_and_not_back(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    worker = await employee(site, 1)

    async def choose(**fields: str) -> httpx2.Response:
        return await site.client.post(worker.own, data={"action": "visibility"} | fields, headers=site.new_network())

    page = (await site.client.get(worker.own)).text
    assert "Shown are an employee of Halden Cloud and a number" in page
    assert form_in(await site.client.get(worker.own), worker.own)
    data = (await site.client.get(f"{worker.own}/data.json")).json()
    assert (data["visibility"], data["employer"]["en"], data["name"]) == (AFFILIATION, "Halden Cloud", None)
    assert (await choose(visibility=AFFILIATION)).status_code == 303
    assert await shown(site) == [("Halden Cloud", None, 5)]
    assert (await choose(visibility="public", name="")).status_code == 422
    assert (await choose(visibility="public", name="Zora Quill")).status_code == 303
    assert await shown(site) == []
    (row,) = await rows_of(site.database, "SELECT employer, name, visibility FROM signature")
    assert tuple(row.values()) == (None, "Zora Quill", "public")
    assert (await choose(visibility=AFFILIATION)).status_code == 422

    later = await employee(site, 1)  # the same mailbox proves itself again
    answer = await site.client.get(later.own, headers=site.new_network())
    assert answer.status_code in {200, 303}


async def test_a_later_form_of_the_mailbox_brings_the_employer(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await sign(site, "worker1@halden.example", visibility="public", name="Zora Quill")
    await employee(site, 1)
    (row,) = await rows_of(site.database, "SELECT employer IS NOT NULL AS employed, name FROM signature")
    assert tuple(row.values()) == (True, None)
    assert await shown(site) == [("Halden Cloud", None, 5)]


async def test_hidden_lists_hide_employers_too(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await employee(site, 1)
    await execute(
        site, "INSERT INTO switch (letter, name, value) SELECT id, 'hide_list', 'on' FROM letter ON CONFLICT DO NOTHING"
    )
    async with site.database.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM switch")
    await refresh(site)
    page = await site.page_when(f"/en/{SLUG}/signatories", lambda text: "Halden Cloud" not in text)
    assert "hidden at the moment" in page
    assert (await site.client.get(f"{API}/affiliations")).status_code == 403


async def test_one_that_is_no_longer_offered_goes_on_counting(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await employee(site, 1)
    (row,) = await rows_of(site.database, "SELECT id FROM employer")
    assert (await editor.post(DESK, data={"act": "stop", "employer": str(row["id"])})).status_code == 303
    await refresh(site)
    assert (await site.sign(email="worker2@halden.example", visibility=AFFILIATION)).status_code == 422
    assert await shown(site) == [("Halden Cloud", None, 5)]
    for _ in range(2):
        assert (await editor.post(DESK, data={"act": "offer", "employer": str(row["id"])})).status_code == 303
    await refresh(site)
    await employee(site, 2)
    acts = await rows_of(site.database, "SELECT act FROM log WHERE act LIKE 'employer.%' ORDER BY id")
    assert [row["act"] for row in acts] == ["employer.add", "employer.stop", "employer.offer"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"domains": "gmail.com"}, "Anyone can have an address there"),
        ({"domains": "halden.example mail.ru"}, "Anyone can have an address there"),
        ({"domains": "ya.ru"}, "Anyone can have an address there"),
        ({"domains": "mailinator.com"}, "Anyone can have an address there"),
        ({"domains": "no domain"}, "This is not a mail domain"),
        ({"domains": ""}, "at least one mail domain"),
        ({"name_en": "", "name_ru": " "}, "Enter the name of the organization"),
    ],
)
async def test_what_proves_nothing_is_refused(
    site: Installation, editor: httpx2.AsyncClient, fields: dict[str, str], message: str
) -> None:
    answer = await editor.post(DESK, data=HALDEN | fields)
    assert answer.status_code == 422
    assert message in answer.text
    assert not await rows_of(site.database, "SELECT FROM employer")


async def test_a_domain_has_one_employer(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    answer = await editor.post(DESK, data=HALDEN | {"name_en": "Orsa", "domains": "x.example halden.example"})
    assert answer.status_code == 422
    assert "Another organization of this letter" in answer.text


async def test_the_database_holds_no_name_beside_an_employer(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await employee(site, 1)
    for change in (
        "name = 'Zora'",
        "private = '\\x01'",
        "country = 'SE'",
        "visibility = 'organizers'",
        "city = 'Riga'",
    ):
        with pytest.raises(CheckViolationError):
            await execute(site, f"UPDATE signature SET {change} WHERE employer IS NOT NULL")


async def test_it_ends_with_the_names_of_the_letter(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await employee(site, 1)
    await execute(site, "UPDATE letter SET names_until = (now() AT TIME ZONE 'UTC')::date - 1")
    assert await names_end.end_due(site.database) == 1
    (row,) = await rows_of(site.database, "SELECT employer, state, erased_at IS NOT NULL AS erased FROM signature")
    assert tuple(row.values()) == (None, "confirmed", True)
    assert await shown(site) == []


async def test_a_sensitive_letter_shows_it_with_the_next_step(site: Installation, editor: httpx2.AsyncClient) -> None:
    await add(site, editor)
    await mark(site)
    await employee(site, 1)
    assert await shown(site) == []
    await next_step(site)
    assert await shown(site) == [("Halden Cloud", None, 5)]


async def test_neither_queue_nor_export_says_whose_employee_it_is(
    site: Installation, editor: httpx2.AsyncClient
) -> None:
    await add(site, editor)
    await employee(site, 1)
    queue = (await editor.get(f"/organizer/{SLUG}/queue?state=confirmed")).text
    assert "only counted, no name" in queue
    assert "Halden" not in queue
    form = {"form": "csv"} | {f"c_{column}": "1" for column in COLUMNS}
    export = (await editor.post(f"/organizer/{SLUG}/export", data=form)).content.decode("utf-8-sig")
    assert "counted" in export
    assert "Halden" not in export
