"""A limit is no meter: docs/decisions/no-meter.md, tried by someone who knows everything but the day's key."""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from petition.captcha.drawn import DrawnCodes
from petition.core import prices, quotas
from petition.core.client_networks import of_client
from petition.core.database import Connection, Database
from petition.core.ids import LetterId
from petition.core.limits import Limits
from petition.core.prices import Buckets, buckets_of
from petition.core.quotas import DayKey, HourKey
from tests import rows
from tests.fixtures import HourClock, empty
from tests.running import KEY, SLUG, Installation, installation

OFFICE = "8.8.8.8"
TRIALS = 200
DAY = date(2026, 3, 1)


def hours_of(trial: int) -> tuple[HourKey, HourKey, HourKey]:
    """Return three hours on end, of a day with a key of its own."""
    day = DayKey(DAY, hashlib.sha256(f"day {trial}".encode()).digest())
    return day.hour(10), day.hour(11), day.hour(12)


def buckets_at(hours: tuple[HourKey, HourKey]) -> Buckets:
    return buckets_of(of_client(OFFICE, (), ()), LetterId(1), Limits(), hours)


async def send_forms(conn: Connection, buckets: Buckets, number: int) -> None:
    """Count ``number`` forms as signing does."""
    # The clock of the database is not asked: the rows only have to last as long as this test.
    later = datetime.now(UTC) + timedelta(hours=1)
    await quotas.spend(conn, {quota._replace(expires_at=later): number for quota in buckets.counted})


@pytest.mark.parametrize("own_forms", [15, 29, 44])
async def test_the_price_does_not_say_whether_a_colleague_has_signed(database: Database, own_forms: int) -> None:
    """The attacker of the review: fill up to just below the limit, ask for the price without pause, wait for the other.

    In each trial the colleague signs or only reads; the attacker says "signed" if the price has risen, and else what
    is more likely by all other trials.
    """
    draw = random.Random(own_forms)
    seen: Counter[tuple[bool, int]] = Counter()
    for trial in range(TRIALS):
        before, this_hour, after = hours_of(trial + own_forms * TRIALS)
        has_signed = draw.random() < 0.5
        now, then = buckets_at((this_hour, before)), buckets_at((after, this_hour))
        async with database.transaction() as conn:
            await send_forms(conn, now, own_forms)
            price_before = await prices.current(conn, now)
            if has_signed:
                await send_forms(conn, now, 1)
            assert await prices.current(conn, now) == price_before == 0  # the review's: 4 of 4 right
            seen[has_signed, await prices.current(conn, then)] += 1
            await conn.execute("DELETE FROM limit_use")
    right = sum(max(seen[False, price], seen[True, price]) for price in (0, 1))
    # Choosing the best answer afterwards gains about three percent from 200 throws of a coin; the exact bound is below.
    assert right / TRIALS < 0.58, seen


def test_the_exact_gain_of_every_strategy_is_one_thirty_first() -> None:
    limit = Limits().network
    thresholds = Counter(hours_of(trial)[1].hidden("network", OFFICE, limit).limits[0] for trial in range(31_000))
    assert sorted(thresholds) == list(range(limit // 2, limit // 2 + limit + 1))
    # One form more changes the price exactly if the drawn limit is the number of forms before it.
    assert max(thresholds.values()) < 1.2 * 31_000 / (limit + 1)


def test_what_is_stored_says_nothing_about_the_limit_drawn() -> None:
    hidden = [hours_of(trial)[1].hidden("network", OFFICE, 30, 300) for trial in range(4000)]
    low = [quota.key[-1] for quota, limits in hidden if limits[0] <= 30]
    high = [quota.key[-1] for quota, limits in hidden if limits[0] > 30]
    assert abs(sum(low) / len(low) - sum(high) / len(high)) < 10  # of 255; the means' spread is about 2.3
    again = [hours_of(trial)[1].hidden("network", OFFICE, 30, 300) for trial in range(4000)]
    assert hidden == again  # every process draws the same
    assert len({limits for _, limits in hidden}) > 2000


ATTACKER = {"x-forwarded-for": OFFICE}
RANDOM = re.compile(
    r'data:image/png;base64,[^"]+|name="drawn" value="[^"]+"|<p class="hint" id="q-code">.*?</p>'
    r'|"counted_at":"[^"]+"|<time data-counted.*?</time>',
    re.S,
)
OF_THE_MOMENT = {"date", "etag", "content-length"}
UNIQUE = {"nonce", "salt", "keyPrefix", "keySignature", "expiresAt"}


@dataclass
class Watcher:
    """Sends every kind of public request from the office, and notes whole answers without their random tokens."""

    site: Installation
    letter_id: LetterId
    version: str
    number: int = 0
    used: str = ""
    notes: list[tuple[int, dict[str, str], str]] = field(default_factory=list)

    async def look(self) -> None:
        """Note the answers to all of them."""
        for path in (
            f"/captcha/challenge?letter={SLUG}",
            *(f"/{lang}/{SLUG}{page}" for lang in ("en", "ru") for page in ("", "/find", "/check-your-inbox")),
            f"/en/{SLUG}/signatories",
            f"/en/{SLUG}/report?q=vera",
            f"/api/v1/letters/{SLUG}",
            f"/api/v1/letters/{SLUG}/count",
            "/readyz",
        ):
            self.note(await self.site.client.get(path, headers=ATTACKER))
            self.note(await self.site.client.head(path, headers=ATTACKER))
        for path, form in self.forms():
            self.note(await self.site.client.post(path, data=form | await self.answer_of(form), headers=ATTACKER))

    def forms(self) -> list[tuple[str, dict[str, str]]]:
        self.number += 1
        typed = {
            "version": self.version,
            "name": "Eve",
            "email": f"eve{self.number}@letters.example",
            "visibility": "public",
            "consent": "yes",
        }
        token = DrawnCodes([KEY]).token("ABCDE", self.letter_id, hard=False)
        return [
            (f"/en/{SLUG}/sign", typed),
            (f"/en/{SLUG}/sign", typed | {"altcha": "fresh"}),
            (f"/en/{SLUG}/sign", typed | {"altcha": "replayed"}),
            (f"/en/{SLUG}/sign", typed | {"altcha": "fresh", "version": "0" * 16}),
            (f"/en/{SLUG}/sign", typed | {"altcha": "fresh", "email": "no address"}),
            (f"/en/{SLUG}/sign", typed | {"drawn": token, "code": "WRONG"}),
            (f"/en/{SLUG}/find", {"email": "ann@letters.example", "altcha": "fresh"}),
            (f"/en/{SLUG}/find", {"email": "ann@letters.example", "altcha": "replayed"}),
            (f"/en/{SLUG}/find", {"email": "ann@letters.example"}),
            (f"/en/{SLUG}/confirm", {"email": f"ann{self.number}@letters.example", "code": "000000"}),
        ]

    async def answer_of(self, form: dict[str, str]) -> dict[str, str]:
        if form.get("altcha") == "fresh":
            self.used = await self.site.challenge()
        return {"altcha": self.used} if "altcha" in form else {}

    def note(self, answer: httpx2.Response) -> None:
        headers = {name: value for name, value in answer.headers.items() if name not in OF_THE_MOMENT}
        if answer.headers.get("content-type") == "application/json" and "parameters" in answer.text:
            parameters = json.loads(answer.text)["parameters"]
            body = json.dumps({name: value for name, value in parameters.items() if name not in UNIQUE})
        else:
            body = RANDOM.sub("", answer.text)
        self.notes.append((answer.status_code, headers, body))


@pytest.fixture
async def office(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Installation]:
    """Give a site on which the office's price rises after three forms in an hour."""
    async with installation(database_url, tmp_path, LIMIT_NETWORK="6") as site:
        yield site


async def watched(site: Installation, clock: HourClock, *, colleague_signs: bool) -> Watcher:
    """Return the notes of some hours in which a colleague of the same office signs, or only reads."""
    await empty(site.database)
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    watcher = Watcher(site, letter.id, letter.version.digest)
    for number in range(3):
        await watcher.look()
        if colleague_signs:
            form = await site.form(email=f"ann{number}@letters.example")
            assert (await site.client.post(f"/en/{SLUG}/sign", data=form, headers=ATTACKER)).status_code == 303
        else:
            assert (await site.client.get(f"/en/{SLUG}", headers=ATTACKER)).status_code == 200
        await watcher.look()
    return watcher


async def test_no_answer_changes_when_another_of_my_network_signs(office: Installation, one_hour: HourClock) -> None:
    reads = await watched(office, one_hour, colleague_signs=False)
    signs = await watched(office, one_hour, colleague_signs=True)
    assert len(reads.notes) == len(signs.notes) > 100
    for quiet, busy in zip(reads.notes, signs.notes, strict=True):
        assert busy == quiet
