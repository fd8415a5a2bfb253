"""Mail hosts are looked up at a real name server, in bounded time, and a failure is never an error."""

import pytest

from petition.core import mail_domains
from petition.core.mail_domains import ProviderClass
from petition.core.mail_settings import MxResolver
from petition.mail.mail_hosts import UNANSWERED, MailHost, MailHosts
from tests.mail.dns_server import NameServer, answering

RECORDS: dict[tuple[str, str], list[str] | str | None] = {
    ("school.ru", "MX"): ["20 mx2.school.ru.", "10 mx1.school.ru."],
    ("mx1.school.ru", "A"): ["203.0.113.9", "203.0.113.7"],
    ("one-machine.net", "MX"): ["10 mail.one-machine.net."],
    ("mail.one-machine.net", "A"): ["203.0.113.7"],
    ("company.com", "MX"): ["1 aspmx.l.google.com.", "5 alt1.aspmx.l.google.com."],
    ("hidden.com", "MX"): ["1 aspmx.l.google.com.", "5 mx.hidden.com."],
    ("mx.hidden.com", "A"): ["203.0.113.8"],
    ("forwarded.org", "MX"): ["1 mx1.improvmx.com.", "2 mx2.improvmx.com."],
    ("worker.dev", "MX"): ["1 route1.mx.cloudflare.net."],
    ("thrown-away.com", "MX"): ["1 mail.mailinator.com."],
    ("without-mx.com", "A"): ["203.0.113.20"],
    ("no-mail.com", "MX"): ["0 ."],
    ("broken.com", "MX"): "SERVFAIL",
    ("silent.com", "MX"): None,
    ("nameless.com", "MX"): ["1 mx.elsewhere.co.uk."],
    ("one-of-many.com", "MX"): ["1 mx.one-of-many.com."],
    ("mx.one-of-many.com", "AAAA"): ["2001:db8:7:1::25", "2001:db8:7:2::25"],
    ("another.com", "MX"): ["1 mx.another.com."],
    ("mx.another.com", "AAAA"): ["2001:db8:7:ffff::1"],
}


def hosts_at(server: NameServer) -> MailHosts:
    return MailHosts(MxResolver("127.0.0.1", server.port))


@pytest.mark.parametrize(
    ("domain", "host"),
    [
        ("school.ru", MailHost("203.0.113.7")),
        ("one-machine.net", MailHost("203.0.113.7")),  # another name, the same machine
        ("company.com", MailHost(None, ProviderClass.OWN)),  # shared by very many
        ("hidden.com", MailHost("203.0.113.8")),  # behind a shared one that takes nothing
        ("forwarded.org", MailHost("improvmx.com", ProviderClass.FORWARDED)),
        ("worker.dev", MailHost("cloudflare.net", ProviderClass.FORWARDED)),
        ("thrown-away.com", MailHost("mailinator.com", ProviderClass.DISPOSABLE)),
        ("without-mx.com", MailHost("203.0.113.20")),
        ("no-mail.com", MailHost()),
        ("no-such-domain.com", MailHost()),
        ("broken.com", MailHost(UNANSWERED)),
        ("silent.com", MailHost(UNANSWERED)),
        ("nameless.com", MailHost("elsewhere.co.uk")),
        ("one-of-many.com", MailHost("2001:db8:7::/48")),
        ("another.com", MailHost("2001:db8:7::/48")),  # another address of one machine
    ],
)
async def test_the_host_of_a_domain(domain: str, host: MailHost) -> None:
    async with answering(RECORDS) as server:
        hosts = hosts_at(server)
        assert await hosts.look_up(domain) == host
        asked = server.asked[domain]
        assert await hosts.look_up(domain) == host
        assert server.asked[domain] == asked  # remembered


async def test_without_any_name_server_nothing_is_known_and_nothing_fails() -> None:
    async with answering({("school.ru", "MX"): None, (".", "NS"): None}) as server:
        assert await hosts_at(server).look_up("school.ru") == MailHost()
    assert await hosts_at(server).look_up("school.ru") == MailHost()
    assert await MailHosts(None).look_up("school.ru") == MailHost()


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("gmail.com", ProviderClass.LARGE),
        ("posteo.de", ProviderClass.OTHER),
        ("anyone.fastmail.com", ProviderClass.OTHER),
        ("anyone.gmail.com", ProviderClass.OWN),
        ("duck.com", ProviderClass.ALIAS),
        ("anyone.anonaddy.com", ProviderClass.ALIAS),
        ("mailinator.com", ProviderClass.DISPOSABLE),
        ("school.ru", ProviderClass.OWN),
    ],
)
def test_the_class_of_a_domain(domain: str, provider: ProviderClass) -> None:
    assert mail_domains.class_of(domain) is provider


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("mx.yandex.net", ProviderClass.OWN),
        ("mx2.spaceweb.ru", ProviderClass.OWN),
        ("school-ru.mail.protection.outlook.com", ProviderClass.OWN),
        ("smtpin.rzone.de", ProviderClass.OWN),
        ("vps7.rzone.de", None),  # a customer's server
        ("route1.mx.cloudflare.net", ProviderClass.FORWARDED),
        ("mx1.alias.proton.me", ProviderClass.FORWARDED),
        ("mail2.anonaddy.me", ProviderClass.FORWARDED),
        ("mail.wabblywabble.com", ProviderClass.DISPOSABLE),
        ("in.mail.tm", ProviderClass.DISPOSABLE),
        ("mx.school.ru", None),
    ],
)
def test_the_class_of_a_mail_host(host: str, provider: ProviderClass | None) -> None:
    assert mail_domains.class_of_host(host) is provider


def test_no_host_is_of_two_classes() -> None:
    lists = (mail_domains._SHARED_HOSTS, mail_domains._FORWARDING_HOSTS, mail_domains._DISPOSABLE_HOSTS)
    names = [name for hosts in lists for name in hosts]
    assert len(names) == len(set(names))
    for hosts in lists:
        others = set(names) - hosts
        assert not [name for name in hosts if mail_domains._is_below(name, others)]


def test_what_is_registered_and_what_is_special() -> None:
    names = ["a.school.ru", "a.b.company.co.uk", "free.eu.org", "school.ru", "localhost"]
    assert [mail_domains.registrable(name) for name in names] == [
        "school.ru",
        "company.co.uk",
        "eu.org",
        "school.ru",
        "localhost",
    ]
    assert mail_domains.is_special("letters.example")
    assert mail_domains.is_special("a.example.org")
    assert not mail_domains.is_special("example.ru")
    assert mail_domains.parents("a.b.ru") == ["a.b.ru", "b.ru"]
