"""Header fields and bodies as bytes, read again by Python's email package."""

import email
import email.policy
from email.message import EmailMessage

import pytest

from petition.core.mail_texts import MailTexts
from petition.mail import mime
from petition.mail.mime import Unmailable

TEXTS = [
    "",
    "plain\n",
    "one\n\n\n.\n..\n-- \nFrom x\n",
    "trailing \t \nspaces\t\n",
    "x" * 5000 + "\n",
    "слово " * 500 + "\n",
    "=?utf-8?q?x?= =20 = \n",
    "no line end",
    "\x07\x1b[31m \xad\u2060\n",
]


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert not [defect for part in message.walk() for defect in part.defects]
    return message


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_out_as_they_went_in(text: str) -> None:
    parts = mime.encoded(MailTexts("x", text, text[::-1]))
    content = mime.alternatives([mime.field("Subject", parts.subject)], parts, "=_mark")
    assert content.isascii()
    assert all(len(line) < 998 and b"\r" not in line and b"\n" not in line for line in content.split(b"\r\n"))
    plain, html = read(content).iter_parts()
    for part, expected in ((plain, text), (html, text[::-1])):
        assert part.get_content().replace("\r\n", "\n") == expected


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "Please confirm your signature",
        "Подтвердите свою подпись, пожалуйста, и побыстрее, ведь осталось семь дней",
        "word " * 40 + "end",
        "x" * 250,
        "a  b",
        "=?utf-8?q?x?=",
        "emoji 🙂 and «quotes»",
    ],
)
def test_a_value_is_read_as_it_was(value: str) -> None:
    line = mime.field("Subject", value)
    assert line.isascii()
    message = read(line + b"\r\nbody")
    assert message.keys() == ["Subject"]
    if not value.startswith("=?"):
        assert message["Subject"] == value


@pytest.mark.parametrize("value", ["x\r\nBcc: all@example.org", "x\nBcc: y", "x\ry", "\r\n\r\nbody"])
def test_no_value_ends_its_field(value: str) -> None:
    for write in (mime.field, mime.whole_line):
        with pytest.raises(Unmailable):
            write("Subject", value)


@pytest.mark.parametrize("value", ["", " x", "кто", "x" * 901, "=?utf-8?q?x?="])
def test_a_whole_line_has_nothing_to_encode(value: str) -> None:
    with pytest.raises(Unmailable):
        mime.whole_line("Message-ID", value)
    assert mime.whole_line("Message-ID", "y" * 200) == b"Message-ID: " + b"y" * 200 + b"\r\n"


@pytest.mark.parametrize("address", ["o'brien@letters.example", "иван@letters.example", "x" * 64 + "@letters.example"])
def test_an_unusual_recipient_is_read_as_it_was(address: str) -> None:
    assert read(mime.recipient_field(address) + b"\r\nbody")["To"] == address
