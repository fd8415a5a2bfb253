"""From a mail that went out to what follows when it comes back."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from petition.core.database import opened
from petition.core.email_addresses import canonical
from petition.core.encryption import Sealer
from petition.core.ids import LetterId, SignatureId
from petition.incoming_mail import bounces
from petition.incoming_mail.bounces import BounceReceiver
from petition.incoming_mail.model import Outcome
from petition.mail.return_path import MailboxMail, MailingMail, ReturnPaths
from tests.incoming_mail.test_reports import shape
from tests.mail.installation import SECRET_KEY, Installation, Letter
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until
from tests.mail.working import working

DOMAIN = "bounces.letters.example"
NEMO, NED = "nemo@example.org", "ned@example.org"
PATHS = ReturnPaths([SECRET_KEY], DOMAIN)
TODAY = datetime.now(UTC).date()


@pytest.fixture
async def receiver(database_url: str) -> AsyncIterator[BounceReceiver]:
    """Give a receiver on this test's database."""
    async with opened(database_url, max_size=2) as database:
        yield BounceReceiver(database, PATHS)


def digest(letter: Letter, address: str) -> bytes:
    return letter.keys.digest(canonical(address, 1))


def token(letter: Letter, address: str) -> str:
    return PATHS.token(MailboxMail(letter.id, digest(letter, address)), TODAY)


async def suppressed(installation: Installation) -> list[tuple[int, bytes, str]]:
    rows = await installation.conn.fetch("SELECT letter, digest, reason FROM bounced_mailbox ORDER BY letter, digest")
    return [(row["letter"], row["digest"], row["reason"]) for row in rows]


async def counted(installation: Installation) -> dict[str, int]:
    rows = await installation.conn.fetch("SELECT kind, number FROM incoming_mail_count")
    return {row["kind"]: row["number"] for row in rows}


async def subscribe(installation: Installation, letter: Letter, address: str) -> SignatureId:
    """Add a confirmed signature whose address is stored for updates."""
    signature_id = await installation.signature(letter, address)
    sealed = Sealer(installation.settings.contact_public_key).seal(address)
    await installation.conn.execute(
        "INSERT INTO contact (letter, signature, purpose, sealed) VALUES ($1, $2, 'updates', $3)",
        letter.id,
        signature_id,
        sealed,
    )
    return signature_id


async def test_a_mailbox_that_does_not_exist_is_suppressed_for_that_letter_only(
    installation: Installation, receiver: BounceReceiver
) -> None:
    letter, _ = await installation.letter(), await installation.letter("another-letter")
    content = shape("hard_postfix", token(letter, NEMO))
    for _ in range(2):  # the same report twice is harmless
        assert await receiver.receive("", f"bounce+{token(letter, NEMO)}@{DOMAIN}", content) is Outcome.DONE
    assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "bounce")]
    assert await counted(installation) == {"hard": 2}


@pytest.mark.parametrize("name", ["soft_full", "soft_expired", "relay_spam", "relay_dmarc", "delayed", "delivered",
                                  "other_feedback_not_spam", "no_report_out_of_office", "no_report_plain_text",
                                  "no_report_loop", "no_report_charsets"])  # fmt: skip
async def test_nothing_else_harms_a_mailbox(installation: Installation, receiver: BounceReceiver, name: str) -> None:
    letter = await installation.letter()
    signature_id = await subscribe(installation, letter, NEMO)
    recipient = f"bounce+{token(letter, NEMO)}@{DOMAIN}"
    assert await receiver.receive("", recipient, shape(name, token(letter, NEMO))) is Outcome.DONE
    assert await suppressed(installation) == []
    assert await installation.conn.fetchval("SELECT signature FROM contact") == signature_id
    (kind,) = await counted(installation)
    assert name.startswith(kind)


async def test_what_the_relay_refused_afterwards_is_told_to_the_operator(
    installation: Installation, receiver: BounceReceiver, logged: Callable[[], str]
) -> None:
    letter = await installation.letter()
    await receiver.receive("", "", shape("relay_spam", token(letter, NEMO)))
    assert "a relay accepted mail that was then refused" in logged()
    assert NEMO not in logged()
    assert token(letter, NEMO) not in logged()


@pytest.mark.parametrize("name", ["complaint_arf", "complaint_headers_only"])
async def test_a_complaint_ends_updates_and_mail_of_that_letter(
    installation: Installation, receiver: BounceReceiver, name: str
) -> None:
    letter, other = await installation.letter(), await installation.letter("another-letter")
    await subscribe(installation, letter, NEMO)
    kept = [await subscribe(installation, letter, NED), await subscribe(installation, other, NEMO)]
    await receiver.receive("", f"complaints@{DOMAIN}", shape(name, token(letter, NEMO)))
    rows = await installation.conn.fetch("SELECT signature FROM contact")
    assert sorted(row["signature"] for row in rows) == sorted(kept)
    assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "complaint")]
    state = await installation.conn.fetchval("SELECT state FROM signature WHERE letter = $1 LIMIT 1", letter.id)
    assert state == "confirmed"  # it counts as before


async def test_forged_unknown_and_old_tokens_are_counted_and_ignored(
    installation: Installation, receiver: BounceReceiver
) -> None:
    letter = await installation.letter()
    mail = MailboxMail(letter.id, digest(letter, NEMO))
    foreign = ReturnPaths(["a secret key of other people, long enough"], DOMAIN).token(mail, TODAY)
    own = token(letter, NEMO)
    forged = ("b" if own[0] == "a" else "a") + own[1:]
    for one in (foreign, forged, "a" * 53, ""):
        assert await receiver.receive("", f"bounce+{one}@{DOMAIN}", shape("hard_exim", one)) is Outcome.DONE
    for days in (-2, 31):
        old = PATHS.token(mail, datetime.now(UTC).date() - timedelta(days=days))
        await receiver.receive("", f"bounce+{old}@{DOMAIN}", shape("hard_exim", old))
    assert await suppressed(installation) == []
    assert await counted(installation) == {"no_token": 4, "old_token": 2}
    recent = PATHS.token(mail, TODAY - timedelta(days=30))
    await receiver.receive("", f"bounce+{recent}@{DOMAIN}", shape("hard_exim", recent))
    assert len(await suppressed(installation)) == 1


async def test_a_mailings_recipient_moves_from_accepted_to_bounced_once(
    installation: Installation, receiver: BounceReceiver
) -> None:
    letter = await installation.letter()
    mailing_id, signature_ids = await mailed(installation, letter, [f"nemo{number}@example.org" for number in range(4)])
    tokens = [PATHS.token(MailingMail(letter.id, mailing_id, one), TODAY) for one in signature_ids]
    for name in ("delayed", "delivered", "complaint_arf"):
        await receiver.receive("", "", shape(name, tokens[3]))
    assert await sums(installation) == (4, 4, 0)
    for name, one in zip(("hard_gmail", "soft_expired", "relay_spam"), tokens, strict=False):
        for _ in range(2):
            await receiver.receive("", "", shape(name, one))
    assert await sums(installation) == (4, 1, 3)
    rows = await suppressed(installation)
    assert sorted(rows) == sorted(
        [
            (letter.id, digest(letter, "nemo0@example.org"), "bounce"),
            (letter.id, digest(letter, "nemo3@example.org"), "complaint"),
        ]
    )


async def mailed(installation: Installation, letter: Letter, addresses: list[str]) -> tuple[int, list[SignatureId]]:
    """Add a mailing that every address has accepted; return its number and the signatures."""
    ids = [await subscribe(installation, letter, address) for address in addresses]
    conn = installation.conn
    news = await conn.fetchval("INSERT INTO news (letter, texts) VALUES ($1, '{}') RETURNING id", letter.id)
    mailing_id: int = await conn.fetchval(
        "INSERT INTO mailing (letter, news, starts_at, started_at, state, texts, taken, recipients, unreached)"
        " VALUES ($1, $2, now(), now(), 'sending', '{}', pg_current_snapshot(), $3, $3) RETURNING id",
        letter.id,
        news,
        len(ids),
    )
    await conn.execute(
        "INSERT INTO mailing_stamp (letter, mailing, signature) SELECT $1, $2, unnest($3::bigint[])",
        letter.id,
        mailing_id,
        ids,
    )
    await conn.execute("UPDATE mailing_stamp SET state = 'accepted'")
    await conn.execute("UPDATE mailing SET walked = true")
    return mailing_id, ids


async def sums(installation: Installation) -> tuple[int, int, int]:
    """Return recipients, accepted, bounced."""
    row = await installation.conn.fetchrow("SELECT recipients, accepted, bounced FROM mailing")
    assert row is not None
    return row["recipients"], row["accepted"], row["bounced"]


async def test_mail_of_the_desk_bounces_without_a_letter(installation: Installation, receiver: BounceReceiver) -> None:
    one = PATHS.token(MailboxMail(None, b"d" * 16), TODAY)
    assert await receiver.receive("", "", shape("hard_exchange", one)) is Outcome.DONE
    gone = PATHS.token(MailboxMail(LetterId(999), b"d" * 16), TODAY)
    assert await receiver.receive("", "", shape("hard_exchange", gone)) is Outcome.DONE
    assert await suppressed(installation) == []


async def test_while_the_database_is_away_the_mail_server_keeps_the_mail() -> None:
    async with opened("postgresql://petition@127.0.0.1:1/petition?plain=1", max_size=1) as database:
        receiver = BounceReceiver(database, PATHS)
        assert await receiver.receive("", "", shape("hard_exim", "x")) is Outcome.LATER


async def test_who_confirms_afterwards_gets_mail_again(
    installation: Installation, receiver: BounceReceiver, database_url: str
) -> None:
    letter = await installation.letter()
    await installation.signature(letter, NEMO)  # before the bounce
    await receiver.receive("", "", shape("hard_exim", token(letter, NEMO)))
    await receiver.receive("", "", shape("hard_exim", token(letter, NED)))
    async with opened(database_url, max_size=1) as database:
        assert await bounces.lift(database) == 0
        await installation.signature(letter, NED)
        assert await bounces.lift(database) == 1
        assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "bounce")]
        await installation.conn.execute("UPDATE letter SET wrapped_digest_key = NULL")
        assert await bounces.lift(database) == 1


async def test_after_a_bounce_only_what_is_asked_for_goes_out_and_that_after_a_pause(
    installation: Installation, receiver: BounceReceiver, post: PostOffice
) -> None:
    letter = await installation.letter()
    await receiver.receive("", "", shape("hard_exim", token(letter, NEMO)))
    await installation.sign_up(letter, NEMO)
    await installation.find(letter, NEMO)
    await installation.sign_up(letter, NED)
    async with working(installation.settings):
        await until(installation.is_idle)
        assert post.recipients == [NED]
        await installation.conn.execute("UPDATE bounced_mailbox SET paused_until = now()")
        await installation.sign_up(letter, NEMO)
        await until(installation.is_idle)
    assert post.recipients == [NED, NEMO]


async def test_a_direct_mail_of_the_letter_heeds_the_bounce_for_good(
    installation: Installation, receiver: BounceReceiver, post: PostOffice
) -> None:
    letter = await installation.letter()
    for address in (NEMO, NED):
        signature_id = await subscribe(installation, letter, address)
        await installation.conn.execute(
            "INSERT INTO outbox (letter, purpose, digest, sealed, lang, details) SELECT letter, 'decision', $3, sealed,"
            " 'en', jsonb_build_object('signature', signature, 'state', 'confirmed')"
            " FROM contact WHERE letter = $1 AND signature = $2",
            letter.id,
            signature_id,
            digest(letter, address),
        )
    # Behind the signature: the worker lifts a bounce for those who confirm afterwards.
    await receiver.receive("", "", shape("hard_exim", token(letter, NEMO)))
    await installation.conn.execute("UPDATE bounced_mailbox SET paused_until = now()")
    async with working(installation.settings):
        await until(installation.is_idle)
    assert post.recipients == [NED]
