"""The journal of access: what is counted, who sees it, and how little a stranger can add."""

import pyotp

from petition.core.access_journal import JournalKind
from petition.web.desk.access_page import LABELS
from petition.worker import retention
from tests.organizers import door, people
from tests.rows import rows_of
from tests.running import SLUG, Installation

JOURNAL = "SELECT kind, organizer, letter <> 0 AS of_letter, uses FROM access_journal WHERE kind NOT LIKE 'mail.%'"
HERE = f"/organizer/{SLUG}/access"


async def kinds(site: Installation) -> dict[str, tuple[int, bool]]:
    """Return by kind how often it was counted, and whether as something about a letter."""
    return {row["kind"]: (row["uses"], row["of_letter"]) for row in await rows_of(site.database, JOURNAL)}


async def test_failures_are_counted_without_addresses(site: Installation) -> None:
    async with people.stranger(site) as stranger:
        for number in range(20):
            assert (await stranger.get(f"/organizer/enter/{'a' * 42}{number % 10}")).status_code == 410
    async with people.at_desk(site, "viewer") as viewer:
        assert (await viewer.get(f"/organizer/{SLUG}/queue")).status_code == 403
        assert (await viewer.get("/organizer/installation")).status_code == 403
        for code in ("000000", "aaaa-bbbb-cccc"):
            assert (await viewer.post("/organizer/second", data={"code": code})).status_code == 422
    rows = await rows_of(
        site.database, "SELECT kind, organizer > 0 AS known, letter > 0 AS about, uses FROM access_journal"
    )
    assert sorted(tuple(row.values()) for row in rows) == [
        ("failed.factor", True, False, 2),
        ("failed.link", False, False, 20),
        ("failed.role", True, False, 1),
        ("failed.role", True, True, 1),
    ]


async def test_failures_at_the_door_are_counted(site_with_worker: Installation) -> None:
    """A code that is wrong, five times, and the link that is dead then; more asks than a network has."""
    site = site_with_worker
    await people.add(site, "anna@letters.example")
    async with people.stranger(site) as asker, people.stranger(site) as elsewhere:
        await door.ask(site, asker, "anna@letters.example")
        (link,) = await door.mailed_links(site, "anna@letters.example")
        assert (await elsewhere.post(link, data={"code": ""})).status_code == 422
        for _ in range(5):
            await elsewhere.post(link, data={"code": "AAA AAA"})
        assert (await elsewhere.get(link)).status_code == 410
        network = site.new_network()
        for number in range(400):
            if (await door.ask(site, asker, f"x{number}@letters.example", network)).status_code == 422:
                break
    assert await kinds(site) == {
        "failed.code": (6, False),
        "failed.link": (1, False),
        "failed.limit": (1, False),
    }
    stored = str(await rows_of(site.database, "SELECT * FROM access_journal"))
    assert "letters.example" not in stored


async def test_what_an_organizer_is_refused_is_counted(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client, people.stranger(site) as stranger:
        for number in range(2):
            assert (await client.get(f"/organizer/letter-of-others-{number}/queue")).status_code == 404
        other_site = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        for one in (client, stranger):
            assert (await one.post("/organizer/security/codes", headers=other_site)).status_code == 403
        assert (await client.post("/organizer/second/totp/begin")).status_code == 303
        assert (await client.post("/organizer/second/totp", data={"code": "000000"})).status_code == 422
        limit = site.settings.limits.invitations
        for number in range(limit + 1):
            invited = {"name": "T", "email": f"t{number}@letters.example", "role": "viewer"}
            answer = await client.post(f"/organizer/{SLUG}/members/invite", data=invited)
        assert answer.status_code == 429
    assert await kinds(site) == {
        "failed.letter": (2, False),
        "failed.site": (1, False),
        "failed.factor": (1, False),
        "failed.limit": (1, True),
    }


async def test_exhausted_limits_are_counted(site: Installation) -> None:
    async with people.at_desk(site, "owner") as client:
        for _ in range(12):
            await client.post("/organizer/second", data={"code": "000000"})
        await client.post("/organizer/second/totp/begin")
        assert (await client.post("/organizer/second/totp", data={"code": "000000"})).status_code == 429
    assert await kinds(site) == {"failed.factor": (10, False), "failed.limit": (3, False)}


async def test_owners_see_who_read_and_exported_names(site: Installation) -> None:
    async with (
        people.at_desk(site, "owner", name="Vera Novak") as owner,
        people.at_desk(site, "moderator", name="Anna Berg") as moderator,
    ):
        await moderator.post("/organizer/second", data={"code": pyotp.TOTP(people.SECRET).now()})
        form = {"form": "csv", "c_name": "1", "back": "state=confirmed"}
        assert (await moderator.post(f"/organizer/{SLUG}/export", data=form)).status_code == 200
        await moderator.get(f"/organizer/{SLUG}/queue?wait=all")
        page = (await owner.get(HERE)).text
        assert "Anna Berg" in page
        assert "verified by a code from an app" in page
        assert (await moderator.get(HERE)).status_code == 403
        assert "refused: the role does not allow it" in (await owner.get(HERE)).text


async def test_strangers_failures_are_for_admins_only(site: Installation) -> None:
    async with (
        people.stranger(site) as stranger,
        people.at_desk(site, "owner") as owner,
        people.at_desk(site, email="admin@letters.example", admin=True) as admin,
    ):
        await stranger.get(f"/organizer/enter/{'a' * 43}")
        assert "a stranger" not in (await owner.get(HERE)).text
        page = await admin.get("/organizer/installation/access")
        assert "a stranger" in page.text
        assert "sign-in link that no longer worked" in page.text
        assert (await owner.get("/organizer/installation/access")).status_code == 403


async def test_it_is_deleted_after_ninety_days(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO access_journal (hour, kind, uses)"
            " VALUES (now() - interval '91 days', 'failed.link', 1), (now() - interval '89 days', 'failed.link', 1)"
        )
    assert await retention.drop_expired(site.database, "access_journal") == 1
    assert len(await rows_of(site.database, JOURNAL)) == 1


def test_every_kind_has_a_label() -> None:
    assert LABELS.keys() == set(JournalKind)
