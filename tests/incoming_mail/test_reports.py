"""A folder of returned mail of every shape; what is machine-readable in it is read, and nothing else."""

from datetime import date
from pathlib import Path

import pytest

from petition.core.ids import LetterId
from petition.incoming_mail import mime_parts, reports
from petition.incoming_mail.reports import ReportKind
from petition.mail.return_path import MailboxMail, ReturnedToken, ReturnPaths
from tests.mail.installation import SECRET_KEY

SHAPES = sorted((Path(__file__).parent / "shapes").glob("*.eml"))
DAY = date(2026, 11, 30)
PATHS = ReturnPaths([SECRET_KEY], "bounces.letters.example")
MAIL = MailboxMail(LetterId(7), b"d" * 16)
FINAL = {"hard", "soft", "relay"}


def shape(name: str, token: str) -> bytes:
    """Return one of the folder's messages with a token in it."""
    return (Path(__file__).parent / "shapes" / f"{name}.eml").read_bytes().replace(b"TOKEN", token.encode())


@pytest.mark.parametrize("name", [path.stem for path in SHAPES])
def test_every_shape_is_what_its_name_says(name: str) -> None:
    report = reports.read(shape(name, PATHS.token(MAIL, DAY)))
    kinds = [kind for kind in ReportKind if name.startswith(kind.value)]
    assert report.kind in kinds
    assert report.is_final is (report.kind.value in FINAL)
    assert PATHS.first_valid(report.texts) == ReturnedToken(MAIL, DAY)


def test_the_folder_has_every_kind() -> None:
    kinds = {reports.read(path.read_bytes()).kind for path in SHAPES}
    assert kinds | {ReportKind.UNREADABLE} == set(ReportKind)
    assert len(SHAPES) > 20


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("5.1.1", "hard"), ("5.1.2", "hard"), ("5.1.3", "hard"), ("5.1.6", "hard"), ("5.1.10", "hard"),
        ("5.2.1", "hard"),
        ("5.1.0", "soft"), ("5.2.2", "soft"), ("5.2.3", "soft"), ("5.4.4", "soft"), ("5.0.0", "soft"),
        ("4.2.2", "soft"),
        ("4.7.1", "soft"), ("", "soft"), ("nonsense", "soft"),
        ("5.1.7", "relay"), ("5.1.8", "relay"), ("5.3.4", "relay"), ("5.5.0", "relay"), ("5.7.1", "relay"),
    ],
)  # fmt: skip
def test_the_status_decides(status: str, kind: str) -> None:
    content = shape("soft_full", PATHS.token(MAIL, DAY))
    content = content.replace(b"Status: 5.2.2", f"Status: {status}".encode()).replace(b"smtp; 552 5.2.2", b"smtp; 552")
    assert reports.read(content).kind == kind


def test_of_several_recipients_the_worst_counts() -> None:
    more = b"Final-Recipient: rfc822; two@example.org\nAction: delayed\nStatus: 4.0.0\n\nFinal-Recipient"
    content = shape("hard_postfix", PATHS.token(MAIL, DAY)).replace(b"Final-Recipient", more, 1)
    assert reports.read(content).kind is ReportKind.HARD


def nested(depth: int) -> bytes:
    """Return parts in parts."""
    heads = [f'Content-Type: multipart/mixed; boundary="b{number}"\r\n\r\n--b{number}\r\n' for number in range(depth)]
    return ("From: x\r\n" + "".join(heads) + "Content-Type: text/plain\r\n\r\nx\r\n").encode()


HOSTILE = {
    "empty": b"",
    "no header": b"\r\n\r\nhello",
    "zeros": bytes(100_000),
    "parts in parts": nested(95),
    "parts in parts in parts": nested(3000),
    "messages in messages": b"Content-Type: message/rfc822\r\n\r\n" * 9000,
    "fields": b"From: x\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
    "a long field": b"From: x\r\nSubject: " + b"=?utf-8?q?=ff?= " * 15_000 + b"\r\n\r\n",
    "a long boundary": b'From: x\r\nContent-Type: multipart/report; boundary="' + b"b" * 200_000 + b'"\r\n\r\n--b\r\n',
    "parameters": b"From: x\r\nContent-Type: a/b" + b"; x*0*=y" * 30_000 + b"\r\n\r\n",
    "many parts": b"From: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 30_000,
    "many blocks": b"From: x\r\nContent-Type: message/delivery-status\r\n\r\n" + b"Action: failed\r\n\r\n" * 14_000,
    "false tokens": b"From: x\r\n\r\n" + b"a" * 53 + b" " + (b"b" * 53 + b" ") * 4500,
    "line ends": b"From: x\n\r\r\n\n" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_is_read_to_its_end_and_is_no_report(name: str) -> None:
    report = reports.read(HOSTILE[name])
    assert report.kind in {ReportKind.UNREADABLE, ReportKind.NO_REPORT, ReportKind.SOFT}
    assert PATHS.first_valid(report.texts) is None
    assert len(report.texts) <= mime_parts.MAX_PARTS * (mime_parts.MAX_FIELDS + 1)


def test_ten_megabytes_are_read_as_their_beginning() -> None:
    content = shape("hard_postfix", PATHS.token(MAIL, DAY))
    content = content.replace(b"Subject: Please confirm", b"Subject: x\n\n" + b"x" * 76 * 140_000)
    assert len(content) > 10 * 1024 * 1024
    assert reports.read(content).kind is ReportKind.HARD
