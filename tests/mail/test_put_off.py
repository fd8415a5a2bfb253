"""Mail that no relay takes at once: put off, tried again, handed to another relay, given up, refused for good."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from petition.core.encryption import Sealer
from petition.core.relay_urls import parse_relay
from petition.mail import queries
from petition.mail.model import pause
from tests.mail.installation import Installation
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until
from tests.mail.working import NEMO, tried, working


async def test_while_smtp_is_down_mail_waits_and_then_goes_out_once(
    installation: Installation, post: PostOffice
) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    await post.close()
    async with working(installation.settings):
        await tried(installation, 1)
        (job,) = await installation.outbox()
        assert job["due_at"] > job["created_at"]
        assert job["lease"] is None
        await post.open()
        await installation.hurry()
        await until(installation.is_idle)
    assert post.recipients == [NEMO]


def test_pauses_grow_up_to_two_hours() -> None:
    seconds = [int(pause(attempts).total_seconds()) for attempts in range(1, 10)]
    assert seconds == [10, 30, 120, 600, 1800, 3600, 7200, 7200, 7200]


async def test_a_mail_is_given_up_when_the_next_attempt_would_come_too_late(
    installation: Installation, post: PostOffice, logged: Callable[[], str]
) -> None:
    letter = await installation.letter()
    for address in (NEMO, "ned@example.org"):
        await installation.sign_up(letter, address)
    age = "UPDATE outbox SET attempts = 25, created_at = now() - interval '7 days' + $1::interval WHERE id = $2"
    for job, left in zip(await installation.outbox(), (timedelta(hours=1), timedelta(hours=3)), strict=True):
        await installation.conn.execute(age, left, job["id"])
    post.at["MAIL"] = "451 later"
    async with working(installation.settings):

        async def is_decided() -> bool:
            jobs = await installation.outbox()
            return len(jobs) == 1 and jobs[0]["attempts"] == 26

        await until(is_decided)
    assert await installation.refused() == [(letter.id, 0)]
    assert "mail given up" in logged()
    assert not post.mails


@pytest.mark.parametrize(("step", "answer"), [("RCPT", "451 4.7.1 try later"), ("DATA", "554 5.7.1 spam")])
async def test_mail_put_off_waits_and_is_summed_up_in_the_log(
    installation: Installation, post: PostOffice, logged: Callable[[], str], step: str, answer: str
) -> None:
    letter = await installation.letter()
    for i in range(12):
        await installation.sign_up(letter, f"nemo{i}@example.org")
    post.at[step] = answer
    async with working(installation.settings):

        async def is_tried() -> bool:
            return all(job["attempts"] for job in await installation.outbox())

        await until(is_tried)
        lines = [json.loads(line) for line in logged().splitlines()]
        assert not await installation.refused()
        post.at.clear()
        await installation.hurry()
        await until(installation.is_idle)
    (rejected,) = [line for line in lines if line["message"] == "a relay did not take mail"]
    code, status = answer.split()[:2]
    assert (rejected["level"], rejected["step"], rejected["code"]) == ("warning", step, int(code))
    assert (rejected["status"], rejected["count"]) == (status, 1)
    assert len([line for line in lines if line["message"].startswith("mail put off")]) == 1
    assert len(post.mails) == 12


async def test_a_paused_relay_is_named_with_its_trouble(
    installation: Installation, post: PostOffice, logged: Callable[[], str]
) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    await post.close()
    async with working(installation.settings):
        await tried(installation, 1)
    assert '"trouble": "it refuses connections"' in logged()


async def test_a_refusal_for_good_is_recorded_and_never_retried(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    await installation.sign_up(letter, "ned@example.org")
    post.refused_recipients[NEMO] = "550 5.1.1 <nemo@example.org> unknown"
    async with working(installation.settings):
        await until(installation.is_idle)
    assert await installation.refused() == [(letter.id, 550)]
    assert post.recipients == ["ned@example.org"]


async def test_what_is_no_address_is_refused_here(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    await installation.find(letter, NEMO)
    sealed = Sealer(installation.settings.contact_public_key).seal("nemo@example.org\r\nRCPT TO:<all@example.org>")
    await installation.conn.execute("UPDATE outbox SET sealed = $1", sealed)
    async with working(installation.settings):
        await until(installation.is_idle)
    assert await installation.refused() == [(letter.id, 553)]
    assert not post.mails


async def test_an_unknown_sender_costs_nobody_their_mail(installation: Installation, post: PostOffice) -> None:
    await installation.sign_up(await installation.letter(), NEMO)
    post.at["MAIL"] = "550 sender unknown"
    async with working(installation.settings):
        await tried(installation, 1)
    assert not await installation.refused()


async def test_the_second_relay_is_used_when_the_first_is_dead(installation: Installation, post: PostOffice) -> None:
    letter = await installation.letter()
    for i in range(20):
        await installation.sign_up(letter, f"nemo{i}@example.org")
    its = replace(installation.settings, relays=(parse_relay("smtp://127.0.0.1:1"), parse_relay(post.url)))
    async with working(its):
        await until(installation.is_idle)
    assert len(post.mails) == 20


async def test_what_the_first_relay_says_after_data_goes_to_the_second(
    installation: Installation, post: PostOffice, logged: Callable[[], str]
) -> None:
    letter = await installation.letter()
    for i in range(20):
        await installation.sign_up(letter, f"nemo{i}@example.org")
    first = PostOffice(at={"DATA": "554 5.7.1 [2] Message rejected under suspicion of SPAM"})
    await first.open()
    its = replace(installation.settings, relays=(parse_relay(first.url), parse_relay(post.url)))
    async with working(its):
        await until(installation.is_idle)
    await first.close()
    assert (len(first.mails), len(post.mails)) == (0, 20)
    assert not await installation.refused()
    assert "a relay did not take mail" in logged()


async def test_a_mail_that_failed_goes_behind_the_others(installation: Installation) -> None:
    letter = await installation.letter()
    for address in (NEMO, "ned@example.org", "nell@example.org"):
        await installation.sign_up(letter, address)
    await installation.conn.execute("UPDATE outbox SET attempts = 3 WHERE id = (SELECT min(id) FROM outbox)")
    jobs = await queries.lease(installation.conn, 10, 1, timedelta(minutes=5))
    assert [job.attempts for job in jobs] == [0, 0, 3]
