"""`petition keys dkim`: what it prints works as it is, in an environment and in a zone."""

import re
import subprocess
from pathlib import Path

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from petition.core import dkim_keys
from petition.core.settings import Process, load
from petition.mail.dkim import signer
from tests.commands import called
from tests.mail.installation import environ

MORE = {
    "MAIL_FROM": "Letters <post@letters.example>",
    "SMTP_URLS": "smtps://u:p@smtp.relay.example,smtp://127.0.0.1:25",
    "BOUNCE_DOMAIN": "b.letters.example",
    "BASE_URL": "https://www.letters.example",
}


def zone(output: str) -> dict[tuple[str, str], str]:
    """Read the comments as a zone, by a library of DNS; return its records as texts."""
    lines = [line.removeprefix("# ").replace(" IN ", " 60 IN ") for line in output.splitlines() if " IN " in line]
    records = {}
    for line in lines:
        name, _, _, kind, data = line.split(" ", 4)
        rdata = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), data)
        strings = getattr(rdata, "strings", None)
        records[name, kind] = rdata.to_text() if strings is None else b"".join(strings).decode()
    return records


def test_the_output_is_an_environment_file_and_a_zone(tmp_path: Path) -> None:
    output = called("keys", "dkim", **MORE).stdout
    file = tmp_path / "worker.env"
    file.write_text(output)
    # As deploy/letters.sh reads it.
    script = 'set -aeu; . "$1"; printf "%s\\n%s" "$DKIM_SELECTOR" "$DKIM_PRIVATE_KEY"'
    selector, key = subprocess.check_output(["sh", "-c", script, "sh", str(file)], text=True).split("\n", 1)
    own = environ(tmp_path, "postgresql://nowhere") | {"DKIM_PRIVATE_KEY": key, "DKIM_SELECTOR": selector}
    settings = load(own, role=Process.WORKER)
    content = signer(settings).sign(b"From: post@letters.example\r\n\r\nHello\r\n")
    records = zone(output)
    published = {f"{name}._domainkey.letters.example." for name in re.findall(r"s=([^;]+);", content.decode())}
    assert published == {"petition._domainkey.letters.example.", "petition-ed25519._domainkey.letters.example."}
    for name, one in dkim_keys.selectors(dkim_keys.read(key), selector):
        assert records[f"{name}._domainkey.letters.example.", "TXT"] == one.record
    assert records["letters.example.", "TXT"] == "v=spf1 include:relay.example mx ~all"
    assert records["_dmarc.letters.example.", "TXT"].startswith("v=DMARC1; p=quarantine")
    assert records["b.letters.example.", "TXT"].startswith("v=spf1 ")
    assert records["b.letters.example.", "MX"] == "10 www.letters.example."


def test_each_run_makes_another_key_and_the_current_one_is_shown_on_request(tmp_path: Path) -> None:
    first, second = (called("keys", "dkim", **MORE).stdout for _ in range(2))
    assert first != second
    key = re.search(r'^DKIM_PRIVATE_KEY="(.*)"$', first, re.MULTILINE)
    assert key
    own = environ(tmp_path, "postgresql://nowhere") | {"BOUNCE_DOMAIN": "b.letters.example"}
    current = called("keys", "dkim", "--current", **own, DKIM_PRIVATE_KEY=key[1]).stdout
    assert "PRIVATE" not in current
    names = [name for name in zone(first) if "_domainkey" in name[0]]
    assert [zone(current)[name] for name in names] == [zone(first)[name] for name in names]


def test_without_a_sender_the_records_say_what_is_missing() -> None:
    assert "set MAIL_FROM" in called("keys", "dkim").stdout
    assert "petition keys dkim" in called("keys").stdout


@pytest.mark.parametrize("selector", ["a b", "-x", "я", "x." * 80])
def test_a_wrong_selector_is_refused(selector: str) -> None:
    done = called("keys", "dkim", DKIM_SELECTOR=selector)
    assert done.returncode == 1
    assert "DKIM_SELECTOR" in done.stderr
