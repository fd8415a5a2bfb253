"""The recipes of the security review against the public pages, and their kind: meanwhile an honest visitor signs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx2
import pytest

from petition.captcha.drawn import DrawnCodes
from petition.captcha.pow import ProofOfWork
from petition.core.ids import SignatureId
from petition.letters.model import Letter
from tests import rows
from tests.captcha.installation import CHEAP, solve
from tests.fixtures import HourClock
from tests.pages import assert_redirect
from tests.running import KEY, SLUG, Installation, installation

pytestmark = pytest.mark.usefixtures("one_hour")

SIGN, FIND, CODE = (f"/en/{SLUG}/{page}" for page in ("sign", "find", "confirm"))
INBOX, SIGNED = f"/en/{SLUG}/check-your-inbox", f"/en/{SLUG}/signed"
WORK = ProofOfWork([KEY], price=CHEAP)


@dataclass
class Town:
    """A letter, its honest visitors and what an attacker sends."""

    site: Installation
    letter: Letter
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def form(self, **changes: str) -> dict[str, str]:
        return {
            "version": self.letter.version.digest,
            "name": "Vera Novak",
            "email": f"visitor{next(self.numbers)}@letters.example",
            "visibility": "public",
            "consent": "yes",
            **changes,
        }

    async def post(self, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
        return await self.site.client.post(path, data=form, headers=self.site.new_network() | headers)

    def solved(self, price: int = 0) -> dict[str, str]:
        return {"altcha": solve(WORK.challenge(self.letter.id, price=price))}

    def drawn(self) -> dict[str, str]:
        return {"drawn": DrawnCodes([KEY]).token("ABCDE", self.letter.id, hard=False), "code": "ABCDE"}

    async def sign_honestly(
        self, *, scripts: bool = True, email: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Sign with what the server asks for, as a browser does, and confirm by the mailed link."""
        form, headers = self.form() | ({"email": email} if email else {}), headers or {}
        if scripts:
            ask = await self.site.client.get(f"/captcha/challenge?letter={SLUG}", headers=headers)
            form |= self.solved(ask.json()["parameters"]["data"]["price"])
        else:
            page = await self.post(SIGN, form, **headers)
            assert (page.status_code, 'name="drawn"' in page.text) == (422, True)
            form |= self.drawn()
        assert_redirect(await self.post(SIGN, form, **headers), INBOX)
        async with self.site.database.connection() as conn:
            signature_id = await conn.fetchval(
                "SELECT o.pending FROM outbox o JOIN pending p ON p.letter = o.letter AND p.id = o.pending"
                " WHERE o.digest = $1 ORDER BY o.id DESC LIMIT 1",
                rows.digest_of(self.letter, form["email"]),
            )
        assert signature_id is not None, "no mail was sent"
        link = f"/en/confirm/{rows.token(self.letter, SignatureId(signature_id))}"
        answer = await self.post(link, {}, **headers)
        assert (answer.status_code, answer.headers["location"].startswith(SIGNED)) == (303, True)

    async def uses(self) -> int:
        """Return the sum of all that is counted."""
        (row,) = await rows.rows_of(self.site.database, "SELECT coalesce(sum(used), 0)::int AS used FROM limit_use")
        return int(row["used"])


@pytest.fixture
async def town(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Town]:
    """Give a town with low limits, so that an attack is short."""
    limits = {"LIMIT_LETTER": "20", "LIMIT_ONION": "10", "LIMIT_FORMS": "100000", "ONION_URL": "http://letters7.onion"}
    async with installation(database_url, tmp_path, **limits) as site:
        async with site.database.connection() as conn:
            letter = await rows.letter(conn)
        yield Town(site, letter)


TOR = {"host": "letters7.onion", "x-forwarded-for": "127.0.0.1"}


async def test_one_solved_challenge_replayed_from_many_networks_closes_nothing(town: Town) -> None:
    form = town.form() | town.solved()
    answers = await asyncio.gather(*(town.post(SIGN, form) for _ in range(178)))
    assert {answer.status_code for answer in answers} == {303}  # one form; the others are the same again
    (stored,) = await rows.rows_of(town.site.database, "SELECT count(*) AS rows FROM pending")
    assert stored["rows"] == 1
    counted = await town.uses()
    assert counted == 5  # network, letter, and the mailbox by network, in all and on this letter; each once
    # The kind: the same challenge with other forms, for a lost link, by a HEAD.
    for path, other in ((SIGN, town.form()), (FIND, {"email": "ann@letters.example"})):
        for _ in range(30):
            answer = await town.post(path, other | {"altcha": form["altcha"]})
            assert answer.status_code == 422
    assert (await town.site.client.head(SIGN, headers=town.site.new_network())).status_code < 400
    assert await town.uses() == counted
    await town.sign_honestly()


@pytest.mark.parametrize("broken", [{"consent": ""}, {"version": "0" * 16}, {"email": "x"}, {"altcha": "bm8="}])
async def test_what_is_refused_counts_nowhere(town: Town, broken: dict[str, str]) -> None:
    for _ in range(30):
        answer = await town.post(SIGN, town.form() | town.solved() | broken)
        assert answer.status_code == 422
    assert await town.uses() == 0
    await town.sign_honestly()


async def test_a_replayed_report_counts_nowhere(town: Town) -> None:
    await town.sign_honestly()
    (entry,) = await rows.rows_of(town.site.database, "SELECT id FROM signature")
    path, report = f"/en/{SLUG}/report/person/{entry['id']}", {"reason": "fake"}
    here = {"x-forwarded-for": "192.0.2.1"}
    solved = town.solved()
    assert (await town.post(path, report | solved, **here)).status_code == 303
    counted = await town.uses()
    for _ in range(30):
        assert (await town.post(path, report | solved, **here)).status_code == 422
    assert await town.uses() == counted
    assert (await town.post(path, report | town.solved(), **here)).status_code == 303


async def test_a_letter_far_above_its_limit_takes_honest_signatures_at_a_higher_price(
    town: Town, one_hour: HourClock
) -> None:
    solved = [town.form() | town.solved() for _ in range(130)]  # over four times the most that is drawn
    answers = await asyncio.gather(*(town.post(SIGN, form) for form in solved))
    assert {answer.status_code for answer in answers} == {303}
    await town.sign_honestly()
    one_hour.next_hour()
    cheap = await town.post(SIGN, town.form() | town.solved())
    assert cheap.status_code == 422
    assert "from your network" not in cheap.text  # it is the letter's
    russian = await town.post(SIGN.replace("/en/", "/ru/"), town.form() | town.solved())
    assert "вашей сети" not in russian.text
    await town.sign_honestly()
    await town.sign_honestly(scripts=False)
    (row,) = await rows.rows_of(town.site.database, "SELECT count(*) AS rows FROM signature WHERE state = 'held'")
    assert row["rows"] == 1  # by picture: it waits, and is not refused


async def test_one_visitor_does_not_switch_tor_off(town: Town, one_hour: HourClock) -> None:
    # 1. Mailed codes.
    for number in range(120):
        tried = await town.post(CODE, {"email": f"x{number}@letters.example", "code": "000000"}, **TOR)
        assert tried.status_code == 422
    # 2. Answers to one picture, and to many.
    picture = town.drawn() | {"code": "WRONG"}
    for _ in range(120):
        assert (await town.post(SIGN, town.form() | picture, **TOR)).status_code == 422
    # 3. Replays, and honest work.
    form = town.form() | town.solved()
    forms = [form] * 100 + [town.form() | town.solved() for _ in range(170)]
    answers = await asyncio.gather(*(town.post(SIGN, sent, **TOR) for sent in forms))
    assert {answer.status_code for answer in answers} == {303}
    for _ in range(2):
        await town.sign_honestly(headers=TOR)
        await town.sign_honestly(scripts=False, headers=TOR)
        assert (await town.post(FIND, {"email": "a@letters.example"} | town.solved(3), **TOR)).status_code == 303
        one_hour.next_hour()


async def test_a_mailed_code_works_over_tor_after_a_stranger_has_tried_there(town: Town) -> None:
    victim = "vera@letters.example"
    assert_redirect(await town.post(SIGN, town.form(email=victim) | town.solved(), **TOR), INBOX)
    (row,) = await rows.rows_of(town.site.database, "SELECT id FROM pending")
    code = rows.code(town.letter, SignatureId(row["id"]))
    wrong = f"{(int(code) + 1) % 10**6:06}"
    statuses = {(await town.post(CODE, {"email": victim, "code": wrong}, **TOR)).status_code for _ in range(160)}
    assert statuses == {422}
    again = {"email": victim, "mailed_code": code} | town.solved()
    assert_redirect(await town.post(CODE, again, **TOR), SIGNED)


async def test_strangers_neither_silence_a_mailbox_nor_spend_its_codes(town: Town) -> None:
    victim = "vera@letters.example"
    for network in range(40):
        stranger = {"x-forwarded-for": f"203.0.113.{network}"}
        answer = await town.post(SIGN, town.form(email=victim, name="Not Vera") | town.solved(), **stranger)
        assert_redirect(answer, INBOX)
    known = rows.digest_of(town.letter, victim)
    mails = [
        row for row in await rows.rows_of(town.site.database, "SELECT digest FROM outbox") if row["digest"] == known
    ]
    assert len(mails) == 20  # no more can be caused in a day
    # Twenty is the most, so the owner's own form has no mail; the link of any of them leads to it.
    own = town.form(email=victim, name="Vera Own") | town.solved()
    assert_redirect(await town.post(SIGN, own), INBOX)
    (first, *_) = await rows.rows_of(town.site.database, "SELECT pending FROM outbox ORDER BY id")
    page = await town.site.client.get(f"/en/confirm/{rows.token(town.letter, SignatureId(first['pending']))}")
    link = page.text.partition("Vera Own")[0].rpartition('href="')[2].partition('"')[0]
    assert_redirect(await town.post(link, {}), SIGNED)
    (signed,) = await rows.rows_of(town.site.database, "SELECT name FROM signature")
    assert signed["name"] == "Vera Own"


async def test_known_and_unknown_mailboxes_get_the_same_answers_far_over_their_limits(town: Town) -> None:
    await town.sign_honestly(email="known@letters.example")
    here = {"x-forwarded-for": "192.0.2.7"}
    for path in (SIGN, FIND):
        seen = []
        for email in ("known@letters.example", "unknown@letters.example"):
            form = town.form(email=email) if path == SIGN else {"email": email}
            answers = [await town.post(path, form | town.solved(), **here) for _ in range(8)]
            seen.append([(answer.status_code, answer.text, answer.headers.get("location")) for answer in answers])
        assert seen[0] == seen[1]


async def test_without_a_captcha_a_flood_of_one_network_refuses_that_network_only(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with installation(database_url, tmp_path, CAPTCHA="off", LIMIT_NETWORK="3", LIMIT_LETTER="5") as site:
        async with site.database.connection() as conn:
            town = Town(site, await rows.letter(conn))
        here = {"x-forwarded-for": "192.0.2.1"}
        statuses = [(await town.post(SIGN, town.form(), **here)).status_code for _ in range(60)]
        assert statuses == [303] * statuses.count(303) + [429] * statuses.count(429)
        assert 15 <= statuses.count(303) <= 45
        assert_redirect(await town.post(SIGN, town.form()), INBOX)
