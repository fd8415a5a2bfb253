"""What `petition check` finds in DNS, asked of a name server of our own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from petition.cli import check_mail_dns
from petition.core import dkim_keys
from petition.core.mail_settings import MxResolver
from petition.core.settings import Process, Settings, load
from tests.mail.dns_server import answering
from tests.mail.installation import environ

PAIR = dkim_keys.new_pair()
RSA, ED25519 = dkim_keys.read(PAIR)
Records = Mapping[tuple[str, str], list[str] | str | None]

GOOD: Records = {
    ("letters.example", "TXT"): ['"unrelated"', '"v=spf1 include:relay.example mx ~all"'],
    ("relay.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
    ("b.letters.example", "TXT"): ['"v=spf1 include:relay.example ~all"'],
    ("petition._domainkey.letters.example", "TXT"): [dkim_keys.txt_strings(RSA.record)],
    ("petition-ed25519._domainkey.letters.example", "TXT"): [dkim_keys.txt_strings(ED25519.record)],
    ("_dmarc.letters.example", "TXT"): ['"v=DMARC1; p=quarantine"'],
    ("letters.example", "MX"): ["10 mail.letters.example."],
    ("b.letters.example", "MX"): ["10 mail.letters.example."],
}


@pytest.fixture
def its(tmp_path: Path) -> Settings:
    """Give the settings of a worker with keys of its own."""
    more = {"DKIM_PRIVATE_KEY": PAIR, "BOUNCE_DOMAIN": "b.letters.example"}
    return load(environ(tmp_path, "postgresql://nowhere") | more, role=Process.WORKER)


async def findings(its: Settings, records: Records) -> list[tuple[str, str]]:
    async with answering(records) as server:
        asking = replace(its, mx_resolver=MxResolver("127.0.0.1", server.port))
        return [finding async for finding in check_mail_dns.findings(asking)]


async def test_nothing_is_wrong_where_nothing_is(its: Settings) -> None:
    assert await findings(its, GOOD) == []


MANY = " ".join(f"include:{number}.example" for number in range(10))
LONG_SPF = {
    ("letters.example", "TXT"): ['"v=spf1 include:many.example ~all"'],
    ("many.example", "TXT"): [f'"v=spf1 {MANY} -all"'],
}
LOOP = {("letters.example", "TXT"): ['"v=spf1 include:letters.example ~all"']}
WRONG: list[tuple[Records, str, str]] = [
    ({("letters.example", "TXT"): []}, "SPF", "letters.example has no SPF record"),
    ({("b.letters.example", "TXT"): []}, "SPF", "b.letters.example has no SPF record"),
    ({("letters.example", "TXT"): ['"v=spf1 mx ~all"', '"v=spf1 a ~all"']}, "SPF", "2 SPF records"),
    ({("letters.example", "TXT"): ['"v=spf1 mx +all"']}, "SPF", "lets everyone send"),
    ({("letters.example", "TXT"): ['"v=spf1 mx"']}, "SPF", "no end"),
    ({("letters.example", "TXT"): ['"v=spf1 -all"']}, "SPF", "lets no one send"),
    (LONG_SPF, "SPF", "more than 10 look-ups"),
    (LOOP, "SPF", "more than 10 look-ups"),
    ({("petition._domainkey.letters.example", "TXT"): []}, "DKIM", "has no record"),
    (
        {("petition-ed25519._domainkey.letters.example", "TXT"): ['"v=DKIM1; k=ed25519; p=AAAA"']},
        "DKIM",
        "petition-ed25519._domainkey.letters.example publishes another key",
    ),
    ({("petition._domainkey.letters.example", "TXT"): ['"v=DKIM1; p="']}, "DKIM", "publishes another key"),
    ({("_dmarc.letters.example", "TXT"): []}, "DMARC", "no DMARC record"),
    ({("_dmarc.letters.example", "TXT"): ['"v=DMARC1; p=none"']}, "DMARC", "set p=quarantine"),
    ({("_dmarc.letters.example", "TXT"): ['"v=DMARC1; p=reject; aspf=s"']}, "DMARC", "not aligned"),
    ({("letters.example", "MX"): []}, "MX", "letters.example (MAIL_FROM)"),
    ({("b.letters.example", "MX"): []}, "MX", "b.letters.example (BOUNCE_DOMAIN)"),
    ({("letters.example", "TXT"): "SERVFAIL"}, "DNS", "do not answer"),
]


@pytest.mark.parametrize(("change", "part", "text"), WRONG)
async def test_each_fault_is_one_line_with_its_cure(its: Settings, change: Records, part: str, text: str) -> None:
    ((at, line),) = await findings(its, {**GOOD, **change})
    assert at == part
    assert text in line
    assert ";" in line


async def test_a_sender_below_its_domain_has_the_policy_of_that(its: Settings) -> None:
    below = replace(its, mail_from="post@mail.letters.example", dkim_private_key=None)
    records = {
        **GOOD,
        ("mail.letters.example", "TXT"): ['"v=spf1 mx ~all"'],
        ("mail.letters.example", "A"): ["192.0.2.1"],
    }
    ((part, line),) = await findings(below, records)
    assert part == "DKIM"
    assert "`petition keys dkim`" in line


async def test_without_a_name_server_only_the_key_is_looked_at(its: Settings) -> None:
    assert its.mx_resolver is None
    assert [finding async for finding in check_mail_dns.findings(its)] == []
    unsigned = replace(its, dkim_private_key=None)
    ((part, line),) = [finding async for finding in check_mail_dns.findings(unsigned)]
    assert part == "DKIM"
    assert "DKIM_PRIVATE_KEY is not set" in line
