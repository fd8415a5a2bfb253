"""Envelope senders by which a returned mail is recognized."""

import string
from datetime import date

import pytest

from petition.core.ids import LetterId, SignatureId
from petition.mail.return_path import MailboxMail, MailingMail, Reference, ReturnedToken, ReturnPaths

OLD, NEW = "an old secret key that is long enough", "a new secret key that is long enough"
DAY = date(2026, 11, 30)
PATHS = ReturnPaths([NEW, OLD], "bounces.letters.example")
MAILS: list[Reference] = [
    MailboxMail(LetterId(7), bytes(range(16))),
    MailboxMail(None, b"d" * 16),
    MailingMail(LetterId(2**31 - 1), 2**62, SignatureId(2**63 - 1)),
]


@pytest.mark.parametrize("mail", MAILS)
def test_an_address_says_to_us_which_mail_came_back(mail: Reference) -> None:
    address = PATHS.address(mail, DAY)
    assert address is not None
    local, _, domain = address.partition("@")
    assert domain == "bounces.letters.example"
    assert local.startswith("bounce+")
    assert len(local) <= 64  # RFC 5321, 4.5.3.1.1
    assert set(local) <= {*string.ascii_lowercase, *string.digits, "+"}
    for text in (address, address.upper(), f"To: <{address}>\r\n", f"rfc822; x\nReturn-Path: <{address}>"):
        assert PATHS.first_valid([text]) == ReturnedToken(mail, DAY)


def test_without_a_domain_there_is_no_such_address() -> None:
    assert ReturnPaths([NEW], None).address(MAILS[0], DAY) is None


def test_a_token_tells_nothing_of_the_row_and_is_the_same_all_day() -> None:
    token = PATHS.token(MAILS[0], DAY)
    assert token == PATHS.token(MAILS[0], DAY) != PATHS.token(MAILS[0], date(2026, 12, 1))
    assert token != PATHS.token(MailboxMail(LetterId(8), bytes(range(16))), DAY)
    shared = sum(one == other for one, other in zip(token, PATHS.token(MAILS[1], DAY), strict=True))
    assert shared < 20  # random base32 agrees in 53/32 places


def test_older_secrets_are_still_read_and_others_are_not() -> None:
    token = ReturnPaths([OLD], None).token(MAILS[0], DAY)
    assert PATHS.read(token) == ReturnedToken(MAILS[0], DAY)
    assert ReturnPaths([NEW], None).read(token) is None


def test_no_changed_character_passes() -> None:
    token = PATHS.token(MAILS[0], DAY)
    for position in range(len(token) - 1):  # the last one has a bit to spare
        other = "a" if token[position] != "a" else "b"
        assert PATHS.read(token[:position] + other + token[position + 1 :]) is None
    for text in ("", token[:-1], token + "a", "a" * 53, "1" * 53, "я" * 53):
        assert PATHS.read(text) is None


def test_a_flood_of_false_tokens_ends_the_search() -> None:
    false = " ".join(["a" * 53] * 60)
    assert PATHS.first_valid([PATHS.token(MAILS[0], DAY), false]) is not None
    assert PATHS.first_valid([false, PATHS.token(MAILS[0], DAY)]) is None
