"""Likely slips in the domain of an address: "gmail.con", "gmial.com", "yandex.ry".

A mail to such an address is lost without a word, so the form asks once. It must never ask about a domain at which
people do have addresses: only spellings near a large provider's are looked at, real look-alikes are listed, and a
country's ending is no slip where the provider has national domains.
"""

import re

from petition.core.email_addresses import Mailbox
from petition.core.email_providers import FREE_MAIL

# Name and ending of the domains that are meant, the commonest first.
_MEANT = """
gmail.com mail.ru yandex.ru hotmail.com outlook.com icloud.com yahoo.com rambler.ru inbox.ru list.ru googlemail.com
protonmail.com proton.me live.com ukr.net yandex.com yandex.by yandex.kz yandex.ua tutanota.com fastmail.com
internet.ru bk.ru ya.ru
"""
MEANT = tuple(domain.partition(".")[::2] for domain in _MEANT.split())
# By the length of a typed name: those whose length differs by one at most, as in a slip.
_MEANT_BY_LENGTH = {n: tuple(pair for pair in MEANT if abs(len(pair[0]) - n) <= 1) for n in range(64)}
# Near one of those, and real: providers and others, not in ``FREE_MAIL``.
_REAL = """
email.com mail.de mail.ee mail.bg mail.kz mail.by mail.md mail.uz mail.az mail.ch mail.fr mail.org mail.net mil.ru
email.ru email.it email.cz email.de yandex.net yandex.eu yandex.rs yandex.pt inbox.com inbox.eu list.am live.ru
hotmail.ru icloud.com.cn mails.com fmail.com hmail.com gmal.ru mali.ru nail.ru
"""
REAL = FREE_MAIL | frozenset(_REAL.split())
# Providers with domains in many countries: an ending that is a country's is theirs, or may be.
_NATIONAL = frozenset(
    ("hotmail", "live", "mail", "outlook", "yahoo", "yandex", "rambler", "inbox", "list", "internet", "bk", "ya")
)
_CODES = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc
cd cf cg ch ci ck cl cn cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge
gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg
kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu
mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw
sa sb sc sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz
ua ug uk us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw
"""
_COUNTRIES = frozenset(_CODES.split())
_ENDINGS = frozenset(("com", "net", "org", "info", "biz", "me", "pro", "email", "name"))
_IMPOSSIBLE = 2  # letters: all endings of two are countries', so there is no other
_NEAR_ME = frozenset(("mr", "mw", "ms", "ne"))  # endings of countries, next to "me" on the keyboard
_NEAR_COM = frozenset(("co", "cm", "om"))  # endings of countries, and "com" with a letter missing
_NOT_COM = _COUNTRIES | _ENDINGS | _NEAR_COM | frozenset(("cam", "bom", "mom"))  # endings that there are, near "com"
# Cyrillic letters that look like Latin ones.
_LATIN = str.maketrans("асеорхуіѕј", "aceopxyisj")
SHORT = 4  # letters of a name; a replaced letter makes another word of so short a name


def meant_address(mailbox: Mailbox) -> str | None:
    """Return the address that was probably meant, or None if the domain looks right."""
    domain = _in_latin(mailbox.domain)
    if domain != mailbox.domain and domain in FREE_MAIL:
        return f"{mailbox.local}@{domain}"
    if domain in REAL:
        return None
    if domain.startswith("www.") and domain[4:] in FREE_MAIL:
        return f"{mailbox.local}@{domain[4:]}"
    near = _MEANT_BY_LENGTH.get(len(domain.partition(".")[0]), ())
    meant = (
        _with_com(domain)
        or next((f"{name}.{ending}" for name, ending in near if _is_slip(domain, name, ending)), None)
        or _at_no_ending(domain)
    )
    return f"{mailbox.local}@{meant}" if meant else None


def _with_com(domain: str) -> str | None:
    """Return the provider's domain for "com" mistyped as an ending that does not exist: "gmx.con", "gmail.con.ru"."""
    name, _, ending = domain.partition(".")
    first, _, rest = ending.partition(".")
    if first in _NOT_COM or not _edits(first, "com"):
        return None
    with_com = f"{name}.com"
    if rest:
        return with_com if (name, "com") in MEANT and _is_slip(f"{with_com}.{rest}", name, "com") else None
    return with_com if with_com in FREE_MAIL else _first_of(name)


def _at_no_ending(domain: str) -> str | None:
    name, _, ending = domain.partition(".")
    return _first_of(name) if len(ending) == _IMPOSSIBLE and ending not in _COUNTRIES | _NEAR_COM else None


def _first_of(name: str) -> str | None:
    return next((f"{one}.{ending}" for one, ending in MEANT if one == name), None)


def _in_latin(domain: str) -> str:
    if "xn--" not in domain:
        return domain
    try:
        return domain.encode().decode("idna").translate(_LATIN)
    except UnicodeError:
        return domain


def _is_slip(domain: str, name: str, ending: str) -> bool:
    if domain.startswith(f"{name}.{ending}."):  # "gmail.com.com"
        rest = domain.removeprefix(f"{name}.{ending}.")
        return "." not in rest and (rest not in _COUNTRIES or name not in _NATIONAL)
    typed_name, _, typed_ending = domain.partition(".")
    same_ending = typed_ending == ending
    if typed_name == name:
        return not same_ending and _is_ending_slip(typed_ending, name, ending)
    return _is_name_slip(typed_name, name) and (same_ending or _is_ending_slip(typed_ending, "", ending))


def _is_ending_slip(typed: str, name: str, ending: str) -> bool:
    if ending == "com" and typed in _NEAR_COM:
        return True
    if typed in _ENDINGS or "." in typed:
        return False
    if ending == "me" and name and typed in _NEAR_ME:
        return True
    if typed in _COUNTRIES:
        return bool(name) and name not in _NATIONAL and ending == "com"
    return _edits(typed, ending) or (len(ending) == 2 and len(typed) == 2 and bool({*typed} & {*ending}))


def _is_name_slip(typed: str, name: str) -> bool:
    if len(name) < SHORT:
        return False
    if len(name) == SHORT:
        return _is_doubled_missing_or_swapped(typed, name)
    # Letters before "mail" make other providers: hmail, ymail, fmail.
    if typed[1:] == name[1:] and len(name) <= SHORT + 1:
        return False
    return _edits(typed, name)


def _edits(typed: str, meant: str) -> bool:
    """Return whether one letter is missing, too many or replaced, or two neighbours are swapped (Damerau, 1964)."""
    if _is_doubled_missing_or_swapped(typed, meant):
        return True
    if len(typed) == len(meant):
        return sum(one != other for one, other in zip(typed, meant, strict=True)) == 1
    return len(typed) == len(meant) + 1 and any(typed[:i] + typed[i + 1 :] == meant for i in range(len(typed)))


def _is_doubled_missing_or_swapped(typed: str, meant: str) -> bool:
    if len(typed) == len(meant) + 1:
        return re.sub(r"(.)\1", r"\1", typed) in {meant, re.sub(r"(.)\1", r"\1", meant)}
    if len(typed) == len(meant) - 1:
        return any(meant[:i] + meant[i + 1 :] == typed for i in range(1 if len(meant) <= SHORT else 0, len(meant)))
    return len(typed) == len(meant) and any(
        typed == meant[:i] + meant[i + 1] + meant[i] + meant[i + 2 :] for i in range(len(meant) - 1)
    )
