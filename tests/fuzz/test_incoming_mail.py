"""Mails from anyone: the parts of MIME in any mixture, the line to fill in, headers, quotations."""

from hypothesis import strategies as st

from petition.incoming_mail import filled_lines, letter_mail, mail_text
from petition.signatures.model import Visibility
from tests.fuzz.running import BYTES, ROUGH, fuzz, lines_of

DOMAIN = "in.letters.example"
TO = f"sign+a-letter@{DOMAIN}"
HEAD = f"From: Anna <anna@home.example>\r\nTo: {TO}\r\nSubject: [0123456789ab]\r\n".encode()
MIME = st.lists(
    st.sampled_from(
        [
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\r",
            b"--b",
            b"--b--\r\n",
            b'Content-Type: multipart/mixed; boundary="b"\r\n',
            b"Content-Type: text/plain; charset=koi8-r; format=flowed; delsp=yes\r\n",
            b"Content-Type: text/html\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Transfer-Encoding: quoted-printable\r\n",
            b"Content-Disposition: attachment; filename*0*=utf-8''x\r\n",
            b"Subject: =?utf-8?B?0JA=?= =?koi8-r?Q?=C1?=\r\n",
            b"From: ",
            b"To: ",
            b"Name: Anna; Visibility: public\r\n",
            b"> ",
            b"<blockquote><div>",
            b"</blockquote>",
            b"=\r\n",
            b" \r\n",
            b"-- \r\n",
            b"\xd0",
            b"\xff",
        ]
    )
    | BYTES,
    max_size=40,
).map(b"".join)
LINES = lines_of(
    *(
        "Name:",
        "Имя:",
        "Visibility: ",
        "Видимость：",
        "public",
        "всем",
        "никому",
        "; ",
        "\n",
        "> ",
        "* ",
        "City=",
        "From: x\n",
    ),
    *("-----Original Message-----\n", "________________________________\n", "Organization: ", "News: yes", "İ", "ß"),
)


@fuzz(MIME, examples=200)
def test_any_mail_is_read_or_ignored(content: bytes) -> None:
    for mail in (letter_mail.read(HEAD + content, TO, DOMAIN), letter_mail.read(content, "", DOMAIN)):
        if mail is not None:
            assert mail.slug == "a-letter"
            assert "\0" not in mail.text
            assert mail.lang(("en", "ru")) in {"en", "ru"}
            assert mail.code is None or mail.code.isdigit()


@fuzz(BYTES, examples=200)
def test_any_bytes_are_parsed_or_not(content: bytes) -> None:
    message = mail_text.parse(content)
    if message is not None:
        mail_text.text_of(message)


@fuzz(ROUGH | LINES, examples=300)
def test_a_line_is_clear_or_not(text: str) -> None:
    lines = filled_lines.read(text)
    assert not set(lines.fields) & lines.unclear
    assert lines.fields.get("visibility") in {None, *(visibility.value for visibility in Visibility)}
    assert all(value and value == value.strip() for value in lines.fields.values())
    if lines.fields.get("visibility") == "public":
        assert any(word in text.lower() for word in ("public", "everyone", "всем", "публично"))
