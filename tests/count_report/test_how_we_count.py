"""The page "How we count" and its signed JSON: each number worked out again from the rows, and what is not shown."""

import base64
import hashlib
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from petition.core.ids import SignatureId
from petition.count_log import verifying
from petition.letters import sensitivity
from petition.moderation.model import Action
from petition.signatures import self_service
from petition.signatures.model import Reason
from tests import rows
from tests.count_log.conftest import LogBench
from tests.count_log.test_public_pages import key_of, take
from tests.running import SLUG, Installation

PAGE = f"/en/{SLUG}/how-we-count"
API = f"/api/v1/letters/{SLUG}/how-we-count"
ORDER = ("mailbox", "dns", "well_known", "second_mailbox", "vouched", "imported")
MARKS = {"mailbox": "own_domain", "dns": "dns", "well_known": "well_known", "second_mailbox": "second"}
MARK = """
UPDATE signature SET signals = coalesce(signals, '{}') || jsonb_build_object($3::text, true)
WHERE letter = $1 AND id = $2
"""
TOUCH = "UPDATE letter SET revision = revision + 1 WHERE id = $1"
COUNTED = """
SELECT id, organization, signals, import FROM signature
WHERE letter = $1 AND state = 'confirmed' AND kind = 'organization'
"""
DECIDED = "SELECT at, before, after, reason, cardinality(ids) AS number FROM log WHERE letter = $1 ORDER BY id"
VOUCH = """
WITH o AS (
  INSERT INTO organizer (name, lang, digest, sealed) VALUES ('Anna', 'en', 'one', '')
  ON CONFLICT (digest) DO UPDATE SET lang = 'en' RETURNING id
)
INSERT INTO voucher (letter, signature, organizer, name) SELECT $1, $2, id, 'Anna of the League' FROM o
ON CONFLICT DO NOTHING
"""
AGE = (
    "UPDATE log SET at = at - $2::interval WHERE letter = $1",
    "UPDATE statistics_change SET hour = hour - $2::interval WHERE letter = $1",
)
END = """
UPDATE letter SET state = $2::text::letter_state, closed_at = now(), revision = revision + 1 WHERE id = $1
"""
PAPER = """
WITH t AS (INSERT INTO tally (letter, people, counted_on, source) VALUES ($1, 40, '2026-01-02', '{"en": "Sheets"}')),
     l AS (UPDATE letter SET revision = revision + 1 WHERE id = $1)
UPDATE count SET people = people + 40, imported = imported + 40 WHERE letter = $1
"""


async def report(site: Installation) -> dict[str, Any]:
    """Return the report as the web has it after looking at the database."""
    assert (await site.client.get(f"/en/{SLUG}/signed", headers=site.new_network())).status_code == 200
    answer = await site.client.get(API)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def plain(text: str) -> str:
    return re.sub("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]", " ", text)


async def mark(logged: LogBench, signature_id: SignatureId, kind: str) -> None:
    """Have a signature for an organization proven by ``kind``."""
    if kind == "vouched":
        await logged.change(VOUCH, signature_id)
    else:
        await logged.change(MARK, signature_id, MARKS[kind])
    await logged.change(TOUCH)


async def age(logged: LogBench, days: int) -> None:
    """Let days pass over what moderators decided and the forms that came in."""
    async with logged.database.transaction() as conn:
        await conn.execute("ALTER TABLE log DISABLE TRIGGER log_is_append_only")
        for statement in AGE:
            await conn.execute(statement, logged.letter.id, timedelta(days=days))
        await conn.execute("ALTER TABLE log ENABLE TRIGGER log_is_append_only")
    await logged.change(TOUCH)


async def evidence_in_rows(logged: LogBench) -> dict[str, int]:
    """Return how many organizations the rows have under each kind, worked out here."""
    vouched = {row["signature"] for row in await logged.rows("SELECT signature FROM voucher WHERE letter = $1")}
    kinds: dict[int, set[str]] = {}
    for row in await logged.rows(COUNTED):
        proofs = kinds.setdefault(row["organization"], set())
        proofs |= {kind for kind, signal in MARKS.items() if signal in (row["signals"] or {})}
        proofs |= {"vouched"} if row["id"] in vouched else set()
        proofs |= {"imported"} if row["import"] is not None else set()
    numbers = Counter(next((kind for kind in ORDER if kind in proofs), "reviewed") for proofs in kinds.values())
    return {kind: numbers[kind] for kind in (*ORDER, "reviewed")}


async def removed_in_rows(logged: LogBench) -> int:
    """Return how many signatures that counted were removed, until the last week at whose end five more had been."""
    this_week = (datetime.now(UTC) - timedelta(days=datetime.now(UTC).weekday())).date()
    weeks: Counter[date] = Counter()
    for row in await logged.rows(DECIDED):
        is_removal = (row["before"] + ":").startswith("confirmed:") and (row["after"] + ":").startswith("removed:")
        if is_removal and row["at"].date() < this_week:
            weeks[row["at"].date() - timedelta(days=row["at"].weekday())] += row["number"]
    total = waiting = 0
    for week in sorted(weeks):
        waiting += weeks[week]
        if waiting >= 5:
            total, waiting = total + waiting, 0
    return total


async def check(site: Installation, logged: LogBench) -> dict[str, Any]:
    """Fail unless each number of the report is what the rows say; return the report."""
    body, count = await report(site), await logged.check()
    assert {name: body["counts"][name] for name in count} == count
    assert body["counts"]["total"] == count["people"] + count["organizations"]
    for part in ("people", "organizations"):
        assert sum(source[part] for source in body["sources"]) == count[part]
        assert body["log"][part] + body["log"]["waiting"][part] == count[part]
    assert body["evidence"] == await evidence_in_rows(logged)
    assert sum(body["evidence"].values()) == count["organizations"]
    assert body["removals"]["total"] == await removed_in_rows(logged)
    return body


@dataclass
class RandomActs:
    """Acts on a letter, one drawn after the other."""

    logged: LogBench
    draw: random.Random
    people: list[SignatureId] = field(default_factory=list)
    offices: list[SignatureId] = field(default_factory=list)

    async def act(self) -> None:
        acts = [
            self.sign,
            self.sign,
            self.sign_for,
            self.approve,
            self.approve,
            self.mark,
            self.remove,
            self.restore,
            self.withdraw,
        ]
        await self.draw.choice(acts)()

    async def sign(self) -> None:
        self.people += await self.logged.sign(*["Vera Novak"] * self.draw.randint(1, 3))

    async def sign_for(self) -> None:
        self.offices.append(await self.logged.sign_for(f"Pier {self.draw.randint(1, 9)}"))

    async def approve(self) -> None:
        await self.logged.decide(Action.APPROVE, *self._some(self.offices, 4))

    async def mark(self) -> None:
        for one in self._some(self.offices, 1):
            await mark(self.logged, one, self.draw.choice([*MARKS, "vouched"]))

    async def remove(self) -> None:
        reason = self.draw.choice(list(Reason))
        await self.logged.decide(Action.REMOVE, *self._some([*self.people, *self.offices[::4]], 2), reason=reason)

    async def restore(self) -> None:
        await self.logged.decide(Action.RESTORE, *self._some([*self.people, *self.offices], 2))

    async def withdraw(self) -> None:
        for one in self._some(self.people, 1):
            if await self.logged.states(one) == ["confirmed"]:
                await self_service.withdraw(self.logged.database, self.logged.letter, one)

    def _some(self, ids: list[SignatureId], number: int) -> list[SignatureId]:
        return self.draw.sample(ids, min(number, len(ids)))


async def test_after_random_acts_each_number_is_what_the_rows_say(site: Installation, logged: LogBench) -> None:
    acts = RandomActs(logged, random.Random(5))
    for step in range(80):
        await acts.act()
        if step % 20 == 19:
            await take(site, logged)
            await age(logged, 7)
        if step % 10 == 9 and step > 19:
            await check(site, logged)
    await take(site, logged)
    await logged.change(TOUCH)
    body = await check(site, logged)
    assert body["log"]["waiting"] == {"people": 0, "organizations": 0}
    assert body["removals"]["total"] > 0
    assert len([kind for kind, number in body["evidence"].items() if number]) > 2
    files = await logged.files()
    checkpoint, _ = verifying.read_checkpoint(files.__getitem__, await key_of(site))
    counted = verifying.recount(files.__getitem__, checkpoint)
    assert (counted.people, counted.organizations) == (body["counts"]["people"], body["counts"]["organizations"])
    count = (await site.client.get(f"/api/v1/letters/{SLUG}/count")).json()
    same = ("total", "people", "organizations")
    assert {name: count[name] for name in same} == {name: body["counts"][name] for name in same}
    page = plain((await site.client.get(PAGE)).text)
    for number in (count["people"], count["organizations"], body["log"]["size"], body["removals"]["total"]):
        assert f">{number}<" in page or f" {number} " in page


async def test_the_json_is_signed_by_the_key_on_the_page_about_security(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera Novak")
    body = await report(site)
    # The key as anyone reads it, the check with another library than ours.
    (key,) = set(re.findall(r"--key (\S+?)<", (await site.client.get("/en/security")).text))
    assert body["key"] == key
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.split("+", 2)[2])[1:])

    def verify(content: dict[str, Any]) -> None:
        text, _, line = content["signature"].rpartition("\n\n\N{EM DASH} ")
        rest = {name: value for name, value in content.items() if name != "signature"}
        written = json.dumps(rest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        assert text.splitlines()[0] == f"{site.base.partition('://')[2]}/how-we-count/{SLUG}"
        if f"sha256 {hashlib.sha256(written).hexdigest()}" not in text.splitlines():
            raise InvalidSignature
        public.verify(base64.b64decode(line.split()[1])[4:], f"{text}\n".encode())

    verify(body)
    for changed in (
        body | {"counts": body["counts"] | {"people": 2}},
        body | {"quote": {}},
        body | {"signature": body["signature"].replace("counted 2", "counted 3")},
    ):
        with pytest.raises(InvalidSignature):
            verify(changed)


async def test_the_report_goes_on_while_nothing_changes(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera Novak")
    await report(site)
    first = await site.client.get(API)
    assert first.headers["access-control-allow-origin"] == "*"
    assert first.headers["cache-control"] == "public, max-age=0, s-maxage=1"
    again = await site.client.get(API, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    await logged.sign("Bela Quill")
    await report(site)
    again = await site.client.get(API, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.json()["counts"]["people"]) == (200, 2)


@pytest.mark.parametrize("lang", ["en", "ru"])
async def test_the_page_has_a_sentence_to_quote_in_both_languages(
    site: Installation, logged: LogBench, lang: str
) -> None:
    await logged.sign("Vera Novak", "Bela Quill")
    await logged.decide(Action.APPROVE, await logged.sign_for("North Pier"))
    body = await report(site)
    english, russian = plain(body["quote"]["en"]), plain(body["quote"]["ru"])
    assert re.fullmatch(
        r"As of \d{1,2}:\d\d.{0,3} UTC on .+ \d{4}, 2 people and 1 organization had signed the open letter “.+” and "
        r"confirmed by e-mail\.",
        english,
    )
    assert re.fullmatch(
        r"Подписи под открытым письмом «.+», подтверждённые по электронной почте, на \d{1,2}:\d\d UTC .+ \d{4} г\.: "
        r"2 человека и 1 организация\.",
        russian,
    )
    page = await site.client.get(f"/{lang}/{SLUG}/how-we-count")
    assert (page.status_code, page.headers["content-language"]) == (200, lang)
    assert english.split(",")[-1] in plain(page.text)
    assert russian.split(":")[-1] in plain(page.text)
    titles = {"en": "How we count", "ru": "Как мы считаем"}
    assert f"<h1>{titles[lang]}</h1>" in plain(page.text)
    for path in ("", "/signatories"):
        assert f'href="/{lang}/{SLUG}/how-we-count"' in (await site.client.get(f"/{lang}/{SLUG}{path}")).text


async def test_what_did_not_confirm_here_is_said_apart(site: Installation, logged: LogBench) -> None:
    await logged.sign("Vera Novak")
    await logged.change(PAPER)
    quote = (await report(site))["quote"]
    assert plain(quote["en"]).endswith(
        "confirmed by e-mail. Another 40 people signed on paper. Together these are 41 people."
    )
    assert plain(quote["ru"]).endswith(": 1 человек. На бумаге ещё 40 человек. Всего 41 человек.")


async def test_each_organization_stands_with_its_proof(site: Installation, logged: LogBench) -> None:
    for number, kind in enumerate([*MARKS, "vouched"]):
        one = await logged.sign_for(f"Pier {number} {kind}")
        await logged.decide(Action.APPROVE, one)
        await mark(logged, one, kind)
    await logged.decide(Action.APPROVE, await logged.sign_for("Pier 5 reviewed"))
    body = await report(site)
    assert body["evidence"] == dict.fromkeys([*MARKS, "vouched", "reviewed"], 1) | {"imported": 0}
    items = (await site.client.get(f"/api/v1/letters/{SLUG}/signatories?kind=organization")).json()["items"]
    assert {(item["name_en"].split()[2], *item["evidence"]) for item in items} == {
        (kind, kind) for kind in [*MARKS, "vouched", "reviewed"]
    }
    assert [item["vouched_by"] for item in items if item["evidence"] == ["vouched"]] == [["Anna of the League"]]
    for path in (PAGE, f"/en/{SLUG}/signatories?kind=organization"):
        page = plain((await site.client.get(path)).text)
        assert re.search(r"Pier 4 vouched.{0,200}Vouched for by Anna of the League", page, re.DOTALL)
        assert re.search(r"Pier 0 mailbox.{0,200}Mailbox on its domain", page, re.DOTALL)
        assert re.search(r"Pier 5 reviewed.{0,200}Reviewed by the organizers", page, re.DOTALL)


async def test_the_organizations_are_paged(site: Installation, logged: LogBench) -> None:
    ids = [await logged.sign_for(f"Pier number {number}") for number in range(103)]
    await logged.decide(Action.APPROVE, *ids)
    await report(site)
    first = (await site.client.get(PAGE)).text
    (following,) = re.findall(r'rel="next" href="([^"#]+)#organizations"', first)
    second = (await site.client.get(following)).text
    names = [set(re.findall("Pier number ([0-9]+)", page)) for page in (first, second)]
    assert [len(part) for part in names] == [100, 3]
    assert len(names[0] | names[1]) == 103
    assert (await site.client.get(f"{PAGE}?after=nothing")).status_code == 404


async def test_names_go_from_the_page_while_the_numbers_stay(site: Installation, logged: LogBench) -> None:
    await logged.decide(Action.APPROVE, await logged.sign_for("North Pier"))
    await report(site)
    assert "North Pier" in (await site.client.get(PAGE)).text
    await logged.change("INSERT INTO switch (letter, name, value) VALUES ($1, 'hide_list', 'on')")
    body = await report(site)
    page = (await site.client.get(PAGE)).text
    assert "North Pier" not in page
    assert "The list of signatories is hidden at the moment." in page
    assert (body["counts"]["organizations"], body["counts"]["hidden"]) == (1, 1)
    assert body["evidence"]["reviewed"] == 1


async def test_a_sensitive_letter_shows_no_name_no_week_and_moves_in_steps(
    site: Installation, logged: LogBench
) -> None:
    await logged.decide(Action.APPROVE, await logged.sign_for("North Pier"))
    crowd = await logged.crowd(30)
    await logged.remove(*crowd[:12])
    await age(logged, 7)
    await logged.remove(*crowd[12:24])
    await age(logged, 7)
    async with site.database.transaction() as conn:
        await sensitivity.set_sensitive(conn, None, logged.letter.id, sensitive=True)
    before = await report(site)
    assert "North Pier" not in (await site.client.get(PAGE)).text
    assert [week["reasons"] for week in before["removals"]["weeks"]] == [{"fake": 24}]
    assert before["removals"]["minimum"] == 10
    one = await logged.sign_for("South Pier")
    await logged.decide(Action.APPROVE, one)
    await mark(logged, one, "mailbox")
    between = await report(site)
    same = ("counts", "counted_at", "quote", "evidence", "sources", "removals", "confirmations")
    assert {name: between[name] for name in same} == {name: before[name] for name in same}
    await logged.change("UPDATE count_step SET stepped_at = stepped_at - interval '10 minutes' WHERE letter = $1")
    after = await report(site)
    assert (after["evidence"]["mailbox"], after["counts"]["organizations"]) == (1, 2)
    assert sum(after["evidence"].values()) == 2


async def test_the_share_moves_once_a_day_and_from_fifty_forms_on(site: Installation, logged: LogBench) -> None:
    async def confirmations() -> tuple[object, ...]:
        body = (await report(site))["confirmations"]
        return body["asked"], body["confirmed"], body["percent"]

    async with site.database.transaction() as conn:
        ids = await rows.add_pending(conn, logged.letter, [f"voice{number}@letters.example" for number in range(49)])
    await logged.use_links(ids[:20])
    await age(logged, 1)
    assert await confirmations() == (None, None, None)
    async with site.database.transaction() as conn:
        await rows.add_pending(conn, logged.letter, ["one@letters.example"])
    await logged.change(TOUCH)
    assert await confirmations() == (None, None, None)  # it came today
    await age(logged, 1)
    assert await confirmations() == (50, 20, 40)
    assert "Of 50 forms sent in until" in plain((await site.client.get(PAGE)).text)
    async with site.database.transaction() as conn:
        await sensitivity.set_sensitive(conn, None, logged.letter.id, sensitive=True)
    assert await confirmations() == (None, None, 40)


@pytest.mark.parametrize(("state", "status"), [("closed", 200), ("archived", 200)])
async def test_a_letter_that_is_over_keeps_its_report(
    site: Installation, logged: LogBench, state: str, status: int
) -> None:
    await logged.sign("Vera Novak")
    await logged.change(
        "UPDATE letter SET state = $2::text::letter_state, closed_at = now(), revision = revision + 1 WHERE id = $1",
        state,
    )
    body = await report(site)
    assert (body["state"], body["counts"]["people"]) == (state, 1)
    assert (await site.client.get(PAGE)).status_code == status


async def test_there_is_no_report_of_a_letter_that_is_not_there(site: Installation) -> None:
    assert (await site.client.get("/en/no-such-letter/how-we-count")).status_code == 404
    problem = await site.client.get("/api/v1/letters/no-such-letter/how-we-count")
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
