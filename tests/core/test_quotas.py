"""Limits: a dearer challenge first, a refusal much later, and a mailbox's limit that nobody is told of."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from petition.captcha.drawn import DrawnCodes
from petition.captcha.pow import ProofOfWork
from petition.core.ids import LetterId
from petition.core.settings import Limits
from tests import rows
from tests.captcha.installation import CHEAP, solve
from tests.pages import assert_redirect, check_page, form_in
from tests.running import KEY, SLUG, Installation, installation

pytestmark = pytest.mark.usefixtures("one_hour")

SIGN, FIND = f"/en/{SLUG}/sign", f"/en/{SLUG}/find"
INBOX = f"/en/{SLUG}/check-your-inbox"
ONION = "http://letters7example.onion"


class Visitors:
    """Signs for many from networks of the test's choice."""

    def __init__(self, site: Installation, version: str, letter_id: LetterId) -> None:
        self._site, self._letter = site, letter_id
        self._pow = ProofOfWork([KEY], price=CHEAP)
        self._number = 0
        self._version = version

    @classmethod
    async def of(cls, site: Installation) -> "Visitors":
        """Return the visitors of a site."""
        async with site.database.connection() as conn:
            letter = await rows.letter(conn)
        return cls(site, letter.version.digest, letter.id)

    async def sign(
        self, network: str, *, hard: bool = False, answer: dict[str, str] | None = None, **headers: str
    ) -> httpx2.Response:
        """Sign with a new address."""
        self._number += 1
        form = {
            "version": self._version,
            "name": "Vera Novak",
            "email": f"voice{self._number}@letters.example",
            "visibility": "public",
            "consent": "yes",
            **(answer or {"altcha": solve(self._pow.challenge(self._letter, hard=hard))}),
        }
        return await self._site.client.post(SIGN, data=form, headers={"x-forwarded-for": network, **headers})

    async def find(self, network: str, email: str) -> httpx2.Response:
        """Ask for a lost link."""
        form = {"email": email, "altcha": solve(self._pow.challenge(self._letter, hard=False))}
        return await self._site.client.post(FIND, data=form, headers={"x-forwarded-for": network})


def test_thirty_sign_up_from_one_network_before_it_gets_harder() -> None:
    assert Limits().network == 30


@pytest.fixture
async def three(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Installation]:
    """Give a site where it gets harder after three."""
    async with installation(database_url, tmp_path, LIMIT_NETWORK="3") as site:
        yield site


async def test_one_more_needs_a_dearer_challenge_and_over_ten_times_as_many_are_refused(three: Installation) -> None:
    site = three
    visitors = await Visitors.of(site)
    for _ in range(3):
        assert_redirect(await visitors.sign("192.0.2.1"), INBOX)
    page = await visitors.sign("192.0.2.1")
    check_page(page, 422)
    assert "Many requests are coming from your network" in page.text
    assert form_in(page, SIGN)["email"] == "voice4@letters.example"
    # The script is given a dearer one at once, a picture has more letters, and both let in.
    fetched = await site.client.get(f"/captcha/challenge?letter={SLUG}", headers={"x-forwarded-for": "192.0.2.1"})
    assert fetched.json()["parameters"]["data"]["dear"] is True
    assert_redirect(await visitors.sign("192.0.2.1", hard=True), INBOX)
    assert_redirect(await visitors.sign("192.0.2.2"), INBOX)  # the neighbour is not concerned
    await asyncio.gather(*(visitors.sign("192.0.2.1") for _ in range(24)))
    assert_redirect(await visitors.sign("192.0.2.1", hard=True), INBOX)  # the 30th
    refused = await visitors.sign("192.0.2.1", hard=True)
    check_page(refused, 429)
    assert int(refused.headers["retry-after"]) == 3600
    (stored,) = await rows.rows_of(site.database, "SELECT count(*) AS rows FROM pending")
    assert stored["rows"] == 6


async def test_looking_for_a_link_counts_as_well(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_NETWORK="2") as site:
        visitors = await Visitors.of(site)
        assert_redirect(await visitors.find("192.0.2.1", "a@letters.example"), f"{FIND}?sent=1")
        assert_redirect(await visitors.sign("192.0.2.1"), INBOX)
        page = await visitors.find("192.0.2.1", "b@letters.example")
        check_page(page, 422)
        assert form_in(page, FIND)["email"] == "b@letters.example"


async def test_one_network_is_an_ipv4_address_or_an_ipv6_64(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_NETWORK="2") as site:
        visitors = await Visitors.of(site)
        networks = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::7", "2001:db8:1:3::1", "192.0.2.1", "192.0.2.2"]
        for network in networks:
            assert_redirect(await visitors.sign(network), INBOX)
        check_page(await visitors.sign("2001:db8:1:2:abcd::"), 422)
        assert_redirect(await visitors.sign("2001:db8:1:3::9"), INBOX)
        assert_redirect(await visitors.sign("::ffff:192.0.2.1"), INBOX)  # the same as 192.0.2.1
        check_page(await visitors.sign("192.0.2.1"), 422)


async def test_who_is_no_trusted_proxy_speaks_for_nobody(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_NETWORK="2", TRUSTED_PROXIES="10.0.0.0/8") as site:
        visitors = await Visitors.of(site)
        for n in range(2):
            assert_redirect(await visitors.sign(f"192.0.2.{n}"), INBOX)
        check_page(await visitors.sign("192.0.2.77"), 422)
        check_page(await visitors.sign("10.0.0.1"), 422)


async def test_only_what_the_trusted_proxy_wrote_counts(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_NETWORK="2") as site:
        visitors = await Visitors.of(site)
        for n in range(2):
            assert_redirect(await visitors.sign(f"203.0.113.{n}, 192.0.2.1"), INBOX)
        check_page(await visitors.sign("203.0.113.9, 192.0.2.1"), 422)
        check_page(await visitors.sign("203.0.113.9, 192.0.2.1, 127.0.0.3"), 422)
        assert_redirect(await visitors.sign("192.0.2.1, 203.0.113.9"), INBOX)


async def test_onion_traffic_has_a_bucket_of_its_own(database_url: str, tmp_path: Path) -> None:
    limits = {"LIMIT_NETWORK": "1", "LIMIT_ONION": "3", "ONION_URL": ONION}
    async with installation(database_url, tmp_path, **limits) as site:
        visitors = await Visitors.of(site)
        host = ONION.removeprefix("http://")
        for n in range(3):
            assert_redirect(await visitors.sign(f"192.0.2.{n}", host=host), INBOX)
        check_page(await visitors.sign("192.0.2.9", host=host), 422)
        # Who only writes the name into a request from the open net is refused.
        assert (await visitors.sign("8.8.8.8", host=host)).status_code == 421
        assert_redirect(await visitors.sign("192.0.2.1"), INBOX)
        check_page(await visitors.sign("192.0.2.1"), 422)


async def test_a_letter_has_a_limit_too(database_url: str, tmp_path: Path) -> None:
    async with installation(database_url, tmp_path, LIMIT_LETTER="2") as site:
        visitors = await Visitors.of(site)
        for n in range(2):
            assert_redirect(await visitors.sign(f"192.0.2.{n}"), INBOX)
        check_page(await visitors.sign("192.0.2.3"), 422)
        assert_redirect(await visitors.sign("192.0.2.4", hard=True), INBOX)


async def test_the_sixth_mail_of_a_day_is_not_sent_and_nobody_is_told(site: Installation) -> None:
    visitors = await Visitors.of(site)
    spellings = ["v.era@gmail.com", "vera@gmail.com", "VERA+letters@googlemail.com"]
    for n in range(3):
        assert_redirect(await site.sign(email=spellings[n]), INBOX)
    for n in range(2):
        assert_redirect(await visitors.find(f"192.0.2.{n}", "vera@gmail.com"), f"{FIND}?sent=1")
    before = await site.sign(email="other@letters.example")
    after = await site.sign(email="ve.ra@gmail.com")
    assert (after.status_code, visible(after)) == (before.status_code, visible(before))
    assert_redirect(await visitors.find("192.0.2.7", "vera@gmail.com"), f"{FIND}?sent=1")
    jobs = await rows.rows_of(site.database, "SELECT digest, purpose FROM outbox")
    async with site.database.connection() as conn:
        hers = rows.digest_of(await rows.letter(conn), "vera@gmail.com")
    assert sorted(job["purpose"] for job in jobs if job["digest"] == hers) == ["find", "find", "sign", "sign", "sign"]
    pending = await rows.rows_of(site.database, "SELECT digest FROM pending")
    assert sum(row["digest"] == hers for row in pending) == 3


def visible(answer: httpx2.Response) -> tuple[dict[str, str], str]:
    """Return all that a visitor sees but the time."""
    return {key: value for key, value in answer.headers.items() if key != "date"}, answer.text


async def test_a_drawn_code_has_three_tries_and_a_network_ten_answers(site: Installation) -> None:
    visitors = await Visitors.of(site)
    drawn = DrawnCodes([KEY])
    async with site.database.connection() as conn:
        letter = (await rows.letter(conn)).id

    def answer(code: str, token: str | None = None) -> dict[str, str]:
        return {"drawn": token or drawn.token("ABCDE", letter, hard=False), "code": code}

    token = drawn.token("ABCDE", letter, hard=False)
    for _ in range(3):
        check_page(await visitors.sign("192.0.2.1", answer=answer("WRONG", token)), 422)
    check_page(await visitors.sign("192.0.2.1", answer=answer("ABCDE", token)), 422)  # right, but too late
    assert not await rows.rows_of(site.database, "SELECT id FROM pending")
    for _ in range(6):
        assert_redirect(await visitors.sign("192.0.2.1", answer=answer("abc de")), INBOX)
    refused = await visitors.sign("192.0.2.1", answer=answer("ABCDE"))
    check_page(refused, 429)
    assert "retry-after" in refused.headers
    # The sum is not concerned, nor is another network.
    assert_redirect(await visitors.sign("192.0.2.1"), INBOX)
    assert_redirect(await visitors.sign("192.0.2.2", answer=answer("ABCDE")), INBOX)


async def test_a_drawn_code_is_used_up_by_the_signature(site: Installation) -> None:
    visitors = await Visitors.of(site)
    async with site.database.connection() as conn:
        letter = (await rows.letter(conn)).id
    once = {"drawn": DrawnCodes([KEY]).token("ABCDE", letter, hard=False), "code": "ABCDE"}
    assert_redirect(await visitors.sign("192.0.2.1", answer=once), INBOX)
    check_page(await visitors.sign("192.0.2.2", answer=once), 422)


async def test_nothing_that_is_kept_says_which_network_or_mailbox_it_was(site: Installation) -> None:
    visitors = await Visitors.of(site)
    assert_redirect(await visitors.sign("192.0.2.123"), INBOX)
    stored = str(await rows.rows_of(site.database, "SELECT * FROM limit_use"))
    assert "192.0.2" not in stored
    assert "voice" not in stored
    digests = {row["key"] for row in await rows.rows_of(site.database, "SELECT key FROM limit_use")}
    assert len(digests) == 3  # network, letter, mailbox
    assert {len(each) for each in digests} == {16}
