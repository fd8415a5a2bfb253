"""How many mails are answered: per mailbox and day, and per hour all those together that prove nothing.

A mail costs its sender nothing, and its "From" may be a stranger's. So a mailbox gets few answers a day, and mails
without a valid signature share one small budget (docs/decisions/mail-in.md). What a mail proves counts apart from what
anyone may have written: forged mails cannot use up what the mailbox's owner has.
"""

import hashlib
from dataclasses import dataclass

from petition.core import prices, quotas
from petition.core.database import Connection
from petition.core.email_addresses import Mailbox
from petition.core.email_providers import FREE_MAIL
from petition.core.ids import LetterId
from petition.core.limits import Limits
from petition.core.mail_domains import ProviderClass, class_of, organizational
from petition.core.prices import Buckets
from petition.core.quotas import DayKey, DayKeys, HourKey, Quota
from petition.incoming_mail.mail_answers import Answer
from petition.signatures.signing import MailQuotas

MAX_OF_KIND = {Answer.LETTER: 2}  # answers a day to one mailbox about one letter; the others only by ``Limits.mailbox``


@dataclass(frozen=True, slots=True)
class MailBudget:
    """What one mail counts against."""

    letter_id: LetterId
    mailbox: str  # in its canonical spelling
    name: str  # what stands for it in the names of quotas
    network: str  # what stands for the client's network: the sender's own domain, or its mailbox at a provider
    is_proven: bool
    limits: Limits
    day: DayKey
    hours: tuple[HourKey, HourKey]

    @property
    def mails(self) -> MailQuotas:
        """What a link that is mailed counts against: the same as by the form."""
        return MailQuotas(
            from_network=self.day.daily("mailbox-network", f"{self.network}|{self.name}"),
            in_all=self.day.daily("mailbox", self.name),
            of_letter=self.day.daily("mailbox-letter", f"{self.letter_id}|{self.name}"),
        )

    @property
    def _writer(self) -> str:
        """Return whose answers and tries of codes count together: the mailbox's, or those in its name."""
        return f"{self.name}|proven" if self.is_proven else self.name

    @property
    def drawn(self) -> Quota:
        return self.day.hourly("drawn-letter", str(self.letter_id))

    @property
    def buckets(self) -> Buckets:
        """What signing counts against. The price is paid: who cannot be asked for a sum is limited by number."""
        return prices.buckets_of_mail(self.network, self.letter_id, self.limits, self.hours)

    async def allows_unproven(self, conn: Connection) -> bool:
        """Count a mail that proves nothing; return whether it may be acted on. Proven ones are not counted."""
        if self.is_proven:
            return True
        hidden = self.hours[0].hidden("mail-in", "unproven", self.limits.mail_in)
        of_domain = self.hours[0].hidden("mail-in-domain", self.network, max(1, self.limits.mail_in // 4))
        used = await quotas.spend(conn, {hidden.quota: 1, of_domain.quota: 1})
        return used[hidden.quota.key] <= hidden.limits[0] and used[of_domain.quota.key] <= of_domain.limits[0]

    async def allows_code(self, conn: Connection, limit: int) -> bool:
        """Count a try of a mailed code, right or wrong, before it is compared."""
        quota = self.day.daily("mail-in-code", f"{self.letter_id}|{self._writer}")
        return (await quotas.spend(conn, {quota: 1}))[quota.key] <= limit

    async def allows_answer(self, conn: Connection, kind: Answer, once: str) -> bool:
        """Count an answer; return whether it may go out. With ``once``, the same one goes out once a day only."""
        in_all = self.day.daily("mail-in-mailbox", self._writer)
        text = f"{self.letter_id}|{self._writer}|{kind}|{hashlib.sha256(once.encode()).hexdigest()}"
        of_kind = self.day.daily("mail-in-answer", text)
        used = await quotas.spend(conn, {in_all: 1, of_kind: 1})
        limit = 1 if once else MAX_OF_KIND.get(kind, self.limits.mailbox)
        if used[of_kind.key] > limit:
            await quotas.give_back(conn, {in_all: 1})
            return False
        return used[in_all.key] <= self.limits.mailbox


async def budget_of(
    days: DayKeys,
    limits: Limits,
    letter_id: LetterId,
    sender: Mailbox,
    *,
    mailbox: str,
    name: str,
    is_proven: bool,
) -> MailBudget:
    """Return the budget of a mail from ``sender``: ``mailbox`` is its canonical spelling. Raises ``Unavailable``."""
    return MailBudget(
        letter_id=letter_id,
        mailbox=mailbox,
        name=name,
        network=f"mail:{_network_of(sender, name)}",
        is_proven=is_proven,
        limits=limits,
        day=await days.today(),
        hours=await days.hours(),
    )


def _network_of(sender: Mailbox, name: str) -> str:
    """Return the domain where its owner has all mailboxes for nothing; the mailbox where a provider gives them out."""
    is_provider = sender.domain in FREE_MAIL or class_of(sender.domain) in {
        ProviderClass.LARGE,
        ProviderClass.OTHER,
        ProviderClass.ALIAS,
    }
    return name if is_provider else organizational(sender.domain)
