"""The page of the relays, and the line on Today."""

import pytest

from petition.core.relay_report import MAX_TESTS
from petition.incoming_mail.reports import NO_TOKEN, OLD_TOKEN, ReportKind
from petition.web.desk.relays_page import BOUNCES
from tests.mail.waiting import until
from tests.organizers import people
from tests.rows import rows_of
from tests.running import SLUG, Installation

HERE = "/organizer/installation/relays"
ADMIN = "admin@letters.example"


async def note_relay(site: Installation, **columns: str) -> None:
    """Note a relay as a worker would; ``columns`` are SQL."""
    values = {"name": "'mail.example:465'", "position": "0"} | columns
    async with site.database.connection() as conn:
        await conn.execute(f"INSERT INTO relay ({', '.join(values)}) VALUES ({', '.join(values.values())})")


async def test_the_page_says_how_relays_are_doing(site: Installation) -> None:
    await note_relay(
        site,
        accepted_at="now() - interval '1 hour'",
        connected_at="now()",
        tls="'TLSv1.3'",
        tls_verified="true",
        trouble="'rejected_filter'",
        trouble_step="'DATA'",
        trouble_code="554",
        trouble_status="'5.7.1'",
        trouble_at="now() - interval '1 minute'",
    )
    async with site.database.connection() as conn:
        await conn.execute(
            "INSERT INTO relay_hour (relay, hour, outcome, reason, mails) VALUES"
            " ('mail.example:465', date_trunc('hour', now()), 'accepted', '', 1200),"
            " ('mail.example:465', date_trunc('hour', now()), 'deferred', 'filter', 34),"
            " ('mail.example:465', now() - interval '25 hours', 'accepted', '', 9000)"
        )
    async with people.at_desk(site, "owner", admin=True) as client:
        page = (await client.get(HERE)).text
        for words in ("mail.example:465", "takes no mail", "TLSv1.3", "certificate verified", "1,200", "34"):
            assert words in page, words
        for words in ("its filter or policy refuses the mail", "DATA 554 5.7.1", "No mail waits."):
            assert words in page, words
        assert "10,200" not in page
        assert "1 relay is in trouble" in (await client.get(f"/organizer/{SLUG}/")).text
        async with site.database.connection() as conn:
            await conn.execute("UPDATE relay SET accepted_at = now()")
            await conn.execute("INSERT INTO outbox (purpose, digest, sealed, lang) VALUES ('waiting', '', '', 'en')")
        page = (await client.get(HERE)).text
        assert "works" in page
        assert "1 mail waits; the oldest since" in page
        assert "in trouble" not in (await client.get(f"/organizer/{SLUG}/")).text


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"failures": "2", "trouble": "'silent'", "trouble_at": "now()"}, "paused"),
        ({"seen_at": "now() - interval '2 minutes'"}, "not in use"),
        ({}, "not used yet"),
        ({"connected_at": "now()", "tls": "''"}, "works"),
        ({"connected_at": "now()", "tls": "'TLSv1.3'", "tls_until": "'2020-02-03'"}, "certificate ends on 3 Feb"),
    ],
)
async def test_states_have_words(site: Installation, columns: dict[str, str], words: str) -> None:
    await note_relay(site, **columns)
    async with people.at_desk(site, admin=True, email=ADMIN) as client:
        assert words in (await client.get(HERE)).text


async def test_it_is_for_admins(site: Installation) -> None:
    await note_relay(site)
    async with people.at_desk(site, "owner") as client, people.stranger(site) as stranger:
        assert (await client.get(HERE)).status_code == 403
        assert (await client.post(HERE, data={"relay": "mail.example:465"})).status_code == 403
        assert (await stranger.get(HERE)).status_code == 303
    assert await rows_of(site.database, "SELECT FROM relay_test") == []


async def test_a_colleague_who_is_no_admin_sees_the_line_without_a_link(site: Installation) -> None:
    await note_relay(site, failures="1", trouble="'silent'", trouble_at="now()")
    async with people.at_desk(site, "viewer") as client:
        page = (await client.get(f"/organizer/{SLUG}/")).text
        assert "1 relay is in trouble: mail may arrive late" in page
        assert HERE not in page


async def test_a_test_mail_comes_to_oneself_through_that_relay(site_with_worker: Installation) -> None:
    site = site_with_worker
    async with people.at_desk(site, admin=True, email=ADMIN, lang="ru") as client:

        async def is_noted() -> bool:
            return bool(await rows_of(site.database, "SELECT FROM relay"))

        await until(is_noted)
        (row,) = await rows_of(site.database, "SELECT name FROM relay")
        answer = await client.post(HERE, data={"relay": row["name"]})
        assert answer.headers["location"] == f"{HERE}#tested"
        mail = await site.mail_to(ADMIN)
        assert mail.subject == f"Пробное письмо через {row['name']}"
        assert HERE in (mail.body("plain") or "")

        async def is_accepted() -> bool:
            return "принято" in (await client.get(HERE)).text

        await until(is_accepted)
        (test,) = await rows_of(site.database, "SELECT * FROM relay_test")
        assert (test["trouble"], test["code"]) == (None, 0)

        async def is_known() -> bool:
            return bool((await rows_of(site.database, "SELECT tls FROM relay"))[0]["tls"] == "")

        await until(is_known)
    (act,) = await rows_of(site.database, "SELECT act, after FROM log WHERE act = 'relay.test'")
    assert act["after"] == row["name"]


async def test_too_many_test_mails_and_unknown_relays_are_refused(site: Installation) -> None:
    await note_relay(site)
    async with people.at_desk(site, admin=True, email=ADMIN) as client:
        assert (await client.post(HERE, data={"relay": "other.example:25"})).status_code == 422
        for _ in range(MAX_TESTS):
            assert (await client.post(HERE, data={"relay": "mail.example:465"})).status_code == 303
        page = await client.get(HERE)
        assert "on its way…" in page.text
        assert 'http-equiv="refresh"' in page.text
        assert (await client.post(HERE, data={"relay": "mail.example:465"})).status_code == 422
        async with site.database.connection() as conn:
            await conn.execute("UPDATE relay_test SET asked_at = asked_at - interval '11 minutes'")
        assert "no worker sent it" in (await client.get(HERE)).text


async def test_returned_mail_is_counted_by_kind(site: Installation) -> None:
    async with people.at_desk(site, admin=True, email=ADMIN) as client:
        assert "Returned mail" not in (await client.get(HERE)).text  # nothing reads it, nothing came
        async with site.database.connection() as conn:
            await conn.execute(
                "INSERT INTO incoming_mail_count (day, kind, number) VALUES (current_date, 'hard', 3),"
                " (current_date - 2, 'hard', 1000), (current_date - 9, 'hard', 5), (current_date, 'complaint', 2)"
            )
        page = (await client.get(HERE)).text
        assert "Returned mail, 7 days" in page
        assert '<dt>mailbox does not exist</dt><dd class="num">1,003</dd>' in page
        assert '<dt>complaints of readers</dt><dd class="num">2</dd>' in page


def test_every_kind_of_returned_mail_has_words() -> None:
    assert set(BOUNCES) == {*ReportKind, NO_TOKEN, OLD_TOKEN}
