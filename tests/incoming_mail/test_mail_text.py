"""The text of mails by all sorts of programs, and of hostile ones."""

import base64
import random
from email.message import EmailMessage

import pytest

from petition.incoming_mail import mail_headers, mail_text
from petition.incoming_mail.mail_text import MailText, Unreadable

LINE = "Имя: Анна Петрова; Видимость: всем"


def raw(body: bytes, kind: str = "text/plain", encoding: str = "8bit") -> bytes:
    head = f"From: a@home.example\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + body


def text_of(content: bytes) -> MailText:
    message = mail_text.parse(content)
    assert message is not None
    return mail_text.text_of(message)


@pytest.mark.parametrize("charset", ["utf-8", "koi8-r", "windows-1251", "iso-8859-5", "KOI8-R", "utf-16", "x-unknown"])
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_any_charset(charset: str, encoding: str) -> None:
    body = LINE.encode("utf-8" if charset == "x-unknown" else charset)
    if encoding == "base64":
        body = base64.encodebytes(body)
    elif encoding == "quoted-printable":
        body = "".join(f"={byte:02X}" for byte in body).encode()
    elif charset == "utf-16":
        return  # has no place in a line-based body
    assert text_of(raw(body, f"text/plain; charset={charset}", encoding)).text.strip() == LINE


@pytest.mark.parametrize("charset", ["utf-7", "UTF7", "unicode_escape", "punycode", "hex", "rot13", "zlib_codec"])
def test_charsets_that_hide_something_are_not_read(charset: str) -> None:
    assert LINE not in text_of(raw(LINE.encode(), f"text/plain; charset={charset}")).text


def test_flowed_lines_are_as_they_were_typed() -> None:
    body = b"Name: Anna Maria \r\nPetrova; Visibility: public\r\n> Name: ; \r\n> City:\r\n-- \r\nAnna\r\n"
    text = text_of(raw(body, "text/plain; charset=utf-8; format=flowed")).text
    assert text.splitlines() == ["Name: Anna Maria Petrova; Visibility: public", "> Name: ; City:", "-- ", "Anna"]
    body = b"Name: Anna Pet \r\nrova\r\n"
    assert text_of(raw(body, "text/plain; format=flowed; delsp=yes")).text == "Name: Anna Petrova\n"


def test_html_alone_is_read_without_its_markup() -> None:
    markup = (
        "<html><head><style>p{}</style><script>alert(1)</script></head><body><div>Name: Anna&nbsp;Petrova; Visibility:"
        " <b>public</b></div><br><blockquote>Name: ;<br>City:</blockquote></body></html>"
    )
    text = text_of(raw(markup.encode(), "text/html; charset=utf-8")).text
    lines = [line.replace("\xa0", " ").strip() for line in text.splitlines() if line.strip()]
    assert lines == ["Name: Anna Petrova; Visibility: public", "> Name: ;", "> City:"]


def test_the_plain_part_goes_before_html_and_attachments() -> None:
    message = EmailMessage()
    message.set_content(LINE)
    message.add_alternative(f"<p>{LINE} no</p>", subtype="html")
    message.add_attachment(b"x" * 100, maintype="image", subtype="png")
    text = text_of(message.as_bytes())
    assert (text.text.strip(), text.has_attachments) == (LINE, True)


def test_a_mail_that_is_attached_is_not_read() -> None:
    message = EmailMessage()
    message.set_content("See below.")
    inner = EmailMessage()
    inner.set_content(LINE)
    message.add_attachment(inner)
    assert text_of(message.as_bytes()).text.strip() == "See below."
    assert text_of(raw(raw(LINE.encode()), "message/rfc822")).trouble is Unreadable.ATTACHMENT


def test_what_is_refused() -> None:
    for kind in ("application/pkcs7-mime", 'multipart/encrypted; boundary="b"'):
        assert text_of(raw(b"--b\r\n\r\nx\r\n--b--\r\n", kind)).trouble is Unreadable.ENCRYPTED
    assert text_of(raw(b"-----BEGIN PGP MESSAGE-----\nx")).trouble is Unreadable.ENCRYPTED
    assert text_of(raw(b"x", "application/pdf")).trouble is Unreadable.ATTACHMENT


def _nested(depth: int) -> bytes:
    head = b"".join(f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n'.encode() for n in range(depth))
    return b"From: a@home.example\r\n" + head + b"Content-Type: text/plain\r\n\r\nx\r\n"


HOSTILE = {
    "empty": b"",
    "no header": b"\r\n\r\nName: x",
    "nul": raw(b"Name: \0x\0; Visibility: public"),
    "deep": _nested(2000),
    "many parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 5000,
    "endless boundary": b'Content-Type: multipart/mixed; boundary="' + b"b" * 50_000 + b'"\r\n\r\n',
    "bad base64": raw(b"A" * 1001 + b"\xff===", "text/plain", "base64"),
    "bad quoted-printable": raw(b"=" * 1000, "text/plain", "quoted-printable"),
    "bad charset": raw(b"\xff\xfe", 'text/plain; charset="\xff"'),
    "charset twice": raw(b"x", "text/plain; charset=a; charset*=utf-8''b"),
    "long line": raw(b"Name: " + b"x" * 200_000),
    "many lines": raw(b"Name: x\n" * 20_000),
    "open tags": raw(b"<div>" * 30_000, "text/html"),
    "bytes": bytes(random.Random(1).randbytes(5000)),
    "message in message": raw(raw(raw(b"x")), "message/rfc822"),
    "odd header": b"From\xff: a\r\n: b\r\n c\r\nSubject: =?utf-8?B?\xff?=\r\n\r\n",
    "broken encoded word": b"Subject: =?utf-8?B?AAA?= =?x?Q?=FF?= =?utf-7?B?AAAA?=\r\n\r\nx",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_makes_an_error(content: bytes) -> None:
    message = mail_text.parse(content)
    if message is not None:
        mail_text.text_of(message)
        mail_headers.read(message)


def header(text: str) -> mail_headers.MailHeader | None:
    message = mail_text.parse(text.encode("utf-8") + b"\r\n\r\n")
    assert message is not None
    return mail_headers.read(message)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("anna@home.example", "anna@home.example"),
        ("Anna <anna@home.example>", "anna@home.example"),
        ('"Petrova, Anna" <anna@home.example>', "anna@home.example"),
        ("=?utf-8?B?0JDQvdC90LA=?= <anna@home.example>", "anna@home.example"),
        ("anna@home.example, ivan@home.example", None),
        ("anna@home.example <ivan@home.example> <olga@home.example>", None),
        ("Group: anna@home.example;", None),
        ("anna@home.example)ivan@home.example", None),
        ("<anna@home.example> (ivan@home.example)", None),
        ("<@home.example:anna@home.example>", None),
        ("", None),
    ],
)
def test_one_sender_or_none(value: str, address: str | None) -> None:
    read = header(f"From: {value}\r\nTo: x@in.letters.example")
    assert read is not None
    assert (read.sender and read.sender.address) == address


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "Message-ID"])
def test_fields_that_stand_alone(name: str) -> None:
    assert header(f"From: a@home.example\r\n{name}: a@home.example\r\n{name}: b@home.example") is None


AUTOMATIC = [
    "Auto-Submitted: auto-replied",
    "Auto-Submitted: auto-generated; owner=x",
    "Precedence: bulk",
    "Precedence: list",
    "Precedence: auto_reply",
    "X-Autoreply: yes",
    "X-Petition: answer",
    "List-Id: <x.home.example>",
    "List-Unsubscribe: <mailto:x@home.example>",
    "Return-Path: <>",
    "Content-Type: multipart/report; report-type=delivery-status",
]


@pytest.mark.parametrize("line", AUTOMATIC)
def test_programs_are_known(line: str) -> None:
    read = header(f"From: a@home.example\r\n{line}")
    assert read is not None
    assert read.is_automatic


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@home.example", "no-reply@home.example", "x-bounces+y@home.example"])
def test_senders_that_are_programs(sender: str) -> None:
    read = header(f"From: {sender}")
    assert read is not None
    assert read.is_automatic


def test_a_person_is_no_program() -> None:
    read = header("From: a@home.example\r\nAuto-Submitted: no\r\nPrecedence: normal\r\nReturn-Path: <a@home.example>")
    assert read is not None
    assert not read.is_automatic
