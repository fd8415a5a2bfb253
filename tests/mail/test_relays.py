"""Relays in turn, against real SMTP servers."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from petition.core.relay_urls import parse_relay
from petition.mail.breaker import MAX_REFUSED_IN_A_ROW
from petition.mail.compose import OutgoingMail
from petition.mail.relay_errors import RecipientRefused, RelayDown, Trouble
from petition.mail.relays import NotNow, Relays
from petition.mail.smtp_connection import SmtpConnection
from tests.mail.post_office import PostOffice
from tests.mail.waiting import until

PARCEL = OutgoingMail("post@letters.example", "nemo@example.org", b"Subject: x\r\n\r\nHello\r\n", utf8=False)
OpenPost = Callable[..., Awaitable[PostOffice]]


@pytest.fixture
async def open_post() -> AsyncIterator[OpenPost]:
    """Give a function that opens post offices."""
    offices: list[PostOffice] = []

    async def opening(office: PostOffice) -> PostOffice:
        await office.open()
        offices.append(office)
        return office

    yield opening
    for office in offices:
        await office.close()


def relays(*urls: str) -> Relays:
    """Return the relays of a process."""
    return Relays([parse_relay(url) for url in urls], "letters.example")


async def nothing() -> None:
    """Have nothing to do before the data."""


async def send(lines: Relays, parcel: OutgoingMail = PARCEL) -> str:
    """Send and hang up whatever happens."""
    try:
        return await lines.send(parcel, nothing)
    finally:
        await lines.hang_up()


async def test_one_connection_is_kept_for_many_mails(open_post: OpenPost) -> None:
    post = await open_post(PostOffice())
    lines = relays(post.url)
    for _ in range(3):
        assert await lines.send(PARCEL, nothing) == f"127.0.0.1:{post.port}"
    await lines.hang_up()
    assert (len(post.mails), post.connections) == (3, 1)


@pytest.mark.parametrize("together", [False, True])
async def test_a_connection_that_went_stale_is_made_anew_without_a_loss(open_post: OpenPost, together: bool) -> None:
    post = await open_post(PostOffice(pipelining=together))
    lines = relays(post.url)
    await lines.send(PARCEL, nothing)
    await post.close()
    await post.open()
    await send(lines)
    assert (len(post.mails), post.connections) == (2, 2)


async def test_the_second_relay_takes_what_a_dead_first_one_cannot(open_post: OpenPost) -> None:
    dead, alive = await open_post(PostOffice()), await open_post(PostOffice())
    await dead.close()
    its = relays(dead.url, alive.url)
    lines = its
    for _ in range(20):
        await lines.send(PARCEL, nothing)
    await lines.hang_up()
    assert len(alive.mails) == 20
    assert its.rest() == 0.0


async def test_the_first_relay_is_preferred_again_once_it_is_back(open_post: OpenPost) -> None:
    first, second = await open_post(PostOffice()), await open_post(PostOffice())
    await first.close()
    lines = relays(first.url, second.url)
    await lines.send(PARCEL, nothing)
    await first.open()

    async def is_preferred() -> bool:
        await lines.send(PARCEL, nothing)
        return bool(first.mails)

    await until(is_preferred)
    await lines.hang_up()


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("EHLO", "554 go away"),
        ("MAIL", "530 5.7.0 authenticate first"),
        ("MAIL", "550 5.7.1 sender refused"),
        ("MAIL", "451 later"),
        ("RCPT", "530 5.7.0 authenticate first"),
        ("RCPT", "554 5.7.1 relay access denied"),
        ("RCPT", "450 4.1.8 no such domain at the moment"),
        ("RCPT", "421 shutting down"),
        ("RCPT", "452 4.2.2 mailbox full"),
        ("RCPT", "552 5.2.2 mailbox full"),
        ("RCPT", "550 5.3.2 sending suspended for this account"),
        ("RCPT", "550 5.4.5 daily quota exceeded"),
        ("RCPT", "550 5.1.8 bad sender's system address"),
        ("RCPT", "550 relaying denied"),
        ("RCPT", "554 blocked, see the list"),
        ("RCPT", "550 no such user"),
        ("DATA", "451 later"),
        ("DATA", "nonsense"),
        ("DATA", "554 5.7.1 [2] Message rejected under suspicion of SPAM"),
        ("DATA", "554 5.6.0 message refused"),
        ("DATA", "552 too large"),
        ("DATA", "550 5.1.1 unknown"),
    ],
)
async def test_what_is_not_about_the_recipient_goes_to_the_next_relay(
    open_post: OpenPost, step: str, answer: str
) -> None:
    first, second = await open_post(PostOffice(at={step: answer})), await open_post(PostOffice())
    await send(relays(first.url, second.url))
    assert (len(first.mails), len(second.mails)) == (0, 1)


@pytest.mark.parametrize(
    "answer",
    ["550 5.1.1 unknown", "550 5.2.1 disabled", "501 5.1.3 bad address", "550-5.1.1 no\r\n550 5.1.1 such mailbox"],
)
@pytest.mark.parametrize("together", [False, True])
async def test_a_mailboxs_refusal_for_good_ends_the_mail_and_not_the_connection(
    open_post: OpenPost, answer: str, together: bool
) -> None:
    first = await open_post(PostOffice(at={"RCPT": answer}, pipelining=together))
    second = await open_post(PostOffice())
    lines = relays(first.url, second.url)
    with pytest.raises(RecipientRefused) as error:
        await lines.send(PARCEL, nothing)
    assert error.value.code == int(answer[:3])
    del first.at["RCPT"]
    await send(lines)
    assert (len(first.mails), len(second.mails), first.connections) == (1, 0, 1)


async def test_a_refusal_without_a_reason_is_final_only_if_every_relay_gives_one(open_post: OpenPost) -> None:
    first, second = [await open_post(PostOffice(at={"RCPT": "550 no such user"})) for _ in range(2)]
    with pytest.raises(RecipientRefused):
        await send(relays(first.url, second.url))
    second.at["RCPT"] = "452 later"
    with pytest.raises(NotNow):
        await send(relays(first.url, second.url))
    await second.close()
    with pytest.raises(NotNow):
        await send(relays(first.url, second.url))


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("RCPT", "554 5.7.1 relay access denied"),
        ("RCPT", "550 relaying denied"),
        ("DATA", "554 5.7.1 [2] Message rejected under suspicion of SPAM"),
        ("DATA", "554 transaction failed"),
    ],
)
async def test_what_all_relays_say_of_themselves_ends_no_mail(open_post: OpenPost, step: str, answer: str) -> None:
    first, second = [await open_post(PostOffice(at={step: answer})) for _ in range(2)]
    with pytest.raises(NotNow) as error:
        await send(relays(first.url, second.url))
    assert error.value.tried


async def test_a_relay_that_refuses_every_mailbox_is_not_believed(open_post: OpenPost) -> None:
    post = await open_post(PostOffice(at={"RCPT": "550 5.1.1 unknown"}))
    lines = relays(post.url)
    for _ in range(MAX_REFUSED_IN_A_ROW):
        with pytest.raises(RecipientRefused):
            await lines.send(PARCEL, nothing)
    with pytest.raises(NotNow):
        await lines.send(PARCEL, nothing)
    answer = post.at.pop("RCPT")
    await lines.send(PARCEL, nothing)
    post.at["RCPT"] = answer
    with pytest.raises(RecipientRefused):
        await send(lines)


async def test_a_relay_that_is_down_is_not_asked_for_each_mail(open_post: OpenPost) -> None:
    post = await open_post(PostOffice(at={"MAIL": "451 later"}))
    its = relays(post.url)
    lines = its
    with pytest.raises(NotNow) as error:
        await lines.send(PARCEL, nothing)
    assert error.value.tried
    assert its.rest() > 0
    asked = post.connections
    for _ in range(100):
        with pytest.raises(NotNow) as error:
            await lines.send(PARCEL, nothing)
        assert not error.value.tried
    await lines.hang_up()
    assert post.connections == asked


async def test_only_one_of_many_tries_a_relay_that_has_rested(open_post: OpenPost) -> None:
    post = await open_post(PostOffice(at={"MAIL": "451 later"}))
    its = relays(post.url)
    with pytest.raises(NotNow):
        await its.send(PARCEL, nothing)
    await until(lambda: not its.rest())
    errors = await asyncio.gather(*(its.send(PARCEL, nothing) for _ in range(4)), return_exceptions=True)
    await its.hang_up()
    assert sorted(error.tried for error in errors if isinstance(error, NotNow)) == [False, False, False, True]


@pytest.mark.parametrize("together", [False, True])
async def test_nothing_is_sent_when_the_last_look_says_no(open_post: OpenPost, together: bool) -> None:
    post = await open_post(PostOffice(pipelining=together))
    lines = relays(post.url)

    async def refuse() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await lines.send(PARCEL, refuse)
    await send(lines)
    assert len(post.mails) == 1


async def test_a_relay_that_goes_on_after_a_refusal_gets_no_content() -> None:
    contents: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 odd.example\r\n")
        await reader.readline()
        writer.write(b"250-odd.example\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 OK\r\n550 5.1.1 unknown\r\n354 go on all the same\r\n")
        contents.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RecipientRefused):
            await send(relays(f"smtp://127.0.0.1:{port}"))
        async with asyncio.timeout(60):
            while not contents:
                await asyncio.sleep(0.01)
    assert contents == [b""]


async def test_a_name_in_another_script_needs_a_relay_that_takes_it(open_post: OpenPost) -> None:
    plain, able = await open_post(PostOffice()), await open_post(PostOffice(smtputf8=True))
    parcel = OutgoingMail("post@letters.example", "немо@example.org", PARCEL.content, utf8=True)
    its = relays(plain.url, able.url)
    await send(its, parcel)
    await send(its)
    assert able.recipients == ["немо@example.org"]
    assert len(plain.mails) == 1


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Give the server's side of TLS with a certificate that it made itself."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=relay", "-days", "2", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def test_a_wrong_password_is_the_relays_matter(open_post: OpenPost, certificate: ssl.SSLContext) -> None:
    strict = await open_post(PostOffice(password="secret", tls=certificate))
    other = await open_post(PostOffice())
    await send(relays(strict.url.replace("secret", "wrong"), other.url))
    assert (len(strict.mails), len(other.mails)) == (0, 1)
    await send(relays(strict.url))
    assert len(strict.mails) == 1


async def test_starttls_is_used(open_post: OpenPost, certificate: ssl.SSLContext) -> None:
    post = await open_post(PostOffice(tls=certificate))
    await send(relays(post.url))
    assert len(post.mails) == 1


async def test_starttls_is_required_where_it_is_asked_for(open_post: OpenPost) -> None:
    plain = await open_post(PostOffice())
    with pytest.raises(NotNow):
        await send(relays(plain.url + "?starttls=1"))
    assert not plain.mails


async def test_certificates_of_other_machines_are_verified(open_post: OpenPost, certificate: ssl.SSLContext) -> None:
    post = await open_post(PostOffice(tls=certificate))
    # "127.1" is this machine too, written in a way that is not taken for it.
    with pytest.raises(NotNow):
        await send(relays(post.url.replace("127.0.0.1", "127.1")))
    assert not post.mails


async def trouble_with(url: str) -> RelayDown:
    """Return what is wrong with a relay, as ``petition check`` and the log call it."""
    with pytest.raises(RelayDown) as error:
        await SmtpConnection(parse_relay(url), "letters.example").probe()
    return error.value


async def test_troubles_are_told_apart(open_post: OpenPost, certificate: ssl.SSLContext) -> None:
    plain, strict = await open_post(PostOffice()), await open_post(PostOffice(tls=certificate, password="secret"))
    closed = await open_post(PostOffice())
    await closed.close()
    troubles = {
        "smtps://relay.invalid": Trouble.UNKNOWN_HOST,
        closed.url: Trouble.REFUSED,
        plain.url + "?starttls=1": Trouble.NO_STARTTLS,
        plain.url.replace("smtp:", "smtps:"): Trouble.NO_TLS,
        plain.url.replace("//", "//petition:secret@"): Trouble.NO_AUTH,
        strict.url.replace("secret", "wrong"): Trouble.PASSWORD,
        strict.url.replace("127.0.0.1", "127.1"): Trouble.CERTIFICATE,
    }
    for url, trouble in troubles.items():
        assert (await trouble_with(url)).trouble == trouble, url
    texts = {str(RelayDown(trouble)) for trouble in Trouble}
    assert len(texts) == len(Trouble)


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        ("220 hello", None),
        ("554 go away", Trouble.REFUSES_US),
        ("421 too many connections", Trouble.NOT_NOW),
        ("HTTP/1.1 400 Bad Request", Trouble.NOT_SMTP),
        (None, Trouble.CLOSED),
    ],
)
async def test_what_greets_us_is_named(answer: str | None, trouble: Trouble | None) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is not None:
            writer.write(f"{answer}\r\n".encode())
            await writer.drain()
            if trouble is None:
                await reader.readline()
                writer.write(b"250 hello\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1") as server:
        url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        if trouble is None:
            await SmtpConnection(parse_relay(url), "letters.example").probe()
        else:
            assert (await trouble_with(url)).trouble == trouble
