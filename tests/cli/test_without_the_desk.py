"""What admins do at the desk, done by command: for a day on which the desk cannot be reached."""

import json
from datetime import timedelta

import pytest

from petition.core.ids import OrganizerId
from tests.commands import run
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

FAILING = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE TRIGGER fail BEFORE UPDATE OF state ON letter FOR EACH STATEMENT EXECUTE FUNCTION fail();
"""

VERA, TIMUR = "vera@letters.example", "timur@letters.example"


async def acts(site: Installation) -> list[tuple[object, ...]]:
    rows = await rows_of(
        site.database,
        "SELECT act, ids, before, after, organizer, command FROM log WHERE NOT act LIKE 'letter.%' ORDER BY id",
    )
    return [tuple(row.values()) for row in rows]


@pytest.fixture
async def vera(site: Installation) -> OrganizerId:
    """Give an admin who owns the sample letter alone."""
    who = await people.add(site, VERA, name="Vera Novak", admin=True)
    await people.give_role(site, who.id, "owner")
    return who.id


async def test_nothing_to_list(site: Installation) -> None:
    assert await run("organizer list", site.environ) == (
        0,
        "there are no organizers: petition organizer add EMAIL\n",
    )
    code, text = await run("letter list", site.environ)
    assert (code, text.split("  ")[:3], text.split("  ")[-1]) == (
        0,
        [SLUG, "open", "signatures: 0"],
        "without an owner\n",
    )


async def test_the_lists(site: Installation, vera: OrganizerId) -> None:
    timur = await people.add(site, TIMUR)
    await people.give_totp(site, timur.id)
    code, text = await run("organizer list", site.environ)
    assert (code, text.splitlines()) == (
        0,
        [
            f"{vera}  Vera Novak  admin  letters: 1, never signed in, no second factor",
            f"{timur.id}  –  letters: 0, never signed in",
        ],
    )
    assert "@" not in text
    assert (await run("letter list", site.environ))[1].endswith("  Vera Novak\n")


async def test_the_lists_for_programs(site: Installation, vera: OrganizerId) -> None:
    code, text = await run("organizer list --json", site.environ)
    (organizer,) = json.loads(text)
    assert (code, organizer["id"], organizer["name"], organizer["admin"]) == (0, vera, "Vera Novak", True)
    (letter,) = json.loads((await run("letter list --json", site.environ))[1])
    assert (letter["slug"], letter["state"], letter["owners"]) == (SLUG, "open", ["Vera Novak"])
    assert (await site.sign()).status_code == 303
    queue = json.loads((await run("mail queue --json", site.environ))[1])
    assert (queue["waiting"], queue["put_off"], queue["relays"]) == (1, 0, [])


@pytest.mark.parametrize("by_number", [True, False])
async def test_promoting_to_admin(site: Installation, vera: OrganizerId, by_number: bool) -> None:
    timur = await people.add(site, TIMUR)
    name = str(timur.id) if by_number else TIMUR.upper()
    said = f"organizer {timur.id} is an admin of the installation\n"
    for _ in range(2):
        assert await run(f"organizer promote {name}", site.environ) == (0, said)
    assert await rows_of(site.database, "SELECT id FROM organizer WHERE admin ORDER BY id") == [
        {"id": vera},
        {"id": timur.id},
    ]
    assert await acts(site) == [("organizer.admin", [timur.id], "", "admin", None, True)]


async def test_promoting_to_owner_of_a_letter(site: Installation, vera: OrganizerId) -> None:
    timur = await people.add(site, TIMUR)
    await people.give_role(site, timur.id, "moderator")
    code, text = await run(f"organizer promote {TIMUR} --letter {SLUG}", site.environ)
    assert (code, text) == (0, f"organizer {timur.id} is an owner of {SLUG}\n")
    roles = await rows_of(site.database, "SELECT organizer, role::text FROM member ORDER BY organizer")
    assert roles == [{"organizer": vera, "role": "owner"}, {"organizer": timur.id, "role": "owner"}]
    assert await acts(site) == [("member.take", [timur.id], "", "owner", None, True)]
    code, text = await run(f"organizer promote {TIMUR} --letter no-such-letter", site.environ)
    assert (code, text) == (1, "petition: there is no letter no-such-letter\n")


async def test_removing_ends_sessions_and_roles(site: Installation, vera: OrganizerId) -> None:
    timur = await people.add(site, TIMUR)
    await people.give_totp(site, timur.id)
    await people.give_role(site, timur.id, "editor")
    cookie = await people.cookie(site, timur.id)
    path = f"/organizer/{SLUG}/text"
    assert (await site.client.get(path, headers={"Cookie": f"desk={cookie}"})).status_code == 200
    code, text = await run(f"organizer remove {timur.id}", site.environ)
    assert (code, text) == (0, f"organizer {timur.id} is removed, and signed out everywhere\n")
    assert (await site.client.get(path, headers={"Cookie": f"desk={cookie}"})).status_code == 303
    assert await rows_of(site.database, "SELECT organizer FROM member") == [{"organizer": vera}]
    assert await acts(site) == [("organizer.remove", [timur.id], "", "", None, True)]


async def test_the_last_admin_and_a_letters_only_owner_stay(site: Installation, vera: OrganizerId) -> None:
    code, text = await run(f"organizer remove {vera}", site.environ)
    assert (code, "only owner" in text) == (1, True)
    timur = await people.add(site, TIMUR)
    await people.give_role(site, timur.id, "owner")
    code, text = await run(f"organizer remove {VERA}", site.environ)
    assert (code, "needs an admin" in text) == (1, True)
    assert len(await rows_of(site.database, "SELECT id FROM organizer")) == 2
    assert await acts(site) == []


@pytest.mark.parametrize("act", ["reset", "remove", "promote"])
@pytest.mark.parametrize("name", ["999", "9" * 40, "nemo@letters.example"])
async def test_an_organizer_who_does_not_exist(site: Installation, act: str, name: str) -> None:
    said = "petition: there is no organizer with this number or address: see petition organizer list\n"
    assert await run(f"organizer {act} {name}", site.environ) == (1, said)


async def test_a_reset_by_number(site: Installation, vera: OrganizerId) -> None:
    await people.give_totp(site, vera)
    code, text = await run(f"organizer reset {vera}", site.environ)
    assert (code, "/organizer/enter/" in text) == (0, True)
    assert await rows_of(site.database, "SELECT FROM totp") == []


async def test_prune_does_what_is_due(site: Installation) -> None:
    assert (await site.sign()).status_code == 303
    async with site.database.connection() as conn:
        await conn.execute("UPDATE pending SET created_at = created_at - $1::interval", timedelta(days=60))
        await conn.execute("UPDATE letter SET closes_at = now() - interval '1 minute'")
    code, text = await run("prune", site.environ)
    assert (code, "close_letters: 1\n" in text, "drop_pending: 1\n" in text) == (0, True, True)
    assert await rows_of(site.database, "SELECT state::text FROM letter") == [{"state": "closed"}]
    assert await rows_of(site.database, "SELECT FROM pending") == []
    assert (await run("prune", site.environ))[0] == 0


async def test_prune_names_what_failed(site: Installation) -> None:
    async with site.database.connection() as conn:
        await conn.execute(FAILING)
        await conn.execute("UPDATE letter SET closes_at = now() - interval '1 minute'")
    code, text = await run("prune", site.environ)
    assert (code, text.splitlines()[-1]) == (1, "petition: these failed, see the log above: close_letters")
