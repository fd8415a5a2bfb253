"""Ids that nobody was given: of nothing, too large, negative, no numbers. Each is told so, and nothing is changed."""

from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests import rows
from tests.moderation.desk import Bench
from tests.organizers import people
from tests.running import SLUG, Installation

FORGED = (
    "0",
    "-1",
    "1",
    str(2**31),
    str(2**63 - 1),
    str(2**63),
    "9" * 40,
    "x",
    "1.5",
    "1e3",
    "١٢",
    "1 OR 1=1",
    "é",
    " 7",
)
CALM = {200, 303, 400, 404, 409, 422}
HERE = f"/organizer/{SLUG}"

Form = dict[str, str]
Make = Callable[[str, str], Form]  # from a forged id and one that is there

FORMS: dict[str, Make] = {
    "queue": lambda forged, _: {f"s{forged}": "0", "act": "remove", "reason": "fake"},
    "queue one": lambda forged, _: {"one": f"remove:s{forged}:0", "reason": "fake"},
    "queue seen": lambda forged, there: {f"s{there}": f"7{forged}", "act": "remove", "reason": "fake"},
    "undo": lambda forged, _: {"log": forged},
    "undo from": lambda forged, _: {"log": "0", "from": f"signatures/{forged}"},
    "campaigns": lambda forged, _: {"act": forged, "back": f"group={forged}"},
    "members": lambda forged, _: {"organizer": forged, "before": "viewer", "role": "owner"},
    "members remove": lambda forged, _: {"organizer": forged, "before": "viewer", "act": "remove"},
    "members/cancel": lambda forged, _: {"invitation": forged},
    "members/restore": lambda forged, _: {"organizer": forged},
}
OF_ONE: dict[str, Make] = {
    "merge": lambda forged, _: {"act": "merge", "into": forged},
    "drop_note": lambda forged, _: {"act": "drop_note", "note": forged},
    "seen": lambda forged, _: {"act": "remove", "reason": "fake", "seen": f"7{forged}"},
}


@pytest.fixture
async def bench(site: Installation) -> Bench:
    """Give what stands on the letter."""
    async with site.database.connection() as conn:
        return Bench(site.database, await rows.letter(conn))


async def test_in_addresses(site: Installation, bench: Bench) -> None:
    await bench.sign("Vera Novak")
    async with people.at_desk(site, "owner") as client:
        before = await rows.picture(site.database)
        for forged in FORGED:
            for what in ("signatures", "campaigns"):
                assert (await client.get(f"{HERE}/{what}/{quote(forged)}")).status_code in {308, 404}
                for form in ({"act": "approve"}, {"act": "note", "text": "x"}, {"act": "names", "name_en": "X"}):
                    answer = await client.post(f"{HERE}/{what}/{quote(forged)}", data=form)
                    assert answer.status_code in {404, 422}, (what, forged, form)
            for query in ("done", "other", "missed", "group", "before", "after"):
                for page in ("queue", "log"):
                    answer = await client.get(f"{HERE}/{page}", params={query: forged})
                    assert answer.status_code in {200, 400, 404}, (query, forged)
            for kind in ("person", "organization", forged):
                answer = await site.client.get(f"/en/{SLUG}/report/{quote(kind)}/{quote(forged)}")
                assert answer.status_code in {308, 404}
        assert await rows.picture(site.database) == before


async def test_in_forms(site: Installation, bench: Bench) -> None:
    (vera,) = await bench.sign("Vera Novak")
    held = await bench.sign_for("North Pier")
    async with people.at_desk(site, "owner", admin=True) as client:
        before = await rows.picture(site.database)
        for forged in FORGED:
            sent = [(f"{HERE}/{name.split()[0]}", make(forged, str(vera))) for name, make in FORMS.items()]
            sent += [(f"{HERE}/signatures/{held}", make(forged, str(vera))) for make in OF_ONE.values()]
            of_organizer = {"organizer": f"9{forged}", "admin": "yes"}
            sent += [(f"/organizer/installation/{what}", of_organizer) for what in ("admin", "remove")]
            sent += [("/organizer/security/remove", {"passkey": forged})]
            sent += [("/organizer/security/end", {"session": f"9{forged}"})]
            for path, form in sent:
                answer = await client.post(path, data=form)
                assert answer.status_code in CALM, (path, form)
            assert await rows.picture(site.database) == before, forged
    await bench.check()


async def test_a_merge_with_another_letters_entry_is_refused(site: Installation, bench: Bench) -> None:
    held = await bench.sign_for("North Pier")
    async with site.database.connection() as conn:
        other = await conn.fetchval(
            "INSERT INTO letter (slug, rules_version) VALUES ('another-letter', 1) RETURNING id"
        )
        await conn.execute("INSERT INTO organization (letter, id, name_en, name_key) VALUES ($1, 77, 'X', 'x')", other)
    async with people.at_desk(site, "moderator") as client:
        await client.post(f"{HERE}/signatures/{held}", data={"act": "approve", "seen": "0"})
        before = await rows.picture(site.database)
        answer = await client.post(f"{HERE}/signatures/{held}", data={"act": "merge", "into": "77"})
        assert answer.status_code == 404
        assert await rows.picture(site.database) == before
