"""Limits: a harder challenge in the next hour, a refusal much later, and a mailbox's limit without a message."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from petition.captcha.drawn import DrawnCodes
from petition.captcha.pow import ProofOfWork
from petition.core import prices
from petition.core.client_networks import of_client
from petition.core.encryption import Wrapper
from petition.core.ids import LetterId, SignatureId
from petition.core.limits import Limits
from petition.core.prices import MAX_PRICE, buckets_of
from petition.core.quotas import DayKeys
from tests import rows
from tests.captcha.installation import CHEAP, solve
from tests.fixtures import HourClock
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
        self,
        network: str,
        *,
        hard: bool = False,
        price: int = 0,
        answer: dict[str, str] | None = None,
        email: str | None = None,
        name: str = "Vera Novak",
        **headers: str,
    ) -> httpx2.Response:
        """Sign, with a new address unless ``email`` is one."""
        self._number += 1
        price = price or int(hard)
        form = {
            "version": self._version,
            "name": name,
            "email": email or f"voice{self._number}@letters.example",
            "visibility": "public",
            "consent": "yes",
            **(answer or {"altcha": solve(self._pow.challenge(self._letter, price=price))}),
        }
        return await self._site.client.post(SIGN, data=form, headers={"x-forwarded-for": network, **headers})

    async def find(self, network: str, email: str) -> httpx2.Response:
        """Ask for a lost link."""
        form = {"email": email, "altcha": solve(self._pow.challenge(self._letter))}
        return await self._site.client.post(FIND, data=form, headers={"x-forwarded-for": network})


def test_thirty_sign_up_from_one_network_before_it_gets_harder() -> None:
    assert Limits().network == 30


async def price_at(site: Installation, network: str, **headers: str) -> int:
    """Return the price that a script is asked for."""
    sent = {"x-forwarded-for": network, **headers}
    answer = await site.client.get(f"/captcha/challenge?letter={SLUG}", headers=sent)
    price: int = answer.json()["parameters"]["data"]["price"]
    return price


@pytest.fixture
async def three(database_url: str, tmp_path: Path, with_letter: None) -> AsyncIterator[Installation]:
    """Give a site where it gets harder after two to five."""
    async with installation(database_url, tmp_path, LIMIT_NETWORK="3") as site:
        yield site


async def test_over_the_limit_the_next_hour_is_harder_for_this_network(
    three: Installation, one_hour: HourClock
) -> None:
    site = three
    visitors = await Visitors.of(site)
    for _ in range(6):
        assert_redirect(await visitors.sign("192.0.2.1"), INBOX)
    assert await price_at(site, "192.0.2.1") == 0  # nothing changes within the hour
    one_hour.next_hour()
    for _ in range(2):
        page = await visitors.sign("192.0.2.1")
        check_page(page, 422)
        assert "Many forms are coming in" in page.text
        assert form_in(page, SIGN)["email"].startswith("voice")
    assert await price_at(site, "192.0.2.1") == 1
    assert_redirect(await visitors.sign("192.0.2.1", hard=True), INBOX)
    assert_redirect(await visitors.sign("192.0.2.2"), INBOX)  # the neighbour is not concerned
    (stored,) = await rows.rows_of(site.database, "SELECT count(*) AS rows FROM pending")
    assert stored["rows"] == 8
    one_hour.next_hour()
    assert await price_at(site, "192.0.2.1") == 0


async def test_a_network_far_over_its_limit_is_refused_and_what_is_refused_counts_nowhere(
    three: Installation, one_hour: HourClock
) -> None:
    site = three
    visitors = await Visitors.of(site)
    answers = await asyncio.gather(*(visitors.sign("192.0.2.1") for _ in range(60)))
    stored = sum(answer.status_code == 303 for answer in answers)
    assert 15 <= stored <= 45  # half to one and a half times thirty
    refused = await visitors.sign("192.0.2.1", hard=True)
    check_page(refused, 429)
    assert int(refused.headers["retry-after"]) == 3600
    assert "from your network" in refused.text
    assert_redirect(await visitors.sign("192.0.2.2"), INBOX)
    uses = await rows.rows_of(site.database, "SELECT used FROM limit_use ORDER BY used DESC LIMIT 2")
    assert [row["used"] for row in uses] == [stored + 1, stored]  # the letter's, the network's
    (challenges,) = await rows.rows_of(site.database, "SELECT count(*) AS used FROM used_challenge")
    assert challenges["used"] == stored + 1


async def test_looking_for_a_link_counts_as_well(three: Installation, one_hour: HourClock) -> None:
    visitors = await Visitors.of(three)
    for number in range(6):
        assert_redirect(await visitors.find("192.0.2.1", f"a{number}@letters.example"), f"{FIND}?sent=1")
    one_hour.next_hour()
    page = await visitors.find("192.0.2.1", "b@letters.example")
    check_page(page, 422)
    assert form_in(page, FIND)["email"] == "b@letters.example"


async def test_one_network_is_an_ipv4_address_or_an_ipv6_64(three: Installation, one_hour: HourClock) -> None:
    visitors = await Visitors.of(three)
    for number in range(6):
        assert_redirect(await visitors.sign(f"2a00:1450:1:2:{number}::1"), INBOX)
        assert_redirect(await visitors.sign(("8.8.8.8", "::ffff:8.8.8.8")[number % 2]), INBOX)
    one_hour.next_hour()
    assert [await price_at(three, network) for network in ("2a00:1450:1:2:ff::", "8.8.8.8")] == [1, 1]
    assert [await price_at(three, network) for network in ("2a00:1450:2:2::1", "8.8.4.4")] == [0, 0]


async def test_changing_the_64_does_not_help_within_a_48_and_no_neighbour_is_refused(
    three: Installation, one_hour: HourClock
) -> None:
    visitors = await Visitors.of(three)
    for number in range(75):  # over 3 * 16 as it may be drawn, at most two of each /64
        assert_redirect(await visitors.sign(f"2a00:1450:7:{number // 2:x}00::1"), INBOX)
    one_hour.next_hour()
    fresh = "2a00:1450:7:ffff::1"
    assert await price_at(three, fresh) == 1
    check_page(await visitors.sign(fresh), 422)
    assert_redirect(await visitors.sign(fresh, hard=True), INBOX)


async def test_who_is_no_trusted_proxy_speaks_for_nobody(
    database_url: str, tmp_path: Path, with_letter: None, one_hour: HourClock
) -> None:
    async with installation(database_url, tmp_path, LIMIT_NETWORK="3", TRUSTED_PROXIES="10.0.0.0/8") as site:
        visitors = await Visitors.of(site)
        for n in range(6):
            assert_redirect(await visitors.sign(f"192.0.2.{n}"), INBOX)
        one_hour.next_hour()
        assert [await price_at(site, network) for network in ("192.0.2.77", "10.0.0.1")] == [1, 1]


async def test_only_what_the_trusted_proxy_wrote_counts(three: Installation, one_hour: HourClock) -> None:
    visitors = await Visitors.of(three)
    for n in range(6):
        assert_redirect(await visitors.sign(f"203.0.113.{n}, 192.0.2.1"), INBOX)
    one_hour.next_hour()
    assert await price_at(three, "203.0.113.9, 192.0.2.1") == 1
    assert await price_at(three, "203.0.113.9, 192.0.2.1, 127.0.0.3") == 1
    assert await price_at(three, "192.0.2.1, 203.0.113.9") == 0


async def test_the_onion_service_and_a_letter_only_get_harder_by_load(
    database_url: str, tmp_path: Path, with_letter: None, one_hour: HourClock
) -> None:
    limits = {"LIMIT_ONION": "1", "LIMIT_LETTER": "40", "ONION_URL": ONION}
    async with installation(database_url, tmp_path, **limits) as site:
        visitors = await Visitors.of(site)
        host = ONION.removeprefix("http://")
        for _ in range(33):  # over sixteen times one or two
            assert_redirect(await visitors.sign("192.0.2.1", host=host), INBOX)
        one_hour.next_hour()
        assert await price_at(site, "192.0.2.1", host=host) == MAX_PRICE
        check_page(await visitors.sign("192.0.2.1", host=host, price=MAX_PRICE - 1), 422)
        assert_redirect(await visitors.sign("192.0.2.1", host=host, price=MAX_PRICE), INBOX)
        # A client of the open net that only writes the name is refused.
        assert (await visitors.sign("8.8.8.8", host=host)).status_code == 421
        assert await price_at(site, "192.0.2.1") == await price_at(site, "8.8.8.8")  # the letter's at most
        for n in range(61):
            assert_redirect(await visitors.sign(f"192.0.2.{n}", price=1), INBOX)
        one_hour.next_hour()
        assert await price_at(site, "8.8.8.8") == 1
        assert_redirect(await visitors.sign("8.8.8.8", hard=True), INBOX)


async def test_the_hour_before_midnight_sets_the_price_of_the_first(three: Installation, one_hour: HourClock) -> None:
    one_hour.now = one_hour.now.replace(hour=23)
    visitors = await Visitors.of(three)
    for _ in range(6):
        assert_redirect(await visitors.sign("192.0.2.1"), INBOX)
    one_hour.next_hour()
    assert await price_at(three, "192.0.2.1") == 1
    # A process that was started after midnight knows it, too.
    keys = DayKeys(three.database, Wrapper([KEY]))
    hours = await keys.hours()
    buckets = buckets_of(of_client("192.0.2.1", (), ()), LetterId(1), Limits(network=3), hours)
    async with three.database.connection() as conn:
        assert await prices.current(conn, buckets) == 1


async def test_a_network_has_five_mails_a_day_for_a_mailbox_and_nobody_is_told(site: Installation) -> None:
    visitors = await Visitors.of(site)
    spellings = ["v.era@gmail.com", "vera@gmail.com", "VERA+letters@googlemail.com"]
    for n in range(6):
        assert_redirect(await visitors.sign("192.0.2.1", email=spellings[n % 3]), INBOX)
    assert_redirect(await visitors.find("192.0.2.1", "vera@gmail.com"), f"{FIND}?sent=1")
    before = await visitors.sign("192.0.2.1", email="other@letters.example")
    after = await visitors.sign("192.0.2.1", email="ve.ra@gmail.com")
    assert (after.status_code, visible(after)) == (before.status_code, visible(before))
    async with site.database.connection() as conn:
        hers = rows.digest_of(await rows.letter(conn), "vera@gmail.com")
    assert await mails_of(site, hers) == 5
    # Another network is not silenced by it: each of the owner's own ways brings a mail.
    assert_redirect(await visitors.sign("192.0.2.2", email="vera@gmail.com"), INBOX)
    assert_redirect(await visitors.find("192.0.2.3", "vera@gmail.com"), f"{FIND}?sent=1")
    assert await mails_of(site, hers) == 7
    for n in range(40):
        assert_redirect(await visitors.sign(f"192.0.2.{10 + n}", email="vera@gmail.com"), INBOX)
    assert await mails_of(site, hers) == 20  # the most that strangers can cause in a day
    pending = await rows.rows_of(site.database, "SELECT digest FROM pending")
    assert sum(row["digest"] == hers for row in pending) == 6 + 1 + 1 + 40


async def mails_of(site: Installation, digest: bytes) -> int:
    """Return how many mails wait for a mailbox."""
    jobs = await rows.rows_of(site.database, "SELECT digest FROM outbox")
    return sum(job["digest"] == digest for job in jobs)


async def test_any_link_of_a_mailbox_leads_to_its_latest_form(site: Installation) -> None:
    visitors = await Visitors.of(site)
    for n in range(25):
        assert_redirect(await visitors.sign(f"192.0.2.{n}", email="vera@gmail.com", name="Not Vera"), INBOX)
    assert_redirect(await visitors.sign("192.0.2.99", email="vera@gmail.com", name="Vera Own"), INBOX)
    async with site.database.connection() as conn:
        letter = await rows.letter(conn)
    mailed = await rows.rows_of(site.database, "SELECT pending FROM outbox ORDER BY id LIMIT 1")
    page = await site.client.get(f"/en/confirm/{rows.token(letter, SignatureId(mailed[0]['pending']))}")
    check_page(page, 200)
    assert "Vera Own" in page.text
    (link,) = re.findall(r'href="(/en/confirm/[^"]+)">[^<]*</a>, <bdi>Vera Own', page.text)
    assert_redirect(await site.client.post(link), f"/en/{SLUG}/signed")


def visible(answer: httpx2.Response) -> tuple[dict[str, str], str]:
    """Return all that a visitor sees but the time."""
    return {key: value for key, value in answer.headers.items() if key != "date"}, answer.text


async def test_a_drawn_code_has_three_tries_and_a_network_some_answers(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with installation(database_url, tmp_path, LIMIT_DRAWN="10") as site:
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
        statuses = [(await visitors.sign("192.0.2.1", answer=answer("abc de"))).status_code for _ in range(12)]
        assert statuses == [303] * statuses.count(303) + [429] * statuses.count(429)
        assert 1 <= statuses.count(303) <= 11  # of five to fifteen answers, four are spent
        refused = await visitors.sign("192.0.2.1", answer=answer("ABCDE"))
        check_page(refused, 429)
        assert "retry-after" in refused.headers
        # The sum is not concerned, nor is another network.
        assert_redirect(await visitors.sign("192.0.2.1"), INBOX)
        assert_redirect(await visitors.sign("192.0.2.2", answer=answer("ABCDE")), INBOX)


async def test_where_tor_may_be_asking_drawn_codes_have_no_limit_of_a_network(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with installation(database_url, tmp_path, LIMIT_DRAWN="1", ONION_URL=ONION) as site:
        visitors = await Visitors.of(site)
        async with site.database.connection() as conn:
            letter = (await rows.letter(conn)).id
        # All of the Onion service is one bucket; and an address may be one that a visitor over Tor made up.
        for host in (ONION.removeprefix("http://"), f"localhost:{site.settings.port}"):
            for _ in range(5):
                answer = {"drawn": DrawnCodes([KEY]).token("ABCDE", letter, hard=False), "code": "ABCDE"}
                assert_redirect(await visitors.sign("192.0.2.3", answer=answer, host=host), INBOX)


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
    assert len(digests) == 5  # network, letter; the mailbox by network, in all, and on this letter
    assert {len(each) for each in digests} == {16}
