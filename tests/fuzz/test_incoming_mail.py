"""Mail of strangers, in every shape and cut: read to its end, and believed only with a token of ours."""

from datetime import date
from pathlib import Path

from hypothesis import strategies as st

from petition.core.ids import LetterId
from petition.incoming_mail import mime_parts, reports
from petition.incoming_mail.reports import ReportKind
from petition.mail.return_path import MailboxMail, ReturnedToken, ReturnPaths
from tests.fuzz.running import TEXT, fuzz

SHAPES = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "incoming_mail/shapes").glob("*.eml"))]
PATHS = ReturnPaths(["a secret key of this test that is long enough"], "bounces.letters.example")
MAIL, DAY = MailboxMail(LetterId(7), b"d" * 16), date(2026, 11, 30)

BITS = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b"\xff\xfe", b" ", b"\t", b"--b", b"--b--", b"--",
        b"Content-Type: ", b"multipart/report; boundary=b", b"message/delivery-status", b"message/rfc822",
        b"message/feedback-report", b"text/plain; charset=", b"utf-7", b"no-such", b"idna", b"zlib",
        b"; charset*0*=x''%ff",
        b"Content-Transfer-Encoding: base64", b"quoted-printable", b"x-uuencode", b"Action: failed", b"Status: 5.1.1",
        b"Status: ", b"Diagnostic-Code: smtp; 550 5.1.1", b"Feedback-Type: abuse", b"=?utf-8?b?",
        b"?=", b":", b"From: x",
    ]
)  # fmt: skip
MADE = st.lists(BITS | st.binary(max_size=20), max_size=60).map(b"".join)


@fuzz(MADE, examples=100)
def test_anything_is_read_to_its_end(content: bytes) -> None:
    report = reports.read(content)
    assert report.kind in set(ReportKind)
    assert not report.is_final or report.kind in {ReportKind.HARD, ReportKind.SOFT, ReportKind.RELAY}
    assert PATHS.first_valid(report.texts) is None
    assert len(report.texts) <= mime_parts.MAX_PARTS * (mime_parts.MAX_FIELDS + 1)


@fuzz(
    st.sampled_from(SHAPES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), MADE), max_size=4),
    st.floats(0.2, 1),
    examples=100,
)
def test_known_shapes_cut_and_pasted(shape: bytes, edits: list[tuple[float, int, bytes]], end: float) -> None:
    token = PATHS.token(MAIL, DAY)
    content = shape.replace(b"TOKEN", token.encode())
    for position, length, inserted in edits:
        start = int(position * len(content))
        content = content[:start] + inserted + content[start + length :]
    report = reports.read(content[: int(end * len(content))])
    assert PATHS.first_valid(report.texts) in {None, ReturnedToken(MAIL, DAY)}


@fuzz(st.integers(0, 52), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"), examples=100)
def test_no_other_spelling_of_a_token_says_anything_else(position: int, char: str) -> None:
    token = PATHS.token(MAIL, DAY)
    assert PATHS.read(token[:position] + char + token[position + 1 :]) in {None, ReturnedToken(MAIL, DAY)}


@fuzz(TEXT, examples=100)
def test_no_text_is_a_token(text: str) -> None:
    assert PATHS.first_valid([text]) is None
    assert PATHS.read(text) is None
