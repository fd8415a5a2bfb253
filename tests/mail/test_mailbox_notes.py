"""What is noted of mailboxes before their links are mailed: many at once, and those to be looked up by themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from petition.core import mail_domains
from petition.core.database import opened
from petition.core.decryptions import DecryptionCounts
from petition.core.encryption import Opener
from petition.core.ids import SignatureId
from petition.core.mail_settings import MxResolver
from petition.mail import queries
from petition.mail.choosing import MailSelector
from petition.mail.mail_hosts import MailHosts
from petition.mail.mailbox_notes import MailboxNotes
from petition.mail.model import ChosenMail
from petition.mail.suppression import Suppression
from tests.mail.dns_server import answering
from tests.mail.installation import Installation

RECORDS: dict[tuple[str, str], list[str] | str | None] = {
    ("school.ru", "MX"): ["10 mx.school.ru."],
    ("mx.school.ru", "A"): ["203.0.113.7"],
    ("trusted.ru", "MX"): ["10 mx.school.ru."],
}
NOTES = "SELECT id, provider, domain, mail_host FROM pending"


async def chosen(installation: Installation) -> dict[str, ChosenMail]:
    """Choose the mails of all jobs at once; return them by address."""
    its = installation.settings
    assert its.contact_private_key is not None
    opener, suppression = Opener(its.contact_private_key, DecryptionCounts()), Suppression(installation.wrapper)
    jobs = await queries.lease(installation.conn, 100, 1, timedelta(minutes=5))
    selector = MailSelector(opener, installation.wrapper, suppression)
    mails = (await selector.choose_all(installation.conn, jobs)).values()
    return {mail.address: mail for mail in mails if isinstance(mail, ChosenMail)}


@asynccontextmanager
async def notes_of(installation: Installation) -> AsyncIterator[MailboxNotes]:
    async with answering(RECORDS) as server, opened(str(installation.settings.database_url), max_size=2) as database:
        yield MailboxNotes(database, installation.wrapper, MailHosts(MxResolver("127.0.0.1", server.port)))


async def test_those_that_need_no_look_up_are_noted_at_once(installation: Installation) -> None:
    letter = await installation.letter()
    addresses = ("a@gmail.com", "b@duck.com", "c@school.ru", "d@school.ru")
    ids = {address: await installation.sign_up(letter, address) for address in addresses}
    mails = await chosen(installation)
    async with notes_of(installation) as notes:
        assert await notes.add_known(list(mails.values())) == {ids["a@gmail.com"], ids["b@duck.com"]}
        await notes.add(mails["c@school.ru"])
        assert await notes.add_known([mails["d@school.ru"]]) == {ids["d@school.ru"]}  # looked up before
    rows = {SignatureId(row["id"]): row for row in await installation.conn.fetch(NOTES)}
    large, alias, first, second = (rows[ids[address]] for address in addresses)
    assert (large["provider"], large["domain"], large["mail_host"]) == ("large", None, None)
    assert (alias["provider"], alias["domain"], alias["mail_host"] is None) == ("alias", None, False)
    assert (first["provider"], first["domain"] is None, first["mail_host"] is None) == ("own", False, False)
    assert (first["domain"], first["mail_host"]) == (second["domain"], second["mail_host"])


async def test_of_a_trusted_domain_nothing_is_noted_but_the_class(installation: Installation) -> None:
    letter = await installation.letter()
    trusted = await installation.sign_up(letter, "a@trusted.ru")
    other = await installation.sign_up(letter, "b@school.ru")
    digest = letter.keys.digest(mail_domains.TRUSTED + "trusted.ru")
    await installation.conn.execute("INSERT INTO trusted_domain (letter, digest) VALUES ($1, $2)", letter.id, digest)
    async with notes_of(installation) as notes:
        for mail in (await chosen(installation)).values():
            await notes.add(mail)
    rows = {row["id"]: row for row in await installation.conn.fetch(NOTES)}
    assert (rows[trusted]["provider"], rows[trusted]["domain"], rows[trusted]["mail_host"]) == ("own", None, None)
    assert rows[other]["domain"] is not None
