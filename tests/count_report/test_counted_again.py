"""Each number of the report "How we count", worked out again from the rows, after acts drawn at random."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from petition.core.ids import SignatureId
from petition.count_log import verifying
from petition.moderation.model import Action
from petition.signatures import self_service
from petition.signatures.model import Reason
from tests.count_log.conftest import LogBench
from tests.count_log.test_public_pages import key_of, take
from tests.count_report.reports import MARKS, ORDER, PAGE, TOUCH, age, mark, plain, report
from tests.running import SLUG, Installation

COUNTED = """
SELECT id, organization, signals, import FROM signature
WHERE letter = $1 AND state = 'confirmed' AND kind = 'organization'
"""
DECIDED = "SELECT at, before, after, reason, cardinality(ids) AS number FROM log WHERE letter = $1 ORDER BY id"


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
