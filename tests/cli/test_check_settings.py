"""``petition check`` refuses what a process would refuse to start with, and names what is unsafe."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from petition.cli import check
from petition.core.settings import NAMES, Process, load
from petition.demo.inbox import Inbox, receiving
from tests.commands import run
from tests.core.test_settings import COMPLETE, WRONG, public
from tests.mail.post_office import PostOffice
from tests.mail.postfix_relay import certificate
from tests.running import PRIVATE_KEY, Installation, free_port
from tests.test_docs import settings_read

MAIL = {"MAIL_FROM": "Letters <post@letters.example>", "CONTACT_PRIVATE_KEY": PRIVATE_KEY}


def test_all_names_are_known() -> None:
    assert set(settings_read()) == NAMES


@pytest.mark.parametrize(("name", "value", "message"), [case for case in WRONG if case[0] != "HCAPTCHA_VERIFY_URL"])
def test_check_refuses_what_a_process_refuses(
    name: str, value: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in [key for key in os.environ if key in NAMES]:
        monkeypatch.delenv(key)
    for key, text in {**COMPLETE, "DATABASE_URL": "postgresql://p@127.0.0.1:1/x", name: value}.items():
        monkeypatch.setenv(key, text)
    monkeypatch.setattr("petition.cli.check_database.findings", _nothing)
    assert check.main() == 1
    assert message in capsys.readouterr().out


async def _nothing(*_arguments: object) -> AsyncIterator[str]:
    for finding in list[str]():
        yield finding


async def test_a_test_mail_is_sent_if_asked(site: Installation) -> None:
    inbox = Inbox()
    async with receiving(inbox) as smtp_port:
        environ = site.environ | MAIL | {"SMTP_URLS": f"smtp://127.0.0.1:{smtp_port}"}
        _, output = await run("check --mail vera@letters.example", environ)
    assert f"relay 127.0.0.1:{smtp_port}: accepted the test mail" in output
    (mail,) = inbox
    assert mail.to == ("vera@letters.example",) or "vera@letters.example" in mail.to
    assert "petition check --mail" in (mail.body("plain") or "")
    code, output = await run("check --mail nonsense", environ)
    assert (code, "is no e-mail address" in output) == (2, True)


@pytest.mark.parametrize(("days", "is_ending"), [(13, True), (30, False)])
async def test_a_certificate_that_ends_soon_is_a_finding(
    site: Installation, tmp_path: Path, days: int, is_ending: bool
) -> None:
    office = PostOffice(tls=certificate(tmp_path, days))
    await office.open()
    _, output = await run("check", site.environ | MAIL | {"SMTP_URLS": office.url})
    await office.close()
    assert (f"relay 127.0.0.1:{office.port}: its certificate ends on " in output) is is_ending


async def test_a_relay_that_refuses_the_test_mail_is_a_finding(site: Installation) -> None:
    environ = site.environ | MAIL | {"SMTP_URLS": f"smtp://127.0.0.1:{free_port()}"}
    code, output = await run("check --mail vera@letters.example", environ)
    assert code == 1
    assert "the test mail was not accepted" in output


UNSAFE = [
    ({"BASE_URL": "http://letters.example", "TRUSTED_PROXIES": ""}, "BASE_URL is plain http://"),
    ({"TRUSTED_PROXIES": ""}, "TRUSTED_PROXIES is empty"),
    ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES has 0.0.0.0/0: every visitor could invent"),
    ({"TRUSTED_PROXIES": "::/0"}, "TRUSTED_PROXIES has ::/0: every visitor could invent"),
    ({"TRUSTED_PROXIES": "127.0.0.1", "ONION_URL": "http://abc.onion"}, "ONION_PORT is not set"),
    ({"TRUSTED_PROXIES": "8.0.0.0/8"}, "TRUSTED_PROXIES has 8.0.0.0/8, which is far more"),
]


@pytest.mark.parametrize(("environ", "message"), UNSAFE)
def test_what_is_unsafe_is_named(environ: dict[str, str], message: str) -> None:
    (finding,) = check.unsafe(public(**environ))
    assert finding.startswith(message)


@pytest.mark.parametrize("environ", [{"TRUSTED_PROXIES": "127.0.0.1"}, {"TRUSTED_PROXIES": "10.0.0.0/8,fd00::/8"}])
def test_what_is_well_is_not_named(environ: dict[str, str], tmp_path: Path) -> None:
    assert list(check.unsafe(public(**environ))) == []
    assert list(check.unsafe(load({"DATA_DIR": str(tmp_path)}, role=Process.WEB))) == []


def test_a_name_that_is_nearly_a_setting_is_named() -> None:
    environ = {"SMTP_URL": "x", "LIMIT_LETTERS": "1", "LIMIT_CPU": "1", "TRUSTED_PROXY": "", "HOME": "/", "PORT": "1"}
    assert [finding.partition(" ")[0] for finding in check.misspelt(environ)] == [
        "LIMIT_CPU",
        "LIMIT_LETTERS",
        "SMTP_URL",
        "TRUSTED_PROXY",
    ]


@pytest.mark.parametrize(
    ("url", "finding"),
    [
        ("postgresql://db.example/x", "TLS without a look at the server's name or certificate"),
        ("postgresql://db.example/x?sslmode=verify-ca", "TLS without a look at the server's name or certificate"),
        ("postgresql://db.example/x?plain=1", "names and passwords reach another machine unencrypted"),
        ("postgresql://db.example/x?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem", None),
        ("postgresql://localhost/x", None),
        ("postgresql:///x?host=/run/postgresql", None),
    ],
)
def test_a_database_that_another_machine_could_pose_as_is_named(url: str, finding: str | None) -> None:
    found = [line for line in check.unsafe(public(DATABASE_URL=url)) if line.startswith("DATABASE_URL")]
    assert [finding in line for line in found if finding] == [True] * len(found)
    assert len(found) == (finding is not None)
