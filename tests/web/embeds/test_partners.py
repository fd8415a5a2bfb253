"""Partners: registered at the desk, carried by the form, counted exactly with whatever becomes of a signature."""

import asyncio
import random

import jsonschema
import pytest

from petition.cli import approve
from petition.core import resources
from petition.core.errors import Refused
from petition.core.ids import OrganizerId, PartnerId, SignatureId
from petition.letters import partner_queries, partners, switch_actions
from petition.letters.switches import ON, Switch
from petition.moderation import decisions
from petition.moderation.decisions import ANY_ACT
from petition.moderation.model import Action
from petition.signatures import self_service
from petition.signatures.confirming import Confirming, ConfirmRequest
from petition.signatures.model import Reason
from petition.statistics import queries, reading
from tests import rows
from tests.moderation.desk import WRAPPER, Bench
from tests.organizers import people
from tests.pages import form_in
from tests.rows import rows_of
from tests.running import SLUG, Installation, link_in
from tests.web.embeds.people import partner

HERE = f"/organizer/{SLUG}/partners"
(UPGRADE,) = resources.folder("migrations").glob("*_forget_partners_of_counted.sql")
NEW = {"act": "add", "name": "north-pier", "title": "North Pier Network"}
ACTS = "SELECT act, ids, before, after FROM log WHERE act LIKE 'partner.%' ORDER BY id"
ALL = "SELECT id, name, title, in_api, retired_at IS NOT NULL AS retired FROM partner ORDER BY id"
COUNTS = "SELECT partner, people, representatives FROM count_partner WHERE letter = $1 ORDER BY partner"
RECOUNT = """
SELECT p.id AS partner, count(s) FILTER (WHERE s.kind = 'person') AS people,
       count(s) FILTER (WHERE s.kind = 'organization') AS representatives
FROM partner p LEFT JOIN signature s
  ON s.letter = p.letter AND s.state = 'confirmed' AND (s.signals ->> 'partner')::integer = p.id
WHERE p.letter = $1 GROUP BY p.id ORDER BY p.id
"""

SOURCES = """
SELECT coalesce('partner:' || p.name, 'web') AS source, count(*) AS people
FROM signature s LEFT JOIN partner p ON p.letter = s.letter AND p.id = (s.signals ->> 'partner')::integer
WHERE s.letter = $1 AND s.kind = 'person' AND s.state = 'confirmed' GROUP BY 1
"""


class Partnered:
    """A bench where people come by partners' links; the partners' counts are checked after every act."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def add(self, name: str) -> PartnerId:
        async with self.bench.database.transaction() as conn:
            return await partners.add(conn, OrganizerId(1), self.bench.letter.id, name, name, False)

    async def sign(self, partner_id: PartnerId | None, number: int = 1, **fields: str) -> list[SignatureId]:
        found: list[SignatureId] = []
        for _ in range(number):
            self.bench.signed += 1
            async with self.bench.database.transaction() as conn:
                address = f"by{self.bench.signed}@letters.example"
                found += await rows.add_pending(conn, self.bench.letter, [address], **fields)
                if partner_id is not None:
                    await conn.execute(
                        "UPDATE pending SET signals = $2 WHERE id = $1", found[-1], {"partner": partner_id}
                    )
        confirming = Confirming(self.bench.database)
        claims = [ConfirmRequest(self.bench.letter.id, each, self.bench.letter.keys) for each in found]
        await asyncio.gather(*map(confirming.submit, claims))
        await self.check()
        return found

    async def sources(self) -> dict[str, int]:
        """Return where people came from, as the statistics have it."""
        async with self.bench.database.connection() as conn:
            return {each.value: each.number for each in (await reading.read(conn, self.bench.letter.id, None)).sources}

    async def check(self) -> dict[int, tuple[int, int]]:
        await self.bench.check()
        counted = await self.bench.rows(COUNTS)
        assert counted == await self.bench.rows(RECOUNT)
        assert await self.sources() == {row["source"]: row["people"] for row in await self.bench.rows(SOURCES)}
        return {row["partner"]: (row["people"], row["representatives"]) for row in counted}


@pytest.fixture
def partnered(bench: Bench) -> Partnered:
    return Partnered(bench)


async def test_counted_with_the_count_and_lowered_with_it(partnered: Partnered) -> None:
    bench = partnered.bench
    one, other = await partnered.add("one"), await partnered.add("other")
    first, second, third = [*await partnered.sign(one, 2), *await partnered.sign(other)]
    await partnered.sign(None, 2)
    assert await partnered.check() == {one: (2, 0), other: (1, 0)}
    await queries.fold(bench.database)  # added up or not, the sources are the same
    await partnered.check()
    outcome = await bench.remove(first, third)
    assert await partnered.check() == {one: (1, 0), other: (0, 0)}
    await bench.undo(outcome.log_id)
    assert await partnered.check() == {one: (2, 0), other: (1, 0)}
    await self_service.withdraw(bench.database, bench.letter, first)
    await self_service.withdraw(bench.database, bench.letter, first)
    assert await partnered.check() == {one: (1, 0), other: (1, 0)}
    await self_service.delete(bench.database, bench.letter, second)
    await bench.remove(third)
    await self_service.delete(bench.database, bench.letter, third)  # a removed one counts nowhere already
    assert await partnered.check() == {one: (0, 0), other: (0, 0)}


async def test_representatives_count_from_their_approval(partnered: Partnered) -> None:
    bench = partnered.bench
    one = await partnered.add("one")
    first, second, third = await partnered.sign(one, 3, organization_en="North Pier", name="Anna Berg")
    assert await partnered.check() == {one: (0, 0)}
    outcome = await bench.decide(Action.APPROVE, first)
    assert await partnered.check() == {one: (0, 1)}
    async with bench.database.transaction() as conn:
        await approve.approve(conn, WRAPPER, [second])
    assert await partnered.check() == {one: (0, 2)}
    await bench.undo(outcome.log_id)
    assert await partnered.check() == {one: (0, 1)}
    await bench.decide(Action.APPROVE, first, third)
    await self_service.withdraw(bench.database, bench.letter, second)
    assert await partnered.check() == {one: (0, 2)}


async def test_people_who_are_held_count_from_their_approval(partnered: Partnered) -> None:
    bench = partnered.bench
    one = await partnered.add("one")
    async with bench.database.transaction() as conn:
        await switch_actions.set_switch(conn, None, bench.letter.id, Switch.HOLD, 0, ON, {})
    first, second = await partnered.sign(one, 2)
    assert await partnered.check() == {one: (0, 0)}
    await bench.decide(Action.APPROVE, first)
    assert await partnered.check() == {one: (1, 0)}
    await self_service.withdraw(bench.database, bench.letter, second)
    assert await partnered.check() == {one: (1, 0)}


async def test_who_is_only_counted_counts_for_no_partner(partnered: Partnered) -> None:
    """An editor who makes a link for one person learns nothing of that person's signature."""
    bench = partnered.bench
    one = await partnered.add("one")
    await partnered.sign(one, visibility="counted")  # a form that waited since an earlier version has the partner
    assert await partnered.check() == {one: (0, 0)}
    first, second = await partnered.sign(one, 2)
    assert await partnered.check() == {one: (2, 0)}
    await self_service.change_visibility(bench.database, bench.letter, first, "counted", "")
    assert await partnered.check() == {one: (1, 0)}
    await self_service.change_visibility(bench.database, bench.letter, first, "counted", "")
    await self_service.change_visibility(bench.database, bench.letter, first, "public", "Vera Novak")
    await self_service.change_visibility(bench.database, bench.letter, second, "organizers", "")
    assert await partnered.check() == {one: (1, 0)}
    await self_service.withdraw(bench.database, bench.letter, first)
    await bench.remove(second)
    assert await partnered.check() == {one: (0, 0)}


async def test_the_upgrade_forgets_partners_of_counted(partnered: Partnered) -> None:
    bench = partnered.bench
    one, other = await partnered.add("one"), await partnered.add("other")
    counted = [*await partnered.sign(one, 3, visibility="counted"), *await partnered.sign(other, visibility="counted")]
    named = await partnered.sign(one, 2)
    async with bench.database.transaction() as conn:  # as they were stored before
        await conn.execute(
            "UPDATE signature SET signals = $2 WHERE id = ANY($1::bigint[])",
            counted[:3],
            {"partner": one, "tagged": True},
        )
        await conn.execute("UPDATE signature SET signals = $2 WHERE id = $1", counted[3], {"partner": other})
        await conn.execute(
            "UPDATE count_partner SET people = CASE partner WHEN $1 THEN 5 ELSE 1 END WHERE letter = $2",
            one,
            bench.letter.id,
        )
        await conn.execute(UPGRADE.read_text(encoding="utf-8"))
    assert await partnered.check() == {one: (2, 0), other: (0, 0)}
    await self_service.withdraw(bench.database, bench.letter, counted[0])
    await self_service.withdraw(bench.database, bench.letter, named[0])
    assert await partnered.check() == {one: (1, 0), other: (0, 0)}


async def test_all_at_once_nobody_waits_for_each_other_and_the_counts_are_exact(partnered: Partnered) -> None:
    bench = partnered.bench
    known = [await partnered.add(name) for name in ("one", "two", "three")]
    there = [id for each in known for id in await partnered.sign(each, 8)]
    random.Random(5).shuffle(there)

    async def removing(ids: list[SignatureId]) -> None:
        async with bench.database.transaction() as conn:
            seen = dict.fromkeys(ids, ANY_ACT)
            await decisions.decide(conn, bench.actor, bench.letter.keys, Action.REMOVE, seen, Reason.FAKE)

    async def signing(each: PartnerId) -> None:
        async with bench.database.transaction() as conn:
            addresses = [f"crowd{each}-{i}@letters.example" for i in range(8)]
            ids = await rows.add_pending(conn, bench.letter, addresses)
            await conn.execute("UPDATE pending SET signals = $2 WHERE id = ANY($1::bigint[])", ids, {"partner": each})
        confirming = Confirming(bench.database)
        await asyncio.gather(*(confirming.submit(ConfirmRequest(bench.letter.id, id, bench.letter.keys)) for id in ids))

    withdrawing = (self_service.withdraw(bench.database, bench.letter, each) for each in there[:8])
    await asyncio.gather(*map(signing, known), *withdrawing, removing(there[8:14]), removing(there[14:20]))
    assert sum(people for people, _ in (await partnered.check()).values()) == 24 + 24 - 8 - 12


async def test_by_the_link_and_the_form_to_the_count(site_with_worker: Installation) -> None:
    number = await partner(site_with_worker, "north-pier", in_api=True)
    page = await site_with_worker.client.get(f"/en/{SLUG}?from=north-pier")
    assert form_in(page, "sign-form")["from"] == "north-pier"
    assert "you came through the link of “north-pier”" in page.text
    assert f'href="/ru/{SLUG}?from=north-pier"' in page.text
    both = await site_with_worker.client.get(f"/en/{SLUG}?as=organization&from=north-pier")
    assert form_in(both, "sign-form")["from"] == "north-pier"
    assert "It is not noted if no one sees your name." in page.text
    counted = await site_with_worker.sign(email="d@letters.example", visibility="counted", **{"from": "north-pier"})
    assert counted.status_code == 303
    assert await rows_of(site_with_worker.database, "SELECT signals FROM pending") == [{"signals": None}]
    # An error loses nothing of it.
    wrong = await site_with_worker.sign(email="nonsense", **{"from": "north-pier"})
    assert wrong.status_code == 422
    assert form_in(wrong, "sign-form")["from"] == "north-pier"
    for address, name in (
        ("a@letters.example", "north-pier"),
        ("b@letters.example", "nobody"),
        ("c@letters.example", ""),
    ):
        assert (await site_with_worker.sign(email=address, **({"from": name} if name else {}))).status_code == 303
        assert (await site_with_worker.client.post(link_in(await site_with_worker.mail_to(address)))).status_code == 303
    assert await rows_of(site_with_worker.database, "SELECT partner, people FROM count_partner") == [
        {"partner": number, "people": 1}
    ]
    for _ in range(200):
        told = (await site_with_worker.client.get(f"/api/v1/letters/{SLUG}/partners")).json()
        if told["items"][0]["people"]:
            break
        await asyncio.sleep(0.05)
    document = (await site_with_worker.client.get("/api/v1/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/Partners", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(told)
    assert told == {
        "items": [{"name": "north-pier", "title": "North Pier", "people": 1, "representatives": 0, "total": 1}]
    }


async def test_any_other_name_is_ignored(site: Installation) -> None:
    await partner(site, "north-pier")
    async with asyncio.timeout(120):
        while 'name="from"' not in (await site.client.get(f"/en/{SLUG}?from=north-pier")).text:
            await asyncio.sleep(0.02)  # until the web has read the new partner: its pages are rendered anew then
    for junk in ("nobody", "north-pie", "north%20pier", "", "%00", "x" * 3000, "%3Cb%3E"):
        # The page may be rendered anew meanwhile, before the answer or after it.
        before = await site.client.get(f"/en/{SLUG}")
        answer = await site.client.get(f"/en/{SLUG}?from={junk}")
        after = await site.client.get(f"/en/{SLUG}")
        assert answer.headers["etag"] in {before.headers["etag"], after.headers["etag"]}, junk
        assert 'name="from"' not in answer.text
    named = await site.client.get(f"/en/{SLUG}?from=north-pier")
    for spelling in ("NORTH-PIER", "north-pier%20", "north-pier.", "north-pier)%E2%80%8B", "north-pier&utm_source=x"):
        answer = await site.client.get(f"/en/{SLUG}?from={spelling}")
        assert answer.headers["etag"] == named.headers["etag"], spelling
    assert (await site.client.get(f"/api/v1/letters/{SLUG}/partners")).json() == {"items": []}
    assert (await site.client.get("/api/v1/letters/no-such-letter/partners")).status_code == 404
    assert (await site.client.post(f"/api/v1/letters/{SLUG}/partners")).status_code == 405


async def test_an_editor_registers_changes_retires_and_brings_back(site: Installation) -> None:
    async with people.at_desk(site, "editor") as client:
        assert "no partners yet" in (await client.get(HERE)).text
        assert (await client.post(HERE, data=NEW)).headers["location"] == f"{HERE}?done=add"
        (row,) = await rows_of(site.database, ALL)
        assert row == {
            "id": row["id"],
            "name": "north-pier",
            "title": "North Pier Network",
            "in_api": False,
            "retired": False,
        }
        number = str(row["id"])
        page = await client.get(HERE)
        assert f"{site.base}/en/{SLUG}?from=north-pier" in page.text
        changed = {"act": "change", "partner": number, "title_before": "North Pier Network", "in_api_before": "0"}
        changed |= {"title": "Пирс «Север» <b>", "in_api": "1"}
        assert (await client.post(HERE, data=changed)).status_code == 303
        assert (await client.post(HERE, data=changed | {"title": "Other"})).status_code == 409
        assert "Пирс «Север» &lt;b&gt;" in (await client.get(HERE)).text
        for act in ("retire", "retire", "restore", "restore"):
            assert (await client.post(HERE, data={"act": act, "partner": number})).status_code == 303
    (row,) = await rows_of(site.database, ALL)
    assert (row["title"], row["in_api"], row["retired"]) == ("Пирс «Север» <b>", True, False)
    acts = await rows_of(site.database, ACTS)
    assert [(each["act"], each["before"], each["after"]) for each in acts] == [
        ("partner.add", "", "desk"),
        ("partner.change", "desk", "public"),
        ("partner.retire", "", ""),
        ("partner.restore", "", ""),
    ]
    assert all(each["ids"] == [int(number)] for each in acts)


async def test_a_retired_name_means_nothing_and_is_given_to_nobody_else(site: Installation) -> None:
    number = await partner(site, "north-pier")
    async with people.at_desk(site, "editor") as client:
        await client.post(HERE, data={"act": "retire", "partner": str(number)})
        assert (await client.post(HERE, data=NEW)).status_code == 422
    for _ in range(200):
        if 'name="from"' not in (await site.client.get(f"/en/{SLUG}?from=north-pier")).text:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the name still means something")
    assert (await site.sign(email="late@letters.example", **{"from": "north-pier"})).status_code == 303
    assert await rows_of(site.database, "SELECT signals FROM pending") == [{"signals": None}]


async def test_who_may_not_and_what_cannot_be(site: Installation) -> None:
    for role in ("viewer", "moderator"):
        async with people.at_desk(site, role) as client:
            assert (await client.get(HERE)).status_code == 403
            assert (await client.post(HERE, data=NEW)).status_code == 403
    async with people.at_desk(site, "owner") as client:
        for field, bad in (
            *(("name", each) for each in ("", "a", "Север", "-a", "UPPER", "a b", "a" * 33, "<b>", "a\x07b")),
            *(("title", each) for each in ("", " ", "x" * 121, "a\x07b")),
        ):
            answer = await client.post(HERE, data=NEW | {field: bad})
            assert answer.status_code == 422, bad
            assert f'id="e-{field}"' in answer.text
        for form in ({}, {"act": "nonsense"}, {"act": "retire"}, {"act": "retire", "partner": "x"}):
            assert (await client.post(HERE, data=form)).status_code == 400
        for number in ("2147483648", "9" * 18, "-1", "٣"):
            assert (await client.post(HERE, data={"act": "retire", "partner": number})).status_code == 400
        assert (await client.post(HERE, data={"act": "retire", "partner": "77"})).status_code == 303
        assert (await client.request("DELETE", HERE)).status_code == 405
        assert (await client.get("/organizer/another-letter/partners")).status_code == 404
    assert await rows_of(site.database, ALL) == []
    assert await rows_of(site.database, ACTS) == []


async def test_there_are_not_too_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partners, "MAX_PARTNERS", 2)
    async with bench.database.transaction() as conn:
        for name in ("one", "two"):
            await partners.add(conn, OrganizerId(1), bench.letter.id, name, name, False)
        with pytest.raises(Refused):
            await partners.add(conn, OrganizerId(1), bench.letter.id, "three", "three", False)
        assert len(await partner_queries.all_partners(conn, bench.letter.id)) == 2
