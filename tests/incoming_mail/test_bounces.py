"""From a mail that went out to what follows when it comes back."""

import asyncio
import smtplib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from petition.core.database import opened
from petition.core.email_addresses import canonical
from petition.core.encryption import Sealer
from petition.core.errors import SettingsError
from petition.core.ids import LetterId, SignatureId
from petition.core.incoming_mail_settings import MailListener
from petition.incoming_mail import bounces
from petition.incoming_mail.bounces import BounceReceiver
from petition.incoming_mail.listener import MAX_CONNECTIONS, listening
from petition.incoming_mail.model import MAX_MESSAGE, Outcome
from petition.mail.return_path import MailboxMail, MailingMail, ReturnPaths
from tests.commands import ENVIRON
from tests.incoming_mail.test_reports import shape
from tests.mail.installation import SECRET_KEY, Installation, Letter, environ
from tests.mail.post_office import PostOffice
from tests.mail.test_deliver import working
from tests.mail.waiting import until
from tests.running import free_port

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
        old = PATHS.token(mail, TODAY - timedelta(days=days))
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
    await receiver.receive("", "", shape("hard_exim", token(letter, NEMO)))
    await installation.conn.execute("UPDATE bounced_mailbox SET paused_until = now()")
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
    async with working(installation.settings):
        await until(installation.is_idle)
    assert post.recipients == [NED]


def hand_over(port: int, recipient: str, content: bytes) -> dict[str, tuple[int, bytes]]:
    """Hand a message over as a mail server does, by another implementation of LMTP."""
    with smtplib.LMTP("127.0.0.1", port) as client:
        return client.sendmail("", [recipient], content)


def send_undeclared(port: int) -> int:
    """Send too long a message without saying so first; return the answer's code."""
    with smtplib.LMTP("127.0.0.1", port) as client:
        client.ehlo()
        client.mail("")
        client.rcpt(f"x@{DOMAIN}")
        return client.data(b"From: x\r\n\r\n" + b"x\r\n" * MAX_MESSAGE)[0]


async def test_the_whole_round(installation: Installation, post: PostOffice) -> None:
    port = free_port()
    its = replace(installation.settings, bounce_domain=DOMAIN, mail_listen=MailListener("127.0.0.1", port))
    letter = await installation.letter()
    await installation.sign_up(letter, NEMO)
    async with working(its):
        await until(installation.is_idle)
        (sender,) = post.senders
        assert sender.startswith("bounce+")
        assert sender.endswith(f"@{DOMAIN}")
        assert "post@letters.example" in post.mails[0]["From"]
        content = shape("hard_postfix", "x").replace(b"bounce+x@" + DOMAIN.encode(), sender.encode())
        await asyncio.to_thread(hand_over, port, sender, content)
        assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "bounce")]
        # A complaint has nothing but the Message-ID.
        name, own = b"<x.00112233445566778899@letters.example>", post.mails[0]["Message-ID"].encode()
        arf = shape("complaint_arf", "x").replace(name, own)
        await asyncio.to_thread(hand_over, port, f"complaints@{DOMAIN}", arf)
        assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "complaint")]


@asynccontextmanager
async def taking(database_url: str, at: MailListener | None = None) -> AsyncIterator[int]:
    """Listen for bounces; give the port."""
    port = free_port()
    async with opened(database_url, max_size=2) as database:
        receiver = BounceReceiver(database, PATHS)
        async with listening(at or MailListener("127.0.0.1", port), {DOMAIN: receiver}):
            yield port


async def talk(port: int, *lines: bytes) -> list[bytes]:
    """Say lines, each after the answer to the one before; return the answers' first lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = [await reader.readline()]
    for line in lines:
        writer.write(line + b"\r\n")
        answer = await reader.readline()
        while answer[3:4] == b"-":
            answer = await reader.readline()
        answers.append(answer)
    writer.close()
    return answers


async def test_the_listener_takes_only_what_is_ours_and_one_at_a_time(
    installation: Installation, database_url: str
) -> None:
    async with taking(database_url) as port:
        answers = await talk(
            port,
            b"EHLO x",
            b"LHLO x",
            b"MAIL FROM:<>",
            b"RCPT TO:<nemo@elsewhere.example>",
            b"RCPT TO:<bounce+x@BOUNCES.letters.example>",
            b"RCPT TO:<bounce+y@bounces.letters.example>",
            b"MAIL FROM:<> SIZE=99000000",
            b"RSET",
            b"MAIL FROM:<> SIZE=99000000",
        )
    codes = [answer[:3] for answer in answers]
    assert codes == [b"220", b"500", b"250", b"250", b"550", b"250", b"452", b"503", b"250", b"552"]


async def test_of_a_long_message_the_beginning_is_read_and_the_next_is_taken(
    installation: Installation, database_url: str
) -> None:
    letter = await installation.letter()
    async with taking(database_url) as port:
        long = shape("hard_exim", token(letter, NED)) + b"\r\n.\r\n" + b"x" * 70 * (MAX_MESSAGE // 60)
        await asyncio.to_thread(hand_over, port, f"bounce+{token(letter, NED)}@{DOMAIN}", long)
        assert len(await suppressed(installation)) == 1
        assert await asyncio.to_thread(send_undeclared, port) == 250
        # A line of 8bit far above 998 octets is nothing to complain about.
        content = shape("hard_postfix", token(letter, NEMO)).replace(b"The mail", b"\xd0\x96" * 20_000)
        await asyncio.to_thread(hand_over, port, f"bounce+{token(letter, NEMO)}@{DOMAIN}", content)
    assert len(await suppressed(installation)) == 2


async def test_connections_have_a_limit(installation: Installation, database_url: str) -> None:
    async with taking(database_url) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        assert [(await reader.readline())[:3] for reader, _ in held] == [b"220"] * MAX_CONNECTIONS
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await reader.readline()).startswith(b"421")
        writer.close()
        held.pop()[1].close()

        async def is_free() -> bool:
            return (await talk(port))[0].startswith(b"220")

        await until(is_free)
        for _, writer in held:
            writer.close()


async def test_a_socket_of_the_file_system(installation: Installation, database_url: str, tmp_path: Path) -> None:
    at = MailListener(path=tmp_path / "mail.sock")
    async with taking(database_url, at), taking(database_url, at):  # the second worker leaves it to the first
        reader, writer = await asyncio.open_unix_connection(at.path)
        assert (await reader.readline()).startswith(b"220")
        writer.close()
        assert at.path is not None
        assert at.path.stat().st_mode & 0o007 == 0
    assert not (tmp_path / "mail.sock").exists()
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="MAIL_LISTEN"):
        async with taking(database_url, MailListener(path=tmp_path / "nowhere" / "x.sock")):
            pass


async def test_the_pipe(installation: Installation, database_url: str, tmp_path: Path) -> None:
    letter = await installation.letter()
    more = environ(tmp_path, database_url) | {"BOUNCE_DOMAIN": DOMAIN}

    def pipe(content: bytes, *arguments: str, **other: str) -> tuple[int, bytes]:
        command = [sys.executable, "-m", "petition", "bounce", *arguments]
        done = subprocess.run(command, input=content, env=ENVIRON | more | other, capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr

    long = b"\n" + b"x" * 76 * 140_000
    content = shape("hard_postfix", token(letter, NEMO))
    assert await asyncio.to_thread(pipe, content + long) == (0, b"")
    assert await suppressed(installation) == [(letter.id, digest(letter, NEMO), "bounce")]
    recipient = f"bounce+{token(letter, NED)}@{DOMAIN}"
    assert await asyncio.to_thread(pipe, shape("hard_exim", "x"), "--recipient", recipient) == (0, b"")
    assert len(await suppressed(installation)) == 2
    assert (await asyncio.to_thread(pipe, b""))[0] == 65
    code, said = await asyncio.to_thread(pipe, content, DATABASE_URL="postgresql://petition@127.0.0.1:1/petition")
    assert code == 75
    assert NEMO.encode() not in said
