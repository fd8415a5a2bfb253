"""Our signatures, checked by dkimpy, which was written by others."""

import asyncio
import base64
import re
from dataclasses import replace
from pathlib import Path

import dkim
import pytest

from petition.core import dkim_keys
from petition.core.errors import SettingsError
from petition.core.settings import Process, Settings, load
from petition.mail.dkim import SIGNED, DkimSigner, signer
from tests.mail.installation import environ, settings
from tests.mail.test_compose import CHOICE, JOB, composer

PAIR = dkim_keys.new_pair()


def records(its: Settings) -> dict[bytes, bytes]:
    """Return the TXT records that publish an installation's keys, by name."""
    keys = dkim_keys.selectors(dkim_keys.read(its.dkim_private_key or ""), its.dkim_selector)
    return {f"{name}._domainkey.letters.example.".encode(): key.record.encode() for name, key in keys}


def verified(content: bytes, its: Settings) -> list[bool]:
    """Return whether each signature of a mail holds."""
    published = records(its)
    verifier = dkim.DKIM(content)
    count = len(re.findall(rb"(?im)^DKIM-Signature:", content))
    return [_verify(verifier, number, published) for number in range(count)]


def _verify(verifier: dkim.DKIM, number: int, published: dict[bytes, bytes]) -> bool:
    try:
        return bool(verifier.verify(idx=number, dnsfunc=lambda name, timeout=5: published.get(name)))
    except dkim.ValidationError:
        return False


@pytest.fixture
def its(tmp_path: Path) -> Settings:
    """Give the settings of a loopback installation, with a pair of keys of its own."""
    return settings(tmp_path, "postgresql://nowhere")


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_every_mail_has_two_signatures_of_the_senders_domain(its: Settings, lang: str) -> None:
    content = composer(its).compose(replace(JOB, lang=lang), CHOICE).content
    assert verified(content, its) == [True, True]
    heads = re.findall(rb"DKIM-Signature: (.*?)\r\n(?! )", content, re.DOTALL)
    assert [re.search(rb"a=([a-z0-9-]+)", head)[1] for head in heads] == [b"rsa-sha256", b"ed25519-sha256"]  # type: ignore[index]
    for head in heads:
        assert b"d=letters.example;" in head
        assert b"c=relaxed/relaxed" in head
        assert not re.search(rb";\s*l=", head)
        names = re.search(rb"\sh=([^;]*);", head)
        assert names
        signed = re.sub(rb"\s", b"", names[1]).decode().split(":")
        assert [signed.count(name) for name in ("From", "To", "Subject")] == [2, 2, 2]
        assert {"Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"} <= set(signed) <= set(SIGNED)


def test_one_click_headers_are_signed_as_they_must_be(its: Settings) -> None:
    secure = replace(its, base_url="https://letters.example")
    content = composer(secure).compose(JOB, CHOICE).content
    assert verified(content, secure) == [True, True]
    assert verified(content.replace(b"One-Click", b"Two-Click"), secure) == [False, False]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\nSubject:", b"\r\nSubject: another\r\nSubject:"),
        (b"\r\nTo:", b"\r\nTo: all@example.org\r\nTo:"),
        (b"\r\nFrom:", b"\r\nFrom: boss@example.org\r\nFrom:"),
        (b"\r\nDate:", b"\r\nReply-To: thief@example.org\r\nDate:"),
        (b"/confirm/", b"/Confirm/"),
    ],
)
def test_nothing_can_be_added_or_changed_on_the_way(its: Settings, old: bytes, new: bytes) -> None:
    content = composer(its).compose(JOB, CHOICE).content
    assert old in content
    assert verified(content.replace(old, new, 1), its) == [False, False]


def test_what_relays_may_do_does_no_harm(its: Settings) -> None:
    content = composer(its).compose(JOB, CHOICE).content
    head, _, body = content.partition(b"\r\n\r\n")
    folded = re.sub(rb"(?m)^(Subject:) (.*)$", rb"\1\r\n  \2", head)
    assert verified(b"Received: from us by them; now\r\n" + folded + b"\r\n\r\n" + body + b"\r\n\r\n", its) == [
        True,
        True,
    ]


def test_no_relay_has_a_reason_to_encode_a_body_again(its: Settings) -> None:
    for lang in ("en", "ru"):
        content = composer(its).compose(replace(JOB, lang=lang), CHOICE).content
        assert content.isascii()
        lines = content.split(b"\r\n")
        assert max(map(len, lines)) <= 998
        assert not any(b"\r" in line or b"\n" in line for line in lines)


@pytest.mark.parametrize("body", [b"", b"\r\n", b"one\r\n", b"one", b" \t x \t\r\n\r\n\r\n", b".\r\n..\r\nFrom x\r\n"])
def test_bodies_of_every_shape(its: Settings, body: bytes) -> None:
    content = signer(its).sign(b"From: post@letters.example\r\nTo:  a@example.org\r\nSubject: x\t y \r\n\r\n" + body)
    assert verified(content, its) == [True, True]


def test_one_key_has_the_selector_itself(tmp_path: Path) -> None:
    for block, algorithm in zip(
        re.findall(r"-----BEGIN.*?END PRIVATE KEY-----", PAIR), ("rsa", "ed25519"), strict=True
    ):
        more = {"DKIM_PRIVATE_KEY": block.replace("\\n", "\n"), "DKIM_SELECTOR": "Winter2026"}
        its = load(environ(tmp_path, "postgresql://nowhere") | more, role=Process.WORKER)
        assert list(records(its)) == [b"winter2026._domainkey.letters.example."]
        content = composer(its).compose(JOB, CHOICE).content
        assert b"s=winter2026;" in content
        assert f"a={algorithm}-sha256".encode() in content
        assert verified(content, its) == [True]


def test_a_loopback_installation_makes_its_keys_once_and_the_web_never_reads_them(tmp_path: Path) -> None:
    own = environ(tmp_path, "postgresql://nowhere")
    assert load(own, role=Process.WEB).dkim_private_key is None
    assert not (tmp_path / "secrets" / "dkim_private_key").exists()
    key = load(own, role=Process.WORKER).dkim_private_key
    assert key == load(own, role=Process.WORKER).dkim_private_key
    assert [one.algorithm for one in dkim_keys.read(key or "")] == ["rsa", "ed25519"]


def test_keys_may_stand_in_a_file_or_on_one_line(tmp_path: Path) -> None:
    file = tmp_path / "dkim.pem"
    file.write_text(PAIR.replace("\\n", "\r\n"))
    own = environ(tmp_path, "postgresql://nowhere")
    from_file = load(own | {"DKIM_PRIVATE_KEY_FILE": str(file)}, role=Process.WORKER)
    from_line = load(own | {"DKIM_PRIVATE_KEY": f'"{PAIR}"'}, role=Process.WORKER)
    assert records(from_file) == records(from_line)


@pytest.mark.parametrize("text", ["x", PAIR + PAIR, PAIR[:400] + PAIR[420:]])
def test_a_wrong_key_is_refused_at_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="DKIM_PRIVATE_KEY"):
        load(environ(tmp_path, "postgresql://nowhere") | {"DKIM_PRIVATE_KEY": text}, role=Process.WORKER)


def test_an_address_off_this_machine_needs_a_key_of_its_own(tmp_path: Path) -> None:
    more = {"BASE_URL": "https://letters.example", "CONTROLLER": "We", "CONTACT_PUBLIC_KEY": "0" * 64}
    assert load(environ(tmp_path, "postgresql://nowhere") | more, role=Process.WEB).dkim_private_key is None
    unsigned = DkimSigner("letters.example", ()).sign(b"From: a@b\r\n\r\n")
    assert unsigned == b"From: a@b\r\n\r\n"


def test_a_record_is_cut_into_strings_that_a_name_server_takes() -> None:
    rsa, ed25519 = dkim_keys.read(PAIR)
    strings = re.findall(r'"([^"]*)"', dkim_keys.txt_strings(rsa.record))
    assert len(strings[0]) == 255
    assert "".join(strings) == rsa.record
    assert dkim_keys.txt_strings(ed25519.record).count('"') == 2
    assert len(base64.b64decode(ed25519.public_text)) == 32


async def test_what_is_signed_beside_the_loop_is_the_same(its: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("petition.mail.dkim.time.time", lambda: 1_800_000_000)
    its_composer = composer(its)
    written = [its_composer.write(JOB, replace(CHOICE, address=f"nemo{number}@example.org")) for number in range(20)]
    signed = await asyncio.gather(*(its_composer.sign(mail) for mail in written))
    assert [mail.content for mail in signed] == [signer(its).sign(mail.content) for mail in written]
    assert all(verified(mail.content, its) == [True, True] for mail in signed)
    assert {mail.recipient for mail in signed} == {mail.recipient for mail in written}
