"""Mail providers: which spellings of an address are one mailbox, and which domains anyone can have an address at.

The table is versioned, since a letter's digests can never be made again: its addresses are gone. A letter keeps the
version it opened with, so an entry is never changed or removed, a new version of the table is added instead.

**One rule decides what is listed here: two spellings are merged only where they cannot belong to two people.** The
person who confirms an address sees what was signed from it, so merging a stranger's mailbox would be worse than
counting one person twice. Hence:

- Unknown domains keep their "+tag" (RFC 5321, section 2.3.11: only the host may read a local part). Tuta allows "+" in
  user names and never strips it: https://github.com/tutao/tutanota/issues/1057
- Yahoo is left alone. Its throw-away addresses are "base-keyword", where the base is not the account's name and may be
  a stranger's (https://help.yahoo.com/kb/SLN28815.html), and user names may hold one hyphen or plus
  (rules of Nokia Mail by Yahoo: https://www.microsoft.com/en-gb/mobile/support/faq/?action=singleTopic&topic=FA134980).
- mail.ru, inbox.ru, list.ru, bk.ru and internet.ru are different mailboxes, and so are outlook.com, hotmail.com and
  live.com: https://support.microsoft.com/help/12407/microsoft-account-manage-aliases
- Rambler's domains (rambler.ru, lenta.ru, autorambler.ru, myrambler.ru, ro.ru) are different mailboxes, and no page of
  theirs promises "+tag".
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """How one provider reads an address. ``sources`` say where each fact comes from."""

    domains: tuple[str, ...]
    sources: tuple[str, ...]
    one_mailbox: bool = False  # the same name at each of the domains is one mailbox
    tag: str = ""  # from this character on the name is ignored
    ignored: str = ""  # characters that make no difference in a name
    same: tuple[str, str] = ("", "")  # the first character reads like the second
    subdomains: bool = False  # anything@name.domain is name@domain


_GMAIL = Provider(
    domains=("gmail.com", "googlemail.com"),
    one_mailbox=True,
    tag="+",
    ignored=".",
    sources=(
        "https://support.google.com/mail/answer/7436150 (dots)",
        "https://www.cttsonline.com/2020/10/27/tech-tip-197-unlimited-gmail-hack/ (googlemail.com, plus)",
    ),
)
_YANDEX = Provider(
    domains=(
        "yandex.ru",
        "ya.ru",
        "yandex.com",
        "yandex.by",
        "yandex.kz",
        "yandex.ua",
        "yandex.com.tr",
        "narod.ru",
        "yandex.az",
        "yandex.com.am",
        "yandex.com.ge",
        "yandex.co.il",
        "yandex.ee",
        "yandex.fr",
        "yandex.kg",
        "yandex.lt",
        "yandex.lv",
        "yandex.md",
        "yandex.tj",
        "yandex.tm",
        "yandex.uz",
    ),
    one_mailbox=True,
    tag="+",
    same=(".", "-"),
    sources=(
        "https://yandex.com/support/id/authorization/email.html (one login, its address at every Yandex domain)",
        "https://yandex.ru/dev/direct/doc/dg-v4/concepts/finance-token.html (a login's dots are its hyphens)",
        "https://yandex.com/support/domain/domain/mail.html (a login has letters, digits, dots, hyphens; no plus)",
        "https://github.com/deltachat/provider-db/blob/master/_providers/yandex.ru.md (narod.ru)",
    ),
)
_MAIL_RU = Provider(
    domains=("mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru"),
    tag="+",
    sources=("https://help.mail.ru/mail-help/registration/name (letters, digits, - _ . and so never a plus)",),
)
_MICROSOFT = Provider(
    domains=("outlook.com", "hotmail.com", "live.com", "msn.com", "passport.com"),
    tag="+",
    sources=(
        "https://www.zdnet.com/article/microsoft-adds-support-for-custom-email-addresses-in-office-365/ (since 2013)",
        "https://learn.microsoft.com/exchange/recipients-in-exchange-online/plus-addressing-in-exchange-online",
    ),
)
_APPLE = Provider(
    domains=("icloud.com", "me.com", "mac.com"),
    one_mailbox=True,
    tag="+",
    sources=(
        "https://support.apple.com/HT201771 (one account has the same name at all three)",
        "https://en.wikipedia.org/wiki/Email_address#Subaddressing (plus)",
    ),
)
_PROTON = Provider(
    domains=("proton.me", "protonmail.com", "protonmail.ch", "pm.me"),
    one_mailbox=True,
    tag="+",
    ignored=".-_",
    sources=(
        "https://proton.me/support/change-username (dots, hyphens and underscores are ignored)",
        "https://proton.me/support/addresses-and-aliases (the domains; plus)",
        "https://github.com/ProtonMail/WebClients, src/helpers/string.js: removeEmailAlias",
    ),
)
_FASTMAIL = Provider(
    domains=("fastmail.com", "fastmail.fm"),  # different mailboxes
    tag="+",
    subdomains=True,
    sources=("https://www.fastmail.help/hc/en-us/articles/360060591053 (plus; anything@name.fastmail.com)",),
)

# version of the rules → the providers it knows
PROVIDERS: Mapping[int, tuple[Provider, ...]] = {
    1: (_GMAIL, _YANDEX, _MAIL_RU, _MICROSOFT, _APPLE, _PROTON, _FASTMAIL),
}
NEWEST = max(PROVIDERS)

_OTHER_FREE_MAIL = """
rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru rambler.ua mail.ua ukr.net i.ua meta.ua bigmir.net tut.by
yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.in ymail.com rocketmail.com aol.com mail.com gmx.com
gmx.de gmx.net gmx.at gmx.ch web.de t-online.de freenet.de posteo.de posteo.net mailbox.org riseup.net disroot.org
tuta.com tuta.io tutamail.com tutanota.com tutanota.de keemail.me zoho.com hey.com duck.com mozmail.com
simplelogin.com hushmail.com mailfence.com runbox.com inbox.lv inbox.lt seznam.cz centrum.cz wp.pl o2.pl onet.pl
interia.pl abv.bg libero.it orange.fr wanadoo.fr free.fr laposte.net hotmail.co.uk hotmail.de hotmail.fr hotmail.it
live.co.uk live.fr qq.com 163.com 126.com naver.com daum.net privaterelay.appleid.com
"""

# Anyone can have an address here, so it shows nothing about an organization. Not a complete list: it is a hint to
# moderators, who see the domain of the website beside it.
FREE_MAIL = frozenset(domain for provider in PROVIDERS[NEWEST] for domain in provider.domains) | frozenset(
    _OTHER_FREE_MAIL.split()
)
