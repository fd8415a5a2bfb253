"""Only a valid, aligned and fresh signature over From, To and Subject proves a mailbox; dkimpy makes them here."""

import re
import time
from collections.abc import Callable

import pytest

from petition.core.mail_settings import MxResolver
from petition.incoming_mail import dkim_verification
from petition.incoming_mail.dkim_verification import DkimVerifier, MailProof
from tests.incoming_mail.letters_by_mail import (
    HOME,
    rsa_pair,
    signed,
    with_ed25519,
    write,
    zone,
)
from tests.mail.dns_server import answering

OTHER, OTHER_RECORD = rsa_pair()
BODY = "Name: Anna Petrova; Visibility: public\n"
RECORDS = zone(
    key2___domainkey__mail__home__example=OTHER_RECORD,
    key2___domainkey__example=OTHER_RECORD,
    key2___domainkey__other__example=OTHER_RECORD,
    testing___domainkey__home__example=f"{OTHER_RECORD}; t=y",
    revoked___domainkey__home__example="v=DKIM1; k=rsa; p=",
    web___domainkey__home__example=f"{OTHER_RECORD}; s=web",
    endless___domainkey__home__example=f"{OTHER_RECORD}; n={'x' * 2000}",
    broken___domainkey__home__example="v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0",
    strict___domainkey__home__example=f"{OTHER_RECORD}; t=s",
    key2___domainkey__one__github__io=OTHER_RECORD,
)


async def verify(content: bytes, domain: str = HOME) -> MailProof | None:
    async with answering(RECORDS) as names:
        return await DkimVerifier(MxResolver("127.0.0.1", names.port)).verify(content, domain)


def later(content: bytes, name: bytes, value: bytes) -> bytes:
    """Return the mail with another value in a field behind the signature."""
    return re.sub(rb"(?m)^" + name + rb":.*$", name + b": " + value + b"\r", content)


async def test_what_proves() -> None:
    mail = write(BODY)
    first, again = await verify(signed(mail)), await verify(signed(mail))
    assert first is not None
    assert first == again  # the same mail has the same digest, whoever hands it over
    assert await verify(signed(write(BODY + "P. S.\n"))) not in {None, first}
    assert await verify(with_ed25519(mail))
    assert await verify(signed(mail, key=OTHER, domain=f"mail.{HOME}", selector=b"key2"))


UNPROVEN: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda mail: mail,
    "changed text": lambda mail: signed(mail).replace(b"Anna Petrova", b"Ivan Petrov"),
    "changed sender": lambda mail: later(signed(mail), b"From", b"ivan@home.example"),
    "changed recipient": lambda mail: later(signed(mail), b"To", b"other@in.letters.example"),
    "changed subject": lambda mail: later(signed(mail), b"Subject", b"another"),
    "second From": lambda mail: b"From: ivan@home.example\r\n" + signed(mail),
    "second To": lambda mail: b"To: other@in.letters.example\r\n" + signed(mail),
    "second Subject": lambda mail: b"Subject: another\r\n" + signed(mail),
    "no From in h=": lambda mail: signed(mail).replace(b"h=from :", b"h=date :"),
    "To not signed": lambda mail: signed(mail, over=(b"from", b"subject", b"date")),
    "Subject not signed": lambda mail: signed(mail, over=(b"from", b"to", b"date")),
    "l=": lambda mail: signed(mail, length=True),
    "stranger's domain": lambda mail: signed(mail, key=OTHER, domain="other.example", selector=b"key2"),
    "top-level domain": lambda mail: signed(mail, key=OTHER, domain="example", selector=b"key2"),
    "another key": lambda mail: signed(mail, key=OTHER),
    "no key": lambda mail: signed(mail, selector=b"missing"),
    "revoked key": lambda mail: signed(mail, key=OTHER, selector=b"revoked"),
    "testing key": lambda mail: signed(mail, key=OTHER, selector=b"testing"),
    "key of another service": lambda mail: signed(mail, key=OTHER, selector=b"web"),
    "SHA-1": lambda mail: signed(mail).replace(b"rsa-sha256", b"rsa-sha1"),
    "bare CR in a header": lambda mail: b"X-Note: a\r\r" + signed(mail),
    "endless blanks": lambda mail: signed(mail + b" " * 200_000 + b"x\r\n", simple=True),
    "blanks in the signature": lambda mail: signed(mail).replace(b" b=", b"\r\n " * 20_000 + b" b=", 1),
    "endless key": lambda mail: signed(mail, key=OTHER, selector=b"endless"),
    "broken key": lambda mail: signed(mail, key=OTHER, selector=b"broken"),
    "broken tags": lambda mail: b"DKIM-Signature: v=1; a; b\r\n" + mail,
    "no tags": lambda mail: b"DKIM-Signature:\r\n" + mail,
    "bytes": lambda mail: b"DKIM-Signature: \xff\xfe; v=1\r\n" + mail,
    "Authentication-Results": lambda mail: b"Authentication-Results: mx.home.example; dkim=pass\r\n" + mail,
    "ARC": lambda mail: b"ARC-Seal: i=1; a=rsa-sha256; d=home.example; s=key1; cv=none; b=AAAA\r\n" + mail,
    "continued before a field": lambda mail: b" folded\r\n" + signed(mail),
}


@pytest.mark.parametrize("change", UNPROVEN.values(), ids=UNPROVEN.keys())
async def test_what_proves_nothing(change: Callable[[bytes], bytes]) -> None:
    assert await verify(change(write(BODY))) is None


async def test_a_short_key_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    short, record = rsa_pair(1024)
    async with answering(zone(short___domainkey__home__example=record)) as names:
        resolver = MxResolver("127.0.0.1", names.port)
        mail = signed(write(BODY), key=short, selector=b"short")
        assert await DkimVerifier(resolver).verify(mail, HOME)
        monkeypatch.setattr(dkim_verification, "MIN_RSA_BITS", 1025)
        assert await DkimVerifier(resolver).verify(mail, HOME) is None


async def test_old_and_expired_ones_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for ago, is_proof in ((0, True), (13 * 86400, True), (15 * 86400, False)):
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda ago=ago: now - ago)
            mail = signed(write(BODY))
        assert bool(await verify(mail)) is is_proof, ago


async def test_names_below_a_shared_suffix_are_strangers() -> None:
    mail = signed(write(BODY, sender="anna@two.github.io"), key=OTHER, domain="one.github.io", selector=b"key2")
    assert await verify(mail, "one.github.io")  # the signature itself is right
    assert await verify(mail, "two.github.io") is None


async def test_a_strict_key_wants_the_very_domain() -> None:
    mail = signed(write(BODY), key=OTHER, selector=b"strict")
    assert await verify(mail)
    sub = signed(write(BODY), key=OTHER, selector=b"strict").replace(b"i=@home", b"i=@sub.home")
    assert await verify(sub) is None


async def test_keys_are_looked_up_once() -> None:
    async with answering(RECORDS) as names:
        verifier = DkimVerifier(MxResolver("127.0.0.1", names.port))
        for _ in range(3):
            assert await verifier.verify(signed(write(BODY)), HOME)
        assert names.asked[f"key1._domainkey.{HOME}"] == 1


async def test_a_name_server_that_is_silent_proves_nothing() -> None:
    async with answering({(f"key1._domainkey.{HOME}", "TXT"): None}) as names:
        verifier = DkimVerifier(MxResolver("127.0.0.1", names.port))
        assert await verifier.verify(signed(write(BODY)), HOME) is None


async def test_without_a_resolver_nothing_is_proven() -> None:
    assert await DkimVerifier(None).verify(signed(write(BODY)), HOME) is None
