"""The whole road of a forger with many domains: form, worker, name server, mailed link, ceiling. Nothing is refused."""

from collections import Counter
from pathlib import Path

from tests.mail.dns_server import answering
from tests.pages import without_ticket
from tests.running import SLUG, Installation, installation, link_in, working

CATCH_ALL = [f"catch-all-{number}.com" for number in range(10)]
RECORDS: dict[tuple[str, str], list[str] | str | None] = {
    **{(domain, "MX"): [f"1 mx.{domain}."] for domain in CATCH_ALL},
    **{(f"mx.{domain}", "A"): ["203.0.113.5"] for domain in CATCH_ALL},  # one machine under ten names
    ("elsewhere.com", "MX"): ["1 mx.elsewhere.com."],
    ("mx.elsewhere.com", "A"): ["203.0.113.99"],
}


async def sign_and_confirm(site: Installation, address: str) -> str:
    """Return where confirming by the mailed link led to."""
    answer = await site.sign(email=address)
    assert answer.status_code == 303
    confirmed = await site.client.post(link_in(await site.mail_to(address)), headers=site.new_network())
    assert confirmed.status_code == 303
    return confirmed.headers["location"]


async def test_many_domains_of_one_mail_host_end_in_the_queue_and_others_count(
    database_url: str, tmp_path: Path, with_letter: None
) -> None:
    async with answering(RECORDS) as server:
        settings = {"MX_RESOLVER": f"127.0.0.1:{server.port}", "LIMIT_MAIL_HOST": "4"}
        async with installation(database_url, tmp_path, **settings) as site, working(site.environ, site.inbox):
            led_to = [await sign_and_confirm(site, f"voice@{domain}") for domain in CATCH_ALL]
            waiting = ["as=waiting" in location for location in led_to]
            # The ceiling is drawn, from 1 to 6; above it all wait, and each is answered like any other.
            assert waiting == sorted(waiting)
            assert 4 <= sum(waiting) <= 9
            for address in ("vera@elsewhere.com", "vera@gmail.com"):
                location = await sign_and_confirm(site, address)
                assert without_ticket(location) == f"/en/{SLUG}/signed"
            async with site.database.connection() as conn:
                states = Counter(row["state"] for row in await conn.fetch("SELECT state FROM signature"))
                held_names = await conn.fetchval("SELECT count(name) FROM signature WHERE state = 'held'")
            assert states == {"held": sum(waiting), "confirmed": 12 - sum(waiting)}
            assert held_names == 0  # not shown
            assert (await site.count())["people"] == 12 - sum(waiting)
            assert "gmail.com" not in server.asked
