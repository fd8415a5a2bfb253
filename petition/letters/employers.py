"""Employers whose employees may sign without their names, by a mailbox there. Every act is in the log.

An organizer enters name and domains once; they never change, since they are what people see when they sign. See
docs/decisions/employees.md.
"""

import re
from collections.abc import Mapping

from petition.core import audit_log, mail_domains
from petition.core.database import Connection
from petition.core.email_addresses import BadAddress, parse
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.core.ids import EmployerId, LetterId, OrganizerId
from petition.core.mail_domains import ProviderClass
from petition.core.text_cleaning import clean, has_direction_mark, has_hidden
from petition.letters import employer_queries as queries

MAX_EMPLOYERS = 50  # of one letter: the form names those that are offered
MAX_DOMAINS = 20  # of one employer
MAX_NAME = 120  # characters

NO_NAME = N_("Enter the name of the organization, up to 120 characters.")
NO_DOMAIN = N_("Enter at least one mail domain, as in company.example.")
BAD_DOMAIN = N_("This is not a mail domain. It should look like company.example.")
SHARED = N_("Anyone can have an address there. Only a domain that belongs to the organization proves anything.")
TAKEN = N_("Another organization of this letter already has this domain.")
TOO_MANY_DOMAINS = N_("An organization can have at most 20 domains.")
TOO_MANY = N_("A letter can have at most 50 such organizations.")


def names_of(typed: Mapping[str, str]) -> dict[str, str]:
    """Return the names that were typed, by language. Raises ``Refused``."""
    names = {lang: clean(name) for lang, name in typed.items() if clean(name)}
    if not names:
        raise Refused(NO_NAME, "name_en")
    for lang, name in names.items():
        if len(name) > MAX_NAME or has_hidden(name) or has_direction_mark(name):
            raise Refused(NO_NAME, f"name_{lang}")
    return names


def domains_of(typed: str) -> list[str]:
    """Return the mail domains that were typed, one after another, in ASCII form. Raises ``Refused``.

    A domain at which anyone can have a mailbox is refused.
    """
    domains = list(dict.fromkeys(_domain_of(word) for word in re.split(r"[\s,;]+", typed.strip()) if word))
    if not domains:
        raise Refused(NO_DOMAIN, "domains")
    if len(domains) > MAX_DOMAINS:
        raise Refused(TOO_MANY_DOMAINS, "domains")
    return domains


def _domain_of(typed: str) -> str:
    try:
        domain = parse(f"any@{typed.rpartition('@')[2]}").domain
    except BadAddress:
        raise Refused(BAD_DOMAIN, "domains") from None
    if mail_domains.class_of(domain) is not ProviderClass.OWN:
        raise Refused(SHARED, "domains")
    return domain


async def add(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, names: Mapping[str, str], domains: list[str]
) -> EmployerId:
    """Offer an employer in the form; return its id. Raises ``Refused``."""
    existing = await queries.lock_letter(conn, letter_id)
    if len(existing) >= MAX_EMPLOYERS:
        raise Refused(TOO_MANY)
    if any(domain in employer.domains for employer in existing for domain in domains):
        raise Refused(TAKEN, "domains")
    employer_id = await queries.add(conn, letter_id, names, domains)
    await queries.move_revision(conn, letter_id)
    await audit_log.record(conn, actor_id, letter_id, "employer.add", ids=[employer_id])
    return employer_id


async def offer(
    conn: Connection, actor_id: OrganizerId, letter_id: LetterId, employer_id: EmployerId, *, is_offered: bool
) -> None:
    """Offer an employer again, or no longer; a second time is harmless."""
    await queries.lock_letter(conn, letter_id)
    if await queries.offer(conn, letter_id, employer_id, is_offered=is_offered):
        await queries.move_revision(conn, letter_id)
        act = "employer.offer" if is_offered else "employer.stop"
        await audit_log.record(conn, actor_id, letter_id, act, ids=[employer_id])
